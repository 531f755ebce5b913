package httpclient

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/longshore/longshore/pipeline"
)

const (
	// stepTimeout bounds one step on the way to a destination.
	stepTimeout = 10 * time.Second
	// renewTime is how long before a certificate expires is warned of it.
	renewTime = 14 * 24 * time.Hour
	// Clocks that differ by more are warned of, or break what depends on them: Loki rejects what is
	// ten minutes ahead, tokens and certificates are not valid yet or any more.
	skewWarned = 2 * time.Second
	skewBroken = 5 * time.Minute
	// shownAddresses is how many addresses of a name are shown.
	shownAddresses = 4
)

// Examine goes the way to a destination step by step, and ends with an answer to req, whose body is
// read. ok is false where there is none.
func (c *Client) Examine(req *http.Request, tell func(pipeline.Finding)) (resp *http.Response, body []byte, ok bool) {
	e := examination{client: c, ctx: req.Context(), tell: tell}
	proxied, ok := e.approach(req)
	if !ok {
		return nil, nil, false
	}
	return e.ask(req, proxied)
}

// Reach goes the same way without the request: for a destination where it would do something. It
// reports whether there is a connection.
func (c *Client) Reach(req *http.Request, tell func(pipeline.Finding)) bool {
	e := examination{client: c, ctx: req.Context(), tell: tell}
	_, ok := e.approach(req)
	return ok
}

// approach goes as far as to a connection, to the proxy if there is one.
func (e *examination) approach(req *http.Request) (proxied, ok bool) {
	proxy, ok := e.proxy(req)
	switch {
	case !ok:
		return false, false
	case proxy != nil:
		return true, e.reach(proxy)
	}
	return false, e.connect(req.URL)
}

// An examination is one call of Examine.
type examination struct {
	client *Client
	ctx    context.Context
	tell   func(pipeline.Finding)
}

func (e *examination) fine(what, says string) {
	e.tell(pipeline.Finding{What: what, Says: says})
}

func (e *examination) broken(what, says, advice string) bool {
	e.tell(pipeline.Finding{What: what, State: pipeline.FoundBroken, Says: says, Advice: advice})
	return false
}

func (e *examination) doubtful(what, says, advice string) {
	e.tell(pipeline.Finding{What: what, State: pipeline.FoundDoubtful, Says: says, Advice: advice})
}

// proxy returns the proxy that the request goes through, or nil.
func (e *examination) proxy(req *http.Request) (*url.URL, bool) {
	if e.client.base.Proxy == nil {
		return nil, true
	}
	proxy, err := e.client.base.Proxy(req)
	if err != nil {
		return nil, e.broken("proxy", "its URL cannot be used: "+Clean(withoutURL(err)),
			"check proxy, HTTPS_PROXY and HTTP_PROXY")
	}
	if proxy != nil {
		e.fine("proxy", "through "+Location(proxy)+"; for none, set proxy: none")
	}
	return proxy, true
}

// connect goes as far as a connection is needed for to.
func (e *examination) connect(to *url.URL) bool {
	if !e.reach(to) {
		return false
	}
	return to.Scheme != "https" || e.handshake(to)
}

// reach looks a name up and makes a connection.
func (e *examination) reach(to *url.URL) bool {
	host := to.Hostname()
	if net.ParseIP(host) == nil && !e.lookUp(host) {
		return false
	}
	ctx, cancel := context.WithTimeout(e.ctx, stepTimeout)
	defer cancel()
	address := net.JoinHostPort(host, portOf(to))
	conn, err := e.client.base.DialContext(ctx, "tcp", address)
	if err != nil {
		return e.broken("TCP", address+": "+describe(err),
			"see that it runs and listens there, and that no firewall is between")
	}
	_ = conn.Close()
	e.fine("TCP", address+" takes connections")
	return true
}

func (e *examination) lookUp(host string) bool {
	ctx, cancel := context.WithTimeout(e.ctx, stepTimeout)
	defer cancel()
	found, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		return e.broken("DNS", describe(err),
			"compare the name in the URL with what this machine can look up: getent hosts "+Clean(host))
	}
	more := ""
	if len(found) > shownAddresses {
		more = fmt.Sprintf(" and %d more", len(found)-shownAddresses)
		found = found[:shownAddresses]
	}
	e.fine("DNS", host+" is "+strings.Join(found, ", ")+more)
	return true
}

func portOf(u *url.URL) string {
	if port := u.Port(); port != "" {
		return port
	}
	switch u.Scheme {
	case "https":
		return "443"
	case "socks5", "socks5h":
		return "1080"
	}
	return "80"
}

// handshake looks at the certificates, whoever has signed them, and then at whether they are
// trusted.
func (e *examination) handshake(to *url.URL) bool {
	address := net.JoinHostPort(to.Hostname(), portOf(to))
	state, err := e.shown(address, to.Hostname())
	if err != nil {
		return e.broken("TLS", describe(err), "compare the URL's scheme and port with what the server speaks")
	}
	chain := state.PeerCertificates
	if err := e.trusted(address, to.Hostname()); err != nil {
		return e.broken("TLS", describe(err), "the server shows: "+describeChain(chain))
	}
	if e.client.base.TLSClientConfig.InsecureSkipVerify && e.client.base.DialTLSContext == nil {
		e.doubtful("TLS", "any certificate is trusted; it shows "+describeChain(chain),
			"set tls.ca_file in place of tls.insecure_skip_verify")
		return true
	}
	e.tell(Certificates(state))
	return true
}

// Certificates returns what is to be said of those that a server has shown, which are trusted.
// There is one at least.
func Certificates(state tls.ConnectionState) pipeline.Finding {
	chain := state.PeerCertificates
	if first := firstToExpire(chain); time.Until(first.NotAfter) < renewTime {
		return pipeline.Finding{What: "TLS", State: pipeline.FoundDoubtful, Advice: "renew it before then",
			Says: fmt.Sprintf("the certificate %q expires on %s", Clean(first.Subject.String()),
				first.NotAfter.UTC().Format(time.DateOnly))}
	}
	return pipeline.Finding{What: "TLS", Says: tls.VersionName(state.Version) + ", " + describeChain(chain)}
}

// shown returns the state of a connection that trusts anybody, and sends nothing.
func (e *examination) shown(address, host string) (tls.ConnectionState, error) {
	config := e.tlsConfig(host)
	config.InsecureSkipVerify, config.VerifyConnection = true, nil
	conn, err := e.dialTLS(address, config)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer conn.Close()
	state := conn.ConnectionState()
	if len(state.PeerCertificates) == 0 {
		return state, fmt.Errorf("it shows no certificate")
	}
	return state, nil
}

func (e *examination) tlsConfig(host string) *tls.Config {
	config := e.client.base.TLSClientConfig.Clone()
	if config.ServerName == "" {
		config.ServerName = host
	}
	return config
}

func (e *examination) dialTLS(address string, config *tls.Config) (*tls.Conn, error) {
	ctx, cancel := context.WithTimeout(e.ctx, stepTimeout)
	defer cancel()
	plain, err := e.client.base.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	conn := tls.Client(plain, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = plain.Close()
		return nil, err
	}
	return conn, nil
}

// trusted makes a connection as requests do.
func (e *examination) trusted(address, host string) error {
	var conn net.Conn
	var err error
	if dial := e.client.base.DialTLSContext; dial != nil {
		ctx, cancel := context.WithTimeout(e.ctx, stepTimeout)
		defer cancel()
		conn, err = dial(ctx, "tcp", address)
	} else {
		conn, err = e.dialTLS(address, e.tlsConfig(host))
	}
	if err != nil {
		return err
	}
	return conn.Close()
}

// describeChain says whose certificate a server shows.
func describeChain(chain []*x509.Certificate) string {
	first := firstToExpire(chain)
	return fmt.Sprintf("%q, signed by %q, until %s", Clean(chain[0].Subject.String()),
		Clean(chain[0].Issuer.String()), first.NotAfter.UTC().Format(time.DateOnly))
}

func firstToExpire(chain []*x509.Certificate) *x509.Certificate {
	first := chain[0]
	for _, c := range chain {
		if c.NotAfter.Before(first.NotAfter) {
			first = c
		}
	}
	return first
}

// ask sends the request, and tells of the answer's head.
func (e *examination) ask(req *http.Request, proxied bool) (*http.Response, []byte, bool) {
	ctx, cancel := context.WithTimeout(e.ctx, stepTimeout)
	defer cancel()
	sent := time.Now()
	resp, err := e.client.RoundTrip(req.WithContext(ctx))
	if err != nil {
		return nil, nil, e.broken("HTTP", RequestError(err).Reason, "")
	}
	received := time.Now()
	body, err := ReadBody(resp)
	if err != nil {
		return nil, nil, e.broken("HTTP", "the answer breaks off: "+describe(err), "")
	}
	if proxied && resp.TLS != nil && len(resp.TLS.PeerCertificates) > 0 {
		e.tell(Certificates(*resp.TLS)) // what lies behind a proxy shows its certificates only now
	}
	e.clock(resp.Header, sent, received)
	return resp, body, e.admitted(resp, body)
}

// admitted tells whether the answer is one to us.
func (e *examination) admitted(resp *http.Response, body []byte) bool {
	said := fmt.Sprintf("HTTP %d, %s", resp.StatusCode, Message(resp, body))
	switch {
	case resp.StatusCode == http.StatusUnauthorized && e.client.login:
		return e.broken("login", said, "the user and password, token or key are not known there; set them anew")
	case resp.StatusCode == http.StatusUnauthorized:
		return e.broken("login", said, "it asks who we are, and nothing is set; set auth")
	case resp.StatusCode == http.StatusForbidden:
		// Who may write need not be one who may ask this.
		e.tell(pipeline.Finding{What: "login", State: pipeline.FoundUnknown,
			Says: said + ": known there, and not allowed to ask what it is"})
		return true
	case resp.StatusCode == http.StatusProxyAuthRequired:
		return e.broken("proxy", said, "put a user and password into the proxy's URL")
	case resp.StatusCode >= 500:
		return e.broken("HTTP", said, "it, or what stands before it, is not well; see its own log")
	case isTLSPort(resp, body):
		return e.broken("HTTP", errTLSPort.Error(), "write https:// in the URL")
	}
	return true
}

// clock compares the clocks by the answer's Date, which is in whole seconds.
func (e *examination) clock(h http.Header, sent, received time.Time) {
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		e.tell(pipeline.Finding{What: "clock", State: pipeline.FoundUnknown, Says: "it does not say its time"})
		return
	}
	skew := skewOf(date, sent, received)
	says := "the same as here"
	if skew != 0 {
		says = fmt.Sprintf("its clock is %s %s of this machine's", skew.Abs().Round(time.Second),
			map[bool]string{true: "ahead", false: "behind"}[skew > 0])
	}
	const advice = "set the clocks by NTP, there and here"
	switch {
	case skew.Abs() > skewBroken:
		e.broken("clock", says, advice)
	case skew.Abs() > skewWarned:
		e.doubtful("clock", says, advice)
	default:
		e.fine("clock", says)
	}
}

// skewOf returns how far a clock that showed date at some time between two others is ahead of
// theirs for certain.
func skewOf(date, sent, received time.Time) time.Duration {
	switch {
	case date.After(received):
		return date.Sub(received)
	case date.Add(time.Second).Before(sent):
		return date.Add(time.Second).Sub(sent)
	}
	return 0
}

// TellAnswer tells what the answer to a request that would write says of whether we may.
func TellAnswer(what string, resp *http.Response, body []byte, may bool, tell func(pipeline.Finding)) {
	if may {
		tell(pipeline.Finding{What: what, Says: "allowed"})
		return
	}
	failure := ResponseError(resp, body)
	f := pipeline.Finding{What: what, State: pipeline.FoundBroken, Says: failure.Reason}
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		f.Advice = "set auth: who asks is not who writes there"
	case http.StatusForbidden:
		f.Advice = "known there, and not allowed to write; give it the right to"
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		f.Advice = "set url and path to where records are taken"
	default:
		f.State = pipeline.FoundDoubtful
	}
	tell(f)
}
