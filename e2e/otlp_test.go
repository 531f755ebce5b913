package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	"google.golang.org/protobuf/proto"

	"github.com/longshore/longshore/e2e/query"
	"github.com/longshore/longshore/e2e/server"
)

// A logSink takes what a Collector exports, by OpenTelemetry's own messages.
type logSink struct {
	url string

	mu    sync.Mutex
	times map[string]int // how often each body came
	wrong []string
}

func newLogSink(t *testing.T) *logSink {
	t.Helper()
	s := &logSink{times: map[string]int{}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func (s *logSink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	request := &collector.ExportLogsServiceRequest{}
	if err != nil || proto.Unmarshal(body, request) != nil {
		http.Error(w, "no request of OTLP", http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, resource := range request.ResourceLogs {
		for _, scope := range resource.ScopeLogs {
			for _, record := range scope.LogRecords {
				s.times[record.Body.GetStringValue()]++
				if why := oddity(resource.Resource.Attributes, record); why != "" {
					s.wrong = append(s.wrong, why)
				}
			}
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// oddity returns what of a record of shopLine is not as it must be, or "".
func oddity(resource []*common.KeyValue, r *logs.LogRecord) string {
	var n int
	if _, err := fmt.Sscanf(r.Body.GetStringValue(), "order %d", &n); err != nil {
		return "body " + r.Body.String()
	}
	at := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC).Add(time.Duration(n) * time.Millisecond)
	switch {
	case r.SeverityNumber != logs.SeverityNumber_SEVERITY_NUMBER_WARN || r.SeverityText != "WARN":
		return fmt.Sprint("severity ", r.SeverityNumber, r.SeverityText)
	case r.TimeUnixNano != uint64(at.UnixNano()):
		return fmt.Sprint("time ", r.TimeUnixNano)
	case fmt.Sprintf("%x", r.TraceId) != fmt.Sprintf("%032x", n+1):
		return fmt.Sprintf("trace %x", r.TraceId)
	case valueOf(resource, "service.name").GetStringValue() != "shop":
		return fmt.Sprint("resource ", resource)
	case valueOf(r.Attributes, "n").GetIntValue() != int64(n):
		return fmt.Sprint("attributes ", r.Attributes)
	case valueOf(r.Attributes, "user").GetKvlistValue() == nil:
		return fmt.Sprint("attributes ", r.Attributes)
	}
	return ""
}

func valueOf(attributes []*common.KeyValue, key string) *common.AnyValue {
	for _, a := range attributes {
		if a.Key == key {
			return a.Value
		}
	}
	return nil
}

// shopLine is line n of a log.
func shopLine(n int) string {
	at := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC).Add(time.Duration(n) * time.Millisecond)
	return fmt.Sprintf(`{"time":%q,"level":"warn","msg":"order %d","service":"shop","n":%d,"trace_id":"%032x",`+
		`"user":{"id":7,"tags":["a","b"]}}`, at.Format(time.RFC3339Nano), n, n, n+1)
}

// counts returns how many of n lines there are not, and how many more than once.
func (s *logSink) counts(n int) (missing, repeated int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range n {
		switch times := s.times[fmt.Sprintf("order %d", i)]; {
		case times == 0:
			missing++
		case times > 1:
			repeated++
		}
	}
	return missing, repeated
}

// relay is a Collector that passes on what it gets, and answers when the other side has.
const relayConfig = `
receivers:
  otlp:
    protocols:
      grpc: {endpoint: %[1]q}
      http: {endpoint: %[2]q}
exporters:
  otlp_http: {endpoint: %[3]q, compression: none, sending_queue: {enabled: false}, retry_on_failure: {enabled: false}}
service:
  telemetry: {logs: {level: warn}, metrics: {level: none}}
  pipelines:
    logs: {receivers: [otlp], exporters: [otlp_http]}
`

// TestCollectorTakes sends to a real Collector in every way: each record is there once, as it was;
// over kills of the Collector none is lost.
func TestCollectorTakes(t *testing.T) {
	const n = 3000
	for name, settings := range map[string]string{
		"grpc": "protocol: grpc", "grpc zstd": "protocol: grpc, compression: zstd",
		"http": "protocol: http", "http json": "protocol: http, encoding: json",
	} {
		t.Run(name, func(t *testing.T) {
			sink := newLogSink(t)
			grpc, http := freeAddress(t), freeAddress(t)
			to := http
			if strings.Contains(settings, "grpc") {
				to = grpc
			}
			col := server.Otelcol(t, fmt.Sprintf(relayConfig, grpc, http, sink.url), to)
			log := filepath.Join(t.TempDir(), "shop.log")
			a := newAgent(t, fmt.Sprintf(`
inputs: {shop: {type: file, paths: [%s]}}
outputs: {col: {type: otlp, url: "http://%s", %s, batch: {max_records: 100, linger: 1ms}}}
`, log, to, settings))
			a.start()
			for i := range n {
				appendTo(t, log, shopLine(i))
			}
			eventually(t, "each line", time.Minute, func() (bool, string) {
				missing, repeated := sink.counts(n)
				return missing == 0 && repeated == 0, fmt.Sprint(missing, " missing, ", repeated, " repeated")
			})
			for i := n; i < 2*n; i++ {
				appendTo(t, log, shopLine(i))
				if i%1000 == 500 {
					col.Kill()
					col.Start()
				}
			}
			eventually(t, "each line over kills", time.Minute, func() (bool, string) {
				missing, repeated := sink.counts(2 * n)
				return missing == 0, fmt.Sprint(missing, " missing, ", repeated, " repeated")
			})
			missing, repeated := sink.counts(2 * n)
			t.Logf("after 3 kills of the Collector: %d of %d missing, %d repeated", missing, 2*n, repeated)
			if len(sink.wrong) > 0 {
				t.Errorf("%d records are not as they were, such as: %s", len(sink.wrong), sink.wrong[0])
			}
			a.stop()
		})
	}
}

const senderConfig = `
extensions:
  file_storage: {directory: %[1]q}
receivers:
  file_log: {include: [%[2]q], start_at: beginning, storage: file_storage, poll_interval: 50ms}
exporters:
  %[3]s: {%[4]s, sending_queue: {storage: file_storage}}
service:
  extensions: [file_storage]
  telemetry: {logs: {level: warn}, metrics: {level: none}}
  pipelines:
    logs: {receivers: [file_log], exporters: [%[3]s]}
`

// TestCollectorSends has a real Collector send to the input over SIGKILLs of the agent: no line is
// lost, and without them none is repeated.
func TestCollectorSends(t *testing.T) {
	for name, exporter := range map[string]string{
		"otlp": `endpoint: %q, tls: {insecure: true}`, "otlp_http": `endpoint: "http://%s"`,
	} {
		t.Run(name, func(t *testing.T) {
			const n = 3000
			dir := t.TempDir()
			listen, log, out := freeAddress(t), filepath.Join(dir, "shop.log"), filepath.Join(dir, "out.jsonl")
			a := newAgent(t, fmt.Sprintf(`
inputs: {otlp: {type: otlp, listen: [%q]}}
outputs: {out: {type: file, path: %s}}
`, listen, out))
			a.start()
			a.says("/ready", 200)
			storage := filepath.Join(dir, "storage")
			if err := os.Mkdir(storage, 0o700); err != nil {
				t.Fatal(err)
			}
			server.Otelcol(t, fmt.Sprintf(senderConfig, storage, log, name, fmt.Sprintf(exporter, listen)), "")
			for i := range n {
				appendTo(t, log, shopLine(i))
			}
			eventually(t, "each line", time.Minute, func() (bool, string) {
				missing, repeated := linesOfFile(t, out, n)
				return missing == 0 && repeated == 0, fmt.Sprint(missing, " missing, ", repeated, " repeated")
			})
			for i := n; i < 2*n; i++ {
				appendTo(t, log, shopLine(i))
				if i%1000 == 500 {
					a.kill()
					a.start()
				}
			}
			eventually(t, "each line over kills", 2*time.Minute, func() (bool, string) {
				missing, repeated := linesOfFile(t, out, 2*n)
				return missing == 0, fmt.Sprint(missing, " missing, ", repeated, " repeated")
			})
			missing, repeated := linesOfFile(t, out, 2*n)
			t.Logf("after 3 SIGKILLs of the agent: %d of %d missing, %d repeated", missing, 2*n, repeated)
			a.stop()
		})
	}
}

// linesOfFile returns how many of n lines are not in a file, and how many more than once.
func linesOfFile(t *testing.T, path string, n int) (missing, repeated int) {
	t.Helper()
	times := make([]int, n)
	f, err := os.Open(path)
	if err != nil {
		return n, 0
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		count(times, lines.Text())
	}
	return tally(times)
}

// count counts the line of shopLine that a text has in it.
func count(times []int, text string) {
	_, after, found := strings.Cut(text, `order `)
	var i int
	if _, err := fmt.Sscanf(after, "%d", &i); found && err == nil && i < len(times) {
		times[i]++
	}
}

func tally(times []int) (missing, repeated int) {
	for _, n := range times {
		switch {
		case n == 0:
			missing++
		case n > 1:
			repeated++
		}
	}
	return missing, repeated
}

// TestLongshoreToLongshore ships through an aggregator to Elasticsearch and Loki, over SIGKILLs of
// either: each line is there once.
func TestLongshoreToLongshore(t *testing.T) {
	const n = 6000
	elastic := server.Elasticsearch(t)
	loki := server.LokiOrImitation(t)
	listen, log := freeAddress(t), filepath.Join(t.TempDir(), "shop.log")
	aggregator := newAgent(t, fmt.Sprintf(`
inputs: {otlp: {type: otlp, listen: [%q]}}
outputs:
  elastic: {type: elasticsearch, urls: [%q], index: hop}
  loki: {type: loki, url: %q}
`, listen, elastic.URL, loki.URL))
	a := newAgent(t, fmt.Sprintf(`
inputs: {shop: {type: file, paths: [%s], labels: {env: e2e}}}
outputs: {up: {type: otlp, url: "http://%s", protocol: grpc, identity: true, batch: {max_records: 100, linger: 1ms}}}
`, log, listen))
	aggregator.start()
	aggregator.says("/ready", 200)
	a.start()
	began := time.Now()
	for i := range n {
		at := time.Now()
		appendTo(t, log, strings.Replace(shopLine(i), "2026-11-30T12:00:", at.UTC().Format("2006-01-02T15:04:"), 1))
		switch i % 1500 {
		case 500:
			aggregator.kill()
			aggregator.start()
		case 1000:
			a.kill()
			a.start()
		}
	}
	es, lokis := query.Elastic{URL: elastic.URL}, query.Loki{URL: loki.URL}
	eventually(t, "each line at both", 3*time.Minute, func() (bool, string) {
		missing, repeated := hopInElastic(t, es, n)
		missingL, repeatedL := hopInLoki(t, lokis, began, n)
		return missing+missingL == 0, fmt.Sprint("Elasticsearch: ", missing, " missing, ", repeated,
			" repeated; Loki: ", missingL, " missing, ", repeatedL, " repeated")
	})
	aggregator.stop()
	a.stop()
	for where, repeated := range map[string]int{
		"Elasticsearch": second(hopInElastic(t, es, n)), "Loki": second(hopInLoki(t, lokis, began, n)),
	} {
		if repeated > 0 {
			t.Errorf("%s has %d lines more than once", where, repeated)
		}
	}
}

func second(_, n int) int { return n }

func hopInElastic(t *testing.T, e query.Elastic, n int) (missing, repeated int) {
	t.Helper()
	if err := e.Refresh(t.Context(), "hop"); err != nil {
		return n, 0
	}
	docs, err := e.Docs(t.Context(), "hop")
	if err != nil {
		return n, 0
	}
	times := make([]int, n)
	for _, d := range docs {
		count(times, string(d.Source))
	}
	return tally(times)
}

// hopInLoki counts by Loki's own count, too, as Loki shows what it has twice once.
func hopInLoki(t *testing.T, l query.Loki, began time.Time, n int) (missing, repeated int) {
	t.Helper()
	from := began.Add(-2 * time.Hour).Truncate(time.Second)
	to := from.Add(4 * time.Hour)
	entries, err := l.Entries(t.Context(), `{service_name="shop"}`, from, to)
	if err != nil {
		return n, 0
	}
	times := make([]int, n)
	for _, e := range entries {
		count(times, e.Line)
	}
	missing, _ = tally(times)
	all, err := l.Count(t.Context(), `{service_name="shop"}`, from, to)
	if err != nil {
		return n, 0
	}
	return missing, all - (n - missing)
}
