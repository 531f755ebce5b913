package admin

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/pipeline"
)

func TestTokenForOtherMachines(t *testing.T) {
	tests := []struct {
		name, address string
		token         pipeline.Secret
		authorization string
		want          int
	}{
		{"this machine", "127.0.0.1:0", "", "", 200},
		{"others, no token set", "0.0.0.0:0", "", "", 403},
		{"others, without the token", "0.0.0.0:0", "secret", "", 401},
		{"others, another token", "0.0.0.0:0", "secret", "Bearer other", 401},
		{"others, with the token", "0.0.0.0:0", "secret", "Bearer secret", 200},
		{"this machine, a token set", "127.0.0.1:0", "secret", "", 401},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			local := !strings.HasPrefix(test.address, "0.")
			h := handler(Options{Token: test.token, Metrics: prometheus.NewRegistry(), Health: &Health{},
				Log: slog.New(slog.DiscardHandler), Status: func() any { return 7 }}, local, t.Context())
			for _, path := range []string{"/api/v1/status", "/debug/pprof/heap"} {
				r := httptest.NewRequest("GET", "http://127.0.0.1"+path, nil)
				r.Header.Set("Authorization", test.authorization)
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				if w.Code != test.want {
					t.Errorf("%s answers %d, want %d: %s", path, w.Code, test.want, w.Body)
				}
				if strings.Contains(w.Body.String(), "secret") {
					t.Errorf("the answer has the token: %s", w.Body)
				}
			}
		})
	}
}

// TestHostsOfRequests: a page whose name was made to mean this machine is not answered.
func TestHostsOfRequests(t *testing.T) {
	closed, open := http.StatusMisdirectedRequest, http.StatusOK
	for _, test := range []struct {
		host  string
		local bool
		token pipeline.Secret
		want  int
	}{
		{"127.0.0.1:8080", true, "", open}, {"127.0.0.1", true, "", open}, {"127.9.9.9:1", true, "", open},
		{"localhost:8080", true, "", open}, {"LocalHost.", true, "", open}, {"a.localhost:1", true, "", open},
		{"[::1]:8080", true, "", open}, {"[::1]", true, "", open}, {"", true, "", open},
		{"evil.example:8080", true, "", closed}, {"localhost.evil.example", true, "", closed},
		{"127.0.0.1.evil.example:80", true, "", closed}, {"10.0.0.1:8080", true, "", closed},
		{"0.0.0.0:8080", true, "", closed}, {"evil.example#localhost", true, "", closed},
		{"Own.Example:8080", true, "", open}, {"evil.example:8080", true, "secret", open},
		{"logs.example:8080", false, "", open},
	} {
		h := handler(Options{Address: "own.example:8080", Token: test.token, Metrics: prometheus.NewRegistry(),
			Health: &Health{}, Log: slog.New(slog.DiscardHandler), Status: func() any { return 7 }},
			test.local, t.Context())
		for _, path := range []string{"/", "/health", "/metrics", "/api/v1/status", "/debug/pprof/goroutine"} {
			r := httptest.NewRequest("GET", "http://x"+path, nil)
			r.Host = test.host
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if isOpen := w.Code != closed; isOpen != (test.want == open) {
				t.Errorf("%s asked for as %q (token %q): %d", path, test.host, test.token, w.Code)
			}
		}
	}
}

// TestForeignPages: a page of another origin, also of this machine, gets nothing of the API.
func TestForeignPages(t *testing.T) {
	for _, test := range []struct {
		site, origin string
		foreign      bool
	}{
		{"", "", false}, {"none", "", false}, {"same-origin", "", false},
		{"same-origin", "https://logs.example", false}, // a proxy has another name
		{"cross-site", "", true}, {"same-site", "", true}, {"anything", "", true},
		{"", "http://127.0.0.1:8080", false}, {"", "http://127.0.0.1:3000", true}, {"", "http://evil.example", true},
		{"", "null", true}, {"", "http://%", true},
	} {
		h := handler(Options{Metrics: prometheus.NewRegistry(), Health: &Health{},
			Log: slog.New(slog.DiscardHandler), Status: func() any { return 7 }}, true, t.Context())
		for _, path := range []string{"/api/v1/status", "/api/v1/logs", "/debug/pprof/heap", "/health", "/metrics"} {
			r := httptest.NewRequest("GET", "http://127.0.0.1:8080"+path, nil)
			for name, value := range map[string]string{"Sec-Fetch-Site": test.site, "Origin": test.origin} {
				if value != "" {
					r.Header.Set(name, value)
				}
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			isOpen := path == "/health" || path == "/metrics" || !test.foreign
			if (w.Code != http.StatusForbidden) != isOpen {
				t.Errorf("%s from %q, %q: %d", path, test.site, test.origin, w.Code)
			}
		}
	}
}

// TestReloadNeedsTheToken on this machine too, as it changes something.
func TestReloadNeedsTheToken(t *testing.T) {
	for _, test := range []struct {
		name          string
		token         pipeline.Secret
		authorization string
		err           error
		want          int
		says          string
	}{
		{"no token set", "", "", nil, 403, "set http.token"},
		{"no token set, one sent", "", "Bearer ", nil, 403, "set http.token"},
		{"without the token", "secret", "", nil, 401, "Authorization: Bearer"},
		{"another one", "secret", "Bearer x", nil, 401, "Authorization: Bearer"},
		{"with the token", "secret", "Bearer secret", nil, 200, "done"},
		{"a bad config", "secret", "Bearer secret", errors.New("line 3 is bad"), 422, "line 3 is bad"},
	} {
		t.Run(test.name, func(t *testing.T) {
			reloaded := false
			h := handler(Options{Token: test.token, Metrics: prometheus.NewRegistry(), Health: &Health{},
				Log: slog.New(slog.DiscardHandler), Status: func() any { return 7 },
				Reload: func() (any, error) { reloaded = true; return "done", test.err }}, true, t.Context())
			r := httptest.NewRequest("POST", "http://127.0.0.1/api/v1/reload", nil)
			r.Header.Set("Authorization", test.authorization)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != test.want || !strings.Contains(w.Body.String(), test.says) {
				t.Errorf("the answer is %d %s, want %d and %q", w.Code, w.Body, test.want, test.says)
			}
			if may := test.want == 200 || test.want == 422; reloaded != may {
				t.Errorf("reloaded: %v, want %v", reloaded, may)
			}
		})
	}
}
