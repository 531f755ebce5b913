package loki

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/outputs/httpclient"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
	"github.com/longshore/longshore/pipeline/tlsfiles"
)

func TestCheck(t *testing.T) {
	many := map[string]string{}
	for i := range 16 {
		many[fmt.Sprint("l", i)] = "x"
	}
	tests := map[string]struct {
		config Config
		want   []string // "path: head of the message"
	}{
		"good":     {Config{URL: "http://loki:3100"}, nil},
		"no url":   {Config{}, []string{"url: is not a URL"}},
		"not http": {Config{URL: "loki:3100"}, []string{"url: is not a URL"}},
		"two users": {Config{URL: "http://u:p@loki",
			Settings: httpclient.Settings{Auth: httpclient.Auth{Username: "u"}}},
			[]string{"url: names a user"}},
		"path":   {Config{URL: "http://l", Path: "push"}, []string{"path: must begin with /"}},
		"tenant": {Config{URL: "http://l", TenantID: "a\nb"}, []string{"tenant_id: has characters"}},
		"tenant twice": {Config{URL: "http://l", TenantID: "a",
			Settings: httpclient.Settings{Headers: map[string]pipeline.Secret{"x-scope-orgid": "b"}}},
			[]string{"headers.x-scope-orgid: would overwrite"}},
		"header": {Config{URL: "http://l", Settings: httpclient.Settings{Headers: map[string]pipeline.Secret{"a " +
			"b": "b"}}},
			[]string{"headers.a b: is not a header name"}},
		"open brace": {Config{URL: "http://l", Labels: map[string]string{"a": "x{service"}},
			[]string{"labels.a: has a { without"}},
		"closing brace": {Config{URL: "http://l", Labels: map[string]string{"a": "x}y"}},
			[]string{"labels.a: has a } without"}},
		"no field": {Config{URL: "http://l", Labels: map[string]string{"a": "{ }"}},
			[]string{"labels.a: has no field"}},
		"trace as a label": {Config{URL: "http://l", Labels: map[string]string{"a": "{trace_id}"}},
			[]string{"labels.a: must not use {trace_id}"}},
		"Loki's own": {Config{URL: "http://l", Labels: map[string]string{"__a": "x"}},
			[]string{"labels.__a: begins with __"}},
		"same name": {Config{URL: "http://l", Labels: map[string]string{"a.b": "x", "a-b": "y"}},
			[]string{"labels.a.b: becomes a_b in Loki, as a-b does"}},
		"a long name": {Config{URL: "http://l", Labels: map[string]string{strings.Repeat("n", 1024): "x",
			strings.Repeat("é", 1025): "y"}}, []string{"labels." + strings.Repeat("é", 1025) + ": has a name of 1025"}},
		"too many": {Config{URL: "http://l", Labels: many}, []string{"labels: has 16 labels"}},
		"files": {Config{URL: "http://l",
			Settings: httpclient.Settings{TLS: tlsfiles.Client{CAFile: "/does/not/exist"}}},
			[]string{"tls.ca_file: cannot be read"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			problems := test.config.Check()
			if len(problems) != len(test.want) {
				t.Fatalf("got %v, want %v", problems, test.want)
			}
			for i, p := range problems {
				if !strings.HasPrefix(p.Path+": "+p.Message, test.want[i]) {
					t.Errorf("got %v, want %s", p, test.want[i])
				}
			}
		})
	}
}

func TestPushURL(t *testing.T) {
	for given, want := range map[string]string{
		"http://loki:3100":                   "http://loki:3100/loki/api/v1/push",
		"http://loki:3100/":                  "http://loki:3100/loki/api/v1/push",
		"http://gw/logs/":                    "http://gw/logs/loki/api/v1/push",
		"http://loki:3100/loki/api/v1/push":  "http://loki:3100/loki/api/v1/push",
		"http://vl/insert?_stream_fields=ab": "http://vl/insert/loki/api/v1/push?_stream_fields=ab",
	} {
		u, err := withDefaults(t, Config{URL: given}).pushURL()
		if err != nil || u.String() != want {
			t.Errorf("%s: got %s, %v; want %s", given, u, err, want)
		}
	}
}

func TestLabelNames(t *testing.T) {
	for given, want := range map[string]string{
		"app": "app", "a.b-c": "a_b_c", "9lives": "_9lives", "größe": "gr__e", "": "_",
	} {
		if got := labelName(given); got != want {
			t.Errorf("%q: got %q, want %q", given, got, want)
		}
	}
}

func TestLabelSets(t *testing.T) {
	file := event.NewSource(2, "files", "f", []event.Label{
		{Name: event.LabelHost, Value: "h1"}, {Name: event.LabelFile, Value: "/f.log"}, {Name: "env", Value: "test"},
	})
	both := event.NewSource(3, "docker", "c", []event.Label{
		{Name: event.LabelContainerName, Value: "c1"}, {Name: event.LabelFile, Value: "/c.log"},
	})
	nothing := event.NewSource(4, "stdin", "-", nil)
	field := func(key, value string, kind event.Kind) func(b *event.Batch) {
		return func(b *event.Batch) {
			b.AddField(0, event.Value{Span: b.PutString(key), Kind: event.Plain},
				event.Value{Span: b.PutString(value), Kind: kind})
		}
	}
	service := func(name string) func(b *event.Batch) {
		return func(b *event.Batch) { b.Records[0].Service = event.Value{Span: b.PutString(name), Kind: event.Text} }
	}
	tests := map[string]struct {
		labels map[string]string
		src    *event.Source
		build  func(b *event.Batch)
		want   string
	}{
		"a container": {nil, container("web"), nil,
			`{compose_project="shop", container="shop-web-1", host="h1", service_name="web"}`},
		"its line says more": {nil, container("web"), service("checkout"),
			`{compose_project="shop", container="shop-web-1", host="h1", service_name="checkout"}`},
		"a file":               {nil, file, nil, `{filename="/f.log", host="h1", service_name="unknown_service"}`},
		"a container's file":   {nil, both, nil, `{container="c1", service_name="unknown_service"}`},
		"nothing":              {nil, nothing, nil, `{service_name="unknown_service"}`},
		"nothing of one's own": {map[string]string{"a": "{b}"}, nothing, nil, `{service_name="unknown_service"}`},
		"text and fields": {map[string]string{"z": "x-{env}-{ n }", "a.b": "1"}, file,
			field("n", "7", event.Number), `{a_b="1", z="x-test-7"}`},
		"escapes": {map[string]string{"a": "{n}"}, file, field("n", `q\"\n\u00e4`, event.Escaped),
			`{a="q\" ä"}`},
		"bad UTF-8": {map[string]string{"a": "{n}"}, file, field("n", "a\xff\"", event.Text),
			`{a="a?\""}`},
		"half a character": {map[string]string{"a": "{n}"}, file, field("n", `caf\ud800e \udc00`, event.Escaped),
			`{a="caf?e ?"}`},
		"what stands for bad UTF-8": {map[string]string{"a": "x{n}"}, file, field("n", "\ufffd", event.Plain),
			`{a="x?"}`},
		"bad UTF-8 in a label of the source": {map[string]string{"a": "{filename}"},
			event.NewSource(5, "files", "f", []event.Label{{Name: event.LabelFile, Value: "/gr\xf6\xdfe.log"}}), nil,
			`{a="/gr?e.log"}`},
		"null is nothing": {map[string]string{"a": "{n}", "b": "c"}, file, field("n", "null", event.Null),
			`{b="c"}`},
		"a line cannot claim": {map[string]string{"container": "{container.name}", "b": "c"}, file,
			field(event.LabelContainerName, "evil", event.Plain), `{b="c"}`},
		"nor overwrite a label": {map[string]string{"env": "{env}"}, file, field("env", "evil", event.Plain),
			`{env="test"}`},
		"long values are cut": {map[string]string{"a": "{n}"}, file,
			field("n", strings.Repeat("ä", 2000), event.Plain), `{a="` + strings.Repeat("ä", 1024) + `"}`},
		"level, and none of one": {map[string]string{"level": "{level}", "b": "c"}, file, nil, `{b="c"}`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			o := newOutput(t, Config{Labels: test.labels})
			b := batchOf(test.src, "line")
			if test.build != nil {
				test.build(b)
			}
			body := fill(t, o, b, b)
			if diff := cmp.Diff([]string{test.want}, body.Groups); diff != "" {
				t.Error(diff)
			}
			if pairs := splitLabelSet(body.Groups[0]); pairs == nil {
				t.Errorf("%s cannot be read back", body.Groups[0])
			}
		})
	}
}

func TestRunawayLabelValues(t *testing.T) {
	var logged bytes.Buffer
	registry := prometheus.NewRegistry()
	env := pipetest.Env(t)
	env.Log, env.Metrics = slog.New(slog.NewTextHandler(&logged, nil)), registry
	config := Config{URL: "http://l", Labels: map[string]string{"user": "{user}"}, MaxLabelValues: 3}
	out, err := withDefaults(t, config).Output(env)
	if err != nil {
		t.Fatal(err)
	}
	o := out.(*Output)
	b := batchOf(container("web"), make([]string, 6000)...)
	for i := range b.Records {
		b.AddField(i, event.Value{Span: b.PutString("user"), Kind: event.Plain},
			event.Value{Span: b.PutString(fmt.Sprint("u", i)), Kind: event.Plain})
	}
	body := fill(t, o, b, b)
	want := []string{`{user="u0"}`, `{user="u1"}`, `{user="u2"}`, `{user="other"}`}
	if diff := cmp.Diff(want, body.Groups); diff != "" {
		t.Error(diff)
	}
	if lines := strings.Count(logged.String(), "\n"); lines != 1 || !strings.Contains(logged.String(), "label=user") {
		t.Errorf("logged %s", &logged)
	}
	if n := gathered(t, registry, "longshore_loki_label_values_replaced_total"); n < 5997 {
		t.Errorf("counted %v", n)
	}
	again, err := config.Output(env) // a reload
	if err != nil {
		t.Fatal(err)
	}
	if again.(*Output).metrics.replaced != o.metrics.replaced {
		t.Error("the metrics began anew")
	}
}

func TestFollowingRecordsFindTheirStream(t *testing.T) {
	o := newOutput(t, Config{})
	web, db := batchOf(container("web"), "a", "b"), batchOf(container("db"), "c")
	web.Records[1].Service = event.Value{Span: web.PutString("api"), Kind: event.Plain}
	body, enc := &pipeline.Body{}, o.Encoder()
	var got []string
	for range 2 {
		body.Reset()
		for _, b := range []*event.Batch{db, web, web, db} {
			for i := range b.Records {
				encode(t, enc, body, b, i)
				pairs := splitLabelSet(body.Groups[body.Items[len(body.Items)-1].Group])
				got = append(got, pairs[len(pairs)-1])
			}
		}
	}
	const w, a, d = `service_name="web"`, `service_name="api"`, `service_name="db"`
	if diff := cmp.Diff([]string{d, w, a, w, a, d, d, w, a, w, a, d}, got); diff != "" {
		t.Error(diff)
	}
}

// gathered returns the value of a metric's first line.
func gathered(t *testing.T, registry *prometheus.Registry, name string) float64 {
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			m := f.GetMetric()[0]
			return m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return 0
}
