package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/longshore/longshore/e2e/chatter/script"
	"github.com/longshore/longshore/e2e/server"
)

// TestDockerFiles reads containers whose logs rotate, by the engine's files and by its API in turn,
// while the agent is killed and stopped again and again. One of them rotates several times a
// second, and more often than engines before 23.0 can keep up with: that is read by its files
// alone.
func TestDockerFiles(t *testing.T) { server.EachPrivateDocker(t, testDockerFiles) }

func testDockerFiles(t *testing.T, docker *server.DockerServer) {
	docker.AppImage("longshore-e2e/chatter:dev", binary(t, "./e2e/chatter"))
	bulk := newBulkServer(t)
	bulk.open.Store(true)
	a := newAgent(t, fmt.Sprintf(`
inputs:
  inTurn: {type: docker, host: %[1]q, mode: files, include: {names: [rotating-*]}, exclude: {names: [rotating-fast]}}
  byFiles: {type: docker, host: %[1]q, mode: files, include: {names: [rotating-fast]}}
outputs: {elastic: {type: elasticsearch, urls: [%[2]q], index: rotating, install_template: false}}
`, docker.Host, bulk.url))
	const lines, rate = 20_000, 1000
	logs := map[string][]string{
		"rotating-fast":   {"max-size=40k", "max-file=20", "compress=true"},
		"rotating-plain":  {"max-size=200k", "max-file=5"},
		"rotating-packed": {"max-size=200k", "max-file=5", "compress=true", "labels=tag"},
		"rotating-never":  nil,
	}
	for name, options := range logs {
		docker.Remove(name)
		args := []string{"run", "-d", "--name", name, "--label", `tag=a "tag"`, "--log-driver", "json-file"}
		for _, o := range options {
			args = append(args, "--log-opt", o)
		}
		args = append(args, "longshore-e2e/chatter:dev", "-name", name, "-format", "plain", "-both")
		docker.Docker(append(args, "-lines", fmt.Sprint(lines), "-rate", fmt.Sprint(rate))...)
	}
	a.start()
	for i, mode := range []string{"api", "files", "files", "api", "auto", "api", "files"} {
		time.Sleep(2 * time.Second)
		if i%2 == 0 {
			a.kill()
		} else {
			a.stop()
		}
		a.setMode(mode)
		a.start()
	}
	for name := range logs {
		docker.Docker("wait", name)
	}
	for name := range logs {
		times := func(i int) int { return bulk.times(script.Message(name, i)) }
		eventually(t, name, time.Minute, func() (bool, string) {
			wrong := wrongLines(lines, times)
			return wrong == "", wrong
		})
	}
	for _, trouble := range a.troubles() {
		if strings.Contains(trouble, "container") {
			t.Errorf("the agent says: %s", trouble)
		}
	}
	a.stop()
}

// TestDockerCompressedLogs stops the agent while a log is rotated several times. What it goes on
// with is in compressed files, which an engine before 23.0 leaves out when it is asked for them by
// time.
func TestDockerCompressedLogs(t *testing.T) { server.EachPrivateDocker(t, testCompressedLogs) }

func testCompressedLogs(t *testing.T, docker *server.DockerServer) {
	docker.AppImage("longshore-e2e/chatter:dev", binary(t, "./e2e/chatter"))
	a, out := dockerToFile(t, docker, "api", "compressed")
	const lines, rate = 20_000, 2000
	docker.Remove("compressed")
	docker.Docker("run", "-d", "--name", "compressed", "--log-driver", "json-file",
		"--log-opt", "max-size=300k", "--log-opt", "max-file=20", "--log-opt", "compress=true",
		"longshore-e2e/chatter:dev",
		"-name", "compressed", "-format", "plain", "-both", "-lines", fmt.Sprint(lines), "-rate", fmt.Sprint(rate))
	a.start()
	a.metric("longshore_docker_lines_total", 4*rate)
	a.stop()
	time.Sleep(3 * time.Second)
	a.start()
	wantScript(t, out, "compressed", lines)
	if troubles := a.troubles(); len(troubles) > 0 {
		t.Errorf("the agent says: %q", troubles)
	}
	a.stop()
}

// setMode changes how the agent reads containers' logs.
func (a *agent) setMode(mode string) {
	a.t.Helper()
	text, err := os.ReadFile(a.config)
	if err != nil {
		a.t.Fatal(err)
	}
	before, rest, _ := strings.Cut(string(text), "mode: ")
	_, after, _ := strings.Cut(rest, ",")
	if err := os.WriteFile(a.config, []byte(before+"mode: "+mode+","+after), 0o600); err != nil {
		a.t.Fatal(err)
	}
}
