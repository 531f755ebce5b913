package elasticsearch

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/longshore/longshore/pipeline"
)

func TestExamine(t *testing.T) {
	const root = `{"version":{"number":"9.5.4"}}`
	const unknown = "it cannot be asked without a write; --write sends a test record"
	tests := map[string]struct {
		status int
		answer string
		want   string
	}{
		"may write": {200, `{"has_all_requested":true}`, "writing ok: allowed, to logs-*-default"},
		"may not": {200, `{"has_all_requested":false}`,
			"writing failed: who we are there may not write to logs-*-default"},
		"no security": {400, `{"error":"no handler found"}`, "writing unknown: " + unknown},
		"no object":   {200, `[true]`, "writing unknown: " + unknown},
	}
	for name, test := range tests {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/es/":
				fmt.Fprint(w, root)
			case "/es/_security/user/_has_privileges":
				asked, _ := io.ReadAll(r.Body)
				if string(asked) != `{"index":[{"names":["logs-*-default"],"privileges":["create_doc"]}]}` {
					t.Errorf("%s: asks %s", name, asked)
				}
				if user, password, _ := r.BasicAuth(); user != "me" || password != "hunter2" {
					t.Errorf("%s: asks as %s", name, user)
				}
				w.WriteHeader(test.status)
				fmt.Fprint(w, test.answer)
			default:
				t.Errorf("%s: asks for %s", name, r.URL.Path)
			}
		}))
		o := output(t, Config{URLs: []string{strings.Replace(server.URL, "//", "//me:hunter2@", 1) + "/es"},
			Index: "logs-{service}-default"})
		var told strings.Builder
		o.Examine(t.Context(), func(f pipeline.Finding) { fmt.Fprintf(&told, "%s %s: %s\n", f.What, f.State, f.Says) })
		if !strings.Contains(told.String(), "server ok: Elasticsearch 9.5.4\n"+test.want+"\n") ||
			strings.Contains(told.String(), "hunter2") {
			t.Errorf("%s: told %s", name, &told)
		}
		server.Close()
	}
}

// TestExamineEveryNode: of several nodes each is looked at.
func TestExamineEveryNode(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	away := httptest.NewServer(nil)
	away.Close()
	var told strings.Builder
	output(t, Config{URLs: []string{away.URL, server.URL}, Index: "a"}).Examine(t.Context(), func(f pipeline.Finding) {
		fmt.Fprintf(&told, "%s %s\n", f.What, f.State)
	})
	want := "node 1 TCP failed\nnode 2 TCP ok\nnode 2 clock ok\nnode 2 server unknown\nnode 2 writing unknown\n"
	if told.String() != want {
		t.Errorf("told:\n%s", &told)
	}
}
