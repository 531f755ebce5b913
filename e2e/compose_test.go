package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/longshore/longshore/e2e/query"
	"github.com/longshore/longshore/e2e/server"
)

// root is the repository, from this folder.
const root = ".."

// TestComposeFiles asks Compose whether the files are right, as they are and with
// the settings of the .env.example beside them.
func TestComposeFiles(t *testing.T) {
	compose := server.Compose(t)
	files, err := filepath.Glob(filepath.Join(root, "examples", "*", "docker-compose.yml"))
	if err != nil || len(files) < 3 {
		t.Fatalf("there are too few Compose files: %q, %v", files, err)
	}
	files = append(files, filepath.Join(root, "docker-compose.yml"))
	for _, file := range files {
		example := filepath.Join(filepath.Dir(file), ".env.example")
		envs := []string{os.DevNull}
		if _, err := os.Stat(example); err == nil {
			envs = append(envs, example)
		}
		for _, env := range envs {
			wantValid(t, compose, "--env-file", env, "-f", file)
		}
	}
	for _, example := range []string{"existing-elk", "existing-loki", "victorialogs"} {
		file := filepath.Join(root, "examples", example, "docker-compose.yml")
		wantValid(t, compose, "-f", file, "-f", filepath.Join(root, "examples", "socket-proxy", "proxy.yml"))
	}
}

// wantValid has Compose check files.
func wantValid(t *testing.T, compose string, files ...string) {
	t.Helper()
	out, err := exec.Command(compose, append(files, "config", "-q")...).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("%q: %v\n%s", files, err, out)
	}
}

// socketGroup is what the Docker socket of the tests' own engine belongs to. It
// is no group that a user has by chance.
const socketGroup = 4243

// over is laid over docker-compose.yml: an image, the Docker socket, the addresses of Loki and
// Elasticsearch, another image. Health checks come sooner, so that nobody waits for them, and as
// Engine 20.10 knows them; nobody takes the agent's port.
const over = `
services:
  longshore:
    image: %s
    volumes: ["%s:/var/run/docker.sock:ro"]
    ports: !reset []
    healthcheck: {interval: 2s, start_interval: !reset null}
  loki:
    ports: !override ["%s:3100"]
    healthcheck: {interval: 2s, start_interval: !reset null}
  elasticsearch:
    ports: !override ["%s:9200"]
    healthcheck: {interval: 2s, start_interval: !reset null}
  sample-app:
    image: %s
    healthcheck: {interval: 2s, start_interval: !reset null}
`

// overSidecar does the same for examples/sidecar.
const overSidecar = `
services:
  longshore:
    image: %s
    healthcheck: {interval: 2s, start_interval: !reset null}
  app:
    image: %s
    healthcheck: {interval: 2s, start_interval: !reset null}
`

// overExisting does the same for the examples of existing destinations, which are those of a stack:
// the agent is in its network, and has settings as from .env.
const overExisting = `
services:
  longshore:
    image: %s
    volumes: ["%s:/var/run/docker.sock:ro"]
    environment: %s
    networks: [logs]
    healthcheck: {interval: 2s, start_interval: !reset null}
networks:
  logs: {external: true, name: %s_logs}
`

// A stack is docker-compose.yml, or one of the examples, as a user starts it.
type stack struct {
	t       *testing.T
	docker  *server.DockerServer
	project string
	args    []string // of every call of Compose
}

func newStack(t *testing.T, docker *server.DockerServer, project, file, override string) *stack {
	t.Helper()
	path := filepath.Join(t.TempDir(), "override.yml")
	if err := os.WriteFile(path, []byte(override), 0o644); err != nil {
		t.Fatal(err)
	}
	s := &stack{t: t, docker: docker, project: project}
	s.args = []string{"--env-file", os.DevNull, "-p", project, "-f", file, "-f", path}
	t.Cleanup(func() {
		if t.Failed() {
			logs, _ := s.compose("logs", "--no-color", "--tail", "40") // what there is
			t.Log(logs)
		}
		if out, err := s.compose("down", "-v", "--timeout", "5"); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	return s
}

func (s *stack) compose(args ...string) (string, error) {
	return s.docker.Compose(".", append(slices.Clone(s.args), args...)...)
}

// up starts services and waits until they are healthy by their own checks.
func (s *stack) up(services ...string) {
	s.t.Helper()
	args := append([]string{"up", "-d", "--wait", "--wait-timeout", "240", "--no-build"}, services...)
	if out, err := s.compose(args...); err != nil {
		s.t.Fatalf("%v\n%s", err, out)
	}
	for _, service := range services {
		if health := s.inspect(service, "{{.State.Health.Status}}"); health != "healthy" {
			s.t.Errorf("%s is %s", service, health)
		}
	}
}

// inspect asks the engine about a service's container.
func (s *stack) inspect(service, format string) string {
	s.t.Helper()
	return s.docker.Docker("inspect", "-f", format, s.container(service))
}

func (s *stack) container(service string) string { return s.project + "-" + service + "-1" }

// startLines are how many lines the agent logs when it starts: that it runs, what it reads, where
// that goes, and where its page is.
const startLines = 4

// saysItIsWell wants an agent that has logged that it started, with destinations that answer, and
// nothing else.
func (s *stack) saysItIsWell(service string) {
	s.t.Helper()
	logs, err := s.compose("logs", "--no-color", service)
	logs = strings.TrimSpace(logs)
	if strings.Count(logs, `"level":"INFO"`) != startLines || strings.Count(logs, "\n") != startLines-1 ||
		strings.Contains(logs, "no answer") || err != nil {
		s.t.Errorf("%s says, with all being well: %s (%v)", service, logs, err)
	}
}

// TestCompose brings up the stack of docker-compose.yml, without Grafana and Kibana,
// and then the sidecar example beside it.
func TestCompose(t *testing.T) { server.EachDocker(t, testCompose) }

func testCompose(t *testing.T, docker *server.DockerServer) {
	socket, isUnix := strings.CutPrefix(docker.Host, "unix://")
	if !isUnix {
		t.Skip("the Docker Engine is not at a socket, which the stack could mount")
	}
	t.Setenv("DOCKER_GID", fmt.Sprint(groupOf(t, docker, socket)))
	docker.LokiImage("grafana/loki:" + version(t, `grafana/loki:(\S+)`))
	elasticVersion := version(t, `elasticsearch/elasticsearch:(\S+)`)
	docker.ElasticsearchImage("docker.elastic.co/elasticsearch/elasticsearch:" + elasticVersion)
	agent, app := builtImage(t, docker, agentImage, "."), builtImage(t, docker, appImage, "examples/sample-app")

	lokiAt, elasticAt := freeAddress(t), freeAddress(t)
	when := around()
	s := newStack(t, docker, "longshore-e2e", filepath.Join(root, "docker-compose.yml"),
		fmt.Sprintf(over, agent, socket, lokiAt, elasticAt, app))
	s.up("longshore", "loki", "elasticsearch", "sample-app")
	l, e := query.Loki{URL: "http://" + lokiAt}, query.Elastic{URL: "http://" + elasticAt}
	t.Run("agent", func(t *testing.T) { checkAgentContainer(t, s) })
	t.Run("loki", func(t *testing.T) { stackInLoki(t, s, l, when) })
	t.Run("old lines", func(t *testing.T) { seesOldLines(t, l) })
	t.Run("elasticsearch", func(t *testing.T) { stackInElastic(t, s, e) })
	t.Run("sidecar", func(t *testing.T) { sidecar(t, s, agent, app, l, when) })
	t.Run("existing elk", func(t *testing.T) {
		own := existing(t, s, "existing-elk", fmt.Sprintf(overExisting, agent, socket,
			`{ES_URL: "http://elasticsearch:9200", ES_API_KEY: a2V5, ES_INDEX: existing}`, s.project))
		inElastic(t, e, "existing", 10)
		deliversAll(t, own)
	})
	t.Run("existing loki", func(t *testing.T) {
		deliversAll(t, existing(t, s, "existing-loki", fmt.Sprintf(overExisting, agent, socket,
			`{LOKI_URL: "http://loki:3100"}`, s.project)))
	})
}

// groupOf gives the group of the Docker socket; that of an engine of our own
// becomes another than root's.
func groupOf(t *testing.T, docker *server.DockerServer, socket string) int {
	t.Helper()
	if docker.Own {
		if err := os.Chown(socket, 0, socketGroup); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(socket)
	if err != nil {
		t.Fatal(err)
	}
	return int(info.Sys().(*syscall.Stat_t).Gid)
}

// version gives which version docker-compose.yml has of an image.
func version(t *testing.T, image string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docker-compose.yml"))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(image).FindSubmatch(text)
	if found == nil {
		t.Fatalf("docker-compose.yml has no image like %s", image)
	}
	return string(found[1])
}

// checkAgentContainer wants the agent to be nobody, but in the socket's group.
func checkAgentContainer(t *testing.T, s *stack) {
	status, err := os.ReadFile(filepath.Join("/proc", s.inspect("longshore", "{{.State.Pid}}"), "status"))
	if err != nil {
		t.Skipf("the engine's processes cannot be seen: %v", err)
	}
	uid := regexp.MustCompile(`(?m)^Uid:\s+65532\s`)
	groups := regexp.MustCompile(`(?m)^Groups:.*\b` + os.Getenv("DOCKER_GID") + `\b`)
	if !uid.Match(status) || !groups.Match(status) {
		t.Errorf("the agent is not user 65532 of group %s:\n%s", os.Getenv("DOCKER_GID"), status)
	}
	s.saysItIsWell("longshore")
}

// stackDoc is what a record of the sample app has, in both.
type stackDoc struct {
	Level   string `json:"level"`
	Message string `json:"message"`
	Service string `json:"service"`
	TraceID string `json:"trace_id"`
	Name    string `json:"container.name"`
	Project string `json:"compose.project"`
}

// isWhole tells whether a record has all that the app logs; the first line, of
// its start, has no trace.
func (d stackDoc) isWhole() bool {
	trace := regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(d.TraceID) || d.Message == "shop is open"
	return slices.Contains([]string{"debug", "info", "warn", "error"}, d.Level) &&
		slices.Contains([]string{"gateway", "catalog", "checkout", "payment"}, d.Service) && trace
}

func stackInLoki(t *testing.T, s *stack, l query.Loki, when span) {
	inLoki(t, l, `{container=~".+"}`, when, 10)
	for _, entry := range lokiEntries(t, l, `{service_name=~".+"}`, when) {
		var d stackDoc
		if err := json.Unmarshal([]byte(entry.Line), &d); err != nil || !d.isWhole() {
			t.Errorf("Loki has the line %s: %v", entry.Line, err)
		}
		if entry.Labels["container"] != s.container("sample-app") || entry.Labels["compose_project"] != s.project ||
			entry.Labels["service_name"] != d.Service ||
			entry.Metadata["trace_id"] != d.TraceID || entry.Metadata["detected_level"] != d.Level {
			t.Errorf("the line %s has the labels %v and the metadata %v", entry.Line, entry.Labels, entry.Metadata)
		}
	}
}

// seesOldLines wants an entry with an old time to be found at once, as those are
// that the agent delivers after an outage.
func seesOldLines(t *testing.T, l query.Loki) {
	at := time.Now().Add(-5 * time.Hour).Truncate(time.Second)
	entry := fmt.Sprintf(`{"streams":[{"stream":{"a":"old"},"values":[["%d","old"]]}]}`, at.UnixNano())
	answer, err := http.Post(l.URL+"/loki/api/v1/push", "application/json", strings.NewReader(entry))
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	inLoki(t, l, `{a="old"}`, span{at.Add(-time.Minute), at.Add(time.Minute)}, 1)
}

func stackInElastic(t *testing.T, s *stack, e query.Elastic) {
	const index = "logs-longshore-default"
	inElastic(t, e, index, 10)
	found, err := e.Docs(t.Context(), index)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		var d stackDoc
		err := json.Unmarshal(f.Source, &d)
		if err != nil || !d.isWhole() || d.Name != s.container("sample-app") || d.Project != s.project {
			t.Errorf("Elasticsearch has the document %s: %v", f.Source, err)
		}
	}
	eventually(t, "lines found by their level and service", time.Minute, func() (bool, string) {
		n := elasticSearch(t, e, index, "level:(warn OR debug) AND service:catalog")
		return n > 0, fmt.Sprint(n)
	})
}

// sidecar starts an app that logs to a file, with an agent of its own that sees that file alone.
func sidecar(t *testing.T, main *stack, agent, app string, l query.Loki, when span) {
	t.Setenv("STACK_NETWORK", main.project+"_logs")
	file := filepath.Join(root, "examples", "sidecar", "docker-compose.yml")
	s := newStack(t, main.docker, "longshore-e2e-sidecar", file, fmt.Sprintf(overSidecar, agent, app))
	s.up("app", "longshore")
	inLoki(t, l, `{filename="/var/log/app/app.log"}`, when, 5)
	for _, entry := range lokiEntries(t, l, `{filename="/var/log/app/app.log"}`, when) {
		var d stackDoc
		err := json.Unmarshal([]byte(entry.Line), &d)
		if err != nil || !d.isWhole() || entry.Metadata["trace_id"] != d.TraceID {
			t.Errorf("Loki has the line %s with the metadata %v: %v", entry.Line, entry.Metadata, err)
		}
	}
	mounts := s.inspect("longshore", "{{range .Mounts}}{{.Destination}} {{.RW}};{{end}}")
	if strings.Contains(mounts, "docker.sock") || !strings.Contains(mounts, "/var/log/app false") {
		t.Errorf("the agent's mounts: %s", mounts)
	}
	s.saysItIsWell("longshore")
}

// existing starts the example of a destination that is there, beside a stack that has one.
func existing(t *testing.T, main *stack, example, override string) *stack {
	file := filepath.Join(root, "examples", example, "docker-compose.yml")
	s := newStack(t, main.docker, "longshore-e2e-"+example, file, override)
	s.up("longshore")
	s.saysItIsWell("longshore")
	return s
}

// deliversAll stops an agent, and wants all that it has read to be delivered: the last lines of the
// containers that run, at least.
func deliversAll(t *testing.T, s *stack) {
	if out, err := s.compose("stop", "longshore"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	logs, err := s.compose("logs", "--no-color", "longshore")
	found := regexp.MustCompile(`"msg":"stopped","read":(\d+).*"due":(\d+),"delivered":(\d+)`).FindStringSubmatch(logs)
	if err != nil || found == nil || found[2] != found[3] || len(found[1]) < 2 {
		t.Errorf("%s says at its end: %s (%v)", s.project, logs, err)
	}
}
