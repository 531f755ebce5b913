package httpclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/tlsfiles"
)

// A Client is the connection pool of one output: a http.RoundTripper that adds the settings'
// headers and authorization, and follows no redirect: a 3xx is an error. All its errors are *Error.
// It is safe for concurrent use.
type Client struct {
	base       *http.Transport
	authorize  authorizer
	invalidate func()
	headers    map[string]pipeline.Secret
	timeout    time.Duration
	userAgent  string
	login      bool        // the settings say who we are
	answered   atomic.Bool // there was an answer, so the URL cannot be all wrong
}

var _ http.RoundTripper = (*Client)(nil)

// New makes a client. It reads the files that the settings name, but does not connect.
func New(s Settings) (*Client, error) {
	if problems := s.Check(); len(problems) > 0 {
		return nil, fmt.Errorf("%s %s", problems[0].Path, problems[0].Message)
	}
	proxy, err := proxyFunc(s.Proxy)
	if err != nil {
		return nil, err
	}
	tlsConfig, err := s.TLS.Config()
	if err != nil {
		return nil, err
	}
	dial := (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext
	c := &Client{
		base: &http.Transport{
			Proxy:                  proxy,
			DialContext:            dial,
			DialTLSContext:         s.TLS.Dialer(dial),
			TLSClientConfig:        tlsConfig,
			TLSHandshakeTimeout:    tlsfiles.HandshakeTimeout,
			ForceAttemptHTTP2:      true,
			MaxIdleConns:           128,
			MaxIdleConnsPerHost:    64, // as many as an output may have in flight
			IdleConnTimeout:        90 * time.Second,
			ExpectContinueTimeout:  time.Second,
			MaxResponseHeaderBytes: 256 << 10,
		},
		headers:   s.Headers,
		timeout:   time.Duration(s.Timeout),
		userAgent: UserAgent(),
		login:     s.Auth.Set() || s.Headers["Authorization"] != "",
	}
	c.authorize, c.invalidate = s.Auth.authorizer(c.base)
	return c, nil
}

// Timeout bounds one request and its answer. It is for the caller's context: a RoundTripper cannot
// bound reading the answer.
func (c *Client) Timeout() time.Duration { return c.timeout }

func (c *Client) CloseIdleConnections() { c.base.CloseIdleConnections() }

// Transport is the connection pool under the client, without headers and authorization.
func (c *Client) Transport() *http.Transport { return c.base }

// RoundTrip implements http.RoundTripper.
func (c *Client) RoundTrip(req *http.Request) (*http.Response, error) {
	header, err := c.authorize(req.Context())
	if err != nil {
		closeBody(req)
		return nil, authFailed(req.URL, err)
	}
	var sent atomic.Bool
	ctx := httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { sent.Store(true) },
	})
	resp, err := noUpgrade{c.base}.RoundTrip(c.withHeaders(ctx, req, header))
	if err != nil {
		return nil, c.explain(req, sent.Load(), err)
	}
	c.answered.Store(true)
	if resp.StatusCode == http.StatusUnauthorized {
		c.invalidate()
	}
	if to := resp.Header.Get("Location"); to != "" && resp.StatusCode/100 == 3 {
		_, _ = ReadBody(resp)
		return nil, &Error{URL: Location(req.URL), Err: redirectTo(req.URL, to, resp.StatusCode)}
	}
	return resp, nil
}

// noUpgrade rejects an answer of 101: its body is the bare connection, which has no deadline.
type noUpgrade struct{ http.RoundTripper }

var errUpgrade = errors.New("it answered 101, to go on in another protocol that nobody asked for; check the url")

func (t noUpgrade) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.RoundTripper.RoundTrip(req)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		return resp, err
	}
	_ = resp.Body.Close()
	return nil, errUpgrade
}

// authFailed is the error of a request without credentials.
func authFailed(to *url.URL, err error) error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{URL: Location(to), Err: err}
}

// withHeaders returns a copy of the request with our headers.
func (c *Client) withHeaders(ctx context.Context, req *http.Request, authorization string) *http.Request {
	out := req.Clone(ctx)
	if out.Header == nil {
		out.Header = http.Header{}
	}
	out.Header.Set("User-Agent", c.userAgent)
	if authorization != "" {
		out.Header.Set("Authorization", authorization)
	}
	for name, value := range c.headers {
		if http.CanonicalHeaderKey(name) == "Host" {
			out.Host = value.Reveal()
			continue
		}
		out.Header.Set(name, value.Reveal())
	}
	return out
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}

func redirectTo(from *url.URL, to string, status int) error {
	target, err := from.Parse(to)
	if err != nil {
		return &redirectError{status: status}
	}
	return &redirectError{to: Location(target), status: status}
}

// UserAgent is longshore/ and the version that Go put into the binary.
func UserAgent() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "longshore/dev"
	}
	return "longshore/" + info.Main.Version
}

// A Payload is a request body whose memory the caller wants back: a transport may read it even
// after the answer. The zero value is ready; it must not be copied.
type Payload struct {
	open atomic.Int32
}

// Attach makes p the body of the request, also if the transport retries on another connection.
func (p *Payload) Attach(req *http.Request, body []byte) {
	reader := func() (io.ReadCloser, error) {
		p.open.Add(1)
		return &payloadReader{Reader: *bytes.NewReader(body), open: &p.open}, nil
	}
	req.ContentLength = int64(len(body))
	req.Body, _ = reader()
	req.GetBody = reader
}

// Free reports whether nobody reads the memory any more, once the request is done.
func (p *Payload) Free() bool { return p.open.Load() == 0 }

type payloadReader struct {
	bytes.Reader
	open   *atomic.Int32
	closed atomic.Bool
}

func (r *payloadReader) Close() error {
	if r.closed.CompareAndSwap(false, true) {
		r.open.Add(-1)
	}
	return nil
}
