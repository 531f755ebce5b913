package server

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A DockerServer is a Docker Engine. Where it is the machine's own, Server's methods fail the test:
// it is not ours to end.
type DockerServer struct {
	*Server
	Host string // as in DOCKER_HOST: unix:///…
	// Own tells that the engine was started for the tests: no other containers, and gone
	// afterwards.
	Own bool

	engine *engine
}

// Docker returns the Docker Engine that runs on this machine, as DOCKER_HOST or
// /var/run/docker.sock, or else a private one, see PrivateDocker. Containers are for the test to
// remove where Own is false.
func Docker(t testing.TB) *DockerServer {
	t.Helper()
	skipShort(t)
	if docker := machineDocker(t); docker != nil {
		return docker
	}
	return PrivateDocker(t)
}

// EachDocker runs a test with the Docker Engine that runs on this machine, or else with each
// private one in turn.
func EachDocker(t *testing.T, test func(t *testing.T, docker *DockerServer)) {
	t.Helper()
	skipShort(t)
	if docker := machineDocker(t); docker != nil {
		test(t, docker)
		return
	}
	EachPrivateDocker(t, test)
}

func machineDocker(t testing.TB) *DockerServer {
	e := machineEngine()
	if e == nil {
		return nil
	}
	return &DockerServer{Server: &Server{t: t}, Host: e.host, engine: e}
}

// PrivateDocker returns an engine that only this process' tests use, which share it, and which ends
// after the last of them with all containers: of those that EachPrivateDocker knows, the newest. A
// test that stops it should not run beside others.
func PrivateDocker(t testing.TB) *DockerServer {
	t.Helper()
	skipShort(t)
	return privateDocker(t, editions[0])
}

// EachPrivateDocker runs a test with Docker Engine 29, and with Debian's, which is older.
func EachPrivateDocker(t *testing.T, test func(t *testing.T, docker *DockerServer)) {
	t.Helper()
	skipShort(t)
	for _, ed := range editions {
		t.Run(ed.name, func(t *testing.T) { test(t, privateDocker(t, ed)) })
	}
}

func privateDocker(t testing.TB, ed edition) *DockerServer {
	t.Helper()
	if _, err := ed.ensure(); err != nil {
		unavailable(t, err)
	}
	e, release, err := acquirePrivate(ed)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the end of the log of Docker Engine:\n%s", lastLines(e.daemon.log(), 40))
		}
		release()
	})
	return &DockerServer{Server: &Server{t: t, d: e.daemon}, Host: e.host, Own: true, engine: e}
}

// Env is the environment in which docker and Compose talk to this engine.
func (d *DockerServer) Env() []string {
	return append(os.Environ(), "DOCKER_HOST="+d.Host, "DOCKER_BUILDKIT=0", "COMPOSE_DOCKER_CLI_BUILD=0")
}

// Docker runs the docker command, and returns what it writes to standard output, without white
// space around it.
func (d *DockerServer) Docker(args ...string) string {
	d.t.Helper()
	return d.docker(d.engine.cli, args)
}

// DockerOfNow is Docker by the docker command that users have now, where the engine is 29, too.
func (d *DockerServer) DockerOfNow(args ...string) string {
	d.t.Helper()
	if d.engine.edition != editions[0].name {
		return d.Docker(args...)
	}
	binary, err := ensureDockerCommand()
	if err != nil {
		d.t.Fatal(err)
	}
	return d.docker(binary, args)
}

func (d *DockerServer) docker(binary string, args []string) string {
	d.t.Helper()
	cmd := exec.Command(binary, args...)
	cmd.Env = d.Env()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		d.t.Fatalf("docker %s: %v\n%s%s", strings.Join(args, " "), err, out, stderr.String())
	}
	return strings.TrimSpace(string(out))
}

// Compose runs docker compose in a folder, and returns all that it writes. It does not fail the
// test: an exit code can be what the test wants to know.
func (d *DockerServer) Compose(dir string, args ...string) (string, error) {
	d.t.Helper()
	cmd := exec.Command(Compose(d.t), args...) // without the test's context: "down" is run when the test is over
	cmd.Dir = dir
	cmd.Env = d.Env()
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("docker compose %s: %w", strings.Join(args, " "), err)
	}
	return string(out), err
}

// Remove removes containers by name or id, also when the test is over, and does not mind when there
// is none.
func (d *DockerServer) Remove(containers ...string) {
	d.t.Helper()
	for _, name := range containers {
		_, err := d.engine.call(context.Background(), http.MethodDelete, "/containers/"+name+"?force=1&v=1", nil)
		if err != nil && !isStatus(err, http.StatusNotFound) {
			d.t.Error(err)
		}
	}
}

// Compose returns the path of Docker Compose: a plugin of docker, when put into a folder
// cli-plugins, which it is in, and a command of its own.
func Compose(t testing.TB) string {
	t.Helper()
	skipShort(t)
	binary, err := ensureCompose()
	if err != nil {
		unavailable(t, err)
	}
	return binary
}

// ensureDockerCommand builds the docker command, whose module says no Go version, and so none that
// the compiler would take its code for.
func ensureDockerCommand() (string, error) {
	const module = "github.com/docker/cli"
	tool, err := newTool("dockercli", "go.mod", `\s`+module+` v(\d+\.\d+\.\d+)`)
	if err != nil {
		return "", err
	}
	announce := fmt.Sprintf("building the docker command %s, about 2 minutes, once", tool.version)
	dir, err := once(tool.folder, announce, func(dir string) error {
		return tool.buildProgram(goProgram{pkg: module + "/cmd/docker", gcflags: module + "/...=-lang=go1.25",
			ldflags: "-X " + module + "/cli/version.Version=" + tool.version}, filepath.Join(dir, "docker"))
	})
	return filepath.Join(dir, "docker"), err
}

func ensureCompose() (string, error) {
	const module = "github.com/docker/compose/v2"
	tool, err := newTool("compose", "go.mod", `\s`+module+` v(\S+)`)
	if err != nil {
		return "", err
	}
	name := filepath.Join("cli-plugins", "docker-compose")
	announce := fmt.Sprintf("building Docker Compose %s, about 3 minutes, once", tool.version)
	dir, err := once(tool.folder, announce, func(dir string) error {
		version := "-X " + module + "/internal.Version=v" + tool.version
		return tool.buildGo(module+"/cmd", version, filepath.Join(dir, name))
	})
	return filepath.Join(dir, name), err
}
