package splunk

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

// A fakeHEC does what Splunk's documentation says of the HTTP Event Collector.
type fakeHEC struct {
	*httptest.Server
	mu      sync.Mutex
	events  []hecEvent
	headers []http.Header
	// answer may answer in place of the collector, and says so.
	answer func(w http.ResponseWriter, r *http.Request) bool
	acks   bool // the token has acknowledgement
	asked  int  // how often acknowledgement was asked for; it is given at the third time
}

type hecEvent struct {
	Time                            json.Number
	Host, Source, Sourcetype, Index string
	Fields                          map[string]string
	Event                           json.RawMessage
}

func newFakeHEC(t testing.TB) *fakeHEC {
	s := &fakeHEC{}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *fakeHEC) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.headers = append(s.headers, r.Header)
	says := func(status, code int, text string) {
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"text":%q,"code":%d}`, text, code)
	}
	switch {
	case s.answer != nil && s.answer(w, r):
	case r.URL.Path == "/services/collector/health":
		says(200, 17, "HEC is healthy")
	case r.Header.Get("Authorization") != "Splunk a-secret-token":
		says(403, 4, "Invalid token")
	case s.acks && r.Header.Get("X-Splunk-Request-Channel") == "":
		says(400, 10, "Data channel is missing")
	case r.URL.Path == "/services/collector/ack":
		s.asked++
		fmt.Fprintf(w, `{"acks":{"7":%t}}`, s.asked == 3)
	case r.URL.Path == "/services/collector/event":
		s.take(w, r, says)
	default:
		says(404, 404, "Not Found")
	}
}

func (s *fakeHEC) take(w http.ResponseWriter, r *http.Request, says func(status, code int, text string)) {
	var from io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		from, _ = gzip.NewReader(r.Body)
	}
	text, err := io.ReadAll(from)
	if err != nil || len(text) == 0 {
		says(400, 5, "No data")
		return
	}
	events := json.NewDecoder(bytes.NewReader(text))
	var taken []hecEvent
	for events.More() {
		var e hecEvent
		if events.Decode(&e) != nil || len(e.Event) == 0 || string(e.Event) == `""` {
			w.WriteHeader(400)
			fmt.Fprintf(w, `{"text":"Event field is required","code":12,"invalid-event-number":%d}`, len(taken))
			return
		}
		taken = append(taken, e)
	}
	s.events = append(s.events, taken...)
	if s.acks {
		fmt.Fprint(w, `{"text":"Success","code":0,"ackId":7}`)
		return
	}
	says(200, 0, "Success")
}

// messages returns those of the events, which are records or lines.
func (s *fakeHEC) messages(t testing.TB) (all []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		var line string
		var record struct{ Message string }
		if json.Unmarshal(e.Event, &line) != nil {
			if err := json.Unmarshal(e.Event, &record); err != nil {
				t.Errorf("%.100q: %v", e.Event, err)
			}
			line = record.Message
		}
		all = append(all, line)
	}
	return all
}

func open(t testing.TB, url, more string) *Output {
	t.Helper()
	yaml := "url: " + url + "\ntoken: a-secret-token\n" + more
	out, err := pipetest.Config[*Config](t, Spec(), yaml).Output(pipetest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = out.Close() })
	return out.(*Output)
}

func TestConformance(t *testing.T) {
	for _, settings := range []string{"line_format: json", "line_format: raw", "compression: none"} {
		t.Run(settings, func(t *testing.T) {
			pipetest.TestOutput(t, func(t *testing.T) pipetest.OutputHarness {
				s := newFakeHEC(t)
				return pipetest.OutputHarness{
					Output: open(t, s.URL, settings),
					Stored: s.messages,
					Away:   func(testing.TB) { s.Close() },
				}
			})
		})
	}
}

const noon = 1_700_000_000_123_456_789

func bodyOf(t testing.TB, o *Output, labels []event.Label, lines ...string) *pipeline.Body {
	t.Helper()
	b := &event.Batch{}
	b.Reset(event.NewSource(1, "in", "key", labels))
	body, encoder := &pipeline.Body{}, o.Encoder()
	for i, line := range lines {
		r := b.Add(uint64(i), noon, b.PutString(line))
		r.Level = event.Warn
		if _, err := encoder.Encode(body, b, i); err != nil {
			t.Fatal(err)
		}
		body.Items = append(body.Items, pipeline.Item{Pos: uint64(i), End: uint32(len(body.Bytes))})
	}
	return body
}

// TestEvents: what is sent of a record, byte by byte.
func TestEvents(t *testing.T) {
	labels := []event.Label{{Name: "host.name", Value: "web-1"}, {Name: "filename", Value: `/a/",\"event\":`},
		{Name: "service", Value: "shop"}}
	for settings, want := range map[string]string{
		"": `{"time":1700000000.123456,"host":"web-1","source":"/a/\",\\\"event\\\":","event":{` +
			`"timestamp":"2023-11-14T22:13:20.123456789Z","level":"warn","message":"a \"line\"","service":"shop",` +
			`"filename":"/a/\",\\\"event\\\":","host.name":"web-1"}}`,
		"{line_format: raw, source: '{service}', sourcetype: app, index: 'logs_{service}', host: '', " +
			"fields: {level: '{level}', none: '{none}', service: x}}": `{"time":1700000000.123456,"source":"shop",` +
			`"sourcetype":"app","index":"logs_shop","fields":{"level":"warn","service":"x"},"event":"a \"line\""}`,
	} {
		yaml := strings.TrimSuffix(strings.TrimPrefix(settings, "{"), "}")
		if settings != "" {
			yaml = "{url: 'http://x', token: a-secret-token, " + yaml + "}"
		} else {
			yaml = "{url: 'http://x', token: a-secret-token}"
		}
		out, err := pipetest.Config[*Config](t, Spec(), yaml).Output(pipetest.Env(t))
		if err != nil {
			t.Fatal(err)
		}
		o := out.(*Output)
		body := bodyOf(t, o, labels, `a "line"`, " ")
		if diff := cmp.Diff(want+"\n", string(body.Item(0))); diff != "" {
			t.Error(diff)
		}
		if text := string(o.Original(body, 0)); !strings.Contains(text, "line") || strings.Contains(text, `"event":`) {
			t.Errorf("the original is %s", text)
		}
		if text := string(body.Item(1)); !strings.Contains(text, `"event":{`) {
			t.Errorf("a blank line is %s", text)
		}
		_ = o.Close()
	}
}

func TestTimes(t *testing.T) {
	for ns, want := range map[int64]string{0: "0.000000", 1_000: "0.000001", noon: "1700000000.123456",
		-1_500_000: "-0.001500"} {
		if got := string(appendTime(nil, ns)); got != want {
			t.Errorf("%d: %s, want %s", ns, got, want)
		}
	}
}

// TestAnswers: what each answer means.
func TestAnswers(t *testing.T) {
	type answers struct {
		status         int
		said, settings string
		want           pipeline.Outcome
		uncertain      bool
		items, reason  string // outcomes, item by item; words of the reason
	}
	said := func(code int, text string) string { return fmt.Sprintf(`{"text":%q,"code":%d}`, text, code) }
	of := func(code, event int) string {
		return fmt.Sprintf(`{"text":"no","code":%d,"invalid-event-number":%d}`, code, event)
	}
	const template, acks = "index: 'logs_{service}'", "acknowledge: true"
	const hold, retry, bisect, split = pipeline.Hold, pipeline.Retry, pipeline.Bisect, pipeline.Split
	tests := map[string]answers{
		"token disabled":     {403, said(1, "Token disabled"), "", hold, false, "", "Token disabled"},
		"no authorization":   {401, said(3, "Invalid authorization"), "", hold, false, "", "code 3"},
		"invalid token":      {403, said(4, "Invalid token"), "", hold, false, "", "check token"},
		"no data":            {400, said(5, "No data"), "", hold, false, "", "No data"},
		"invalid":            {400, said(6, "Invalid data format"), "", bisect, false, "", "format"},
		"one invalid":        {400, of(6, 1), "", retry, true, "retry reject retry", ""},
		"one blank":          {400, of(13, 0), "", retry, true, "reject retry retry", ""},
		"indexed fields":     {400, of(15, 2), "", retry, true, "retry retry reject", ""},
		"none of them":       {400, of(6, 9), "", bisect, false, "", ""},
		"the index":          {400, of(7, 1), "", hold, false, "", "allow the token"},
		"an index":           {400, of(7, 1), template, retry, true, "retry hold retry", ""},
		"broken":             {500, said(8, "Internal server error"), "", retry, true, "", "Internal"},
		"busy":               {503, said(9, "Server is busy"), "", retry, false, "", "busy"},
		"wants ack":          {400, said(10, "Data channel is missing"), "", hold, false, "", "acknowledge: true"},
		"no ack":             {400, said(14, "ACK is disabled"), "", hold, false, "", "acknowledge: false"},
		"queues full":        {503, said(18, "HEC is unhealthy, queues are full"), "", retry, false, "", ""},
		"shutting down":      {503, said(23, "Server is shutting down"), "", retry, false, "", ""},
		"many":               {429, said(26, "Queue at capacity"), "", retry, false, "", ""},
		"too large":          {413, said(27, "Request entity too large"), "", split, false, "", ""},
		"a gateway":          {502, `<html>`, "", retry, true, "", "Bad Gateway"},
		"a gateway's 400":    {400, `<html>`, "", hold, false, "", "Bad Request"},
		"a login page":       {200, `<html>`, "", hold, true, "", "not that of an HTTP Event Collector"},
		"another's success":  {200, `{"ok":true}`, "", hold, true, "", "not that of an HTTP Event Collector"},
		"200, and not":       {200, said(9, "Server is busy"), "", retry, false, "", "busy"},
		"no acknowledgement": {200, said(0, "Success"), acks, hold, true, "", "does not acknowledge"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newFakeHEC(t)
			s.answer = func(w http.ResponseWriter, _ *http.Request) bool {
				w.WriteHeader(test.status)
				fmt.Fprint(w, test.said)
				return true
			}
			o := open(t, s.URL, test.settings)
			err := o.Send(t.Context(), bodyOf(t, o, nil, "a", "b", "c"))
			var failed *pipeline.SendError
			if !errors.As(err, &failed) {
				t.Fatalf("Send: %v", err)
			}
			var items []string
			for _, item := range failed.Items {
				items = append(items, item.Outcome.String())
			}
			if failed.Outcome != test.want || failed.Uncertain != test.uncertain ||
				strings.Join(items, " ") != test.items || !strings.Contains(failed.Reason, test.reason) {
				t.Errorf("Send: %+v", failed)
			}
			if strings.Contains(fmt.Sprint(err), "a-secret-token") {
				t.Errorf("Send shows the token: %v", err)
			}
		})
	}
}

// TestAcknowledgement: a request ends when the indexers have its events.
func TestAcknowledgement(t *testing.T) {
	s := newFakeHEC(t)
	s.acks = true
	o := open(t, s.URL, "acknowledge: true")
	if err := o.Send(t.Context(), bodyOf(t, o, nil, "a")); err != nil {
		t.Fatal(err)
	}
	if s.asked != 3 {
		t.Errorf("it was asked %d times", s.asked)
	}
	channels := map[string]bool{}
	for _, h := range s.headers {
		channels[h.Get("X-Splunk-Request-Channel")] = true
	}
	if len(channels) != 1 || channels[""] {
		t.Errorf("channels: %v", channels)
	}
}

// TestNoAcknowledgement: events that the indexers do not have in time are sent again.
func TestNoAcknowledgement(t *testing.T) {
	s := newFakeHEC(t)
	s.acks = true
	s.asked = 10
	o := open(t, s.URL, "acknowledge: true")
	o.ackTimeout = 400 * time.Millisecond
	var failed *pipeline.SendError
	err := o.Send(t.Context(), bodyOf(t, o, nil, "a"))
	if !errors.As(err, &failed) || failed.Outcome != pipeline.Retry || !failed.Uncertain {
		t.Errorf("Send: %+v", err)
	}
}

func TestCheck(t *testing.T) {
	for yaml, want := range map[string]string{
		"url: splunk:8088\ntoken: x":                                       "url",
		"url: http://u:p@splunk:8088\ntoken: x":                            "url",
		"url: http://splunk:8088\ntoken: \"a\\nb\"":                        "token",
		"url: http://splunk:8088\ntoken: x\nindex: '{'":                    "index",
		"url: http://splunk:8088\ntoken: x\nfields: {a: '{'}":              "fields.a",
		"url: http://splunk:8088\ntoken: x\nheaders: {authorization: x}":   "headers.authorization",
		"url: http://splunk:8088\ntoken: x\nheaders: {X-A: b}\nindex: 'x'": "",
	} {
		_, err := config.Settings(Spec(), yaml)
		if (err != nil) != (want != "") || err != nil && !strings.HasPrefix(err.Error(), want+": ") {
			t.Errorf("%s: %v, want a problem with %q", yaml, err, want)
		}
	}
}

// TestCollectorURL: what other programs are told is understood.
func TestCollectorURL(t *testing.T) {
	for url, want := range map[string]string{
		"http://x:8088":                               "http://x:8088/services/collector",
		"http://x:8088/services/collector":            "http://x:8088/services/collector",
		"http://x:8088/services/collector/event/":     "http://x:8088/services/collector",
		"http://x:8088/services/collector/event/1.0":  "http://x:8088/services/collector",
		"http://x:8088/insert/splunk":                 "http://x:8088/insert/splunk/services/collector",
		"http://x:8088/in/services/collector/raw?a=b": "http://x:8088/in/services/collector",
	} {
		if got := open(t, url, "").Location(); got != want {
			t.Errorf("%s: %s, want %s", url, got, want)
		}
	}
}

// TestExamine: what doctor tells; nothing is written for it.
func TestExamine(t *testing.T) {
	s := newFakeHEC(t)
	for token, want := range map[string]pipeline.FindingState{
		"a-secret-token": pipeline.FoundFine, "another": pipeline.FoundBroken,
	} {
		yaml := fmt.Sprintf("url: %s\ntoken: %s", s.URL, token)
		out, err := pipetest.Config[*Config](t, Spec(), yaml).Output(pipetest.Env(t))
		if err != nil {
			t.Fatal(err)
		}
		var last pipeline.Finding
		out.(*Output).Examine(t.Context(), func(f pipeline.Finding) { last = f })
		if last.State != want || last.What != "writing" {
			t.Errorf("%s: %+v", token, last)
		}
		if server, err := out.(*Output).Probe(t.Context()); server != "Splunk" || err != nil {
			t.Errorf("Probe: %q, %v", server, err)
		}
		_ = out.Close()
	}
	if len(s.events) > 0 {
		t.Error("it wrote events")
	}
}

// FuzzAnswer reads what a collector says.
func FuzzAnswer(f *testing.F) {
	f.Add(400, []byte(`{"text":"Incorrect index","code":7,"invalid-event-number":1}`))
	f.Add(200, []byte(`{"text":"Success","code":0,"ackId":7}`))
	o := &Output{}
	f.Fuzz(func(t *testing.T, status int, text []byte) {
		resp := &http.Response{StatusCode: status, Request: httptest.NewRequest(http.MethodPost, "http://x/", nil)}
		failure := o.failure(resp, text, 3)
		for _, item := range failure.Items {
			if item.Index < 0 || item.Index >= 3 {
				t.Errorf("%s: item %d", text, item.Index)
			}
		}
	})
}

// FuzzOriginal reads items, which may be of a damaged spool.
func FuzzOriginal(f *testing.F) {
	f.Add([]byte(`{"time":1,"event":"x"}` + "\n"))
	f.Fuzz(func(_ *testing.T, item []byte) { original(item) })
}

func BenchmarkEncode(b *testing.B) {
	o := open(b, "http://x", "fields: {level: '{level}'}")
	batch := &event.Batch{}
	batch.Reset(event.NewSource(1, "in", "key", []event.Label{{Name: "host.name", Value: "web-1"}}))
	batch.Add(0, noon, batch.PutString("GET /api/orders took 12 ms"))
	body, encoder := &pipeline.Body{}, o.Encoder()
	b.ReportAllocs()
	for b.Loop() {
		body.Bytes = body.Bytes[:0]
		if _, err := encoder.Encode(body, batch, 0); err != nil {
			b.Fatal(err)
		}
	}
}
