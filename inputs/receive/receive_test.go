package receive

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"

	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

func newHub(t *testing.T, feed *pipetest.Feed) *Hub {
	t.Helper()
	h := NewHub()
	feed.CommitTo(h)
	if err := h.Begin(t.Context(), feed, "test"); err != nil {
		t.Fatal(err)
	}
	return h
}

// request returns a request of some lines of two sources, in turn.
func request(h *Hub, lines ...string) *Request {
	r := h.NewRequest()
	for i, line := range lines {
		label := event.Label{Name: "turn", Value: string(rune('a' + i%2))}
		src := h.Source(0, label.Value, func() []event.Label { return []event.Label{label} })
		b := r.Batch(src)
		r.Add(b, 1, b.PutString(line))
	}
	return r
}

func TestARequestIsDoneWhenAllOfItIs(t *testing.T) {
	feed := pipetest.NewFeed(t)
	h := newHub(t, feed)
	done := make(chan error, 1)
	go func() { done <- request(h, "1", "2", "3").Deliver(t.Context()) }()
	got := feed.WaitFor(t.Context(), 3)
	for i, want := range []string{"a1", "b2", "a3"} {
		if have := got[i].Source.Label("turn") + got[i].Line; have != want {
			t.Errorf("record %d is %s, want %s", i, have, want)
		}
	}
	for range 2 {
		feed.AckBatch()
	}
	select {
	case err := <-done:
		t.Fatalf("it is answered (%v) before its last record is done", err)
	default:
	}
	feed.AckBatch()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	feed.AckAtOnce()
	for range 3 * carriers {
		if err := request(h, "1", "2").Deliver(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	h.End()
}

// TestWhoWaitsTakesNoRoom: a request that was handed on holds nothing any more.
func TestWhoWaitsTakesNoRoom(t *testing.T) {
	feed := pipetest.NewFeed(t)
	h := newHub(t, feed)
	r := request(h, "1")
	h.Hold(100)
	r.ReleaseOnceHandedOn(func() { h.Release(100) })
	done := make(chan error, 1)
	go func() { done <- r.Deliver(t.Context()) }()
	feed.WaitFor(t.Context(), 1)
	for h.inHand.Load() > 0 {
		select {
		case <-done:
			t.Fatal("it is answered, and nothing is done")
		case <-t.Context().Done():
			t.Fatal("it waits and holds room")
		default:
			runtime.Gosched()
		}
	}
	feed.Ack()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestNobodyWaitsForever(t *testing.T) {
	feed := pipetest.NewFeed(t)
	h := newHub(t, feed)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := request(h, "1").Deliver(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a client that has gone: %v", err)
	}
	h.StopWaiting()
	if err := request(h, "1").Deliver(t.Context()); !errors.Is(err, ErrEnding) {
		t.Errorf("at the end: %v", err)
	}
	if status, _ := StatusOf(ErrEnding); status != http.StatusServiceUnavailable {
		t.Errorf("at the end the status is %d", status)
	}
}

// packed are the ways to pack a body.
var packed = map[string]func(io.Writer) io.WriteCloser{
	"gzip":    func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) },
	"deflate": func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) },
	"Deflate": func(w io.Writer) io.WriteCloser { f, _ := flate.NewWriter(w, 1); return f },
	"zstd":    func(w io.Writer) io.WriteCloser { z, _ := zstd.NewWriter(w); return z },
}

func TestBodiesAreUnpackedWithinBounds(t *testing.T) {
	h := newHub(t, pipetest.NewFeed(t))
	const most = 1 << 20
	for _, size := range []int{0, 1, firstRead, most, most + 1, 20 * most} {
		text := strings.Repeat("a line\n", size/7+1)[:size]
		encoded := map[string][]byte{"": []byte(text), "snappy": s2.EncodeSnappy(nil, []byte(text))}
		for name, writer := range packed {
			var b bytes.Buffer
			w := writer(&b)
			io.WriteString(w, text)
			w.Close()
			encoded[name] = b.Bytes()
		}
		for name, body := range encoded {
			r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
			r.Header.Set("Content-Encoding", name)
			got, release, err := h.ReadBody(httptest.NewRecorder(), r, most)
			if size > most {
				if status, _ := StatusOf(err); status != http.StatusRequestEntityTooLarge {
					t.Errorf("%q with %d bytes: %v", name, size, err)
				}
				continue
			}
			if err != nil || string(got) != text {
				t.Fatalf("%q with %d bytes: %d bytes, %v", name, size, len(got), err)
			}
			release()
		}
	}
	if n := h.inHand.Load(); n != 0 {
		t.Errorf("%d bytes are still held", n)
	}
}

func TestBodiesThatAreDamaged(t *testing.T) {
	h := newHub(t, pipetest.NewFeed(t))
	for _, name := range []string{"gzip", "deflate", "zstd", "snappy", "br"} {
		_, _, err := h.ReadPacked(strings.NewReader("no such thing, but long enough"), name, -1, 1<<20)
		if status, _ := StatusOf(err); status/100 != 4 {
			t.Errorf("%s: %v", name, err)
		}
	}
	h.inHand.Store(maxInHand)
	if _, _, err := h.ReadPacked(strings.NewReader("x"), "", -1, 1<<20); !errors.Is(err, ErrBusy) {
		t.Errorf("without room: %v", err)
	}
	if n := h.inHand.Load(); n != maxInHand {
		t.Errorf("%d bytes more are held", n-maxInHand)
	}
}

func FuzzReadPacked(f *testing.F) {
	for name, writer := range packed {
		var b bytes.Buffer
		w := writer(&b)
		io.WriteString(w, "some text, some text")
		w.Close()
		f.Add(name, b.Bytes())
	}
	f.Add("snappy", s2.EncodeSnappy(nil, []byte("some text, some text")))
	h := NewHub()
	f.Fuzz(func(t *testing.T, name string, body []byte) {
		got, release, err := h.ReadPacked(bytes.NewReader(body), name, -1, 4096)
		if len(got) > 4096 {
			t.Errorf("%d bytes", len(got))
		}
		if err == nil {
			release()
		}
		if n := h.inHand.Load(); n != 0 {
			t.Errorf("%d bytes are held", n)
		}
	})
}

// serve runs a server of which the handler delivers a line for each request.
func serve(t *testing.T, feed *pipetest.Feed, s *Settings) (client *http.Client, url string, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	h := NewHub()
	feed.CommitTo(h)
	if err := h.Begin(ctx, feed, "test"); err != nil {
		t.Fatal(err)
	}
	at := make(chan string, 1)
	env := pipetest.Env(t)
	env.Found = func(what string) { at <- strings.TrimPrefix(what, "listening on ") }
	s.MaxBodySize, s.MaxConnections = 1<<20, 100
	server := &Server{Hub: h, Listen: "127.0.0.1:0", Settings: s, Env: env, HTTP2: true, Open: []string{"/ready"}}
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/panic" {
			panic("a bug")
		}
		body, release, err := h.ReadBody(w, r, int64(s.MaxBodySize))
		if err != nil {
			Fail(w, err)
			return
		}
		defer release()
		if err := request(h, string(body)).Deliver(r.Context()); err != nil {
			Fail(w, err)
		}
	})
	ended := make(chan error, 1)
	go func() {
		ended <- server.Run(ctx)
		h.End()
	}()
	client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	return client, "http://" + <-at, func() error { cancel(); return <-ended }
}

func post(t *testing.T, c *http.Client, url, authorization string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader("a line"))
	if err != nil {
		t.Fatal(err)
	}
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	answer, err := c.Do(r)
	if err != nil {
		return 0
	}
	answer.Body.Close()
	return answer.StatusCode
}

func TestOnlyWhoHasTheTokenIsLetIn(t *testing.T) {
	feed := pipetest.NewFeed(t)
	feed.AckAtOnce()
	client, url, stop := serve(t, feed, &Settings{Token: "s3cret"})
	for authorization, want := range map[string]int{
		"": 401, "Bearer s3cret": 200, "ApiKey s3cret": 200, "Bearer S3cret": 401, "Digest s3cret": 401, "Bearer": 401,
		"Basic bG9uZ3Nob3JlOnMzY3JldA==": 200, "Basic bG9uZ3Nob3JlOg==": 401, "Bearer s3cret2": 401,
	} {
		if got := post(t, client, url, authorization); got != want {
			t.Errorf("%q is answered with %d, want %d", authorization, got, want)
		}
	}
	if got := post(t, client, url+"/ready", ""); got != 200 {
		t.Errorf("a path that is open is answered with %d", got)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

func TestAPanicIsOneRequest(t *testing.T) {
	feed := pipetest.NewFeed(t)
	feed.AckAtOnce()
	client, url, stop := serve(t, feed, &Settings{})
	if got := post(t, client, url+"/panic", ""); got != 0 {
		t.Errorf("a request that panicked is answered with %d", got)
	}
	if got := post(t, client, url, ""); got != 200 {
		t.Errorf("the next one is answered with %d", got)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

// TestTheEndWaitsForWhatWasTaken answers a request that is done after the end has begun.
func TestTheEndWaitsForWhatWasTaken(t *testing.T) {
	feed := pipetest.NewFeed(t)
	client, url, stop := serve(t, feed, &Settings{})
	var status atomic.Int64
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		status.Store(int64(post(t, client, url, "")))
	}()
	feed.WaitFor(t.Context(), 1)
	time.AfterFunc(50*time.Millisecond, feed.Ack)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if <-answered; status.Load() != 200 {
		t.Errorf("it is answered with %d", status.Load())
	}
}

func TestSettingsTellWhoIsLetIn(t *testing.T) {
	for listen, warned := range map[string]bool{
		"127.0.0.1:80": false, "localhost:80": false, ":80": true, "0.0.0.0:80": true,
	} {
		s := &Settings{}
		if got := len(s.Warnings(listen)) > 0; got != warned {
			t.Errorf("%s: warned %v", listen, got)
		}
		if bad := s.Check(listen); len(bad) > 0 {
			t.Errorf("%s: %v", listen, bad)
		}
	}
	if bad := (&Settings{}).Check("3100"); len(bad) != 1 {
		t.Errorf("an address without a colon: %v", bad)
	}
}
