package server

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestLoki(t *testing.T) {
	loki := Loki(t, "limits_config: {allow_structured_metadata: false}")
	push := `{"streams":[{"stream":{"a":"b"},"values":[["1700000000000000000","hello"]]}]}`
	if status, body := send(t, http.MethodPost, loki.URL+"/loki/api/v1/push", push); status != http.StatusNoContent {
		t.Fatalf("push: %d %s", status, body)
	}
	query := loki.URL + "/loki/api/v1/query_range?query={a=%22b%22}&start=1699999999&end=1700000001"
	if _, body := send(t, http.MethodGet, query, ""); !strings.Contains(body, "hello") {
		t.Fatalf("query: %s", body)
	}
	loki.Kill()
	loki.Start()
	if _, body := send(t, http.MethodGet, query, ""); !strings.Contains(body, "hello") {
		t.Fatalf("query after a crash: %s", body)
	}
	if !strings.Contains(loki.Log(), "Loki started") {
		t.Errorf("log: %s", loki.Log())
	}
}

func TestElasticsearch(t *testing.T) { testElastic(t, Elasticsearch(t), `"number" : "7.17`) }

func TestOpenSearch(t *testing.T) {
	node := OpenSearch(t)
	testElastic(t, node, `"distribution" : "opensearch"`)
	template := `{"index_patterns":["logs-*"],"data_stream":{}}`
	if status, body := send(t, http.MethodPut, node.URL+"/_index_template/logs", template); status != http.StatusOK {
		t.Fatalf("template: %d %s", status, body)
	}
	doc := `{"@timestamp":"2026-01-02T03:04:05Z"}`
	if status, body := send(t, http.MethodPut, node.URL+"/logs-a/_create/1", doc); status != http.StatusCreated {
		t.Fatalf("data stream: %d %s", status, body)
	}
}

func testElastic(t *testing.T, node *ElasticServer, about string) {
	if _, body := send(t, http.MethodGet, node.URL, ""); !strings.Contains(body, about) {
		t.Fatalf("not %s: %s", about, body)
	}
	if status, body := send(t, http.MethodPut, node.URL+"/i/_doc/1", `{"a":1}`); status != http.StatusCreated {
		t.Fatalf("index: %d %s", status, body)
	}
	node.Restart()
	if _, body := send(t, http.MethodGet, node.URL+"/i/_doc/1", ""); !strings.Contains(body, `"found":true`) {
		t.Fatalf("get after a restart: %s", body)
	}
}

func send(t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func TestDocker(t *testing.T) { EachPrivateDocker(t, testDocker) }

func testDocker(t *testing.T, docker *DockerServer) {
	if out := docker.Docker("version", "--format", "{{.Server.Version}}"); out == "" {
		t.Error("no version")
	}
	docker.Kill()
	docker.Start()
	docker.Docker("info")
}

func TestCompose(t *testing.T) {
	docker := Docker(t)
	out, err := docker.Compose(t.TempDir(), "version")
	if err != nil || !strings.Contains(out, "v2.") {
		t.Fatalf("%v: %s", err, out)
	}
}
