package elasticsearch

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/goleak"

	"github.com/longshore/longshore/outputs/httpclient"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/tlsfiles"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve answers every request with the handler, and gives the URL.
func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s.URL
}

// says answers with a status and a body, and headers as name, value.
func says(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// items is a bulk answer with these items.
func items(each ...string) string { return `{"errors":true,"items":[` + strings.Join(each, ",") + `]}` }

const created = `{"create":{"status":201}}`

func failedItem(status int, kind, reason string) string {
	return fmt.Sprintf(`{"create":{"status":%d,"error":{"type":%q,"reason":%q}}}`, status, kind, reason)
}

// send makes one attempt with n records, and gives what became of them.
func send(t *testing.T, o *Output, n int) *pipeline.SendError {
	t.Helper()
	err := o.Send(t.Context(), sample(t, o, n))
	if err == nil {
		return nil
	}
	var e *pipeline.SendError
	if !errors.As(err, &e) {
		t.Fatalf("Send gave %T: %v", err, err)
	}
	if len(e.Reason) > 2*maxText {
		t.Errorf("a reason of %d bytes", len(e.Reason))
	}
	return e
}

func TestSendDeliversDocuments(t *testing.T) {
	t.Parallel()
	for _, compression := range []string{"gzip", "none"} {
		t.Run(compression, func(t *testing.T) {
			t.Parallel()
			var got []map[string]any
			url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				got = documents(t, r)
				if r.URL.Path != "/es/_bulk" || r.URL.Query().Get("pipeline") != "geo" ||
					r.Header.Get("Authorization") != "ApiKey aWQ6a2V5" {
					t.Errorf("asked for %s with %v", r.URL, r.Header)
				}
				if f := r.URL.Query().Get("filter_path"); f != "errors,items.*.error,items.*.status,"+
					"items.*.failure_store" {
					t.Errorf("filter_path is %s", f)
				}
				if ct := r.Header.Get("Content-Type"); ct != "application/x-ndjson" {
					t.Errorf("content type is %s", ct)
				}
				if r.ContentLength <= 0 {
					t.Errorf("content length is %d", r.ContentLength)
				}
				says(200, items(created, created, created))(w, r)
			})
			o := output(t, Config{URLs: []string{url + "/es/"}, DocumentIDs: true, Pipeline: "geo",
				Compression: compression, APIKey: "id:key"})
			if err := send(t, o, 3); err != nil {
				t.Fatal(err)
			}
			if len(got) != 6 {
				t.Fatalf("%d lines", len(got))
			}
			ids := map[any]bool{}
			for i := 0; i < len(got); i += 2 {
				ids[got[i]["create"].(map[string]any)["_id"]] = true
				if got[i+1]["message"] != "request served without trouble" ||
					got[i+1]["@timestamp"] != got[i+1]["timestamp"] {
					t.Errorf("document %d is %v", i/2, got[i+1])
				}
			}
			if len(ids) != 3 {
				t.Errorf("the ids are %v", ids)
			}
		})
	}
}

// documents decodes the lines of a bulk request.
func documents(t *testing.T, r *http.Request) []map[string]any {
	t.Helper()
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		unzip, err := gzip.NewReader(body)
		if err != nil {
			t.Error(err)
			return nil
		}
		body = unzip
	}
	var lines []map[string]any
	dec := json.NewDecoder(body)
	for {
		var line map[string]any
		if err := dec.Decode(&line); err == io.EOF {
			return lines
		} else if err != nil {
			t.Error(err)
			return lines
		}
		lines = append(lines, line)
	}
}

func TestItemOutcomes(t *testing.T) {
	t.Parallel()
	url := serve(t, says(200, items(
		created,
		failedItem(429, "es_rejected_execution_exception", "queue is full"),
		failedItem(400, "mapper_parsing_exception", "failed to parse field [a]"),
		failedItem(409, "version_conflict_engine_exception", "document already exists"),
		failedItem(404, "index_not_found_exception", "no such index"),
		failedItem(403, "security_exception", "action is unauthorized"),
		failedItem(503, "unavailable_shards_exception", "primary shard is not active"),
		failedItem(400, "index_closed_exception", "closed"),
		failedItem(400, "illegal_argument_exception", "pipeline with id [x] does not exist"),
		failedItem(400, "validation_exception", "this cluster currently has [1000]/[1000] maximum normal shards open"),
		failedItem(400, "illegal_argument_exception", "Limit of total fields [1000] has been exceeded"),
		`{"create":{"status":201,"failure_store":"used"}}`,
	), "Retry-After", "3"))
	o := output(t, Config{URLs: []string{url}, DocumentIDs: true})
	var said bytes.Buffer
	o.log = slog.New(slog.NewTextHandler(&said, nil))
	send(t, o, 12)
	e := send(t, o, 12)
	want := []pipeline.ItemError{
		{Index: 1, Outcome: pipeline.Retry, Status: 429, Reason: "es_rejected_execution_exception: queue is full"},
		{Index: 2, Outcome: pipeline.Reject, Status: 400,
			Reason: "mapper_parsing_exception: failed to parse field [a]"},
		{Index: 4, Outcome: pipeline.Hold, Status: 404, Reason: "index_not_found_exception: no such index"},
		{Index: 5, Outcome: pipeline.Hold, Status: 403, Reason: "security_exception: action is unauthorized"},
		{Index: 6, Outcome: pipeline.Retry, Status: 503,
			Reason: "unavailable_shards_exception: primary shard is not active"},
		{Index: 7, Outcome: pipeline.Hold, Status: 400, Reason: "index_closed_exception: closed"},
		{Index: 8, Outcome: pipeline.Hold, Status: 400,
			Reason: "illegal_argument_exception: pipeline with id [x] does not exist"},
		{Index: 9, Outcome: pipeline.Hold, Status: 400,
			Reason: "validation_exception: this cluster currently has [1000]/[1000] maximum normal shards open"},
		{Index: 10, Outcome: pipeline.Reject, Status: 400,
			Reason: "illegal_argument_exception: Limit of total fields [1000] has been exceeded"},
	}
	if diff := cmp.Diff(want, e.Items); diff != "" {
		t.Errorf("items (-want +got):\n%s", diff)
	}
	if !e.Uncertain || e.RetryAfter != 3*time.Second || !strings.HasPrefix(e.Reason, url) {
		t.Errorf("got %+v", e)
	}
	if n := count(t, o.metrics.failureStore); n != 2 || strings.Count(said.String(), "failure store") != 1 {
		t.Errorf("%v in the failure store; it says: %s", n, &said)
	}
	if n := count(t, o.metrics.duplicates); n != 2 {
		t.Errorf("%v already there", n)
	}
}

// count reads a counter.
func count(t *testing.T, c prometheus.Counter) float64 {
	t.Helper()
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}

func TestConflictWithoutIDsIsRejected(t *testing.T) {
	t.Parallel()
	url := serve(t, says(200, items(failedItem(409, "version_conflict_engine_exception", "exists"))))
	e := send(t, output(t, Config{URLs: []string{url}}), 1)
	if e == nil || len(e.Items) != 1 || e.Items[0].Outcome != pipeline.Reject {
		t.Errorf("got %+v", e)
	}
}

func TestWholeOutcomes(t *testing.T) {
	t.Parallel()
	const body400 = `{"error":{"type":"illegal_argument_exception","reason":"field [b] not present"},"status":400}`
	tests := []struct {
		name    string
		answer  http.HandlerFunc
		outcome pipeline.Outcome
		certain bool
		reason  string
	}{
		{"empty", says(200, ""), pipeline.Hold, false, "does not say what became of every record"},
		{"too few items", says(200, items(created)), pipeline.Retry, false, "it has 1 items, but 2"},
		{"too many items", says(200, items(created, created, created)), pipeline.Retry, false, "more items than"},
		{"no items", says(200, `{"errors":false}`), pipeline.Hold, false, "no bulk answer"},
		{"errors, and nothing in it", says(200, `{"errors":true}`), pipeline.Hold, false, "no bulk answer"},
		{"a gateway's error", says(200, `{"code":401,"message":"please log in"}`), pipeline.Hold, false,
			"please log in"},
		{"a page that says it is text", says(200, "<!doctype html><title>Sign in</title>", "Content-Type",
			"text/plain"), pipeline.Hold, false, "Sign in"},
		{"cut short before the items", says(200, `{"took":3,"err`), pipeline.Retry, false, "unexpected EOF"},
		{"errors, and an empty list", says(200, `{"errors":true,"items":[]}`), pipeline.Retry, false, "it has 0 items"},
		{"null for items", says(200, `{"errors":true,"items":null}`), pipeline.Retry, false, "unexpected 'n'"},
		{"items of nothing", says(200, `{"errors":true,"items":[{},{}]}`), pipeline.Retry, false, "no status"},
		{"a web page", says(200, "<html><title>Log in</title>", "Content-Type", "text/html"), pipeline.Hold, true,
			"Log in; this does not look like Elasticsearch"},
		{"204", says(204, ""), pipeline.Hold, true, "No Content"},
		{"304", says(304, ""), pipeline.Hold, true, "Not Modified"},
		{"406", says(406, `{"error":"Content-Type header is not supported"}`), pipeline.Hold, true, "not supported"},
		{"408", says(408, ""), pipeline.Retry, false, "Request Timeout"},
		{"422", says(422, ""), pipeline.Hold, true, "Unprocessable Entity; this does not look like Elasticsearch"},
		{"429 until a day", says(429, "", "Retry-After", "Fri, 31 Dec 2999 23:59:59 GMT"), pipeline.Retry, true,
			"Too Many Requests"},
		{"429 without a word", says(429, ""), pipeline.Retry, true, "Too Many Requests"},
		{"502", says(502, "<title>Bad Gateway</title>", "Content-Type", "text/html"), pipeline.Retry, false,
			"Bad Gateway"},
		{"504", says(504, ""), pipeline.Retry, false, "Gateway Timeout"},
		{"not JSON", says(200, "what?"), pipeline.Hold, false, "what?"},
		{"202", says(202, ""), pipeline.Hold, true, "Accepted"},
		{"413", says(413, ""), pipeline.Split, true, "Request Entity Too Large"},
		{"429", says(429, `{"error":{"type":"circuit_breaking_exception","reason":"too large"}}`, "Retry-After", "7"),
			pipeline.Retry, true, "circuit_breaking_exception: too large"},
		{"400", says(400, body400), pipeline.Bisect, true, "illegal_argument_exception: field [b] not present"},
		{"400 in plain words", says(400, "cannot parse line"), pipeline.Hold, true, "cannot parse line"},
		{"400 without words", says(400, ""), pipeline.Hold, true, "Bad Request"},
		{"400 of a gateway's JSON", says(400, `{"error":{"code":400,"message":"bad","status":"INVALID_ARGUMENT"}}`),
			pipeline.Hold, true, "bad"},
		{"400 of another path", says(400, `{"error":"no handler found for uri [/x/_bulk] and method [POST]"}`),
			pipeline.Hold, true, "no handler found"},
		{"400 of a body that was cut", says(400, `{"error":{"type":"illegal_argument_exception","reason":`+
			`"The bulk request must be terminated by a newline [\\n]"}}`), pipeline.Hold, true, "newline"},
		{"400 of a body that was changed", says(400, `{"error":{"type":"illegal_argument_exception","reason":`+
			`"Malformed action/metadata line [1], expected START_OBJECT"}}`), pipeline.Hold, true, "Malformed"},
		{"400 of a body whose encoding was lost", says(400, `{"error":{"type":"json_parse_exception","reason":`+
			`"Illegal character ((CTRL-CHAR, code 31)): only regular white space is allowed"}}`), pipeline.Hold, true,
			"code 31"},
		{"400 of a body that was taken out", says(400, `{"error":{"type":"parse_exception",`+
			`"reason":"request body is required"}}`), pipeline.Hold, true, "request body is required"},
		{"400 of a server before 7", says(400, `{"error":{"type":"action_request_validation_exception","reason":`+
			`"Validation Failed: 1: type is missing;"}}`), pipeline.Hold, true, "type is missing"},
		{"400 of VictoriaLogs", says(400, "cannot decode log message #3 in /_bulk request: cannot parse timestamp: x"),
			pipeline.Bisect, true, "cannot parse timestamp"},
		{"400 of VictoriaLogs, for what came", says(400, "cannot decode log message #0 in /_bulk request: "+
			"cannot decode Elasticsearch protocol data: gzip: invalid header"), pipeline.Hold, true, "invalid header"},
		{"400 for want of a pipeline", says(400, `{"error":{"type":"illegal_argument_exception",`+
			`"reason":"pipeline with id [x] does not exist"}}`), pipeline.Hold, true, "pipeline with id [x]"},
		{"400 of a TLS port", says(400, "Client sent an HTTP request to an HTTPS server."), pipeline.Hold, true,
			"write https://"},
		{"400 of a web page", says(400, "<html><title>Bad</title>", "Content-Type", "text/html"), pipeline.Hold, true,
			"Bad"},
		{"401", says(401, `{"error":{"type":"security_exception","reason":"missing credentials"}}`), pipeline.Hold,
			true, "missing credentials"},
		{"403", says(403, `{"error":"forbidden"}`), pipeline.Hold, true, "forbidden"},
		{"404", says(404, ""), pipeline.Hold, true, "Not Found"},
		{"301", says(301, "", "Location", "https://elsewhere/"), pipeline.Hold, true, "redirects are not followed"},
		{"500", says(500, "boom"), pipeline.Retry, false, "boom"},
		{"503", says(503, ""), pipeline.Retry, false, "Service Unavailable"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			url := serve(t, tt.answer)
			e := send(t, output(t, Config{URLs: []string{strings.Replace(url, "://", "://user:hunter2@", 1)}}), 2)
			if e == nil {
				t.Fatal("delivered")
			}
			if e.Outcome != tt.outcome || e.Uncertain == tt.certain || e.Items != nil ||
				!strings.Contains(e.Reason, tt.reason) {
				t.Errorf("got %+v", e)
			}
			if want := map[string]time.Duration{"429": 7 * time.Second,
				"429 until a day": 5 * time.Minute}[tt.name]; e.RetryAfter != want {
				t.Errorf("a pause of %v, want %v", e.RetryAfter, want)
			}
			if !strings.HasPrefix(e.Reason, url) || strings.Contains(e.Error(), "hunter2") {
				t.Errorf("the reason is %q", e.Reason)
			}
		})
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + l.Addr().String()
	_ = l.Close()
	e := send(t, output(t, Config{URLs: []string{url}}), 1)
	if e == nil || e.Outcome != pipeline.Retry || e.Uncertain || !strings.Contains(e.Reason, url) {
		t.Errorf("got %+v", e)
	}
}

func TestAConnectionCutOff(t *testing.T) {
	t.Parallel()
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, items(created)[:30])
		panic(http.ErrAbortHandler)
	})
	e := send(t, output(t, Config{URLs: []string{url}}), 1)
	if e == nil || e.Outcome != pipeline.Retry || !e.Uncertain {
		t.Errorf("got %+v", e)
	}
}

// TestAnAnswerWithoutEnd: a server that drips bytes is given up on when the context ends, and so is
// one that says nothing.
func TestAnAnswerWithoutEnd(t *testing.T) {
	t.Parallel()
	for name, drip := range map[string]string{"drips": " ", "is silent": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				_, _ = io.WriteString(w, `{"items":[`)
				w.(http.Flusher).Flush()
				for n := 0; r.Context().Err() == nil; n++ {
					if drip == "" || n == 1000 {
						cancel()
					}
					if _, err := io.WriteString(w, drip); err != nil {
						return
					}
					w.(http.Flusher).Flush()
				}
			})
			o := output(t, Config{URLs: []string{url}})
			var e *pipeline.SendError
			if err := o.Send(ctx, sample(t, o, 1)); !errors.As(err, &e) || e.Outcome != pipeline.Retry || !e.Uncertain {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestOneOfSeveralNodesIsDown(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	down := "http://" + l.Addr().String()
	_ = l.Close()
	var served [2]atomic.Int32
	answer := func(n int) string {
		return serve(t, func(w http.ResponseWriter, r *http.Request) {
			served[n].Add(1)
			says(200, items(created))(w, r)
		})
	}
	o := output(t, Config{URLs: []string{answer(0), down, answer(1)}})
	failures := 0
	for range 20 {
		if send(t, o, 1) != nil {
			failures++
		}
	}
	if failures > 2 || served[0].Load() < 8 || served[1].Load() < 8 {
		t.Errorf("%d of 20 attempts failed, the nodes served %d and %d", failures, served[0].Load(), served[1].Load())
	}
}

// TestQueryOfAURL: what a URL has behind its ? goes with every request to it, beside the request's
// own parameters, which it cannot replace.
func TestQueryOfAURL(t *testing.T) {
	t.Parallel()
	asked := make(chan *url.URL, 10)
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL
		says(200, items(created))(w, r)
	})
	o := output(t, Config{Pipeline: "p", URLs: []string{
		base + "/insert/elasticsearch/?_msg_field=message&_stream_fields=a%2Cb&pipeline=q", base + "/insert?x=1",
		base + "/es/_bulk", base + "/_bulk/",
	}})
	for _, want := range []string{
		"/insert/elasticsearch/_bulk?_msg_field=message&_stream_fields=a%2Cb&filter_path=FILTER&pipeline=p",
		"/insert/_bulk?filter_path=FILTER&pipeline=p&x=1",
		"/es/_bulk?filter_path=FILTER&pipeline=p",
		"/_bulk?filter_path=FILTER&pipeline=p",
	} {
		if e := send(t, o, 1); e != nil {
			t.Fatal(e)
		}
		want = strings.Replace(want, "FILTER", url.QueryEscape("errors,items.*.error,items.*.status,"+
			"items.*.failure_store"), 1)
		if got := (<-asked).String(); got != want {
			t.Errorf("asked for %s, want %s", got, want)
		}
	}
	if _, _, err := o.wire.do(t.Context(), http.MethodGet, "/", nil); err != nil {
		t.Fatal(err)
	}
	if got := (<-asked).String(); got != "/insert/elasticsearch/?_msg_field=message&_stream_fields=a%2Cb&pipeline=q" {
		t.Errorf("asked for %s", got)
	}
}

func TestNodeAnswering503BacksOff(t *testing.T) {
	t.Parallel()
	failing := serve(t, says(503, ""))
	working := serve(t, says(200, items(created)))
	o := output(t, Config{URLs: []string{failing, working}})
	failures := 0
	for range 10 {
		if send(t, o, 1) != nil {
			failures++
		}
	}
	if failures > 2 {
		t.Errorf("%d of 10 attempts failed", failures)
	}
}

// TestBorrowedMemory: net/http may read a request's body after Send has returned, when the memory
// holds the next one; it must not get any of that.
func TestBorrowedMemory(t *testing.T) {
	t.Parallel()
	l := &borrowed{payload: []byte("the request")}
	first, again := l.reader(), l.reader()
	if got, err := io.ReadAll(first); string(got) != "the request" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	head := make([]byte, 3)
	if _, err := io.ReadFull(again, head); string(head) != "the" || err != nil {
		t.Errorf("a second reader got %q, %v", head, err)
	}
	l.release()
	if n, err := again.Read(head); n != 0 || !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("released, it returns %d bytes, %v", n, err)
	}
}

// TestNothingIsBorrowedAfterSend: whatever the end of a request is, its memory is taken back.
func TestNothingIsBorrowedAfterSend(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"delivered": says(200, items(created)), "rejected": says(400, ""), "unread": says(200, "x"),
		"aborted": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		o := output(t, Config{URLs: []string{serve(t, answer)}, Compression: "none"})
		body := sample(t, o, 1)
		ctx, trip := withTrip(t.Context(), body.Bytes)
		_ = o.bulk(ctx, trip, body, http.Header{})
		memory := trip.body
		trip.release()
		if memory == nil || memory.payload != nil {
			t.Errorf("%s: the memory is still borrowed", name)
		}
	}
}

func TestTLSFingerprint(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(says(200, items(created)))
	s.Config.ErrorLog = nil
	s.StartTLS()
	t.Cleanup(s.Close)
	wrong := Config{URLs: []string{s.URL},
		Settings: httpclient.Settings{TLS: tlsfiles.Client{CAFingerprint: strings.Repeat("ab", 32)}}}
	if e := send(t, output(t, wrong), 1); e == nil || e.Outcome != pipeline.Hold || e.Uncertain {
		t.Errorf("with a wrong fingerprint: %+v", e)
	}
	if e := send(t, output(t, Config{URLs: []string{s.URL},
		Settings: httpclient.Settings{TLS: tlsfiles.Client{InsecureSkipVerify: true}}}),
		1); e != nil {
		t.Errorf("without a check: %+v", e)
	}
}

func TestLimitsAndEmptyBodies(t *testing.T) {
	t.Parallel()
	o := output(t, Config{})
	if l := o.Limits(); l.Bytes != maxBytes || l.InOrder {
		t.Errorf("limits are %+v", l)
	}
	if err := o.Send(t.Context(), &pipeline.Body{}); err != nil {
		t.Errorf("a body without records: %v", err)
	}
}

func BenchmarkSend(b *testing.B) {
	answer := items(strings.Split(strings.TrimSuffix(strings.Repeat(created+";", 2000), ";"), ";")...)
	s := httptest.NewServer(says(200, answer))
	defer s.Close()
	for _, compression := range []string{"none", "gzip"} {
		b.Run(compression, func(b *testing.B) {
			o := output(b, Config{URLs: []string{s.URL}, DocumentIDs: true, Compression: compression})
			body := sample(b, o, 2000)
			b.SetBytes(int64(len(body.Bytes)))
			b.ReportAllocs()
			for b.Loop() {
				if err := o.Send(b.Context(), body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
