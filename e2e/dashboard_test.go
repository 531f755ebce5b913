package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/longshore/longshore/e2e/query"
	"github.com/longshore/longshore/e2e/server"
)

// TestLogsDashboard ships logs of two services to a real Loki: every panel of the dashboard of logs
// shows something of them, with its variables as they are when the dashboard is opened, and as
// somebody sets them who looks for a trace.
func TestLogsDashboard(t *testing.T) {
	loki := server.Loki(t)
	dir := t.TempDir()
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	var lines strings.Builder
	for _, level := range []string{"info", "error", "debug"} {
		for _, service := range []string{"web", "stock"} {
			fmt.Fprintf(&lines, `{"level":%q,"msg":"an order","service":%q,"trace_id":%q}`+"\n", level, service, trace)
		}
	}
	log := filepath.Join(dir, "app.log")
	if err := os.WriteFile(log, []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	a := newAgent(t, fmt.Sprintf(`
inputs: {app: {type: file, paths: [%s]}}
outputs: {loki: {type: loki, url: %q}}
`, log, loki.URL))
	a.start()
	dashboard := panels(t, filepath.Join(stackFolder(t), "grafana", "dashboards", "logs.json"))
	for name, set := range map[string]*strings.Replacer{
		"as it is opened": variables(".+", ".*", "", ""),
		"of a trace":      variables("web|stock", "info|error|debug", trace, "order"),
	} {
		for _, panel := range dashboard {
			for _, target := range panel.Targets {
				expr := set.Replace(target.Expr)
				what := fmt.Sprintf("%s, panel %q: %s", name, panel.Title, expr)
				eventually(t, what, time.Minute, func() (bool, string) {
					now := time.Now()
					n, err := query.Loki{URL: loki.URL}.Results(t.Context(), expr, now.Add(-time.Hour), now)
					return n > 0, fmt.Sprint(n, err)
				})
			}
		}
	}
}

// variables fills in what Grafana does.
func variables(service, level, trace, search string) *strings.Replacer {
	return strings.NewReplacer("$service", service, "$level", level, "$trace_id", trace, "$search", search,
		"$__range", "1h", "$__auto", "1m")
}
