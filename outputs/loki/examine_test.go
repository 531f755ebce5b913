package loki

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/longshore/longshore/pipeline"
)

func TestExamine(t *testing.T) {
	const version = `{"version":"3.7.8"}`
	tests := map[string]struct {
		info   int // status
		push   int
		answer string
		want   string
	}{
		"well": {200, 204, "", "server ok: Loki 3.7.8; writing ok: allowed; "},
		"no stream in it": {200, 422, "error at least one valid stream is required",
			"server ok: Loki 3.7.8; writing ok: allowed; "},
		"VictoriaLogs": {404, 204, "",
			"server unknown: it answers, and does not say which Loki it is; writing ok: allowed; "},
		"may ask, not write": {200, 403, "no", "server ok: Loki 3.7.8; writing failed: "},
		"no one to the push": {200, 401, "no", "server ok: Loki 3.7.8; writing failed: "},
		"wrong path":         {200, 404, "404 page not found", "server ok: Loki 3.7.8; writing failed: "},
		"may write, not ask": {403, 204, "",
			"login unknown: HTTP 403, {\"version\":\"3.7.8\"}: known there, and not allowed to ask what it is; " +
				"server unknown: it answers, and does not say which Loki it is; writing ok: allowed; "},
		"a page for the push": {200, 200, "<html>log in", "server ok: Loki 3.7.8; writing warning: "},
	}
	for name, test := range tests {
		var pushed int
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get(tenantHeader) != "shop" {
				t.Errorf("%s: without the tenant", name)
			}
			if r.URL.Path == "/loki/api/v1/push" {
				pushed++
				w.WriteHeader(test.push)
				fmt.Fprint(w, test.answer)
				return
			}
			w.WriteHeader(test.info)
			fmt.Fprint(w, version)
		}))
		o := newOutput(t, Config{URL: server.URL, TenantID: "shop"})
		var told strings.Builder
		o.Examine(t.Context(), func(f pipeline.Finding) {
			if f.What != "TCP" && f.What != "clock" {
				fmt.Fprintf(&told, "%s %s: %s; ", f.What, f.State, f.Says)
			}
		})
		if !strings.HasPrefix(told.String(), test.want) || pushed != 1 {
			t.Errorf("%s: told %s", name, &told)
		}
		server.Close()
	}
}
