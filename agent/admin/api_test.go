package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/pipeline"
)

// fakeConsole notes what it was asked to do.
type fakeConsole struct{ did []string }

func (c *fakeConsole) Config() any      { return map[string]string{"text": "inputs: …"} }
func (c *fakeConsole) DeadLetters() any { return map[string]int{"count": 3} }

func (c *fakeConsole) Try(_ context.Context, lines, pipeline string) (any, error) {
	c.did = append(c.did, fmt.Sprintf("try %d bytes in %q", len(lines), pipeline))
	switch lines {
	case "busy":
		return nil, Busy("later")
	case "bad":
		return nil, Invalid("no")
	}
	return map[string]string{"line": lines}, nil
}

func (c *fakeConsole) Replay(output string) (any, error) {
	c.did = append(c.did, "replay "+output)
	switch output {
	case "nowhere":
		return nil, Missing("no such output")
	case "broken":
		return nil, errors.New("disk on fire")
	}
	return map[string]bool{"running": true}, nil
}

func (c *fakeConsole) StopReplay(output string) (any, error) {
	c.did = append(c.did, "stop "+output)
	return map[string]bool{"running": false}, nil
}

func consoleHandler(c Console, token pipeline.Secret, local bool) http.Handler {
	return handler(Options{Address: "127.0.0.1:8080", Token: token, Metrics: prometheus.NewRegistry(),
		Health: &Health{}, Log: slog.New(slog.DiscardHandler), Status: func() any { return 7 }, Console: c}, local,
		context.Background())
}

// endpoints are those of the console, and what they have done.
var endpoints = []struct {
	method, path, body, does string
	changes                  bool
}{
	{"GET", "/api/v1/status", "", "", false},
	{"GET", "/api/v1/config", "", "", false},
	{"GET", "/api/v1/dead-letters", "", "", false},
	{"POST", "/api/v1/try", `{"lines":"a","pipeline":"p"}`, `try 1 bytes in "p"`, false},
	{"POST", "/api/v1/dead-letters/loki/replay", "", "replay loki", true},
	{"DELETE", "/api/v1/dead-letters/loki/replay", "", "stop loki", true},
}

// TestWhoMayAskTheConsole: by host, origin and token, for every endpoint.
func TestWhoMayAskTheConsole(t *testing.T) {
	const yes, no = true, false
	tests := []struct {
		name               string
		local              bool
		token, sent        string
		host, origin, site string
		looks, changes     bool
	}{
		{"a command, no token set", true, "", "", "127.0.0.1:8080", "", "", yes, no},
		{"the page, no token set", true, "", "", "localhost", "http://localhost", "same-origin", yes, no},
		{"typed, no token set", true, "", "", "localhost:8080", "", "none", yes, no},
		{"the page with a token", true, "s", "Bearer s", "localhost", "http://localhost", "same-origin", yes, yes},
		{"the page without its token", true, "s", "", "localhost", "http://localhost", "same-origin", no, no},
		{"the page with another token", true, "s", "Bearer t", "localhost:8080", "", "same-origin", no, no},
		{"a token as it is not sent", true, "s", "s", "localhost:8080", "", "", no, no},
		{"a rebound name", true, "", "", "evil.example:8080", "http://evil.example:8080", "same-origin", no, no},
		{"another page", true, "", "", "127.0.0.1:8080", "https://evil.example", "cross-site", no, no},
		{"another page of this machine", true, "", "", "127.0.0.1:8080", "http://127.0.0.1:3000", "same-site", no, no},
		{"another page, an old browser", true, "", "", "127.0.0.1:8080", "https://evil.example", "", no, no},
		{"a sandboxed page, an old browser", true, "", "", "127.0.0.1:8080", "null", "", no, no},
		{"another port, an old browser", true, "", "", "127.0.0.1:8080", "http://127.0.0.1:3000", "", no, no},
		{"another page, the token", true, "s", "Bearer s", "localhost", "https://evil.example", "cross-site", no, no},
		{"an old browser's page", true, "s", "Bearer s", "127.0.0.1:8080", "http://127.0.0.1:8080", "", yes, yes},
		{"behind a proxy", false, "s", "Bearer s", "l.example", "https://l.example", "same-origin", yes, yes},
		{"others, no token set", false, "", "", "10.0.0.1:8080", "", "", no, no},
		{"others, no token set, one sent", false, "", "Bearer ", "10.0.0.1:8080", "", "", no, no},
		{"others, the token", false, "s", "Bearer s", "10.0.0.1:8080", "", "", yes, yes},
	}
	for _, test := range tests {
		for _, e := range endpoints {
			c := &fakeConsole{}
			r := httptest.NewRequest(e.method, "http://x"+e.path, strings.NewReader(e.body))
			r.Host = test.host
			for name, value := range map[string]string{"Authorization": test.sent, "Origin": test.origin,
				"Sec-Fetch-Site": test.site, "Content-Type": "application/json"} {
				if value != "" {
					r.Header.Set(name, value)
				}
			}
			w := httptest.NewRecorder()
			consoleHandler(c, pipeline.Secret(test.token), test.local).ServeHTTP(w, r)
			want := test.looks
			if e.changes {
				want = test.changes
			}
			if (w.Code == http.StatusOK) != want {
				t.Errorf("%s: %s %s answers %d %s", test.name, e.method, e.path, w.Code, w.Body)
			}
			if did := strings.Join(c.did, ", "); want && did != e.does || !want && did != "" {
				t.Errorf("%s: %s %s has done %q", test.name, e.method, e.path, did)
			}
		}
	}
}

// TestConsoleAnswers: what is asked for wrongly is said, in words.
func TestConsoleAnswers(t *testing.T) {
	tests := []struct {
		method, path, kind, body, says string
		want                           int
	}{
		{"POST", "/api/v1/try", "application/json; charset=utf-8", `{"lines":"x"}`, `"line": "x"`, 200},
		{"POST", "/api/v1/try", "text/plain", `{"lines":"x"}`, "Content-Type", 415},
		{"POST", "/api/v1/try", "application/x-www-form-urlencoded", `lines=x`, "Content-Type", 415},
		{"POST", "/api/v1/try", "", `{"lines":"x"}`, "Content-Type", 415},
		{"POST", "/api/v1/try", "application/json", `{"lines":7}`, "JSON", 400},
		{"POST", "/api/v1/try", "application/json", ``, "JSON", 400},
		{"POST", "/api/v1/try", "application/json", `{"lines":"` + strings.Repeat("x", 7<<20) + `"}`, "too much", 413},
		{"POST", "/api/v1/try", "application/json", `{"lines":"busy"}`, "later", 409},
		{"POST", "/api/v1/try", "application/json", `{"lines":"bad"}`, "no", 400},
		{"POST", "/api/v1/dead-letters/nowhere/replay", "", "", "no such output", 404},
		{"POST", "/api/v1/dead-letters/broken/replay", "", "", "disk on fire", 500},
		{"GET", "/api/v1/dead-letters/loki/replay", "", "", "", 405},
		{"GET", "/api/v1/try", "", "", "", 405},
		{"PUT", "/api/v1/config", "", "", "", 405},
	}
	for _, test := range tests {
		r := httptest.NewRequest(test.method, "http://127.0.0.1"+test.path, strings.NewReader(test.body))
		r.Header.Set("Authorization", "Bearer s")
		r.Header.Set("Content-Type", test.kind)
		w := httptest.NewRecorder()
		consoleHandler(&fakeConsole{}, "s", true).ServeHTTP(w, r)
		if w.Code != test.want || !strings.Contains(w.Body.String(), test.says) {
			t.Errorf("%s %s %.40s answers %d %s, want %d with %q", test.method, test.path, test.body, w.Code, w.Body,
				test.want, test.says)
		}
	}
}

// TestPageIsOpenAndStrict: the page itself has no data and needs no token, but for a name that was
// made to mean this machine; nothing in it may come from elsewhere.
func TestPageIsOpenAndStrict(t *testing.T) {
	tests := []struct {
		path, host, kind string
		local            bool
		token            pipeline.Secret
		want             int
	}{
		{"/", "127.0.0.1:8080", "text/html", true, "", 200},
		{"/", "10.0.0.1:8080", "text/html", false, "s", 200},
		{"/", "10.0.0.1:8080", "text/html", false, "", 200},
		{"/page/app.js", "localhost:8080", "text/javascript", true, "", 200},
		{"/page/page.css", "localhost:8080", "text/css", true, "s", 200},
		{"/page/icon.svg", "localhost:8080", "image/svg+xml", true, "s", 200},
		{"/page/page.go", "localhost:8080", "", true, "", 404},
		{"/page/..%2fadmin.go", "localhost:8080", "", true, "", 404},
		{"/page/", "localhost:8080", "", true, "", 404},
		{"/", "evil.example", "", true, "", 421},
	}
	for _, test := range tests {
		r := httptest.NewRequest("GET", "http://x"+test.path, nil)
		r.Host = test.host
		r.Header.Set("Sec-Fetch-Site", "cross-site") // a link to it
		w := httptest.NewRecorder()
		consoleHandler(&fakeConsole{}, test.token, test.local).ServeHTTP(w, r)
		if w.Code != test.want {
			t.Errorf("%s at %s answers %d", test.path, test.host, w.Code)
			continue
		}
		if w.Code != http.StatusOK {
			continue
		}
		h := w.Header()
		if !strings.HasPrefix(h.Get("Content-Type"), test.kind) || w.Body.Len() == 0 {
			t.Errorf("%s is %s, of %d bytes", test.path, h.Get("Content-Type"), w.Body.Len())
		}
		policy := h.Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "script-src 'self';", "style-src 'self';",
			"connect-src 'self';", "frame-ancestors 'none'", "require-trusted-types-for 'script'"} {
			if !strings.Contains(policy, part) {
				t.Errorf("%s: the policy %q has no %s", test.path, policy, part)
			}
		}
		if strings.Contains(policy, "unsafe") || h.Get("X-Content-Type-Options") != "nosniff" ||
			h.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s: the headers are %v", test.path, h)
		}
	}
}
