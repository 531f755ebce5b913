package httpclient

import (
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/longshore/longshore/pipeline"
)

func newRequest(t *testing.T, to string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, to, nil)
	if err != nil {
		t.Fatal(err)
	}
	var payload Payload
	payload.Attach(req, []byte("payload"))
	return req
}

// tlsPorts are servers that speak TLS and get a request without: one says so, one breaks off, one
// answers in TLS.
func tlsPorts(t *testing.T) map[string]string {
	t.Helper()
	says := httptest.NewUnstartedServer(http.NotFoundHandler())
	says.Config.ErrorLog = log.New(io.Discard, "", 0)
	says.StartTLS()
	t.Cleanup(says.Close)
	ports := map[string]string{"says so": says.Listener.Addr().String()}
	for name, alert := range map[string]string{"breaks off": "", "answers in TLS": "\x15\x03\x01\x00\x02\x02\x46"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		var open sync.WaitGroup
		open.Go(func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				if first := make([]byte, 1); alert != "" {
					_, _ = conn.Read(first)
					_, _ = io.WriteString(conn, alert)
				} else {
					_ = tls.Server(conn, says.TLS).Handshake()
				}
				_ = conn.Close()
			}
		})
		t.Cleanup(func() { _ = l.Close(); open.Wait() })
		ports[name] = l.Addr().String()
	}
	return ports
}

// TestPlainRequestToATLSPort: what most servers only break off is explained, and held.
func TestPlainRequestToATLSPort(t *testing.T) {
	t.Parallel()
	for name, port := range tlsPorts(t) {
		c := newClient(t, Settings{Proxy: "none"})
		resp, err := c.RoundTrip(newRequest(t, "http://"+port+"/p"))
		var e *pipeline.SendError
		if err != nil {
			e = RequestError(err)
		} else {
			body, _ := ReadBody(resp)
			e = ResponseError(resp, body)
		}
		want := "http://" + port + "/p: it speaks TLS there, and the url begins with http://; write https://"
		if e.Reason != want || e.Outcome != pipeline.Hold || e.Uncertain {
			t.Errorf("%s: got %+v", name, e)
		}
	}
}

// TestBrokenOffLater: a port that has answered is not looked at; one without TLS is no TLS port.
func TestBrokenOffLater(t *testing.T) {
	t.Parallel()
	conns := atomic.Int32{}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/broken" {
			panic(http.ErrAbortHandler)
		}
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			conns.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	c := newClient(t, Settings{Proxy: "none"})
	for _, path := range []string{"/broken", "/", "/broken", "/broken"} {
		resp, err := c.RoundTrip(newRequest(t, s.URL+path))
		if err == nil {
			_, _ = ReadBody(resp)
		} else if e := RequestError(err); e.Outcome != pipeline.Retry || !e.Uncertain {
			t.Errorf("%s: got %+v", path, e)
		}
	}
	if n := conns.Load(); n > 5 { // two to begin with, and one for each that was broken off
		t.Errorf("%d connections", n)
	}
}

// TestRefusedHandshake: the reason that a server gives by an alert is told.
func TestRefusedHandshake(t *testing.T) {
	t.Parallel()
	_, err := newClient(t, Settings{Proxy: "none"}).RoundTrip(newRequest(t, "https://"+tlsPorts(t)["answers in TLS"]))
	want := "it refused the TLS connection: tls: protocol version not supported"
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v", err)
	}
}
