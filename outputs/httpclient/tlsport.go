package httpclient

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"
)

// probeTimeout bounds a look at what a port speaks.
const probeTimeout = 3 * time.Second

// errTLSPort is of a request by http:// to a port that speaks TLS: most servers only break the
// connection off, which says nothing.
var errTLSPort = errors.New("it speaks TLS there, and the url begins with http://; write https://")

// saysTLSPort are parts of the pages with which some servers answer 400 then.
var saysTLSPort = []string{
	"http request to an https server", // Go
	"to https port",                   // nginx
	"speaking plain http to an ssl",   // Apache
	"requires tls",
}

// isTLSPort reports whether an answer says that its port speaks TLS.
func isTLSPort(resp *http.Response, body []byte) bool {
	if resp.StatusCode != http.StatusBadRequest {
		return false
	}
	text := strings.ToLower(string(body))
	for _, said := range saysTLSPort {
		if strings.Contains(text, said) {
			return true
		}
	}
	return false
}

// explain returns the error of a request that got no answer. Where none was ever answered, it looks
// at whether the port speaks TLS.
func (c *Client) explain(req *http.Request, sent bool, err error) *Error {
	e := &Error{URL: Location(req.URL), Sent: sent, Err: err}
	if sent && !c.answered.Load() && req.URL.Scheme == "http" && req.Context().Err() == nil && c.speaksTLS(req) {
		e.Sent, e.Err = false, errTLSPort // a broken handshake takes no records
	}
	return e
}

// speaksTLS reports whether a request's port does, asked directly and told nothing.
func (c *Client) speaksTLS(req *http.Request) bool {
	if c.base.Proxy != nil {
		if proxy, err := c.base.Proxy(req); proxy != nil || err != nil {
			return false
		}
	}
	ctx, cancel := context.WithTimeout(req.Context(), probeTimeout)
	defer cancel()
	port := req.URL.Port()
	if port == "" {
		port = "80"
	}
	conn, err := c.base.DialContext(ctx, "tcp", net.JoinHostPort(req.URL.Hostname(), port))
	if err != nil {
		return false
	}
	defer conn.Close()
	// Nothing is sent over this connection, so nobody need be trusted.
	err = tls.Client(conn, &tls.Config{ServerName: req.URL.Hostname(), InsecureSkipVerify: true}).HandshakeContext(ctx)
	_, alerted := alertOf(err)
	return err == nil || alerted
}

// alertOf returns the alert by which the other side ended a handshake.
func alertOf(err error) (error, bool) {
	var remote *net.OpError
	if errors.As(err, &remote) && remote.Op == "remote error" {
		return remote.Err, true
	}
	return nil, false
}
