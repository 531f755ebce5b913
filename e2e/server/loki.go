package server

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

// A LokiServer is Grafana Loki as one process, with its chunks in files, or what stands for it.
type LokiServer struct {
	*Server
	URL string // without a path
}

// Loki returns a real Grafana Loki: the one at LONGSHORE_E2E_LOKI_URL, or one that it starts from
// the program that findLoki finds. Each config is YAML that is laid over the default one, such as
// "auth_enabled: true" or "limits_config: {allow_structured_metadata: false}". With the URL, tests
// that have a config, or that end or pause the server, are skipped.
func Loki(t testing.TB, config ...string) *LokiServer {
	t.Helper()
	skipShort(t)
	if url := os.Getenv(lokiURL); url != "" {
		return foreignLoki(t, url, config)
	}
	binary, err := findLoki()
	if err != nil {
		missing(t, "loki", err)
	}
	d, url, err := newLoki(binary, t.TempDir(), config)
	if err != nil {
		t.Fatal(err)
	}
	return &LokiServer{Server: serve(t, d), URL: url}
}

func newLoki(binary, dir string, config []string) (d *daemon, url string, err error) {
	httpPort, err := freePort()
	if err != nil {
		return nil, "", err
	}
	grpcPort, err := freePort()
	if err != nil {
		return nil, "", err
	}
	text, err := overlay(fmt.Sprintf(lokiConfig, httpPort, grpcPort, dir), config)
	if err != nil {
		return nil, "", fmt.Errorf("making the configuration of Loki: %w", err)
	}
	path := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(path, text, 0o644); err != nil {
		return nil, "", fmt.Errorf("writing the configuration of Loki: %w", err)
	}
	url = fmt.Sprintf("http://127.0.0.1:%d", httpPort)
	return &daemon{
		name:    "Loki",
		dir:     dir,
		command: func() *exec.Cmd { return exec.Command(binary, "-config.file="+path) },
		ready:   lokiReady(url),
		patient: 2 * time.Minute,
		grace:   30 * time.Second,
		onDeath: syscall.SIGKILL,
	}, url, nil
}

// lokiReady asks a query too, because /ready is true seconds before the first query is answered.
func lokiReady(url string) func(context.Context) error {
	ready := answers(url+"/ready", "ready")
	asked := answers(url+"/loki/api/v1/query_range?query=%7Bnone%3D%22none%22%7D", "success")
	return func(ctx context.Context) error {
		if err := ready(ctx); err != nil {
			return err
		}
		return asked(ctx)
	}
}

// The addresses of 127.0.0.1 keep queries from hanging: Loki would call itself by the address of a
// network card, where nothing listens. The scheduler's address, instead of a ring of schedulers,
// and the short waits take its start from ten seconds or more to one. The endless look-back of -1ns
// lets entries with old times be seen before they are flushed; query_ingesters_within: 0 does not,
// because a Loki that is one process sets another limit from the look-back (2h41m by default), and
// that one wins.
const lokiConfig = `
auth_enabled: false
server:
  http_listen_address: 127.0.0.1
  http_listen_port: %[1]d
  grpc_listen_address: 127.0.0.1
  grpc_listen_port: %[2]d
common:
  instance_addr: 127.0.0.1
  path_prefix: %[3]s/loki
  replication_factor: 1
  ring:
    instance_addr: 127.0.0.1
    kvstore: {store: inmemory}
  storage:
    filesystem:
      chunks_directory: %[3]s/loki/chunks
      rules_directory: %[3]s/loki/rules
schema_config:
  configs:
    - from: 2020-01-01
      store: tsdb
      object_store: filesystem
      schema: v13
      index: {prefix: index_, period: 24h}
frontend:
  address: 127.0.0.1
  scheduler_address: 127.0.0.1:%[2]d
  scheduler_dns_lookup_period: 100ms
frontend_worker:
  scheduler_address: 127.0.0.1:%[2]d
  dns_lookup_duration: 100ms
ingester:
  lifecycler: {min_ready_duration: 0s, final_sleep: 0s}
  query_store_max_look_back_period: -1ns
querier:
  query_ingesters_within: 0
analytics:
  reporting_enabled: false
limits_config:
  allow_structured_metadata: true
  reject_old_samples: false
  ingestion_rate_mb: 1000
  ingestion_burst_size_mb: 1000
  per_stream_rate_limit: 1GB
  per_stream_rate_limit_burst: 1GB
  max_query_length: 0s
  max_query_series: 100000
  split_queries_by_interval: 24h
`

// overlay lays YAML documents over one another: maps are merged, everything else is replaced.
func overlay(base string, over []string) ([]byte, error) {
	merged := map[string]any{}
	for _, text := range append([]string{base}, over...) {
		var m map[string]any
		if err := yaml.Unmarshal([]byte(text), &m); err != nil {
			return nil, err
		}
		merge(merged, m)
	}
	return yaml.Marshal(merged)
}

func merge(into, from map[string]any) {
	for key, value := range maps.All(from) {
		inner, isMap := value.(map[string]any)
		outer, wasMap := into[key].(map[string]any)
		if isMap && wasMap {
			merge(outer, inner)
			continue
		}
		into[key] = value
	}
}
