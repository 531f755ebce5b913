package metrics

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/parsers/json"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

func TestConformance(t *testing.T) {
	pipetest.TestTransform(t, Spec(), `
max_series: 5
metrics: [{name: m, type: counter, labels: {a: "{text}", b: "{escaped}"}}]
`)
}

func newJSON(*event.Source) pipeline.Parser { return json.New(nil) }

func TestMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	env := pipetest.TransformEnv(t)
	env.Metrics = reg
	c := &Config{Max: 2, Metrics: []Metric{
		{Name: "requests", Type: "counter", Factor: 1, Labels: map[string]string{"status": "{status}"}},
		{Name: "sent_bytes", Type: "counter", Field: "size", Factor: 2, Help: "Sent."},
		{Name: "queue", Type: "gauge", Field: "queue", Factor: 1},
		{Name: "took_seconds", Type: "histogram", Field: "http.ms", Factor: 0.001, Buckets: []float64{0.01, 1}},
	}}
	if p := c.Check(); len(p) > 0 {
		t.Fatal(p)
	}
	transform, err := c.Transform(env)
	if err != nil {
		t.Fatal(err)
	}
	lines := []string{
		`{"status":200,"size":10,"http":{"ms":5}}`, `{"status":500,"size":"7","http":{"ms":500}}`,
		`{"status":200,"size":-3,"queue":5}`,
		`{"status":404,"size":"many","queue":4,"http":{"ms":5000}}`, `{"status":"\ud800\u00ff"}`,
	}
	before := pipetest.Transformed(t, pipetest.MustTransform(t, &Config{Max: 1}, nil), newJSON, lines...)
	if diff := cmp.Diff(before, pipetest.Transformed(t, transform, newJSON, lines...)); diff != "" {
		t.Errorf("records were changed: %s", diff)
	}
	const want = `
# HELP queue Made of records.
# TYPE queue gauge
queue 4
# HELP requests Made of records.
# TYPE requests counter
requests{status="200"} 2
requests{status="500"} 1
requests{status="other"} 2
# HELP sent_bytes Sent.
# TYPE sent_bytes counter
sent_bytes 34
# HELP took_seconds Made of records.
# TYPE took_seconds histogram
took_seconds_bucket{le="0.01"} 1
took_seconds_bucket{le="1"} 2
took_seconds_bucket{le="+Inf"} 3
took_seconds_sum 5.505
took_seconds_count 3
`
	answer := httptest.NewRecorder()
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	_, got, _ := strings.Cut("\n"+answer.Body.String(), "longshore_transform_panics_total 0")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestProblems(t *testing.T) {
	c := &Config{Metrics: []Metric{
		{Name: "9a", Type: "counter"}, {Name: "a", Type: "gauge"},
		{Name: "b", Type: "counter", Labels: map[string]string{"pipeline": "x", "y": "{"}},
		{Name: "c", Type: "histogram", Field: "x", Buckets: []float64{2, 1}},
	}}
	var got []string
	for _, p := range c.Check() {
		got = append(got, p.Path)
	}
	if diff := cmp.Diff([]string{"metrics[0].name", "metrics[1].field", "metrics[2].labels.pipeline",
		"metrics[2].labels.y", "metrics[3].buckets"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestAllocs(t *testing.T) {
	c := &Config{Max: 10, Metrics: []Metric{{Name: "n", Type: "counter", Factor: 1,
		Labels: map[string]string{"status": "{status}"}}}}
	pipetest.AllocFree(t, pipetest.MustTransform(t, c, nil), newJSON, `{"msg":"a","status":502}`)
}
