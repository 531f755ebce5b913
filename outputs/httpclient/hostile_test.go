package httpclient

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/longshore/longshore/pipeline"
)

// A hostile server reads a request and writes whatever answer it likes, until it is cut off.
type hostile struct {
	url   string
	wrote atomic.Int64
}

func newHostile(t *testing.T, answer func(w io.Writer)) *hostile {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &hostile{url: "http://" + l.Addr().String()}
	over := make(chan struct{})
	go func() {
		defer close(over)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			h.serve(c, answer)
		}
	}()
	t.Cleanup(func() { l.Close(); <-over })
	return h
}

func (h *hostile) serve(c net.Conn, answer func(w io.Writer)) {
	defer c.Close()
	req, err := http.ReadRequest(bufio.NewReader(c))
	if err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, req.Body)
	answer(countingWriter{c, &h.wrote})
	if req.Header.Get("X-Hold") != "" {
		_, _ = io.Copy(io.Discard, c) // until it is closed by the other side
	}
}

type countingWriter struct {
	io.Writer
	n *atomic.Int64
}

func (w countingWriter) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	w.n.Add(int64(n))
	return n, err
}

// endlessly writes a text again and again.
func endlessly(start, again string) func(io.Writer) {
	return func(w io.Writer) {
		_, err := io.WriteString(w, start)
		for again = strings.Repeat(again, 1+(32<<10)/len(again)); err == nil; {
			_, err = io.WriteString(w, again)
		}
	}
}

func once(text string) func(io.Writer) {
	return func(w io.Writer) { _, _ = io.WriteString(w, text) }
}

// bomb is an answer of a few bytes that unpack to as many as one likes.
func bomb(w io.Writer) {
	_, _ = io.WriteString(w, "HTTP/1.1 500 Boom\r\nContent-Encoding: gzip\r\n\r\n")
	packed := gzip.NewWriter(w)
	zeros := make([]byte, 1<<20)
	for err := error(nil); err == nil; {
		_, err = packed.Write(zeros)
	}
}

// TestHostileAnswers: whatever comes, a request ends, little is read, and nothing that is no
// success is taken for one.
func TestHostileAnswers(t *testing.T) {
	const ok = "HTTP/1.1 500 Ill\r\n"
	tests := map[string]struct {
		answer  func(io.Writer)
		outcome pipeline.Outcome
		certain bool // that nothing was stored
		status  int  // 0: no answer
		holds   bool // the server keeps the connection open
	}{
		"nothing":                {answer: once("")},
		"another protocol":       {answer: once("SSH-2.0-OpenSSH_9.2\r\n")},
		"half a status line":     {answer: once("HTTP/1.1 2")},
		"a status of two digits": {answer: once("HTTP/1.1 20 OK\r\n\r\n")},
		"a negative status":      {answer: once("HTTP/1.1 -20 OK\r\n\r\n")},
		"half a header":          {answer: once(ok + "Content-Le")},
		"headers without end":    {answer: endlessly(ok, "X-A: b\r\n")},
		"a header without end":   {answer: endlessly(ok+"X-A: ", "b")},
		"hints without end":      {answer: endlessly("", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")},
		"another protocol from here on": {answer: once("HTTP/1.1 101 Switching Protocols\r\nConnection: " +
			"Upgrade\r\nUpgrade: foo\r\n\r\n"), holds: true},
		"two lengths":             {answer: once(ok + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab")},
		"a length below zero":     {answer: once(ok + "Content-Length: -1\r\n\r\n")},
		"a length beyond numbers": {answer: once(ok + "Content-Length: 99999999999999999999\r\n\r\n")},
		"fewer bytes than said":   {answer: once(ok + "Content-Length: 99999999999\r\n\r\nab")},
		"a chunk beyond numbers": {answer: once(ok +
			"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nab")},
		"no chunk": {answer: once(ok + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n")},
		"chunks with endless extensions": {answer: endlessly(ok+"Transfer-Encoding: chunked\r\n\r\n",
			"1;"+strings.Repeat("x", 3000)+"\r\na\r\n")},
		"an encoding never heard of": {answer: once(ok + "Transfer-Encoding: sloth\r\n\r\n")},
		"no gzip":                    {answer: once(ok + "Content-Encoding: gzip\r\n\r\nabcdefghijkl")},
		"a gzip bomb":                {answer: bomb, status: 500},
		"a body without end":         {answer: endlessly(ok+"\r\n", "a"), status: 500},
		"chunks without end": {answer: endlessly(ok+"Transfer-Encoding: chunked\r\n\r\n", "1\r\na\r\n"),
			status: 500},
		"not modified": {answer: once("HTTP/1.1 304 Not Modified\r\n\r\n"), outcome: pipeline.Hold,
			certain: true, status: 304},
		"a choice of pages": {answer: once("HTTP/1.1 300 Choose\r\nContent-Length: 0\r\n\r\n"),
			outcome: pipeline.Hold, certain: true, status: 300},
		"a status beyond all": {answer: once("HTTP/1.1 999 No\r\nContent-Length: 0\r\n\r\n"), status: 999},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHostile(t, test.answer)
			settings := Settings{}
			if test.holds {
				settings.Headers = map[string]pipeline.Secret{"X-Hold": "1"}
			}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.url, strings.NewReader("payload"))
			if err != nil {
				t.Fatal(err)
			}
			var failure *pipeline.SendError
			resp, err := newClient(t, settings).RoundTrip(req)
			if err == nil {
				var body []byte
				if body, err = ReadBody(resp); err == nil {
					failure = ResponseError(resp, body)
				}
			}
			if err != nil {
				failure = RequestError(err)
			}
			if failure.Outcome != test.outcome || failure.Uncertain == test.certain || failure.Status != test.status ||
				failure.Reason == "" || len(failure.Reason) > 2<<10 {
				t.Errorf("got %+v", failure)
			}
			if n := h.wrote.Load(); n > 16<<20 {
				t.Errorf("%d bytes were taken", n)
			}
		})
	}
}

// TestHostileTokens: whoever gives out tokens may misbehave as well.
func TestHostileTokens(t *testing.T) {
	for name, answer := range map[string]func(io.Writer){
		"another protocol": once("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\n"),
		"endless":          endlessly("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n", " "),
		"a gzip bomb":      bomb,
		"no token":         once("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"),
		"moved": once("HTTP/1.1 302 Found\r\nLocation: http://elsewhere.invalid/\r\nContent-Length: " +
			"0\r\n\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHostile(t, answer)
			c := newClient(t, Settings{Proxy: "none",
				Auth: Auth{OAuth2: OAuth2{TokenURL: h.url, ClientID: "id", ClientSecret: "secret"}}})
			_, err := ask(t, c, "http://127.0.0.1:1")
			if f := RequestError(err); f.Uncertain || !strings.Contains(f.Reason, h.url) ||
				strings.Contains(f.Reason, "secret") {
				t.Errorf("got %+v", f)
			}
		})
	}
}

// TestRedirectsLeadNowhere: nobody else gets what is meant for this server, by whatever kind of
// redirect, and the body is not sent again.
func TestRedirectsLeadNowhere(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter,
		*http.Request) {
		t.Error("the redirect was followed")
	}))
	t.Cleanup(elsewhere.Close)
	for _, status := range []int{300, 301, 302, 303, 307, 308} {
		requests := 0
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			requests++
			w.Header().Set("Location", elsewhere.URL)
			w.WriteHeader(status)
		}))
		_, err := ask(t, newClient(t, Settings{Auth: Auth{Username: "u", Password: "secret"}}), server.URL)
		if f := RequestError(err); f.Outcome != pipeline.Hold || f.Uncertain ||
			!strings.Contains(f.Reason, fmt.Sprintf("it answered %d and points to %q", status, elsewhere.URL)) {
			t.Errorf("%d: got %+v", status, f)
		}
		if requests != 1 {
			t.Errorf("%d: %d requests", status, requests)
		}
		server.Close()
	}
}

// TestABodyIsNotSentTwice: a connection that was good once, and then breaks when it has read a
// request, leaves open whether that was taken; nothing sends it again without asking.
func TestABodyIsNotSentTwice(t *testing.T) {
	var bodies atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if bodies.Add(1) > 1 {
			panic(http.ErrAbortHandler)
		}
	}))
	t.Cleanup(server.Close)
	c := newClient(t, Settings{})
	if _, err := ask(t, c, server.URL); err != nil {
		t.Fatal(err)
	}
	_, err := ask(t, c, server.URL)
	if f := RequestError(err); !f.Uncertain || f.Outcome != pipeline.Retry || bodies.Load() != 2 {
		t.Errorf("got %+v, and %d bodies were read", f, bodies.Load())
	}
}
