package loki

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/grafana/loki/pkg/push"
	"go.uber.org/goleak"

	"github.com/longshore/longshore/outputs/httpclient"
	"github.com/longshore/longshore/pipeline"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A fakeLoki answers as it is told, and keeps what it got.
type fakeLoki struct {
	*httptest.Server
	t      *testing.T
	answer func(req push.PushRequest) (status int, text string)

	mu      sync.Mutex
	headers []http.Header
	paths   []string
	pushed  []push.PushRequest
}

func newFakeLoki(t *testing.T, answer func(push.PushRequest) (int, string)) *fakeLoki {
	l := &fakeLoki{t: t, answer: answer}
	l.Server = httptest.NewServer(http.HandlerFunc(l.serve))
	t.Cleanup(l.Close)
	return l
}

func (l *fakeLoki) serve(w http.ResponseWriter, r *http.Request) {
	packed, err := io.ReadAll(r.Body)
	if err != nil {
		l.t.Error(err)
	}
	req := decode(l.t, packed)
	l.mu.Lock()
	l.headers = append(l.headers, r.Header)
	l.paths = append(l.paths, r.Method+" "+r.URL.Path)
	l.pushed = append(l.pushed, req)
	l.mu.Unlock()
	status, text := l.answer(req)
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

func answers(status int, text string) func(push.PushRequest) (int, string) {
	return func(push.PushRequest) (int, string) { return status, text }
}

func TestSend(t *testing.T) {
	loki := newFakeLoki(t, answers(http.StatusNoContent, ""))
	o := newOutput(t, Config{
		URL:      strings.Replace(loki.URL, "http://", "http://us%40er:p%3Ass@", 1),
		TenantID: "t1",
		Settings: httpclient.Settings{Headers: map[string]pipeline.Secret{"X-Extra": "e"}},
	})
	o.health.now = func() time.Time { return time.Unix(0, start) }
	body := fill(t, o, batchOf(container("web"), "one", "two"), batchOf(container("db"), "three"))
	for range 3 { // the pooled memory is used again
		if err := o.Send(context.Background(), body); err != nil {
			t.Fatal(err)
		}
	}
	const push = "POST /loki/api/v1/push"
	if diff := cmp.Diff([]string{push, push, push, push}, loki.paths); diff != "" { // new streams go alone
		t.Error(diff)
	}
	r := &http.Request{Header: loki.headers[3]}
	if user, password, _ := r.BasicAuth(); user != "us@er" || password != "p:ss" {
		t.Errorf("logged in as %q %q", user, password)
	}
	got := []string{r.Header.Get("Content-Type"), r.Header.Get("X-Scope-OrgID"), r.Header.Get("X-Extra"),
		r.Header.Get("User-Agent")}
	if diff := cmp.Diff([]string{"application/x-protobuf", "t1", "e", httpclient.UserAgent()}, got); diff != "" {
		t.Error(diff)
	}
	if n := len(loki.pushed[3].Streams); n != 2 || len(loki.pushed[3].Streams[1].Entries) != 2 {
		t.Errorf("got %v", loki.pushed[3])
	}
	if err := o.Send(context.Background(), &pipeline.Body{}); err != nil || len(loki.paths) != 4 {
		t.Errorf("an empty body: %v", err)
	}
}

func TestSentBodiesMayBeThinnedOut(t *testing.T) {
	loki := newFakeLoki(t, answers(http.StatusNoContent, ""))
	o := newOutput(t, Config{URL: loki.URL, LineFormat: "raw"})
	body := fill(t, o, batchOf(container("web"), "one"), batchOf(container("db"), "two"),
		batchOf(container("web"), "three"))
	thin := &pipeline.Body{Groups: body.Groups, Bytes: body.Item(1)}
	thin.Items = []pipeline.Item{{End: uint32(len(thin.Bytes)), Group: body.Items[1].Group}}
	if err := o.Send(context.Background(), thin); err != nil {
		t.Fatal(err)
	}
	streams := loki.pushed[0].Streams
	if len(streams) != 1 || streams[0].Labels != body.Groups[1] || streams[0].Entries[0].Line != "two" {
		t.Errorf("got %v", streams)
	}
}

// TestMetadataRejected: a Loki that takes no structured metadata stores the entries that have none;
// the others go again, without.
func TestMetadataRejected(t *testing.T) {
	loki := newFakeLoki(t, func(req push.PushRequest) (int, string) {
		for _, s := range req.Streams {
			for _, e := range s.Entries {
				if len(e.StructuredMetadata) > 0 {
					return 400, "2 errors like: stream '" + s.Labels +
						"' includes structured metadata, but this feature is disallowed. Please see " +
						"`limits_config.allow_structured_metadata` or contact your Loki administrator to enable it\n"
				}
			}
		}
		return 204, ""
	})
	var logged bytes.Buffer
	out, err := withDefaults(t, Config{URL: loki.URL}).Output(pipeline.NewEnv("loki",
		slog.New(slog.NewTextHandler(&logged, nil))))
	if err != nil {
		t.Fatal(err)
	}
	o := out.(*Output)
	t.Cleanup(func() { _ = o.Close() })
	body := fill(t, o, batchOf(container("web"), "one", "two"))
	for range 2 { // two requests in flight
		o.metadataOff.Store(false)
		failure, _ := o.Send(context.Background(), body).(*pipeline.SendError)
		if failure == nil || len(failure.Items) != 2 || failure.Items[0].Outcome != pipeline.Retry ||
			failure.Uncertain {
			t.Fatalf("got %+v", failure)
		}
	}
	if err := o.Send(context.Background(), body); err != nil {
		t.Fatal(err)
	}
	if err := o.Send(context.Background(), fill(t, o, batchOf(container("web"), "three"))); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(logged.String(), "rejects structured metadata") {
		t.Errorf("logged %s", &logged)
	}
	if last := loki.pushed[2].Streams[0].Entries; len(last) != 2 || !strings.Contains(last[1].Line, "two") {
		t.Errorf("got %v", last)
	}
}

func TestSendToNobody(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	o := newOutput(t, Config{URL: server.URL})
	err := o.Send(context.Background(), fill(t, o, batchOf(container("web"), "one")))
	failure, _ := err.(*pipeline.SendError)
	if failure == nil || failure.Uncertain || failure.Outcome != pipeline.Retry {
		t.Fatalf("got %+v", failure)
	}
	want := server.URL + "/loki/api/v1/push: connection refused; is it running, and is the port right?"
	if failure.Reason != want {
		t.Errorf("got %q, want %q", failure.Reason, want)
	}
}

func TestSendIsInterrupted(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(server.Close)
	o := newOutput(t, Config{URL: server.URL})
	failure, _ := o.Send(context.Background(), fill(t, o, batchOf(container("web"), "one"))).(*pipeline.SendError)
	if failure == nil || !failure.Uncertain || failure.Outcome != pipeline.Retry {
		t.Fatalf("got %+v", failure)
	}
}

func TestSendIsCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // or the server does not see the end
		cancel()
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	o := newOutput(t, Config{URL: server.URL})
	failure, _ := o.Send(ctx, fill(t, o, batchOf(container("web"),
		strings.Repeat("long", 1<<16)))).(*pipeline.SendError)
	if failure == nil || !failure.Uncertain || failure.Outcome != pipeline.Retry {
		t.Fatalf("got %+v", failure)
	}
}

func TestConcurrentSends(t *testing.T) {
	loki := newFakeLoki(t, answers(http.StatusNoContent, ""))
	o := newOutput(t, Config{URL: loki.URL})
	var wg sync.WaitGroup
	for _, name := range []string{"a", "b", "c", "d"} {
		wg.Go(func() {
			body := fill(t, o, batchOf(container(name), name, name))
			for range 20 {
				if err := o.Send(context.Background(), body); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for _, req := range loki.pushed {
		for _, e := range req.Streams[0].Entries {
			name := req.Streams[0].Labels[len(`{compose_project="shop", container="shop-`):][:1]
			if !strings.Contains(e.Line, `"message":"`+name+`"`) {
				t.Fatalf("%s got %s", req.Streams[0].Labels, e.Line)
			}
		}
	}
}

// TestSuccessIsLokisWord: a 200 says that something was there, and only what says no more is
// success.
func TestSuccessIsLokisWord(t *testing.T) {
	for text, delivered := range map[string]bool{
		"": true, "\n": true,
		`{"code":401,"message":"please log in"}`:         false,
		`{"status":"error","error":"token expired"}`:     false,
		"<!doctype html><title>Sign in</title>":          false,
		"ok":                                             false,
		`{"partialSuccess":{"rejectedLogRecords":"12"}}`: false,
	} {
		loki := newFakeLoki(t, answers(http.StatusOK, text))
		o := newOutput(t, Config{URL: loki.URL})
		err := o.Send(context.Background(), fill(t, o, batchOf(container("web"), "one", "two")))
		if delivered {
			if err != nil {
				t.Errorf("%q: %v", text, err)
			}
			continue
		}
		failure, _ := err.(*pipeline.SendError)
		if failure == nil || failure.Outcome != pipeline.Hold || !strings.Contains(failure.Reason, notLoki) {
			t.Errorf("%q: %+v", text, failure)
		}
	}
}
