package server

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestImages runs Loki and Elasticsearch under Compose, each healthy by its own check, beside a
// container that reaches both by name.
func TestImages(t *testing.T) {
	docker := Docker(t)
	docker.LokiImage("grafana/loki:longshore-e2e")
	docker.ElasticsearchImage("docker.elastic.co/elasticsearch/elasticsearch:longshore-e2e")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "docker-compose.yml"), []byte(imagesCompose), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if out, err := docker.Compose(dir, "down", "--volumes", "--timeout", "5"); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	if out, err := docker.Compose(dir, "up", "--detach", "--wait", "--wait-timeout", "120"); err != nil {
		logs, _ := docker.Compose(dir, "logs", "--tail", "30")
		t.Fatalf("%v\n%s\n%s", err, out, logs)
	}
	// Published ports reach the host's loopback.
	address, err := docker.Compose(dir, "port", "elasticsearch", "9200")
	if err != nil {
		t.Fatal(err, address)
	}
	_, body := send(t, http.MethodGet, "http://"+strings.TrimSpace(address), "")
	if !strings.Contains(body, "docker-cluster") {
		t.Errorf("Elasticsearch says %s", body)
	}
}

const imagesCompose = `
name: longshore-e2e-images
services:
  loki:
    image: grafana/loki:longshore-e2e
    healthcheck: {test: [CMD, /usr/bin/loki, -health], interval: 1s, retries: 60}
  elasticsearch:
    image: docker.elastic.co/elasticsearch/elasticsearch:longshore-e2e
    environment: {discovery.type: single-node, xpack.security.enabled: "false", ES_JAVA_OPTS: -Xms400m -Xmx400m}
    ports: ["127.0.0.1::9200"]
    volumes: ["data:/usr/share/elasticsearch/data"]
    healthcheck:
      test: [CMD-SHELL, "curl -fsS http://localhost:9200/_cluster/health | grep -q status"]
      interval: 1s
      retries: 60
  neighbour:
    image: docker.elastic.co/elasticsearch/elasticsearch:longshore-e2e
    entrypoint: [/bin/sh, -c, "curl -fsS http://loki:3100/ready && curl -fsS http://elasticsearch:9200 && sleep 1000"]
    healthcheck: {test: [CMD-SHELL, "grep -q sleep /proc/[2-9]*/cmdline"], interval: 1s, retries: 10}
    depends_on: {loki: {condition: service_healthy}, elasticsearch: {condition: service_healthy}}
volumes: {data: {}}
`

func TestAppImage(t *testing.T) {
	docker := Docker(t)
	dir := t.TempDir()
	source := `package main; import "fmt"; func main() { fmt.Println("hello from", "a container") }`
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := run(dir, []string{"CGO_ENABLED=0"}, "go", "build", "-o", "app", "main.go"); err != nil {
		t.Fatal(err)
	}
	docker.AppImage("longshore-e2e/app:test", filepath.Join(dir, "app"))
	const name = "longshore-e2e-app"
	t.Cleanup(func() { docker.Remove(name) })
	docker.Docker("run", "--detach", "--name", name, "longshore-e2e/app:test")
	deadline := time.Now().Add(10 * time.Second)
	for docker.Docker("logs", name) != "hello from a container" {
		if time.Now().After(deadline) {
			t.Fatalf("the container's log: %q", docker.Docker("logs", name))
		}
		time.Sleep(50 * time.Millisecond)
	}
}
