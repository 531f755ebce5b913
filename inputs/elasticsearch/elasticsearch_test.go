package elasticsearch

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	elastic "github.com/elastic/go-elasticsearch/v8"
	"github.com/elastic/go-elasticsearch/v8/esapi"
	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"go.uber.org/goleak"

	"github.com/longshore/longshore/inputs/receive"
	"github.com/longshore/longshore/inputs/receive/receivetest"
	"github.com/longshore/longshore/pipeline"
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

// TestConformance wraps each line in a document, and takes it out again.
func TestConformance(t *testing.T) {
	pipetest.TestInput(t, Spec(), func(t *testing.T) pipetest.InputHarness {
		c := pipetest.Config[*Config](t, Spec(), "listen: 127.0.0.1:0")
		h := receivetest.Harness(t, c, func(url string, lines []string) (*http.Request, error) {
			var body bytes.Buffer
			for _, line := range lines {
				text, err := json.Marshal(line)
				if err != nil {
					return nil, err
				}
				fmt.Fprintf(&body, "{\"create\":{}}\n{\"message\":%s}\n", text)
			}
			return http.NewRequest(http.MethodPost, url+"/logs/_bulk", &body)
		})
		h.Text = true
		make := h.New
		h.New = func(t testing.TB) pipeline.Input { return messages{make(t)} }
		return h
	})
}

const (
	actionA = `{"create":{"_index":"a","_id":"1"}}`
	fine    = `{"@timestamp":"2026-11-30T12:00:00.5Z","message":"x","host":{"name":"h1"}}`
)

// masked hides what differs each time.
func masked(answer string) string {
	answer = regexp.MustCompile(`"took":\d+`).ReplaceAllString(answer, `"took":0`)
	return regexp.MustCompile(`"_id":"[\w-]{20}"`).ReplaceAllString(answer, `"_id":"made"`)
}

// TestItems has each action answered, and every document taken that can be.
func TestItems(t *testing.T) {
	const created = `"_version":1,"result":"created","_shards":{"total":1,"successful":1,"failed":0},"_seq_no":0,` +
		`"_primary_term":1,"status":201`
	body := strings.Join([]string{
		actionA, fine,
		`{"index":{}}`, `{"message":"y"}`,
		"",
		`{"update":{"_id":"2"}}`, `{"doc":{}}`,
		`{"delete":{"_index":"b","_id":3}}`,
		`{"create":{"_index":"b"}}`, `{"message":`,
		`{"create":{"_index":"b","pipeline":"p"}}`, `[1]`,
		`{"create":{"_index":"b"}}`, `{"message":"z"}`,
	}, "\r\n") + "\n"
	rig := newRig(t, "index_label: index\nlabels_from: {host.name: host.name}")
	defer rig.Stop()
	status, answer := rig.Post(t, "/usual/_bulk", body, "Content-Type", "application/x-ndjson")
	const noJSON = `"status":400,"error":{"type":"document_parsing_exception",` +
		`"reason":"failed to parse: the document is ` +
		`no JSON object"}`
	want := `{"took":0,"errors":true,"items":[{"create":{"_index":"a","_id":"1",` + created + `}},` +
		`{"index":{"_index":"usual","_id":"made",` + created + `}},` +
		`{"update":{"_index":"usual","_id":"2","status":400,"error":{"type":"illegal_argument_exception",` +
		`"reason":"update is not taken here: only create and index are"}}},` +
		`{"delete":{"_index":"b","_id":"3","status":400,"error":{"type":"illegal_argument_exception",` +
		`"reason":"delete is not taken here: only create and index are"}}},` +
		`{"create":{"_index":"b","_id":"",` + noJSON + `}},{"create":{"_index":"b","_id":"",` + noJSON + `}},` +
		`{"create":{"_index":"b","_id":"made",` + created + `}}]}`
	if status != 200 || masked(answer) != want {
		t.Errorf("%d\n%s\n%s", status, masked(answer), want)
	}
	var got []string
	for _, g := range rig.Feed.Got() {
		got = append(got, g.Source.Label("index")+" "+g.Source.Label("host.name")+" "+g.Line)
	}
	if diff := cmp.Diff([]string{"a h1 " + fine, `usual  {"message":"y"}`, `b  {"message":"z"}`}, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if g := rig.Feed.Got()[0]; g.Time != 1796040000_500000000 || g.Flags&event.KeepsTime == 0 {
		t.Errorf("the time is %d, %v", g.Time, g.Flags)
	}
}

func TestFilterPath(t *testing.T) {
	for path, want := range map[string]string{
		"errors,items.*.error,items.*.status": `{"errors":false,"items":[{"create":{"status":201}}]}`,
		"errors,items.*.error,items.*.status,items.*._id": `{"errors":false,"items":[{"create":{"_id":"1",` +
			`"status":201}}]}`,
		"errors":          `{"errors":false}`,
		"took":            `{"took":0}`,
		"err*,items.*.s*": `{"errors":false,"items":[{"create":{"status":201}}]}`,
		"**.status":       `{"items":[{"create":{"status":201}}]}`,
		"none":            `{}`,
	} {
		rig := newRig(t, "")
		status, answer := rig.Post(t, "/_bulk?filter_path="+path, actionA+"\n"+fine)
		if status != 200 || masked(answer) != want {
			t.Errorf("%s: %d %s, want %s", path, status, answer, want)
		}
		rig.Stop()
	}
}

// TestWrongRequests takes nothing of them.
func TestWrongRequests(t *testing.T) {
	for body, want := range map[string]string{
		"":                                     "request body is required",
		"\n\n":                                 "request body is required",
		"no JSON\n{}\n":                        "no JSON",
		"{}\n{}\n":                             "one member",
		`{"create":{},"a":{}}`:                 "found [a]",
		`{"make":{}}` + "\n{}\n":               "found [make]",
		`{"create":1}`:                         "object as its value",
		`{"create":{}}` + "\n{}":               "index is missing",
		actionA + "\n" + fine + "\n" + actionA: "no document behind it",
		actionA + "\n" + fine + "\n[1]\n":      "line [3]",
		`{"create":{"_index":"` + strings.Repeat("x", 256) + `"}}` + "\n{}\n": "at most 255",
	} {
		rig := newRig(t, "")
		status, answer := rig.Post(t, "/_bulk", body)
		if status != 400 || !strings.Contains(answer, want) || !json.Valid([]byte(answer)) || len(rig.Feed.Got()) > 0 {
			t.Errorf("%.80q: %d %s", body, status, answer)
		}
		rig.Stop()
	}
}

// TestOwnDocuments are the records that they were, with their identity.
func TestOwnDocuments(t *testing.T) {
	b := &event.Batch{}
	src := event.NewSource(0x0123456789abcdef, "in", "key", []event.Label{
		{Name: event.LabelHost, Value: "h"}, {Name: event.LabelContainerName, Value: "web"}, {Name: "env",
			Value: "prod"}})
	b.Reset(src)
	r := b.Add(77, 1796040000_500000000, b.PutString("a line"))
	r.Level = event.Warn
	b.AddField(0, event.Value{Span: b.PutString("user"), Kind: event.Text},
		event.Value{Span: b.PutString("ann"), Kind: event.Text})
	record := string(event.AppendRecord(nil, b, 0, true))
	document := `{"@timestamp":"2026-11-30T12:00:00.500Z",` + record[1:]
	const id = "ASNFZ4mrze8AAAAAAAAATQ"
	feed := pipetest.NewFeed(t)
	hub := receive.NewHub()
	if err := hub.Begin(t.Context(), feed, "test"); err != nil {
		t.Fatal(err)
	}
	to := &taker{handler: &handler{hub: hub}, to: hub.NewRequest()}
	body := `{"create":{"_index":"a","_id":"` + id + `"}}` + "\n" + document + "\n" +
		`{"create":{"_index":"a","_id":"` + id + `"}}` + "\n" +
		`{"@timestamp":"2026-11-30T12:00:00.500Z","timestamp":"odd"}`
	if err := to.take([]byte(body)); err != nil {
		t.Fatal(err)
	}
	batches := to.to.Batches()
	if len(batches) != 2 {
		t.Fatalf("%d batches", len(batches))
	}
	const want = `{"timestamp":"2026-11-30T12:00:00.500Z","level":"warn","message":"a line",` +
		`"container.name":"web","host.name":"h","env":"prod","user":"ann"}`
	if got := string(event.AppendRecord(nil, batches[0], 0, true)); got != want {
		t.Errorf("\n%s\n%s", got, want)
	}
	if source, pos := batches[0].IdentityOf(0); source != src.ID || pos != 77 {
		t.Errorf("it is %s %d", source, pos)
	}
	if got := batches[0].Source.Label(event.LabelContainerName); got != "web" {
		t.Errorf("its container is %q", got)
	}
	if line := string(batches[1].Line(0)); !strings.Contains(line, `"odd"`) {
		t.Errorf("what is no record is %s", line)
	}
}

// TestTheClient has Elastic's own client send: it looks who answers it.
func TestTheClient(t *testing.T) {
	rig := newRig(t, "token: s3cret")
	defer rig.Stop()
	client, err := elastic.NewClient(elastic.Config{
		Addresses: []string{rig.URL}, Username: "elastic", Password: "s3cret", CompressRequestBody: true,
		Transport: rig.Client.Transport,
	})
	if err != nil {
		t.Fatal(err)
	}
	info, err := client.Info()
	if err != nil || info.IsError() {
		t.Fatal(info, err)
	}
	info.Body.Close()
	answer, err := client.Bulk(strings.NewReader(actionA+"\n"+fine+"\n"), client.Bulk.WithIndex("usual"))
	if err != nil || answer.IsError() {
		t.Fatal(answer, err)
	}
	defer answer.Body.Close()
	var parsed struct {
		Errors bool
		Items  []map[string]struct{ Status int }
	}
	if err := json.NewDecoder(answer.Body).Decode(&parsed); err != nil {
		t.Fatal(err)
	}
	if parsed.Errors || len(parsed.Items) != 1 || parsed.Items[0]["create"].Status != 201 {
		t.Errorf("%+v", parsed)
	}
	for name, ask := range map[string]func() (*esapi.Response, error){
		"health":   func() (*esapi.Response, error) { return client.Cluster.Health() },
		"license":  func() (*esapi.Response, error) { return client.License.Get() },
		"xpack":    func() (*esapi.Response, error) { return client.XPack.Info() },
		"ping":     func() (*esapi.Response, error) { return client.Ping() },
		"nodes":    func() (*esapi.Response, error) { return client.Nodes.Info() },
		"template": func() (*esapi.Response, error) { return client.Indices.ExistsIndexTemplate("filebeat") },
		"put": func() (*esapi.Response, error) {
			return client.Indices.PutIndexTemplate("x",
				strings.NewReader("{}"))
		},
		"ilm":      func() (*esapi.Response, error) { return client.ILM.GetLifecycle() },
		"pipeline": func() (*esapi.Response, error) { return client.Ingest.PutPipeline("p", strings.NewReader("{}")) },
		"alias":    func() (*esapi.Response, error) { return client.Indices.ExistsAlias([]string{"logstash"}) },
		"stream":   func() (*esapi.Response, error) { return client.Indices.GetDataStream() },
		"exists":   func() (*esapi.Response, error) { return client.Indices.Exists([]string{"logs"}) },
		"create":   func() (*esapi.Response, error) { return client.Indices.Create("logs") },
	} {
		answer, err := ask()
		if err != nil || answer.StatusCode != 200 {
			t.Errorf("%s: %v %v", name, answer, err)
			continue
		}
		body, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		if len(body) > 0 && !json.Valid(body) {
			t.Errorf("%s: %s", name, body)
		}
	}
	search, err := client.Search()
	if err != nil || search.StatusCode != 400 {
		t.Errorf("a query: %v %v", search, err)
	}
	search.Body.Close()
}

// TestSenders makes requests in the forms of Filebeat 8, Fluent Bit, Logstash and Vector, by hand.
func TestSenders(t *testing.T) {
	const vendor = "application/vnd.elasticsearch+json; compatible-with=8"
	for name, test := range map[string]struct {
		path, kind, accept, body string
		packed                   bool
	}{
		"filebeat": {"/_bulk?filter_path=errors%2Citems.%2A.error%2Citems.%2A.status",
			"application/json; charset=UTF-8",
			"application/json", `{"create":{"_index":"filebeat-8.17.0"}}` + "\n" +
				`{"@timestamp":"2026-11-30T12:00:00.500Z",` +
				`"log":{"offset":0,"file":{"path":"/var/log/app.log"}},"message":"x","input":{"type":"filestream"},` +
				`"ecs":{"version":"8.0.0"},"host":{"name":"h1"},"agent":{"type":"filebeat",` +
				`"version":"8.17.0"}}` + "\n", true},
		"fluent-bit": {"/_bulk", "application/x-ndjson", "", `{"create":{"_index":"fluent-bit"}}` + "\n" +
			`{"@timestamp":"2026-11-30T12:00:00.500Z","log":"x"}` + "\n", false},
		"logstash": {"/_bulk?filter_path=errors,items.*.error,items.*.status", "application/json", "application/json",
			`{"create":{"_id":null,"_index":"logs-generic-default","routing":null}}` + "\n" +
				`{"@timestamp":"2026-11-30T12:00:00.500Z","message":"x","@version":"1"}` + "\n", true},
		"vector": {"/_bulk?timeout=60s", "application/x-ndjson", vendor,
			`{"create":{"_index":"vector-2026.11.30"}}` + "\n" +
				`{"@timestamp":"2026-11-30T12:00:00.500Z","message":"x"}` + "\n", true},
	} {
		t.Run(name, func(t *testing.T) {
			rig := newRig(t, "")
			defer rig.Stop()
			encoding := ""
			if test.packed {
				var packed bytes.Buffer
				z := gzip.NewWriter(&packed)
				io.WriteString(z, test.body)
				z.Close()
				test.body, encoding = packed.String(), "gzip"
			}
			status, answer := rig.Post(t, test.path, test.body, "Content-Type", test.kind, "Accept", test.accept,
				"Content-Encoding", encoding)
			if status != 200 || !strings.Contains(answer, `"errors":false`) || !strings.Contains(answer,
				`"status":201`) {
				t.Errorf("%d %s", status, answer)
			}
			if got := rig.Feed.Got(); len(got) != 1 || got[0].Time != 1796040000_500000000 {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestTimes(t *testing.T) {
	for document, want := range map[string]int64{
		`{"@timestamp":"2026-11-30T12:00:00.5Z"}`:       1796040000_500000000,
		`{"@timestamp":"2026-11-30T13:00:00.500+0100"}`: 1796040000_500000000,
		`{"@timestamp":1796040000500}`:                  1796040000_500000000,
		`{"@timestamp":"1796040000500"}`:                1796040000_500000000,
		`{"@timestamp":"9999-01-01T00:00:00Z"}`:         0,
		`{"@timestamp":99999999999999999}`:              0,
		`{"@timestamp":{}}`:                             0,
		`{"a":{"@timestamp":1}}`:                        0,
	} {
		if got := timeOf([]byte(document)); got != want {
			t.Errorf("%s: %d, want %d", document, got, want)
		}
	}
}

func TestConfigs(t *testing.T) {
	if len((&Config{Listen: "127.0.0.1:1", Version: "8"}).Check()) != 1 {
		t.Error("a version of one number is taken")
	}
	if len((&Config{Listen: ":9200", Version: "8.17.0"}).Warnings()) == 0 {
		t.Error("an address that everybody reaches is not warned of")
	}
}

func FuzzBulk(f *testing.F) {
	f.Add([]byte(actionA+"\n"+fine+"\n"), "errors,items.*.status")
	f.Add([]byte(`{"delete":{"_index":"b"}}`+"\n"+`{"index":{"_index":"b","_id":"ASNFZ4mrze8AAAAAAAAATQ"}}`+"\n"+
		`{"@timestamp":"","timestamp":"2026-11-30T12:00:00.500Z","message":"a"}`), "")
	f.Fuzz(func(t *testing.T, body []byte, path string) {
		hub := receive.NewHub()
		if err := hub.Begin(t.Context(), pipetest.NewFeed(t), "test"); err != nil {
			t.Fatal(err)
		}
		to := &taker{handler: &handler{hub: hub, labels: labelsFrom(map[string]string{"host.name": "h"})},
			to: hub.NewRequest()}
		if to.take(body) != nil {
			return
		}
		taken := 0
		for _, i := range to.items {
			if i.refused == "" {
				taken++
			}
		}
		if taken != to.to.Len() {
			t.Errorf("%d are answered as taken, and %d are", taken, to.to.Len())
		}
		if answer := to.appendAnswer(nil, 0, filterOf(path)); !json.Valid(answer) {
			t.Errorf("the answer is %q", answer)
		}
	})
}
