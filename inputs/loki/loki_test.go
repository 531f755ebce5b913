package loki

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/grafana/loki/pkg/push"
	"github.com/klauspost/compress/s2"
	"go.uber.org/goleak"

	"github.com/longshore/longshore/inputs/receive"
	"github.com/longshore/longshore/inputs/receive/receivetest"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newRig(t testing.TB, settings string) *receivetest.Rig {
	t.Helper()
	rig := receivetest.New(t, pipetest.Config[*Config](t, Spec(), "listen: 127.0.0.1:0\n"+settings))
	rig.Feed.AckAtOnce()
	return rig
}

// packed returns a request as Loki's own types encode it.
func packed(t testing.TB, r *push.PushRequest) string {
	t.Helper()
	body, err := r.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return string(s2.EncodeSnappy(nil, body))
}

func TestConformance(t *testing.T) {
	pipetest.TestInput(t, Spec(), func(t *testing.T) pipetest.InputHarness {
		return receivetest.Harness(t, pipetest.Config[*Config](t, Spec(), "listen: 127.0.0.1:0"),
			func(url string, lines []string) (*http.Request, error) {
				stream := push.Stream{Labels: `{app="x"}`}
				for i, line := range lines {
					stream.Entries = append(stream.Entries, push.Entry{Timestamp: time.Unix(1, int64(i)), Line: line})
				}
				body := packed(t, &push.PushRequest{Streams: []push.Stream{stream}})
				r, err := http.NewRequest(http.MethodPost, url+pushPath, strings.NewReader(body))
				if err == nil {
					r.Header.Set("Content-Type", "application/x-protobuf")
				}
				return r, err
			})
	})
}

// taken returns what a request's records are, with their labels.
func taken(t testing.TB, take func(*taker) error) []string {
	t.Helper()
	feed := pipetest.NewFeed(t)
	hub := receive.NewHub()
	if err := hub.Begin(t.Context(), feed, "test"); err != nil {
		t.Fatal(err)
	}
	to := &taker{hub: hub, to: hub.NewRequest()}
	if err := take(to); err != nil {
		return []string{"error: " + err.Error()}
	}
	var got []string
	for _, b := range to.to.Batches() {
		for i := range b.Records {
			got = append(got, string(event.AppendRecord(nil, b, i, true)))
		}
	}
	return got
}

// TestEntries has both protobuf, as Loki's own types encode it, and JSON become the same records.
func TestEntries(t *testing.T) {
	at := time.Date(2026, 11, 30, 12, 0, 0, 123456789, time.UTC)
	const trace, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	const container = "4c01db0b339c4c01db0b339c4c01db0b339c4c01db0b339c4c01db0b339c4c01"
	request := &push.PushRequest{Streams: []push.Stream{
		{Labels: `{job="default/shop", namespace="default", pod="shop-1", container="web", node_name="n1",` +
			` level="warn"}`,
			Entries: []push.Entry{
				{Timestamp: at, Line: "one \"line\"\nof two", StructuredMetadata: push.LabelsAdapter{
					{Name: "trace_id", Value: trace}, {Name: "span_id", Value: span}, {Name: "user", Value: "ann"}}},
				{Timestamp: at.Add(1), Line: "two",
					StructuredMetadata: push.LabelsAdapter{{Name: "detected_level", Value: "error"}}},
			}},
		{Labels: `{service_name="api", host="h", container="api-1", compose_project="shop"}`, Entries: []push.Entry{
			{Timestamp: at, Line: "three", StructuredMetadata: push.LabelsAdapter{
				{Name: "container_id", Value: container}, {Name: "stream", Value: "stderr"}}},
			{Timestamp: at, Line: "four", StructuredMetadata: push.LabelsAdapter{
				{Name: "container_id", Value: container}, {Name: "stream", Value: "stdout"}, {Name: "trace_id",
					Value: "odd"}}},
		}},
	}}
	const want1 = `{"timestamp":"2026-11-30T12:00:00.123456789Z","level":"warn","message":"one \"line\"\nof two",` +
		`"service":"default/shop","trace_id":"` + trace + `","span_id":"` + span + `","container.name":"web",` +
		`"host.name":"n1","k8s.namespace.name":"default","k8s.pod.name":"shop-1","user":"ann"}`
	const want2 = `{"timestamp":"2026-11-30T12:00:00.123456790Z","level":"error","message":"two",` +
		`"service":"default/shop",` +
		`"container.name":"web","host.name":"n1","k8s.namespace.name":"default","k8s.pod.name":"shop-1"}`
	const labels = `"compose.project":"shop","container.id":"` + container +
		`","container.name":"api-1","host.name":"h"`
	const want3 = `{"timestamp":"2026-11-30T12:00:00.123456789Z","message":"three","service":"api",` + labels +
		`,"stream":"stderr"}`
	const want4 = `{"timestamp":"2026-11-30T12:00:00.123456789Z","message":"four","service":"api",` + labels +
		`,"stream":"stdout","trace_id_original":"odd"}`
	want := []string{want1, want2, want3, want4}
	body, err := request.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, taken(t, func(to *taker) error { return to.protobuf(body) })); diff != "" {
		t.Errorf("protobuf: -want +got\n%s", diff)
	}
	const json = `{"streams":[{"stream":{"job":"default/shop","namespace":"default","pod":"shop-1","container":"web",` +
		`"node_name":"n1","level":"warn"},"values":[["1796040000123456789","one \"line\"\nof two",` +
		`{"trace_id":"` + trace +
		`","span_id":"` + span + `","user":"ann"}],["1796040000123456790","two",{"detected_level":"error"}]]},` +
		`{"stream":{"service_name":"api","host":"h","container":"api-1","compose_project":"shop"},"values":[` +
		`["1796040000123456789","three",{"container_id":"` + container + `","stream":"stderr"}],` +
		`["1796040000123456789","four",{"container_id":"` + container + `","stream":"stdout","trace_id":"odd"}]]}]}`
	if diff := cmp.Diff(want, taken(t, func(to *taker) error { return to.json([]byte(json)) })); diff != "" {
		t.Errorf("JSON: -want +got\n%s", diff)
	}
	const legacy = `{"streams":[{"labels":"{app=\"x\"}","entries":[{"ts":"2026-11-30T13:00:00.5+01:00",` +
		`"line":"old"}]}]}`
	got := taken(t, func(to *taker) error { return to.json([]byte(legacy)) })
	if diff := cmp.Diff([]string{`{"timestamp":"2026-11-30T12:00:00.500Z","message":"old","service":"x"}`},
		got); diff != "" {
		t.Errorf("legacy JSON: -want +got\n%s", diff)
	}
}

func TestLabels(t *testing.T) {
	for text, want := range map[string]string{
		`{}`:                                    ``,
		`{a="b"}`:                               `a=b`,
		` { a = "b" , c="d\"\\\n}" , } `:        "", // blanks behind
		`{a="b", c="d\"\\\n}"}`:                 "a=b c=d\"\\\n}",
		"{a=`raw\\`}":                           `a=raw\`,
		`{filename="/x",host="h",instance="i"}`: `filename=/x host.name=h instance=i`,
		`{container_name="c",container="d"}`:    `container.name=c container=d`,
		`{app="a",job="j",service_name="unknown_service"}`: `service=a job=j service_name=unknown_service`,
		`{"odd name"="x"}`:         `odd name=x`,
		`{source="stdout"}`:        `stream=stdout`,
		`{source="kafka"}`:         `source=kafka`,
		`{host="h",host.name="x"}`: `host=h host.name=x`,
		`{level="odd"}`:            `level=odd`,
		`{a="b"`:                   `!`, `{a="b" c="d"}`: `!`, `a="b"`: `!`, `{a=b}`: `!`, `{a='b'}`: `!`,
		`{="b"}`:   `!`,
		`{a="b"}}`: `!`, `{a}`: `!`, `{1a="b"}`: `!`, ``: `!`, `{a="b`: `!`, `{,}`: `!`,
		"{" + strings.Repeat(`a="b",`, maxLabels+1) + "}":  `!`,
		`{a="` + strings.Repeat("x", maxLabelBytes) + `"}`: `!`,
	} {
		labels, err := parseLabels(text)
		labels, _ = renamed(labels)
		var got []string
		for _, l := range labels {
			got = append(got, l.Name+"="+l.Value)
		}
		if text == ` { a = "b" , c="d\"\\\n}" , } ` {
			want = "a=b c=d\"\\\n}"
		}
		if want == "!" != (err != nil) || err == nil && strings.Join(got, " ") != want {
			t.Errorf("%.80q became %q, %v; want %q", text, got, err, want)
		}
	}
}

// TestAnswers are those that Loki has.
func TestAnswers(t *testing.T) {
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	io.WriteString(z, `{"streams":[{"stream":{"a":"b"},"values":[["1","x"]]}]}`)
	z.Close()
	one := packed(t, &push.PushRequest{Streams: []push.Stream{
		{Labels: `{a="b"}`, Entries: []push.Entry{{Timestamp: time.Unix(5, 6), Line: "x"}}}}})
	twice := new(bytes.Buffer)
	z = gzip.NewWriter(twice)
	io.WriteString(z, one)
	z.Close()
	const proto, json = "application/x-protobuf", "application/json; charset=utf-8"
	for i, test := range []struct {
		path, kind, encoding, body string
		status, records            int
	}{
		{pushPath, proto, "", one, 204, 1},
		{pushPath, proto, "snappy", one, 204, 1},
		{pushPath, "", "", one, 204, 1},
		{legacyPath, proto, "", one, 204, 1},
		{pushPath, proto, "gzip", twice.String(), 204, 1},
		{pushPath, json, "gzip", zipped.String(), 204, 1},
		{pushPath, json, "", `{"streams":[]}`, 204, 0},
		{pushPath, json, "", `{}`, 400, 0},
		{pushPath, json, "", `{"streams":[{"stream":{"a":"b"},"values":[["1","x"],["y","x"]]}]}`, 400, 0},
		{pushPath, json, "", `{"streams":[{"stream":{"a":1},"values":[]}]}`, 400, 0},
		{pushPath, json, "", `{"streams":[{"values":[["1","x"]]}]}`, 400, 0},
		{pushPath, json, "", `{"streams":[{"stream":{},"values":[["1","x",{},"more"]]}]}`, 400, 0},
		{pushPath, json, "", `{"streams":[{"stream":{},"values":[[1,"x"]]}]}`, 400, 0},
		{pushPath, json, "", `{"streams"`, 400, 0},
		{pushPath, proto, "", "no snappy", 400, 0},
		{pushPath, proto, "", string(s2.EncodeSnappy(nil, []byte("\xff\xff"))), 400, 0},
		{pushPath, "text/plain", "", "x", 415, 0},
		{"/loki/api/v1/query", proto, "", "x", 404, 0},
	} {
		rig := newRig(t, "tenant_label: tenant")
		status, answer := rig.Post(t, test.path, test.body, "Content-Type", test.kind, "Content-Encoding",
			test.encoding,
			tenantHeader, "team-a")
		got := rig.Feed.Got()
		if status != test.status || len(got) != test.records {
			t.Errorf("%d: %d %s, %d records", i, status, answer, len(got))
		}
		if len(got) > 0 && (got[0].Source.Label("tenant") != "team-a" || got[0].Source.Label("a") != "b") {
			t.Errorf("%d: the labels are %v", i, got[0].Source.Labels)
		}
		if len(got) > 0 && got[0].Flags&event.KeepsTime == 0 {
			t.Errorf("%d: an entry does not keep its time", i)
		}
		rig.Stop()
	}
}

func TestWhoLooksGetsAnswers(t *testing.T) {
	rig := newRig(t, "")
	defer rig.Stop()
	for path, want := range map[string]string{readyPath: "ready\n", buildPath: `"version":"3.`, "/": "404",
		pushPath: "405"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, rig.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		status, answer := rig.Do(t, r)
		if !strings.Contains(fmt.Sprint(status, answer), want) {
			t.Errorf("%s: %d %s", path, status, answer)
		}
	}
}

func FuzzProtobuf(f *testing.F) {
	r := &push.PushRequest{Streams: []push.Stream{{Labels: `{a="b"}`, Entries: []push.Entry{
		{Timestamp: time.Unix(5, 6), Line: "x", StructuredMetadata: push.LabelsAdapter{{Name: "stream",
			Value: "stdout"}}}}}}}
	body, err := r.Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Add([]byte("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f"))
	f.Fuzz(func(t *testing.T, body []byte) {
		hub := receive.NewHub()
		if err := hub.Begin(t.Context(), pipetest.NewFeed(t), "test"); err != nil {
			t.Fatal(err)
		}
		to := &taker{hub: hub, to: hub.NewRequest()}
		took := to.protobuf(body)
		var theirs push.PushRequest
		if theirs.Unmarshal(body) != nil {
			return
		}
		entries := 0
		for _, s := range theirs.Streams {
			if _, err := parseLabels(s.Labels); err != nil {
				return
			}
			entries += len(s.Entries)
		}
		if took == nil && entries != to.to.Len() {
			t.Errorf("%d entries, and %d are taken", entries, to.to.Len())
		}
	})
}

func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"streams":[{"stream":{"a":"b"},"values":[["1","x",{"trace_id":"1"}]]}]}`))
	f.Add([]byte(`{"streams":[{"labels":"{a=\"b\"}","entries":[{"ts":"2026-11-30T13:00:00Z","line":"old"}]}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		hub := receive.NewHub()
		if err := hub.Begin(t.Context(), pipetest.NewFeed(t), "test"); err != nil {
			t.Fatal(err)
		}
		to := &taker{hub: hub, to: hub.NewRequest()}
		_ = to.json(body)
	})
}

func FuzzLabels(f *testing.F) {
	f.Add(`{a="b", c="d\"\\\n}"}`)
	f.Fuzz(func(t *testing.T, text string) {
		labels, _ := parseLabels(text)
		renamed(labels)
	})
}
