package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/longshore/longshore/e2e/query"
	"github.com/longshore/longshore/e2e/server"
)

// The two images that the repository has a Dockerfile of, as docker-compose.yml names them.
const (
	agentImage = "longshore/longshore:dev"
	appImage   = "longshore/sample-app:dev"
)

// builtImage builds an image by its Dockerfile in a folder of the repository, to its end and
// without the network, which takes a minute; so it is done once in a test run, and other engines
// load what that came to. An engine that is not ours may have an image of that name, so there it
// gets another.
func builtImage(t *testing.T, docker *server.DockerServer, tag, folder string) string {
	t.Helper()
	if !docker.Own {
		tag += "-e2e"
	}
	t.Cleanup(func() { docker.Docker("rmi", "-f", tag) })
	saved := filepath.Join(builds.dir, regexp.MustCompile(`\W`).ReplaceAllString(tag, "-")+".tar")
	if _, err := os.Stat(saved); err == nil {
		docker.Docker("load", "-q", "-i", saved)
		return tag
	}
	folder = filepath.Join(root, folder)
	text, err := os.ReadFile(filepath.Join(folder, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	base := regexp.MustCompile(`(?m)^FROM (golang:\S+) AS`).FindSubmatch(text)
	if base == nil {
		t.Fatalf("the Dockerfile of %s is not built on golang", tag)
	}
	docker.GoImage(string(base[1]))
	began := time.Now()
	docker.Docker("build", "-q", "--network", "none", "-t", tag, folder)
	t.Logf("%s was built in %s", tag, time.Since(began).Round(time.Second))
	docker.Docker("save", "-o", saved, tag)
	return tag
}

// TestDockerfiles builds the agent and the sample app by their Dockerfiles, and runs both: the
// agent, without a config, ships what the app logs to Elasticsearch, and to VictoriaLogs as to a
// Loki.
func TestDockerfiles(t *testing.T) { server.EachDocker(t, testDockerfiles) }

func testDockerfiles(t *testing.T, docker *server.DockerServer) {
	socket, isUnix := strings.CutPrefix(docker.Host, "unix://")
	if !isUnix {
		t.Skip("the Docker Engine is not at a socket, which the agent could mount")
	}
	elastic, victoria := server.Elasticsearch(t), server.VictoriaLogs(t)
	agent, app := builtImage(t, docker, agentImage, "."), builtImage(t, docker, appImage, "examples/sample-app")
	names := []string{"dockerfile-agent", "dockerfile-app"}
	docker.Remove(names...)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(docker.Docker("logs", names[0]))
		}
		docker.Remove(names...)
	})
	docker.Docker("run", "-d", "--name", names[0], "--network", "host",
		"--group-add", fmt.Sprint(groupOf(t, docker, socket)), "-v", socket+":/var/run/docker.sock:ro", "-e",
		"LONGSHORE_HTTP_LISTEN="+freeAddress(t),
		"-e", "LONGSHORE_ELASTICSEARCH_URL="+elastic.URL,
		"-e", "LONGSHORE_LOKI_URL="+victoria.URL+"/insert?_msg_field=message", agent)
	docker.Docker("run", "-d", "--name", names[1], app) // later than the agent: it is read from its first line
	e := query.Elastic{URL: elastic.URL}
	eventually(t, "lines of the app in Elasticsearch", time.Minute, func() (bool, string) {
		n := elasticSearch(t, e, "logs-longshore-default", `container.name:"`+names[1]+`"`)
		return n >= 10, fmt.Sprint(n)
	})
	v := query.VictoriaLogs{URL: victoria.URL}
	eventually(t, "lines of the app in VictoriaLogs", time.Minute, func() (bool, string) {
		n, err := v.Count(t.Context(), `container:"`+names[1]+`" "shop is open"`)
		return n == 1, fmt.Sprint(n, err)
	})
	docker.Docker("exec", names[0], "/longshore", "healthcheck")
	if user := docker.Docker("inspect", "-f", "{{.Config.User}}", agent); user != "65532:65532" {
		t.Errorf("the agent runs as %s", user)
	}
}
