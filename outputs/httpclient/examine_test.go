package httpclient

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/tlsfiles"
)

// examine goes the way to a server, and returns what is told, a line for each finding.
func examine(t *testing.T, ctx context.Context, s Settings, to string) string {
	t.Helper()
	if s.Proxy == "" {
		s.Proxy = "none"
	}
	c := newClient(t, s)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, to, nil)
	if err != nil {
		t.Fatal(err)
	}
	var told strings.Builder
	c.Examine(req, func(f pipeline.Finding) {
		fmt.Fprintf(&told, "%s %s: %s", f.What, f.State, f.Says)
		if f.Advice != "" {
			fmt.Fprintf(&told, " -> %s", f.Advice)
		}
		told.WriteString("\n")
	})
	return told.String()
}

func TestExamineTLS(t *testing.T) {
	ours, others := newAuthority(t), newAuthority(t)
	ip := []net.IP{net.IPv4(127, 0, 0, 1)}
	month := time.Now().Add(30 * 24 * time.Hour)
	good := ours.serve(t, &x509.Certificate{IPAddresses: ip, NotAfter: month})
	soon := ours.serve(t, &x509.Certificate{IPAddresses: ip, NotAfter: time.Now().Add(24 * time.Hour)})
	named := ours.serve(t, &x509.Certificate{DNSNames: []string{"es01"}, NotAfter: month})
	expired := ours.serve(t, &x509.Certificate{IPAddresses: ip, NotAfter: time.Now().Add(-time.Minute)})
	unknown := others.serve(t, &x509.Certificate{IPAddresses: ip, NotAfter: month})
	shown := ours.serve(t, &x509.Certificate{IPAddresses: ip, NotAfter: month}, ours.cert)
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	for name, test := range map[string]struct {
		tls  tlsfiles.Client
		url  string
		want string // of TLS
	}{
		"good": {tlsfiles.Client{CAFile: ours.file}, good.URL,
			`TLS ok: TLS 1.3, "CN=test", signed by "CN=test", until ` +
				month.UTC().Format("2006-01-02")},
		"soon": {tlsfiles.Client{CAFile: ours.file}, soon.URL,
			`TLS warning: the certificate "CN=test" expires on .* -> renew it before then`},
		"name": {tlsfiles.Client{CAFile: ours.file}, named.URL,
			`TLS failed: its certificate is for another name.* -> the server shows: "CN=test"`},
		"right name": {tlsfiles.Client{CAFile: ours.file, ServerName: "es01"}, named.URL, `TLS ok: `},
		"expired": {tlsfiles.Client{CAFile: ours.file}, expired.URL,
			`TLS failed: its certificate has expired.* -> the server shows`},
		"unknown": {tlsfiles.Client{CAFile: ours.file}, unknown.URL,
			`TLS failed: its certificate is signed by an authority that is not trusted; set tls.ca_file`},
		"anything": {tlsfiles.Client{InsecureSkipVerify: true}, expired.URL, `TLS warning: any certificate is trusted`},
		"no TLS": {tlsfiles.Client{}, "https" + strings.TrimPrefix(plain.URL, "http"),
			`TLS failed: it does not speak TLS there`},
		"other print": {tlsfiles.Client{CAFingerprint: ours.fingerprint()}, unknown.URL,
			`TLS failed: no certificate that the server showed has the fingerprint`},
		// The authority itself expires soon.
		"print": {tlsfiles.Client{CAFingerprint: ours.fingerprint()}, shown.URL,
			`TLS warning: the certificate "CN=test" expires`},
	} {
		t.Run(name, func(t *testing.T) {
			told := examine(t, t.Context(), Settings{TLS: test.tls}, test.url)
			if !regexp.MustCompile(`(?m)^` + test.want).MatchString(told) {
				t.Errorf("want %s, told:\n%s", test.want, told)
			}
			if failed := strings.Contains(told, "TLS failed"); failed == strings.Contains(told, "\nclock ") {
				t.Errorf("asks after a failure, or not without one:\n%s", told)
			}
		})
	}
}

func TestExamineAnswers(t *testing.T) {
	date := func(by time.Duration) string { return time.Now().Add(by).UTC().Format(http.TimeFormat) }
	tests := map[string]struct {
		status int
		date   string
		body   string
		auth   Auth
		want   string
	}{
		"well": {200, date(0), "", Auth{}, `clock ok: the same as here`},
		"ahead": {200, date(time.Minute), "", Auth{},
			`clock warning: its clock is (59|60|1m0)s? ahead of this machine's -> set the clocks`},
		"behind":       {200, date(-time.Hour), "", Auth{}, `clock failed: its clock is (1h0m|59m59)\S*s behind`},
		"garbage date": {200, "yesterday", "", Auth{}, `clock unknown: it does not say its time`},
		"no login": {401, date(0), "who?", Auth{},
			`login failed: HTTP 401, who\? -> it asks who we are, and nothing is set; set auth`},
		"wrong login": {401, date(0), "", Auth{Username: "u", Password: "hunter2"},
			`login failed: HTTP 401, Unauthorized -> the user and password, token or key are not known`},
		"no right": {403, date(0), "", Auth{Username: "u", Password: "hunter2"},
			`login unknown: HTTP 403, Forbidden: known there`},
		"gateway": {502, date(0), "", Auth{},
			`HTTP failed: HTTP 502, Bad Gateway -> it, or what stands before it`},
		"hostile": {503, date(0), "\x1b[2J\n" + strings.Repeat("x", 1<<17), Auth{},
			`HTTP failed: HTTP 503, \[2J x{900}`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["Date"] = []string{test.date}
				w.WriteHeader(test.status)
				fmt.Fprint(w, test.body)
			}))
			defer server.Close()
			told := examine(t, t.Context(), Settings{Auth: test.auth}, server.URL)
			if !regexp.MustCompile(`(?m)^` + test.want).MatchString(told) {
				t.Errorf("want %s, told:\n%s", test.want, told)
			}
			if strings.Contains(told, "hunter2") || len(told) > 3000 || strings.Contains(told, "\x1b") {
				t.Errorf("told:\n%q", told)
			}
		})
	}
}

func TestExamineTheWay(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	away := httptest.NewServer(nil)
	away.Close()
	if told := examine(t, t.Context(), Settings{}, away.URL); !strings.HasPrefix(told, "TCP failed: ") ||
		!strings.Contains(told, "connection refused") || strings.Count(told, "\n") != 1 {
		t.Errorf("away: told:\n%s", told)
	}
	told := examine(t, t.Context(), Settings{}, "http://no-such-name.invalid:3100")
	if !strings.HasPrefix(told, "DNS failed: ") || strings.Count(told, "\n") != 1 {
		t.Errorf("no name: told:\n%s", told)
	}
	told = examine(t, t.Context(), Settings{Proxy: strings.Replace(server.URL, "//", "//me:hunter2@", 1)},
		"http://no-such-name.invalid:3100")
	if !strings.Contains(told, "proxy ok: through "+server.URL) || strings.Contains(told, "hunter2") ||
		!strings.Contains(told, "clock ok") {
		t.Errorf("by a proxy: told:\n%s", told)
	}
	told = examine(t, t.Context(), Settings{Proxy: away.URL}, server.URL)
	if !strings.Contains(told, "TCP failed") {
		t.Errorf("by a proxy that is away: told:\n%s", told)
	}
}

// TestExamineTLSBehindAProxy: the certificates of what a proxy connects to are looked at, too.
func TestExamineTLSBehindAProxy(t *testing.T) {
	ours := newAuthority(t)
	soon := time.Now().Add(24 * time.Hour)
	server := ours.serve(t, &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotAfter: soon})
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		there, err := net.Dial("tcp", r.Host)
		if err != nil {
			t.Error(err)
			return
		}
		defer there.Close()
		here, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer here.Close()
		if _, err := io.WriteString(here, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
			t.Error(err)
			return
		}
		go func() {
			_, _ = io.Copy(there, buffered) // the server may have read on
			_ = there.Close()
		}()
		_, _ = io.Copy(here, there)
	}))
	defer proxy.Close()
	settings := Settings{Proxy: proxy.URL, TLS: tlsfiles.Client{CAFile: ours.file}}
	if told := examine(t, t.Context(), settings, server.URL); !strings.Contains(told,
		"\nTLS warning: the certificate") {
		t.Errorf("told:\n%s", told)
	}
	settings.TLS = tlsfiles.Client{}
	if told := examine(t, t.Context(), settings, server.URL); !strings.Contains(told,
		"an authority that is not trusted") {
		t.Errorf("told:\n%s", told)
	}
}

// TestExamineEnds: a server that never answers holds nothing up once ctx has ended.
func TestExamineEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	}))
	defer server.Close()
	told := examine(t, ctx, Settings{}, server.URL)
	if !strings.Contains(told, "HTTP failed: ") {
		t.Errorf("told:\n%s", told)
	}
}

func TestSkew(t *testing.T) {
	sent := time.Date(2026, 1, 1, 12, 0, 0, 900e6, time.UTC)
	received := sent.Add(200 * time.Millisecond)
	for date, want := range map[time.Duration]time.Duration{
		0: 0, time.Second: 0, -time.Second: -900 * time.Millisecond, 2 * time.Second: 900 * time.Millisecond,
		-2 * time.Second: -1900 * time.Millisecond,
	} {
		if got := skewOf(sent.Truncate(time.Second).Add(date), sent, received); got != want {
			t.Errorf("%v: %v, want %v", date, got, want)
		}
	}
}
