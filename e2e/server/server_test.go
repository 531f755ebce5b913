package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
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

func TestKafka(t *testing.T) {
	c := Kafka(t)
	c.CreateTopic("logs", 2)
	produceKafka(t, c.Client(kgo.TransactionalID("a")), "logs", 100)
	cert, err := os.ReadFile(c.CA)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(cert)
	auth := scram.Auth{User: KafkaUser, Pass: KafkaPassword}
	unsecured := func(context.Context) (oauth.Auth, error) {
		part := base64.RawURLEncoding.EncodeToString
		claims := fmt.Sprintf(`{"sub":"%s","iat":%d,"exp":%d}`, KafkaUser, time.Now().Unix(), time.Now().Unix()+300)
		return oauth.Auth{Token: part([]byte(`{"alg":"none"}`)) + "." + part([]byte(claims)) + "."}, nil
	}
	n := c.Nodes[0]
	encrypted := kgo.DialTLSConfig(&tls.Config{RootCAs: pool})
	for name, opts := range map[string][]kgo.Opt{
		"plain":   {kgo.SeedBrokers(n.SASL), kgo.SASL(plain.Auth{User: KafkaUser, Pass: KafkaPassword}.AsMechanism())},
		"scram":   {kgo.SeedBrokers(n.SASLTLS), encrypted, kgo.SASL(auth.AsSha256Mechanism())},
		"scram-5": {kgo.SeedBrokers(n.SASL), kgo.SASL(auth.AsSha512Mechanism())},
		"oauth":   {kgo.SeedBrokers(n.SASL), kgo.SASL(oauth.Oauth(unsecured))},
		"tls":     {kgo.SeedBrokers(n.TLS), encrypted},
	} {
		t.Run(name, func(t *testing.T) {
			produceKafka(t, c.Client(append(opts, kgo.TransactionalID(name))...), "logs", 10)
		})
	}
	records, err := c.Committed(t.Context(), "logs")
	if err != nil || len(records) != 150 {
		t.Fatalf("%d records, %v; want 150", len(records), err)
	}
}

func TestKafkaOfThree(t *testing.T) {
	c := KafkaOf(t, 3)
	c.CreateTopic("logs", 3)
	cl := c.Client()
	produceKafka(t, cl, "logs", 10)
	c.Nodes[1].Kill()
	produceKafka(t, cl, "logs", 10)
	c.Nodes[1].Start()
	c.Nodes[0].Kill()
	produceKafka(t, cl, "logs", 10)
	c.Nodes[0].Start()
	records, err := c.Committed(t.Context(), "logs")
	if err != nil || len(records) != 30 {
		t.Fatalf("%d records, %v; want 30", len(records), err)
	}
}

func produceKafka(t *testing.T, cl *kgo.Client, topic string, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	transaction := cl.BeginTransaction() == nil
	for i := range n {
		r := &kgo.Record{Topic: topic, Key: fmt.Append(nil, i), Value: fmt.Append(nil, i)}
		if err := cl.ProduceSync(ctx, r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	if transaction {
		if err := cl.EndTransaction(ctx, kgo.TryCommit); err != nil {
			t.Fatal(err)
		}
	}
}
