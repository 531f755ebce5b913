package e2e

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
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
	dir    string // has its config, and its data in "data"
	config string
	url    string   // of its HTTP server
	args   []string // more of them

	withoutConfig bool // it runs by the built-in one

	env  []string
	user *syscall.Credential // nil for who runs the test
	cmd  *exec.Cmd
	log  safeBuffer
}

// newAgent writes a config to a new folder. Its start (version, data_dir, http) is put before it.
func newAgent(t *testing.T, config string, env ...string) *agent {
	t.Helper()
	return newAgentWithHTTP(t, "", config, env...)
}

// newAgentWithHTTP is newAgent with more settings of http, such as ", token: x".
func newAgentWithHTTP(t *testing.T, http, config string, env ...string) *agent {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "longshore.yml")
	address := freeAddress(t)
	text := fmt.Sprintf("version: 1\ndata_dir: %s\nhttp: {listen: %q%s}\n%s", filepath.Join(dir, "data"), address, http,
		config)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	a := &agent{t: t, dir: dir, config: path, url: "http://" + address, env: env}
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
	args := []string{"run", "-c", a.config}
	if a.withoutConfig {
		args = args[:1]
	}
	a.cmd = exec.Command(binary(a.t, "./cmd/longshore"), append(args, a.args...)...)
	a.cmd.Env = append(os.Environ(), a.env...)
	a.cmd.Stdout, a.cmd.Stderr = &a.log, &a.log
	a.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Credential: a.user}
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

// ends waits until the agent ends by itself, and gives its exit code; one that
// does not end is killed, which is -1.
func (a *agent) ends() int {
	a.t.Helper()
	tooLong := time.AfterFunc(time.Minute, func() { a.cmd.Process.Kill() })
	_ = a.cmd.Wait() // the code tells
	tooLong.Stop()
	code := a.cmd.ProcessState.ExitCode()
	a.cmd = nil
	return code
}

// ask gets a path of the agent's HTTP server; status 0 means that it does not answer.
func (a *agent) ask(path string) (status int, body string) {
	a.t.Helper()
	request, err := http.NewRequestWithContext(a.t.Context(), http.MethodGet, a.url+path, nil)
	if err != nil {
		a.t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, err.Error()
	}
	return answer.StatusCode, string(text)
}

// says waits until a path of the agent's HTTP server has a status, and gives what it says.
func (a *agent) says(path string, status int) string {
	a.t.Helper()
	var body string
	eventually(a.t, fmt.Sprintf("%s with status %d", path, status), time.Minute, func() (bool, string) {
		var got int
		got, body = a.ask(path)
		return got == status, fmt.Sprint(got, " ", body)
	})
	return body
}

// freeAddress looks below the ports that the kernel gives to outgoing
// connections: one of those could be taken while the agent is down.
func freeAddress(t *testing.T) string {
	t.Helper()
	var err error
	for range 100 {
		var l net.Listener
		l, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 15000+rand.IntN(15000)))
		if err == nil {
			defer l.Close()
			return l.Addr().String()
		}
	}
	t.Fatal(err)
	return ""
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
