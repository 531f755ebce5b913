package admin

import (
	"log/slog"
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
				Log: slog.New(slog.DiscardHandler), Status: func() any { return 7 }}, local)
			for _, path := range []string{"/api/v1/status", "/debug/pprof/heap"} {
				r := httptest.NewRequest("GET", path, nil)
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
