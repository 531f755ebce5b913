package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/longshore/longshore/e2e/server"
)

// TestSoak kills the agent twenty times in two minutes, with receivers that fail in every way.
func TestSoak(t *testing.T) {
	docker := server.PrivateDocker(t)
	s := startSoak(t, "-duration", "2m", "-kills", "20", "-rate", "20000", "-docker", docker.Host)
	s.end()
}

// TestSoakReal is a shorter soak with a real Loki and a real Elasticsearch, which are killed, too.
func TestSoakReal(t *testing.T) {
	docker := server.PrivateDocker(t)
	loki := server.LokiOrImitation(t)
	elastic := server.Elasticsearch(t)
	s := startSoak(t, "-duration", "40s", "-kills", "8", "-rate", "2500", "-docker", docker.Host,
		"-loki", loki.URL, "-elasticsearch", elastic.URL)
	const frozen = 3 * time.Second
	for _, disturb := range []func(){
		func() { loki.Kill(); loki.Start() },
		func() { elastic.Kill(); elastic.Start() },
		func() { loki.Pause(); time.Sleep(frozen); loki.Resume() },
		func() { elastic.Pause(); time.Sleep(frozen); elastic.Resume() },
	} {
		select {
		case err := <-s.ended:
			s.ended <- err
			s.end()
			return
		case <-time.After(5 * time.Second):
			disturb()
		}
	}
	s.end()
}

// soakRun is the soak command at work.
type soakRun struct {
	t     *testing.T
	dir   string
	said  bytes.Buffer
	ended chan error
}

func startSoak(t *testing.T, flags ...string) *soakRun {
	t.Helper()
	s := &soakRun{t: t, dir: t.TempDir(), ended: make(chan error, 1)}
	flags = append(flags, "-agent", binary(t, "./cmd/longshore"), "-dir", s.dir)
	cmd := exec.CommandContext(t.Context(), binary(t, "./soak"), flags...)
	cmd.Stdout, cmd.Stderr = &s.said, &s.said
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // it ends what it has started
	cmd.WaitDelay = time.Minute
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { s.ended <- cmd.Wait() }()
	return s
}

// end waits for the soak's end, and fails the test if it found something.
func (s *soakRun) end() {
	s.t.Helper()
	err := <-s.ended
	s.t.Logf("\n%s", s.said.String())
	if err == nil {
		return
	}
	s.t.Error(err)
	for _, name := range []string{"journal.txt", "loki-wrong.txt", "elasticsearch-wrong.txt", "agent.log"} {
		if text, err := os.ReadFile(filepath.Join(s.dir, name)); err == nil {
			s.t.Logf("the end of %s:\n%s", name, text[max(0, len(text)-20_000):])
		}
	}
}
