package server

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// An ElasticServer is one node of Elasticsearch or OpenSearch.
type ElasticServer struct {
	*Server
	URL string // without a path
}

// Elasticsearch starts Elasticsearch 7.17 without its x-pack, which is not in a package registry:
// no data streams, no security. Each setting is key=value, as in "indices.breaker.total.limit=10%".
func Elasticsearch(t testing.TB, settings ...string) *ElasticServer {
	t.Helper()
	skipShort(t)
	return elastic(t, elasticsearch, settings)
}

// OpenSearch starts OpenSearch 3.3, which has data streams. Each setting is key=value.
func OpenSearch(t testing.TB, settings ...string) *ElasticServer {
	t.Helper()
	skipShort(t)
	return elastic(t, openSearch, settings)
}

// A product is a server of this family.
type product struct {
	name, tool string
	java       int // the oldest version that it runs on
}

var (
	elasticsearch = product{name: "Elasticsearch", tool: "elasticsearch", java: 17}
	openSearch    = product{name: "OpenSearch", tool: "opensearch", java: 21}
)

func elastic(t testing.TB, p product, settings []string) *ElasticServer {
	t.Helper()
	jdk, jars, err := p.ensure()
	if err != nil {
		unavailable(t, err)
	}
	dir := t.TempDir()
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	url := fmt.Sprintf("http://127.0.0.1:%d", port)
	args := []string{
		"-Xms512m", "-Xmx512m", "-cp", filepath.Join(jars, "*"), "Main",
		"path.home=" + dir,
		"discovery.type=single-node",
		"network.host=127.0.0.1",
		fmt.Sprintf("http.port=%d", port),
		"transport.port=0",
		"node.name=longshore-e2e",
		// A disk that is nearly full would make indices read-only.
		"cluster.routing.allocation.disk.threshold_enabled=false",
	}
	args = append(args, settings...)
	d := &daemon{
		name:    p.name,
		dir:     dir,
		command: func() *exec.Cmd { return exec.Command(filepath.Join(jdk, "bin", "java"), args...) },
		ready:   answers(url+"/_cluster/health?wait_for_status=yellow&timeout=1s", `"timed_out":false`),
		patient: 2 * time.Minute,
		grace:   30 * time.Second,
		onDeath: syscall.SIGKILL,
	}
	return &ElasticServer{Server: serve(t, d), URL: url}
}

// ensure returns the home of a fitting Java and the folder of the product's jars.
func (p product) ensure() (jdk, jars string, err error) {
	jdk, err = findJDK(p.java)
	if err != nil {
		return "", "", fmt.Errorf("%s cannot run: %w", p.name, err)
	}
	tool, err := newTool(p.tool, "pom.xml", `<version>([^<]+)</version>`)
	if err != nil {
		return "", "", err
	}
	announce := fmt.Sprintf("getting %s %s with Maven", p.name, tool.version)
	jars, err = once(tool.folder, announce, func(dir string) error {
		return tool.buildMaven(jdk, dir)
	})
	return jdk, jars, err
}
