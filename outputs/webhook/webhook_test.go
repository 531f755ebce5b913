package webhook

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/outputs/httpclient"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestConformance(t *testing.T) {
	for _, c := range []struct{ format, settings string }{
		{"json", ""}, {"json", "body: {content: '{message}', by: longshore}"}, {"lines", ""}, {"text", ""},
	} {
		t.Run(c.format+" "+c.settings, func(t *testing.T) {
			pipetest.TestOutput(t, func(t *testing.T) pipetest.OutputHarness {
				r := &receiver{format: c.format}
				server := httptest.NewServer(r)
				t.Cleanup(server.Close)
				return pipetest.OutputHarness{
					Output: newOutput(t, "url: "+server.URL+"/hook\nformat: "+c.format+"\n"+c.settings),
					Stored: func(t testing.TB) []string { return r.messages(t) },
					Away:   func(testing.TB) { server.Close() },
				}
			})
		})
	}
}

// TestRequests shows the request of each format, for an alert that fires, one that is resolved, and
// a line of a log.
func TestRequests(t *testing.T) {
	for name, settings := range map[string]string{
		"json": "", "lines": "format: lines", "text": "format: text\ntext: '{service}: {message}'",
		"body":  "body: {content: '{level} {message} {link}', username: longshore}",
		"slack": "format: slack", "pagerduty": "format: pagerduty\nrouting_key: R0",
		"alertmanager": "format: alertmanager",
	} {
		t.Run(name, func(t *testing.T) {
			r := &receiver{}
			server := httptest.NewServer(r)
			defer server.Close()
			out := newOutput(t, "url: "+server.URL+"\n"+settings)
			if err := out.Send(t.Context(), encode(t, out)); err != nil {
				t.Fatal(err)
			}
			golden(t, name+".txt", r.shown())
		})
	}
}

// encode encodes three records: an alert that fires, one that is resolved, a line of a log.
func encode(t testing.TB, out pipeline.Output) *pipeline.Body {
	t.Helper()
	source := event.NewSource(7, "alerts", "journal", []event.Label{
		{Name: event.LabelHost, Value: "web-1"}, {Name: event.LabelService, Value: "shop"},
	})
	b := &event.Batch{}
	b.Reset(source)
	for k, r := range []struct {
		level  event.Level
		text   string
		fields []string
	}{
		{event.Error, "17 errors in 5m <!channel> & more", []string{"alert", "shop errors", "status", "firing",
			"key", "shop-errors/1", "link", "http://127.0.0.1:5664/#logs"}},
		{event.Info, "shop errors: over after 9m", []string{"alert", "shop errors", "status", "resolved", "key",
			"shop-errors/1"}},
		{event.Warn, "disk \"full\"", nil},
	} {
		b.Add(uint64(100*k), 1_790_000_000_000_000_000+int64(k)*1e9, b.PutString(r.text))
		b.Records[k].Level = r.level
		for i := 0; i+1 < len(r.fields); i += 2 {
			b.AddField(k, text(b, r.fields[i]), text(b, r.fields[i+1]))
		}
	}
	return encodeBatch(t, out, b)
}

func text(b *event.Batch, s string) event.Value {
	return event.Value{Kind: event.Text, Span: b.PutString(s)}
}

type sameSource struct{ *event.Source }

func (s sameSource) SourceOf(int) *event.Source { return s.Source }

func encodeBatch(t testing.TB, out pipeline.Output, b *event.Batch) *pipeline.Body {
	t.Helper()
	body, e := &pipeline.Body{Sources: sameSource{b.Source}}, out.Encoder()
	for i := range b.Records {
		if _, err := e.Encode(body, b, i); err != nil {
			t.Fatal(err)
		}
		body.Items = append(body.Items, pipeline.Item{Pos: b.Records[i].Pos, End: uint32(len(body.Bytes))})
	}
	return body
}

// TestHostile checks what is posted to services of lines that any program may write: it is valid,
// bounded, and mentions nobody.
func TestHostile(t *testing.T) {
	for name, settings := range map[string]string{
		"slack": "", "pagerduty": "routing_key: R0", "alertmanager": "",
	} {
		t.Run(name, func(t *testing.T) {
			r := &receiver{}
			server := httptest.NewServer(r)
			defer server.Close()
			out := newOutput(t, "url: "+server.URL+"\nformat: "+name+"\n"+settings)
			b := &event.Batch{}
			b.Reset(event.NewSource(7, "in", "key", []event.Label{{Name: "odd name", Value: "\xff<@U1>"}}))
			for k, line := range append(pipetest.HostileLines, "<!channel> <http://evil|click>",
				strings.Repeat("x<&>", 2000)) {
				b.Add(uint64(k), 0, b.PutString(line))
			}
			body := encodeBatch(t, out, b)
			if err := out.Send(t.Context(), body); err != nil {
				t.Fatal(err)
			}
			for _, req := range r.requests {
				if !json.Valid([]byte(req.body)) || !utf8.ValidString(req.body) {
					t.Errorf("not JSON: %.200q", req.body)
				}
				if name == "slack" {
					wantSlack(t, req.body)
				}
			}
			if got := len(r.messages(t)); got != len(b.Records) {
				t.Errorf("%d records were posted, want %d", got, len(b.Records))
			}
		})
	}
}

// wantSlack checks that a message mentions nobody, and that no escape in it is cut.
func wantSlack(t *testing.T, body string) {
	t.Helper()
	var got slack
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	text := got.Attachments[0].Text
	if strings.ContainsAny(text, "<>") || len(text) > slackText {
		t.Errorf("%d bytes: %.200q", len(text), text)
	}
	rest := strings.NewReplacer("&amp;", "", "&lt;", "", "&gt;", "").Replace(text)
	if strings.Contains(rest, "&") {
		t.Errorf("an escape is cut: %q", text[max(0, len(text)-50):])
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("requests: -want +got; go test -update writes them anew\n%s", diff)
	}
}

// TestAnswers checks what becomes of three records when the receiver answers the second of their
// requests with a status.
func TestAnswers(t *testing.T) {
	for status, want := range map[int]string{
		200: "", 204: "", 301: "hold hold", 400: "reject retry", 401: "hold hold", 404: "hold hold", 410: "hold hold",
		413: "reject retry", 422: "reject retry", 429: "retry retry", 500: "retry retry", 503: "retry retry",
	} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			requests := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if requests++; requests == 2 {
					w.Header().Set("Location", "/elsewhere")
					w.WriteHeader(status)
				}
			}))
			defer server.Close()
			out := newOutput(t, "url: "+server.URL+"/services/T0/SECRET")
			err := out.Send(t.Context(), encode(t, out))
			var failed *pipeline.SendError
			if errors.As(err, &failed) != (want != "") {
				t.Fatalf("Send: %v", err)
			}
			if want == "" {
				return
			}
			var got []string
			for k, item := range failed.Items {
				if item.Index != k+1 {
					t.Errorf("item %d is %d", k, item.Index)
				}
				got = append(got, item.Outcome.String())
			}
			if strings.Join(got, " ") != want {
				t.Errorf("outcomes: %q, want %q", got, want)
			}
			if strings.Contains(failed.Error()+failed.Items[0].Reason, "SECRET") {
				t.Errorf("the error shows the path: %v", failed)
			}
		})
	}
}

// TestAwayShowsNoPath checks what is said of a receiver that nobody listens for.
func TestAwayShowsNoPath(t *testing.T) {
	server := httptest.NewServer(nil)
	server.Close()
	out := newOutput(t, "url: "+server.URL+"/services/T0/SECRET?token=SECRET")
	err := out.Send(t.Context(), encode(t, out))
	if err == nil || strings.Contains(err.Error(), "SECRET") || !strings.Contains(err.Error(), server.URL) {
		t.Errorf("Send: %v, want an error with the host alone", err)
	}
}

// TestSameKey checks that a record that is sent again has the key of the first time, and that no
// two have the same.
func TestSameKey(t *testing.T) {
	r := &receiver{}
	server := httptest.NewServer(r)
	defer server.Close()
	out := newOutput(t, "url: "+server.URL)
	for range 2 {
		if err := out.Send(t.Context(), encode(t, out)); err != nil {
			t.Fatal(err)
		}
	}
	keys := map[string]int{}
	for _, req := range r.requests {
		keys[req.key]++
	}
	want := map[string]int{
		"longshore-0000000000000007-0": 2, "longshore-0000000000000007-100": 2, "longshore-0000000000000007-200": 2,
	}
	if diff := cmp.Diff(want, keys); diff != "" {
		t.Errorf("keys: -want +got\n%s", diff)
	}
}

func TestCheck(t *testing.T) {
	for name, test := range map[string]struct {
		config Config
		want   string
	}{
		"no url": {Config{Format: "json"}, "url is missing; say where to post"},
		"no scheme": {
			Config{Format: "json", URL: "hooks.example.com"},
			"url is not a URL; write it like http://host:port",
		},
		"no key": {
			Config{Format: "pagerduty"},
			"routing_key is missing; it is the integration key of the PagerDuty service",
		},
		"pagerduty": {Config{Format: "pagerduty", RoutingKey: "k"}, ""},
		"body for another": {
			Config{Format: "slack", URL: "http://h/x", Body: map[string]string{"a": "b"}},
			"body is for format: json alone; take it out, or set text",
		},
		"body without its }": {
			Config{Format: "json", URL: "http://h/x", Body: map[string]string{"a": "{b"}},
			"body.a has a { without its }; write {field}",
		},
		"text without its }": {
			Config{Format: "slack", URL: "http://h/x", Text: "{message"},
			"text has a { without its }; write {field}",
		},
		"body": {
			Config{Format: "json", URL: "http://h/x", Body: map[string]string{"a": "{message}"}},
			"",
		},
		"a user and a token": {
			Config{
				Format: "json", URL: "http://u:p@h/x",
				Settings: httpclient.Settings{Auth: httpclient.Auth{BearerToken: "t"}},
			},
			"url names a user, and auth is set too; use one of the two",
		},
		"a header we set too": {
			Config{
				Format: "json", URL: "http://h/x",
				Settings: httpclient.Settings{Headers: map[string]pipeline.Secret{"Content-Type": "a"}},
			},
			"headers.Content-Type is set by longshore itself; take it out",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, p := range test.config.Check() {
				got = append(got, p.Path+" "+p.Message)
			}
			if text := strings.Join(got, "\n"); text != test.want {
				t.Errorf("%q, want %q", text, test.want)
			}
		})
	}
}

func newOutput(t testing.TB, settings string) pipeline.Output {
	t.Helper()
	out, err := pipetest.Config[*Config](t, Spec(), settings).Output(pipetest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = out.Close() })
	return out
}

// A receiver keeps what is posted to it.
type receiver struct {
	format string

	mu       sync.Mutex
	requests []request
}

type request struct{ path, contentType, key, body string }

func (r *receiver) ServeHTTP(_ http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = append(r.requests, request{req.URL.Path, req.Header.Get("Content-Type"),
		req.Header.Get("Idempotency-Key"), string(body)})
}

// shown returns the requests for people.
func (r *receiver) shown() string {
	var text strings.Builder
	for _, req := range r.requests {
		text.WriteString("POST " + req.path + " " + req.contentType + " " + req.key + "\n")
		var indented bytes.Buffer
		if json.Indent(&indented, []byte(req.body), "", "  ") != nil {
			indented.Reset()
			indented.WriteString(req.body)
		}
		text.WriteString(strings.TrimSuffix(indented.String(), "\n") + "\n\n")
	}
	return text.String()
}

// messages returns what people read of the records.
func (r *receiver) messages(t testing.TB) (all []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, req := range r.requests {
		if r.format == "text" {
			all = append(all, req.body)
			continue
		}
		lines := bufio.NewScanner(strings.NewReader(req.body))
		lines.Buffer(nil, 16<<20)
		for lines.Scan() {
			all = append(all, messagesIn(t, lines.Bytes())...)
		}
	}
	return all
}

func messagesIn(t testing.TB, text []byte) (all []string) {
	var list []json.RawMessage
	if json.Unmarshal(text, &list) == nil {
		for _, one := range list {
			all = append(all, messagesIn(t, one)...)
		}
		return all
	}
	var got struct {
		Message, Content *string
		Attachments      []struct{ Text string }
		Payload          struct{ Summary string }
		Annotations      struct{ Summary string }
	}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	switch {
	case got.Message != nil:
		return []string{*got.Message}
	case got.Content != nil:
		return []string{*got.Content}
	case len(got.Attachments) > 0:
		return []string{got.Attachments[0].Text}
	case got.Payload.Summary != "":
		return []string{got.Payload.Summary}
	}
	return []string{got.Annotations.Summary}
}

// TestExamine: a receiver is looked at as far as to a connection. Nothing is posted, and the path,
// which is a key, is not shown.
func TestExamine(t *testing.T) {
	r := &receiver{}
	server := httptest.NewServer(r)
	defer server.Close()
	away := httptest.NewServer(nil)
	away.Close()
	for url, want := range map[string]string{server.URL: "TCP ok, login unknown", away.URL: "TCP failed"} {
		out := newOutput(t, "url: "+url+"/services/T0/SECRET?token=SECRET\nproxy: none")
		var told []string
		out.(pipeline.Examiner).Examine(t.Context(), func(f pipeline.Finding) {
			told = append(told, f.What+" "+f.State.String())
			if strings.Contains(f.Says+f.Advice, "SECRET") {
				t.Errorf("%s shows the path", f.Says)
			}
		})
		if got := strings.Join(told, ", "); got != want {
			t.Errorf("told %s, want %s", got, want)
		}
	}
	if got := r.shown(); got != "" {
		t.Errorf("posted: %s", got)
	}
}
