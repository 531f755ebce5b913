package elasticsearch

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
		{"Elasticsearch", 200, `{"version":{"number":"9.5.4"},"tagline":"You Know, for Search"}`,
			"Elasticsearch 9.5.4", ""},
		{"OpenSearch", 200, `{"version":{"distribution":"opensearch","number":"3.3.0"}}`, "OpenSearch 3.3.0", ""},
		{"another that takes bulk requests", 404, "unsupported path", "", ""},
		{"an answer that is no object", 200, `[1]`, "", ""},
		{"without a login", 401, `{"error":{"type":"security_exception","reason":"no"}}`, "", "HTTP 401"},
		{"without the right to ask", 403, "no", "", ""},
	}
	for _, test := range tests {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(test.status)
			fmt.Fprint(w, test.answer)
		}))
		o := output(t, Config{URLs: []string{server.URL}})
		got, err := o.Probe(t.Context())
		if got != test.server || (err == nil) != (test.says == "") ||
			err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: got %q and %v, want %q and %q", test.name, got, err, test.server, test.says)
		}
		if o.Location() != server.URL {
			t.Errorf("the location is %q", o.Location())
		}
		server.Close()
		if _, err := o.Probe(t.Context()); err == nil || !strings.Contains(err.Error(), "connection refused") {
			t.Errorf("of a server that is away: %v", err)
		}
	}
}
