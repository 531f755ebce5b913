package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/longshore/longshore/e2e/query"
	"github.com/longshore/longshore/e2e/server"
)

// overSwarm is laid over examples/swarm/stack.yml: the Docker socket, the network that Loki is in,
// and a health check that comes sooner.
const overSwarm = `
version: "3.8"
services:
  longshore:
    volumes: ["%s:/var/run/docker.sock:ro"]
    networks: [there]
    healthcheck: {interval: 1s}
networks:
  there: {external: true, name: host}
`

// TestSwarm deploys the stack of examples/swarm to a swarm of one node: its task is healthy, reads
// the node's containers and delivers, and an update stops the one agent before it starts the next.
func TestSwarm(t *testing.T) { server.EachPrivateDocker(t, testSwarm) }

func testSwarm(t *testing.T, docker *server.DockerServer) {
	const service, app = "shore_longshore", "swarm-app"
	socket := strings.TrimPrefix(docker.Host, "unix://")
	loki, when := server.LokiImitation(t), around()
	docker.AppImage("longshore-e2e/chatter:dev", binary(t, "./e2e/chatter"))
	for name, value := range map[string]string{
		"DOCKER_GID": fmt.Sprint(groupOf(t, docker, socket)), "LOKI_URL": loki.URL,
		"LONGSHORE_IMAGE": builtImage(t, docker, agentImage, "."),
	} {
		t.Setenv(name, value)
	}
	override := filepath.Join(t.TempDir(), "override.yml")
	if err := os.WriteFile(override, fmt.Appendf(nil, overSwarm, socket), 0o600); err != nil {
		t.Fatal(err)
	}
	deploy := func() {
		docker.DockerOfNow("stack", "deploy", "--resolve-image", "never",
			"-c", filepath.Join(root, "examples", "swarm", "stack.yml"), "-c", override, "shore")
	}
	docker.Docker("swarm", "init", "--advertise-addr", "127.0.0.1", "--listen-addr", "127.0.0.1:2377")
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(docker.Docker("service", "ps", "--no-trunc", service), docker.Docker("service", "logs", service))
		}
		docker.Docker("swarm", "leave", "--force")
	})
	deploy()
	first := healthyTask(t, docker, service, "")
	docker.Remove(app)
	docker.Docker("run", "-d", "--name", app, "longshore-e2e/chatter:dev", "-name", app, "-format", "json",
		"-lines", "1000", "-rate", "500")
	l := query.Loki{URL: loki.URL}
	wantContainer(t, l, app, when, 1000)

	t.Setenv("LOKI_URL", loki.URL+"/")
	deploy()
	healthyTask(t, docker, service, first)
	if state := docker.Docker("inspect", "-f", "{{.State.ExitCode}}", first); state != "0" {
		t.Errorf("the agent that was updated ended with %s", state)
	}
	docker.Docker("restart", app) // writes its lines once more
	wantContainer(t, l, app, when, 2000)
	docker.Remove(app)
	docker.DockerOfNow("stack", "rm", "shore")
	eventually(t, "the stack is removed", time.Minute, func() (bool, string) {
		left := docker.Docker("ps", "-aq", "--filter", "label=com.docker.swarm.service.name="+service)
		return left == "", left
	})
}

// healthyTask waits for the container of a service that is healthy, another than before, and
// returns its id.
func healthyTask(t *testing.T, docker *server.DockerServer, service, before string) (id string) {
	t.Helper()
	eventually(t, "the service is healthy", 2*time.Minute, func() (bool, string) {
		id = docker.Docker("ps", "-q", "--filter", "label=com.docker.swarm.service.name="+service,
			"--filter", "health=healthy")
		return id != "" && id != before && !strings.Contains(id, "\n"),
			docker.Docker("service", "ps", "--no-trunc", service)
	})
	return id
}

// wantContainer waits for so many entries of a container, and checks that there are no more.
func wantContainer(t *testing.T, l query.Loki, name string, when span, lines int) {
	t.Helper()
	selector := fmt.Sprintf("{container=%q}", name)
	inLoki(t, l, selector, when, lines)
	lokiCounts(t, l, selector, when, lines)
}
