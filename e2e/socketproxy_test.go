package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/longshore/longshore/e2e/server"
)

// TestSocketProxy has the agent read containers of a real engine through Debian's haproxy, by the
// rules of the proxy in examples/socket-proxy, which lets nothing else through.
func TestSocketProxy(t *testing.T) { server.EachDocker(t, testSocketProxy) }

func testSocketProxy(t *testing.T, docker *server.DockerServer) {
	socket, isUnix := strings.CutPrefix(docker.Host, "unix://")
	if !isUnix {
		t.Skip("the Docker Engine is not at a socket")
	}
	address := freeAddress(t)
	proxy := server.HAProxy(t, "testdata/haproxy.cfg")
	proxy.Env = append(proxy.Env, "SOCKET_PATH="+socket, "BIND="+address)
	startBeside(t, proxy)
	eventually(t, "the proxy answers", time.Minute, func() (bool, string) {
		status, err := statusOf(t, http.MethodGet, "http://"+address+"/_ping")
		return status == http.StatusOK, fmt.Sprint(status, err)
	})
	docker.AppImage("longshore-e2e/chatter:dev", binary(t, "./e2e/chatter"))
	const name, lines = "behind-proxy", 500
	out := filepath.Join(t.TempDir(), "out")
	a := newAgent(t, fmt.Sprintf("inputs: {containers: {type: docker, include: {names: [%s]}}}\n"+
		"outputs: {out: {type: file, path: %q}}\n", name, out), "DOCKER_HOST=tcp://"+address)
	a.start()
	docker.Remove(name)
	docker.Docker("run", "-d", "--name", name, "longshore-e2e/chatter:dev", "-name", name, "-format", "plain",
		"-both", "-lines", fmt.Sprint(lines), "-rate", "500")
	wantScript(t, out, name, lines)
	for _, refused := range []struct{ method, path string }{
		{http.MethodPost, "/containers/" + name + "/restart"},
		{http.MethodPost, "/v1.41/containers/create"},
		{http.MethodDelete, "/containers/" + name},
		{http.MethodPut, "/containers/" + name + "/archive?path=/"},
		{http.MethodGet, "/images/json"},
		{http.MethodGet, "/secrets"},
		{http.MethodPost, "/%63ontainers/" + name + "/stop"},
		{"get", "/containers/" + name + "/json"},
	} {
		if status, err := statusOf(t, refused.method, "http://"+address+refused.path); status/100 == 2 {
			t.Errorf("the proxy lets %s %s through: %d, %v", refused.method, refused.path, status, err)
		}
	}
	a.stop()
	docker.Remove(name)
}

// startBeside runs a program until the test ends.
func startBeside(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	var log safeBuffer
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Env = append(os.Environ(), cmd.Env...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
		if t.Failed() {
			t.Log(log.String())
		}
	})
}

func statusOf(t *testing.T, method, url string) (int, error) {
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		return 0, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	return answer.StatusCode, nil
}
