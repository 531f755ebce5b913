package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// idle is the config of an agent with nothing to do.
const idle = `
inputs: {files: {type: file, paths: [/nowhere/*.log]}}
outputs: {out: {type: stdout}}
`

// nobody is a user without rights; only root can become it.
func nobody(t *testing.T) *syscall.Credential {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can run the agent as another user")
	}
	return &syscall.Credential{Uid: 65532, Gid: 65532, NoSetGroups: true}
}

// as makes the agent run as another user, who gets its folder.
func (a *agent) as(user *syscall.Credential) {
	a.t.Helper()
	a.user = user
	for _, dir := range []string{filepath.Dir(a.dir), builds.dir} {
		if err := os.Chmod(dir, 0o711); err != nil {
			a.t.Fatal(err)
		}
	}
	for _, path := range []string{a.dir, a.config} {
		if err := os.Chown(path, int(user.Uid), int(user.Gid)); err != nil {
			a.t.Fatal(err)
		}
	}
}

func TestBadConfig(t *testing.T) {
	a := newAgent(t, `
inputs:
  files: {type: file, pathes: [/var/log/app.log]}
  docker: {type: docker, max_line_size: long}
outputs:
  loki: {type: loky, url: "http://127.0.0.1:1"}
pipelines:
  main: {inputs: [files, dokcer], outputs: [loki]}
`)
	a.start()
	if code := a.ends(); code != 78 {
		t.Errorf("the exit code is %d, want 78", code)
	}
	said := a.log.String()
	for _, want := range []string{
		a.config + ":6:23: ", "pathes", `"paths"`,
		a.config + ":7:41: ", "max_line_size",
		a.config + ":9:16: ", "loky", `"loki"`,
		a.config + ":11:26: ", "dokcer", `"docker"`,
	} {
		if !strings.Contains(said, want) {
			t.Errorf("it does not say %s", want)
		}
	}
	if _, err := os.Stat(filepath.Join(a.dir, "data")); !os.IsNotExist(err) {
		t.Errorf("the data folder was made: %v", err)
	}
}

func TestDataDirIsInUse(t *testing.T) {
	first := newAgent(t, idle)
	first.start()
	first.says("/ready", 200)
	second := newAgent(t, idle)
	second.args = []string{"--data-dir", filepath.Join(first.dir, "data")}
	second.start()
	if code := second.ends(); code != 1 {
		t.Errorf("the exit code is %d, want 1", code)
	}
	said := second.log.String()
	inUse := filepath.Join(first.dir, "data") + " is in use by another longshore"
	if strings.Count(said, "\n") != 1 || !strings.Contains(said, inUse) {
		t.Errorf("it says: %s", said)
	}
	first.says("/health", 200)
	first.stop()
}

func TestDataDirIsNotWritable(t *testing.T) {
	user := nobody(t)
	a := newAgent(t, idle)
	a.as(user)
	data := filepath.Join(a.dir, "data")
	if err := os.Mkdir(data, 0o755); err != nil { // of root
		t.Fatal(err)
	}
	a.start()
	if code := a.ends(); code != 1 {
		t.Errorf("the exit code is %d, want 1", code)
	}
	said := a.log.String()
	if strings.Count(said, "\n") != 1 ||
		!strings.Contains(said, "data_dir cannot be written") || !strings.Contains(said, data) {
		t.Errorf("it says: %s", said)
	}
}

// TestOtherSignals: one that others reopen their files on ends the agent as SIGTERM does.
func TestOtherSignals(t *testing.T) {
	for _, other := range []syscall.Signal{syscall.SIGUSR1, syscall.SIGUSR2} {
		dir := t.TempDir()
		log, sent := filepath.Join(dir, "app.log"), filepath.Join(dir, "sent")
		if err := os.WriteFile(log, []byte("one\ntwo\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		a := newAgent(t, "inputs: {app: {type: file, paths: ["+log+"]}}\n"+
			"outputs: {out: {type: file, path: "+sent+"}}\n")
		a.start()
		a.says("/ready", 200)
		if err := a.cmd.Process.Signal(other); err != nil {
			t.Fatal(err)
		}
		if code := a.ends(); code != 0 {
			t.Errorf("%v: it ends with %d", other, code)
		}
		if text := a.log.String(); !strings.Contains(text, `"msg":"stopped"`) {
			t.Errorf("%v: it does not say that it stopped: %s", other, text)
		}
	}
}

// TestSecondSignal: the first asks the agent to deliver what it has; the second ends
// it at once, and the next run has all of it.
func TestSecondSignal(t *testing.T) {
	dir := t.TempDir()
	log, sent := filepath.Join(dir, "app.log"), filepath.Join(dir, "sent")
	if err := os.WriteFile(log, []byte(strings.Repeat("a line\n", 1000)), 0o644); err != nil {
		t.Fatal(err)
	}
	config := "shutdown_timeout: 1h\ninputs: {app: {type: file, paths: [" + log + "]}}\noutputs: {out: %s}\n"
	a := newAgent(t, strings.Replace(config, "%s", `{type: loki, url: "http://127.0.0.1:1"}`, 1))
	a.start()
	a.says("/ready", 503)
	process, ended := a.cmd.Process, make(chan struct{})
	go func() { // the first one may not have been taken when the second comes
		for {
			select {
			case <-ended:
				return
			case <-time.After(100 * time.Millisecond):
				process.Signal(syscall.SIGTERM)
			}
		}
	}()
	err := a.cmd.Wait()
	close(ended)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
		t.Errorf("it ended with %v, want the signal", err)
	}
	b := newAgent(t, strings.Replace(config, "%s", "{type: file, path: "+sent+"}", 1))
	b.args = []string{"--data-dir", filepath.Join(a.dir, "data")}
	a.cmd = nil
	b.start()
	eventually(t, "all lines", time.Minute, func() (bool, string) {
		text, _ := os.ReadFile(sent)
		lines := strings.Count(string(text), "\n")
		return lines == 1000, fmt.Sprint(lines)
	})
	b.stop()
}
