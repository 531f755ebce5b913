package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// agent is the built program as a user runs it.
type agent struct {
	t      *testing.T
	config string
	env    []string
	cmd    *exec.Cmd
	log    safeBuffer
}

// newAgent writes a config to a new folder. %s in it is the agent's data folder.
func newAgent(t *testing.T, config string, env ...string) *agent {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "longshore.yml")
	text := fmt.Sprintf("version: 1\ndata_dir: %s\nhttp: {listen: \"127.0.0.1:0\"}\n%s", filepath.Join(dir, "data"), config)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	a := &agent{t: t, config: path, env: env}
	t.Cleanup(func() {
		if a.cmd != nil {
			a.kill()
		}
		if t.Failed() {
			t.Logf("the agent's config:\n%s\nits log:\n%s", text, a.log.String())
		}
	})
	return a
}

func (a *agent) start() {
	a.t.Helper()
	a.cmd = exec.Command(binary(a.t, "./cmd/longshore"), "run", "-c", a.config)
	a.cmd.Env = append(os.Environ(), a.env...)
	a.cmd.Stdout, a.cmd.Stderr = &a.log, &a.log
	a.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := a.cmd.Start(); err != nil {
		a.t.Fatalf("starting the agent: %v", err)
	}
}

// stop asks the agent to end and waits until it has.
func (a *agent) stop() {
	a.t.Helper()
	a.cmd.Process.Signal(syscall.SIGTERM)
	if err := a.cmd.Wait(); err != nil {
		a.t.Errorf("the agent ended with: %v\n%s", err, a.log.String())
	}
	a.cmd = nil
}

func (a *agent) kill() {
	a.cmd.Process.Kill()
	a.cmd.Wait()
	a.cmd = nil
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

var builds struct {
	sync.Mutex
	dir   string
	paths map[string]string
}

// binary builds a package of this module, once in a test run.
func binary(t testing.TB, pkg string) string {
	t.Helper()
	builds.Lock()
	defer builds.Unlock()
	if path := builds.paths[pkg]; path != "" {
		return path
	}
	path := filepath.Join(builds.dir, filepath.Base(pkg))
	cmd := exec.Command("go", "build", "-trimpath", "-o", path, pkg)
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v\n%s", pkg, err, out)
	}
	builds.paths[pkg] = path
	return path
}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "longshore-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	builds.dir, builds.paths = dir, map[string]string{}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// eventually waits until done says so, asking a few times a second.
func eventually(t testing.TB, what string, limit time.Duration, done func() (bool, string)) {
	t.Helper()
	var last string
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(250 * time.Millisecond) {
		ok, state := done()
		if ok {
			return
		}
		last = state
	}
	t.Fatalf("%s: not within %v; last: %s", what, limit, last)
}
