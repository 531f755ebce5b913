package httpclient

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/tlsfiles"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newClient(t *testing.T, s Settings) *Client {
	t.Helper()
	c, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// ask makes one request and gives the answer's body.
func ask(t *testing.T, c *Client, to string) (string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, to, nil)
	if err != nil {
		t.Fatal(err)
	}
	var payload Payload
	payload.Attach(req, []byte("payload"))
	resp, err := c.RoundTrip(req)
	if err != nil {
		return "", err
	}
	body, err := ReadBody(resp)
	return string(body), err
}

// echo answers with the request's headers of these names and its body.
func echo(names ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, name := range names {
			fmt.Fprintf(w, "%s=%s ", name, r.Header.Get(name))
		}
		_, _ = io.Copy(w, r.Body)
	})
}

func TestRequestHeaders(t *testing.T) {
	server := httptest.NewServer(echo("User-Agent", "Authorization", "X-Key"))
	t.Cleanup(server.Close)
	tokenFile := filepath.Join(t.TempDir(), "token")
	writeFile(t, tokenFile, "from-file\n")
	tests := map[string]struct {
		settings Settings
		want     string
	}{
		"nothing": {Settings{}, "Authorization= X-Key= payload"},
		"basic":   {Settings{Auth: Auth{Username: "u", Password: "p"}}, "Authorization=Basic dTpw X-Key= payload"},
		"bearer":  {Settings{Auth: Auth{BearerToken: "tok"}}, "Authorization=Bearer tok X-Key= payload"},
		"file":    {Settings{Auth: Auth{BearerTokenFile: tokenFile}}, "Authorization=Bearer from-file X-Key= payload"},
		"headers": {Settings{Headers: map[string]pipeline.Secret{"x-key": "k"}}, "Authorization= X-Key=k payload"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := ask(t, newClient(t, test.settings), server.URL)
			if want := "User-Agent=" + UserAgent() + " " + test.want; err != nil || got != want {
				t.Errorf("got %q, %v; want %q", got, err, want)
			}
		})
	}
	if !strings.HasPrefix(UserAgent(), "longshore/") {
		t.Errorf("user agent %q", UserAgent())
	}
}

func TestRenewedTokenFile(t *testing.T) {
	server := httptest.NewServer(echo("Authorization"))
	t.Cleanup(server.Close)
	path := filepath.Join(t.TempDir(), "token")
	writeFile(t, path, "one")
	c := newClient(t, Settings{Auth: Auth{BearerTokenFile: path}})
	writeFile(t, path, "two")
	if got, err := ask(t, c, server.URL); err != nil || got != "Authorization=Bearer two payload" {
		t.Errorf("got %q, %v", got, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	_, err := ask(t, c, server.URL)
	if f := RequestError(err); f.Outcome != pipeline.Hold || f.Uncertain || !strings.Contains(f.Reason, path) {
		t.Errorf("got %+v", f)
	}
}

func TestConnectionsAreReused(t *testing.T) {
	fresh := 0
	server := httptest.NewUnstartedServer(echo())
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			fresh++
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	c := newClient(t, Settings{})
	for range 5 {
		if _, err := ask(t, c, server.URL); err != nil {
			t.Fatal(err)
		}
	}
	if fresh != 1 {
		t.Errorf("%d connections for five requests", fresh)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/login" {
			t.Error("the redirect was followed")
		}
		http.Redirect(w, r, "/login?secret=1", http.StatusFound)
	}))
	t.Cleanup(server.Close)
	_, err := ask(t, newClient(t, Settings{}), server.URL+"/push")
	f := RequestError(err)
	want := server.URL + `/push: it answered 302 and points to "` + server.URL +
		`/login"; redirects are not followed, set the url to where the logs belong`
	if f.Reason != want || f.Outcome != pipeline.Hold || f.Uncertain {
		t.Errorf("got %+v, want %q", f, want)
	}
}

func TestOAuth2(t *testing.T) {
	issued, rejects := 0, false
	tokens := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, secret, _ := r.BasicAuth()
		if rejects || id != "me" || secret != "s3" || r.FormValue("scope") != "a b" ||
			r.FormValue("audience") != "logs" || r.URL.RawQuery != "realm=x%2Fy" {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"error":"invalid_client","error_description":"go away"}`)
			return
		}
		issued++
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": fmt.Sprint("t", issued), "token_type": "bearer",
			"expires_in": 3600})
	}))
	t.Cleanup(tokens.Close)
	revoked := "Bearer t1"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == revoked {
			w.WriteHeader(http.StatusUnauthorized)
		}
		_, _ = io.WriteString(w, r.Header.Get("Authorization"))
	}))
	t.Cleanup(server.Close)
	c := newClient(t, Settings{Auth: Auth{OAuth2: OAuth2{
		TokenURL: tokens.URL + "/token?realm=x%2Fy", ClientID: "me", ClientSecret: "s3",
		Scopes: []string{"a", "b"}, Params: map[string]string{"audience": "logs"},
	}}})
	for _, want := range []string{"Bearer t1", "Bearer t2", "Bearer t2"} { // the first is answered 401
		if got, err := ask(t, c, server.URL); err != nil || got != want {
			t.Errorf("got %q, %v; want %q", got, err, want)
		}
	}
	revoked, rejects = "Bearer t2", true
	_, _ = ask(t, c, server.URL)
	_, err := ask(t, c, server.URL)
	f := RequestError(err)
	want := "getting a token from " + tokens.URL +
		"/token: the OAuth2 server gave no token (HTTP 401: invalid_client go away); check auth.oauth2"
	if f.Reason != want || f.Outcome != pipeline.Hold || f.Uncertain {
		t.Errorf("got %+v, want %q", f, want)
	}
	tokens.Close()
	_, err = ask(t, c, server.URL)
	if f := RequestError(err); f.Outcome != pipeline.Retry || f.Uncertain ||
		!strings.HasPrefix(f.Reason, "getting a token from "+tokens.URL) {
		t.Errorf("got %+v", f)
	}
}

// The wait for a token that somebody else fetches ends with one's own context.
func TestWaitingForAToken(t *testing.T) {
	tok := newTokens(&OAuth2{TokenURL: "http://127.0.0.1:1"}, http.DefaultTransport)
	<-tok.slot
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := tok.authorize(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// An authority signs the certificates of a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // PEM
}

func newAuthority(t *testing.T) *authority {
	a := &authority{}
	a.cert, a.key = issue(t, nil, &x509.Certificate{IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign})
	a.file = filepath.Join(t.TempDir(), "ca.crt")
	writeFile(t, a.file, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})))
	return a
}

func issue(t *testing.T, by *authority, cert *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert.SerialNumber = big.NewInt(time.Now().UnixNano())
	cert.Subject = pkix.Name{CommonName: "test"}
	cert.NotBefore = time.Now().Add(-time.Hour)
	if cert.NotAfter.IsZero() {
		cert.NotAfter = time.Now().Add(time.Hour)
	}
	parent, signer := cert, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	raw, err := x509.CreateCertificate(rand.Reader, cert, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	made, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return made, key
}

func (a *authority) fingerprint() string {
	sum := sha256.Sum256(a.cert.Raw)
	return hex.EncodeToString(sum[:])
}

// serve starts a TLS server whose certificate a signed, and shows with others.
func (a *authority) serve(t *testing.T, cert *x509.Certificate, others ...*x509.Certificate) *httptest.Server {
	leaf, key := issue(t, a, cert)
	chain := tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key}
	for _, c := range others {
		chain.Certificate = append(chain.Certificate, c.Raw)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s, %d client certificates", r.Proto, len(r.TLS.PeerCertificates))
	}))
	server.EnableHTTP2 = true
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{chain}, ClientAuth: tls.RequestClientCert}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

// TestRenewedCAFile has the file of the trusted authorities change under a client.
func TestRenewedCAFile(t *testing.T) {
	ours, others := newAuthority(t), newAuthority(t)
	server := ours.serve(t, &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}})
	trusted := filepath.Join(t.TempDir(), "ca.crt")
	use := func(a *authority) {
		content, err := os.ReadFile(a.file)
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, trusted, string(content))
	}
	use(others)
	c := newClient(t, Settings{TLS: tlsfiles.Client{CAFile: trusted}})
	for _, step := range []struct {
		change func()
		want   string // in the reason
	}{
		{func() {}, "set tls.ca_file"},
		{func() { use(ours) }, ""},
		{func() { use(others) }, "set tls.ca_file"},
		{func() { writeFile(t, trusted, "half a certif") }, "has no certificate in it"},
		{func() { use(ours) }, ""},
	} {
		step.change()
		c.CloseIdleConnections()
		_, err := ask(t, c, server.URL)
		if step.want == "" && err != nil || step.want != "" && (err == nil ||
			!strings.Contains(RequestError(err).Reason, step.want)) {
			t.Errorf("%v, want %q", err, step.want)
		}
	}
}

func TestTLS(t *testing.T) {
	ours, others := newAuthority(t), newAuthority(t)
	ip := []net.IP{net.IPv4(127, 0, 0, 1)}
	good := ours.serve(t, &x509.Certificate{IPAddresses: ip}, ours.cert)
	named := ours.serve(t, &x509.Certificate{DNSNames: []string{"es01"}}, ours.cert)
	expired := ours.serve(t, &x509.Certificate{IPAddresses: ip, NotAfter: time.Now().Add(-time.Minute)}, ours.cert)
	// An impostor shows the right authority beside a certificate it did not sign.
	impostor := others.serve(t, &x509.Certificate{IPAddresses: ip}, ours.cert)

	client, clientKey := issue(t, ours, &x509.Certificate{})
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "c.crt"), filepath.Join(dir, "c.key")
	writeFile(t, certFile, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: client.Raw})))
	rawKey, err := x509.MarshalPKCS8PrivateKey(clientKey)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, keyFile, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: rawKey})))

	pairs := strings.ToUpper(ours.fingerprint())
	colons := pairs[:2]
	for i := 2; i < len(pairs); i += 2 {
		colons += ":" + pairs[i:i+2]
	}

	const plain = "HTTP/2.0, 0 client certificates"
	tests := map[string]struct {
		tls    tlsfiles.Client
		server *httptest.Server
		want   string // the answer, or a part of the reason
	}{
		"authority's file":        {tlsfiles.Client{CAFile: ours.file}, good, plain},
		"fingerprint":             {tlsfiles.Client{CAFingerprint: ours.fingerprint()}, good, plain},
		"fingerprint with colons": {tlsfiles.Client{CAFingerprint: colons}, good, plain},
		"anything goes":           {tlsfiles.Client{InsecureSkipVerify: true}, expired, plain},
		"client certificate": {tlsfiles.Client{CAFile: ours.file, CertFile: certFile, KeyFile: keyFile}, good,
			"HTTP/2.0, 1 client certificates"},
		"server name":          {tlsfiles.Client{CAFile: ours.file, ServerName: "es01"}, named, plain},
		"fingerprint and name": {tlsfiles.Client{CAFingerprint: ours.fingerprint(), ServerName: "es01"}, named, plain},
		"not trusted":          {tlsfiles.Client{}, good, "set tls.ca_file"},
		"trusted is another":   {tlsfiles.Client{CAFile: others.file}, good, "set tls.ca_file"},
		"other fingerprint": {tlsfiles.Client{CAFingerprint: others.fingerprint()}, good,
			"has the fingerprint in tls.ca_fingerprint"},
		"impostor":                {tlsfiles.Client{CAFingerprint: ours.fingerprint()}, impostor, "is not trusted"},
		"expired":                 {tlsfiles.Client{CAFile: ours.file}, expired, "has expired"},
		"expired, by fingerprint": {tlsfiles.Client{CAFingerprint: ours.fingerprint()}, expired, "has expired"},
		"another name":            {tlsfiles.Client{CAFile: ours.file}, named, "set tls.server_name"},
		"other name, fingerprint": {tlsfiles.Client{CAFingerprint: ours.fingerprint()}, named, "set tls.server_name"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := ask(t, newClient(t, Settings{TLS: test.tls}), test.server.URL)
			if err == nil {
				if got != test.want {
					t.Errorf("got %q, want %q", got, test.want)
				}
				return
			}
			f := RequestError(err)
			if !strings.Contains(f.Reason, test.want) || !strings.HasPrefix(f.Reason, test.server.URL) {
				t.Errorf("reason %q, want %q", f.Reason, test.want)
			}
			if f.Outcome != pipeline.Hold || f.Uncertain {
				t.Errorf("got %+v", f)
			}
		})
	}
}

func TestFailures(t *testing.T) {
	plain := httptest.NewServer(echo())
	t.Cleanup(plain.Close)
	gone := httptest.NewServer(echo())
	gone.Close()
	breaking := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(breaking.Close)
	late, cancel := context.WithDeadline(context.Background(), time.Unix(0, 0))
	t.Cleanup(cancel)
	tests := map[string]struct {
		ctx       context.Context
		url, want string
		outcome   pipeline.Outcome
		uncertain bool
	}{
		"refused": {url: gone.URL, want: "connection refused; is it running, and is the port right?"},
		"no TLS": {url: strings.Replace(plain.URL, "http", "https", 1),
			want: "it does not speak TLS there; should the url begin with http:// ?"},
		"broken off":  {url: breaking.URL, want: "EOF", uncertain: true},
		"late":        {ctx: late, url: plain.URL, want: "no answer in time; it may be overloaded, else raise timeout"},
		"no such one": {url: "http://nowhere.invalid", want: "the name"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			ctx := test.ctx
			if ctx == nil {
				ctx = context.Background()
			}
			req, err := http.NewRequestWithContext(ctx, http.MethodPost,
				strings.Replace(test.url, "://", "://user:secret@", 1)+"/p?token=secret", nil)
			if err != nil {
				t.Fatal(err)
			}
			_, err = newClient(t, Settings{Proxy: "none"}).RoundTrip(req)
			f := RequestError(err)
			if name == "no such one" { // depends on the resolver
				if !strings.Contains(f.Reason, `"nowhere.invalid"`) || f.Uncertain {
					t.Errorf("got %+v", f)
				}
				return
			}
			if want := test.url + "/p: " + test.want; f.Reason != want {
				t.Errorf("got  %q\nwant %q", f.Reason, want)
			}
			if f.Outcome != test.outcome || f.Uncertain != test.uncertain {
				t.Errorf("got %+v", f)
			}
			if strings.Contains(fmt.Sprint(f, err), "secret") {
				t.Errorf("tells the secret: %v, %v", f, err)
			}
		})
	}
}

func TestProxy(t *testing.T) {
	var asked string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter,
		r *http.Request) {
		asked = r.URL.String()
	}))
	t.Cleanup(proxy.Close)
	if _, err := ask(t, newClient(t, Settings{Proxy: proxy.URL}), "http://loki.invalid/push"); err != nil {
		t.Fatal(err)
	}
	if asked != "http://loki.invalid/push" {
		t.Errorf("the proxy was asked for %q", asked)
	}
}

func TestPayloadIsReleased(t *testing.T) {
	var p Payload
	req := &http.Request{}
	p.Attach(req, []byte("abc"))
	again, err := req.GetBody()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []io.ReadCloser{req.Body, again} {
		if got, err := io.ReadAll(r); string(got) != "abc" || err != nil || p.Free() {
			t.Errorf("got %q, %v, free %v", got, err, p.Free())
		}
		_ = r.Close()
		_ = r.Close()
	}
	if !p.Free() || req.ContentLength != 3 {
		t.Error("it was not given back")
	}
}

func TestReadBodyIsBounded(t *testing.T) {
	endless := &endless{}
	body, err := ReadBody(&http.Response{Body: endless})
	if err != nil || len(body) != MaxBody || !endless.closed || endless.read > MaxBody+maxDrained+64<<10 {
		t.Errorf("kept %d, %v, read %d, closed %v", len(body), err, endless.read, endless.closed)
	}
}

type endless struct {
	read   int
	closed bool
}

func (e *endless) Read(p []byte) (int, error) { e.read += len(p); return len(p), nil }
func (e *endless) Close() error               { e.closed = true; return nil }

func TestResponseError(t *testing.T) {
	request := &http.Request{URL: &url.URL{Scheme: "http", Host: "h:1", Path: "/p",
		User: url.UserPassword("u", "secret"), RawQuery: "k=secret"}}
	tests := []struct {
		status    int
		kind      string
		body      string
		outcome   pipeline.Outcome
		uncertain bool
		reason    string
	}{
		{400, "", " bad\n\n\x1b[31mline ", pipeline.Bisect, false, "bad [31mline"},
		{401, "", "", pipeline.Hold, false,
			"Unauthorized (401; check auth: the user and password, token or API key)"},
		{403, "text/html; charset=utf-8", "<html><head><title>403\nForbidden</title>…", pipeline.Hold, false,
			"403 Forbidden (403; check auth: it must be someone who may write there)"},
		{404, "text/html", "<p>", pipeline.Hold, false,
			"Not Found (404; check the URL: nothing takes records at this address)"},
		{408, "", "", pipeline.Retry, true, "Request Timeout"},
		{413, "", "", pipeline.Split, false, "Request Entity Too Large"},
		{422, "", "", pipeline.Reject, false, "Unprocessable Entity"},
		{429, "", "slow\xff down", pipeline.Retry, false, "slow down"},
		{502, "", "", pipeline.Retry, true, "Bad Gateway"},
		{599, "", "", pipeline.Retry, true, "an answer without words"},
		{500, "", strings.Repeat("x", 5000), pipeline.Retry, true, strings.Repeat("x", 1024) + " …"},
	}
	for _, test := range tests {
		resp := &http.Response{StatusCode: test.status,
			Header: http.Header{"Content-Type": {test.kind}, "Retry-After": {"7"}}, Request: request}
		got := ResponseError(resp, []byte(test.body))
		want := &pipeline.SendError{Outcome: test.outcome, Uncertain: test.uncertain, RetryAfter: 7 * time.Second,
			Status: test.status, Reason: "http://h:1/p: " + test.reason}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(test.status, diff)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC)
	for given, want := range map[string]time.Duration{
		"": 0, "5": 5 * time.Second, " 1.5 ": 1500 * time.Millisecond, "-1": 0, "x": 0, "NaN": 0,
		"Inf":  5 * time.Minute,
		"1e30": 5 * time.Minute, "99999": 5 * time.Minute,
		"Thu, 01 Oct 2026 12:00:30 GMT": 30 * time.Second, "Thu, 01 Oct 2026 11:00:00 GMT": 0,
		"Fri, 01 Oct 2027 11:00:00 GMT": 5 * time.Minute,
	} {
		if got := RetryAfter(http.Header{"Retry-After": {given}}, now); got != want {
			t.Errorf("%q: got %v, want %v", given, got, want)
		}
	}
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestSecretsStaySecret(t *testing.T) {
	s := Settings{
		Auth: Auth{Username: "u", Password: "hunter2", BearerToken: "hunter2",
			OAuth2: OAuth2{ClientSecret: "hunter2"}},
		Headers: map[string]pipeline.Secret{"X-Key": "hunter2"},
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("settings", "all", s, "headers", s.Headers, "auth", s.Auth)
	for _, text := range []string{log.String(), fmt.Sprintf("%v %+v %#v", s, s, s), fmt.Sprint(s.Check())} {
		if strings.Contains(text, "hunter2") {
			t.Errorf("tells the secret: %s", text)
		}
	}
}
