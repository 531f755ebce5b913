package loki

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestProbe(t *testing.T) {
	tests := []struct {
		name         string
		status       int
		answer       string
		server, says string // what the error says
	}{
		{"Loki", 200, `{"version":"3.7.8","revision":"abc"}`, "Loki 3.7.8", ""},
		{"one that does not know the path", 404, "404 page not found", "", ""},
		{"another that answers anything", 200, "<html>", "", ""},
		{"a name that controls a terminal", 200, `{"version":"3\u001b[31m"}`, "Loki 3 [31m", ""},
		{"without a login", 401, "no", "", "HTTP 401"},
		{"a gateway without Loki", 502, "bad gateway", "", "HTTP 502"},
	}
	for _, test := range tests {
		var asked string
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked = r.URL.Path + " " + r.Header.Get(tenantHeader)
			w.WriteHeader(test.status)
			fmt.Fprint(w, test.answer)
		}))
		o := newOutput(t, Config{URL: server.URL + "/behind", TenantID: "shop"})
		got, err := o.Probe(t.Context())
		if got != test.server || (err == nil) != (test.says == "") ||
			err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: got %q and %v, want %q and %q", test.name, got, err, test.server, test.says)
		}
		if want := "/behind/loki/api/v1/status/buildinfo shop"; asked != want {
			t.Errorf("%s: asked for %q, want %q", test.name, asked, want)
		}
		if o.Location() != server.URL+"/behind" {
			t.Errorf("the location is %q", o.Location())
		}
		server.Close()
		if _, err := o.Probe(t.Context()); err == nil || !strings.Contains(err.Error(), "connection refused") {
			t.Errorf("of a server that is away: %v", err)
		}
	}
}
