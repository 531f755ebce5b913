package server

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// JournaldServer is systemd-journald with folders of its own.
type JournaldServer struct {
	Folder string // of the journal
	Socket string // takes entries

	t   testing.TB
	cmd *exec.Cmd
}

// journaldConfig keeps all that is said, and leaves the machine's own logs alone.
const journaldConfig = `[Journal]
Storage=persistent
RateLimitBurst=0
ReadKMsg=no
Audit=no
ForwardToSyslog=no
ForwardToWall=no
`

// Journald starts the machine's systemd-journald a second time, in a mount namespace where its
// folders are others, until the test ends.
func Journald(t testing.TB) *JournaldServer {
	t.Helper()
	skipShort(t)
	program, err := ensureJournald()
	if err != nil {
		unavailable(t, err)
	}
	dir, err := os.MkdirTemp("", "journald-") // a short path, as those of sockets are bounded
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	for _, folder := range []string{"run/systemd/journald.conf.d", "run/systemd/journal", "log/journal"} {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"journald.conf.d/e2e.conf": journaldConfig, "journal/flushed": ""} {
		if err := os.WriteFile(filepath.Join(dir, "run/systemd", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	j := &JournaldServer{Folder: filepath.Join(dir, "log/journal"), t: t}
	j.Socket = filepath.Join(dir, "run/systemd/journal/socket")
	j.start(dir, program)
	return j
}

func (j *JournaldServer) start(dir, program string) {
	j.t.Helper()
	j.cmd = exec.Command("unshare", "--mount", "sh", "-c", `mount --make-rprivate / && mount --bind "$0/run" /run &&
mount --bind "$0/log" /var/log && exec "$1"`, dir, program)
	var log bytes.Buffer
	j.cmd.Stderr = &log
	j.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := j.cmd.Start(); err != nil {
		unavailable(j.t, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- j.cmd.Wait() }()
	j.t.Cleanup(func() {
		_ = j.cmd.Process.Kill()
		<-ended
	})
	for range 100 {
		files, _ := filepath.Glob(filepath.Join(j.Folder, "*", "system.journal")) // fails only for a bad pattern
		if exists(j.Socket) && len(files) > 0 {
			return
		}
		select {
		case err := <-ended:
			ended <- err
			unavailable(j.t, errors.New("systemd-journald cannot run here: "+log.String()))
		case <-time.After(100 * time.Millisecond):
		}
	}
	j.t.Fatalf("systemd-journald does not start: %s", log.String())
}

// Rotate has journald begin a new file.
func (j *JournaldServer) Rotate() {
	j.t.Helper()
	if err := j.cmd.Process.Signal(syscall.SIGUSR2); err != nil {
		j.t.Fatal(err)
	}
}

func ensureJournald() (string, error) {
	if os.Geteuid() != 0 {
		return "", errors.New("only root can run systemd-journald a second time")
	}
	if _, err := ensureSystemd(); err != nil {
		return "", err
	}
	for _, path := range []string{"/usr/lib/systemd/systemd-journald", "/lib/systemd/systemd-journald"} {
		if exists(path) {
			return path, nil
		}
	}
	return "", errors.New("no systemd-journald is installed")
}
