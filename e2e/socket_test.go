package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/longshore/longshore/e2e/chatter/script"
	"github.com/longshore/longshore/e2e/server"
)

// ofContainers is an agent that writes what the containers of that name log to a file.
func ofContainers(t *testing.T, socket, name, out string) *agent {
	t.Helper()
	return newAgent(t, fmt.Sprintf(`
inputs:
  containers: {type: docker, host: "unix://%s", include: {names: [%s]}}
outputs:
  out: {type: file, path: %s}
`, socket, name, out))
}

// troubles gives the agent's lines about trouble.
func (a *agent) troubles() []string {
	var troubles []string
	for line := range strings.Lines(a.log.String()) {
		if strings.Contains(line, `"level":"WARN"`) || strings.Contains(line, `"level":"ERROR"`) {
			troubles = append(troubles, line)
		}
	}
	return troubles
}

// metric waits until a counter of the agent is at least so high.
func (a *agent) metric(name string, atLeast float64) {
	a.t.Helper()
	eventually(a.t, fmt.Sprintf("%s of %g", name, atLeast), time.Minute, func() (bool, string) {
		_, text := a.ask("/metrics")
		for line := range strings.Lines(text) {
			var value float64
			if strings.HasPrefix(line, name) {
				_, err := fmt.Sscan(line[strings.LastIndexByte(line, ' ')+1:], &value)
				return value >= atLeast, fmt.Sprint(line, err)
			}
		}
		return false, "there is no such metric"
	})
}

// TestDockerThatComesLater starts the agent before the Docker Engine.
func TestDockerThatComesLater(t *testing.T) { server.EachDocker(t, testDockerThatComesLater) }

func testDockerThatComesLater(t *testing.T, docker *server.DockerServer) {
	there, isUnix := strings.CutPrefix(docker.Host, "unix://")
	if !isUnix {
		t.Skip("the Docker Engine is not at a socket")
	}
	docker.AppImage("longshore-e2e/chatter:dev", binary(t, "./e2e/chatter"))
	docker.Remove("later")
	docker.Docker("run", "--name", "later", "longshore-e2e/chatter:dev", "-name", "later", "-lines", "500")

	dir := t.TempDir()
	socket, out := filepath.Join(dir, "docker.sock"), filepath.Join(dir, "out.jsonl")
	a := ofContainers(t, socket, "later", out)
	a.start()
	a.metric("longshore_docker_reconnects_total", 3)
	a.says("/health", 200)
	if why := a.says("/ready", 503); !strings.Contains(why, "there is no Docker socket at "+socket) {
		t.Errorf("/ready says: %s", why)
	}
	troubles := a.troubles()
	if len(troubles) != 1 || !strings.Contains(troubles[0], "there is no Docker socket at "+socket) {
		t.Errorf("the agent says: %q", troubles)
	}
	if err := os.Symlink(there, socket); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all lines of the container", 2*time.Minute, func() (bool, string) {
		text, err := os.ReadFile(out)
		n := strings.Count(string(text), "\n")
		return n >= 500, fmt.Sprint(n, err)
	})
	a.says("/ready", 200)
	a.stop()
	text, err := os.ReadFile(out)
	n := strings.Count(string(text), "\n")
	if n != 500 || err != nil || !strings.Contains(string(text), script.Message("later", 499)) {
		t.Errorf("%d lines were delivered, want 500: %v", n, err)
	}
}

// TestHostileContainer reads what no well-behaved program writes from the Docker
// Engine, which takes long lines apart and makes all text UTF-8.
func TestHostileContainer(t *testing.T) { server.EachDocker(t, testHostileContainer) }

func testHostileContainer(t *testing.T, docker *server.DockerServer) {
	docker.AppImage("longshore-e2e/chatter:dev", binary(t, "./e2e/chatter"))
	dir := t.TempDir()
	lines, hostile, out := hostileLines(), filepath.Join(dir, "hostile"), filepath.Join(dir, "out.jsonl")
	for i, line := range lines {
		add(t, hostile, []byte(line.raw+"\n\n\r\n")) // and two empty lines
		lines[i].skipped = ""                        // a container's log has no holes: it was written so
	}
	empty := 2 * len(lines)
	docker.Remove("hostile")
	docker.Docker("run", "--name", "hostile", "--log-driver", "json-file", "-v", hostile+":/hostile:ro",
		"longshore-e2e/chatter:dev", "-copy", "/hostile")

	a := ofContainers(t, strings.TrimPrefix(docker.Host, "unix://"), "hostile", out)
	a.start()
	eventually(t, "all lines of the container", 2*time.Minute, func() (bool, string) {
		text, err := os.ReadFile(out)
		n := strings.Count(string(text), "\n")
		return n >= len(lines)+empty, fmt.Sprint(n, err)
	})
	a.stop()
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	var docs []doc
	for line := range bytes.Lines(text) {
		var d doc
		if err := json.Unmarshal(line, &d); err != nil {
			t.Fatalf("%.200q: %v", line, err)
		}
		docs = append(docs, d)
	}
	checkHostile(t, lines, empty, docs, 1<<20)
}

// TestForbiddenSocket runs the agent as a user who may not open the Docker
// socket, as in an image that does not run as root.
func TestForbiddenSocket(t *testing.T) {
	user := nobody(t)
	socket := filepath.Join(t.TempDir(), "docker.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	const group = 4242
	if err := os.Chown(socket, 0, group); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(socket, 0o660); err != nil {
		t.Fatal(err)
	}
	a := ofContainers(t, socket, "none", "/dev/null")
	a.as(user)
	a.start()
	a.metric("longshore_docker_reconnects_total", 3)
	want := fmt.Sprintf("permission denied on %s: add the user to group of the socket (gid %d), "+
		"or run the container with --group-add %[2]d", socket, group)
	if why := a.says("/ready", 503); !strings.Contains(why, want) {
		t.Errorf("/ready says: %s", why)
	}
	if troubles := a.troubles(); len(troubles) != 1 || !strings.Contains(troubles[0], want) {
		t.Errorf("the agent says: %q", troubles)
	}
	a.stop()
}
