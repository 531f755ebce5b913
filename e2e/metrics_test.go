package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/longshore/longshore/e2e/query"
	"github.com/longshore/longshore/e2e/server"
)

// stackFolder has what docker-compose.yml gives Prometheus and Grafana.
func stackFolder(t *testing.T) string {
	t.Helper()
	folder, err := filepath.Abs(filepath.Join(root, "examples", "stack"))
	if err != nil {
		t.Fatal(err)
	}
	return folder
}

// TestAlertRules has promtool check the alert rules, and play through what they are to tell.
func TestAlertRules(t *testing.T) {
	folder := filepath.Join(stackFolder(t), "prometheus")
	for _, args := range [][]string{
		{"check", "rules", "--lint=all", "--lint-fatal", "rules.yml"},
		{"test", "rules", "rules_test.yml"},
	} {
		if out, err := server.Promtool(t, folder, args...); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// TestMetricsInPrometheus has a real Prometheus scrape an agent with one output that takes all and
// one that is away: every panel of the agent's dashboard shows something, and every rule can be
// evaluated.
func TestMetricsInPrometheus(t *testing.T) {
	dir := t.TempDir()
	log := filepath.Join(dir, "app.log")
	if err := os.WriteFile(log, []byte(strings.Repeat("level=info msg=hello\n", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	a := newAgent(t, fmt.Sprintf(`
inputs: {app: {type: file, paths: [%s]}}
outputs:
  file: {type: file, path: %s}
  loki: {type: loki, url: "http://127.0.0.1:1"}
`, log, filepath.Join(dir, "out.jsonl")))
	a.start()
	rules := filepath.Join(stackFolder(t), "prometheus", "rules.yml")
	p := query.Prometheus{URL: server.Prometheus(t, fmt.Sprintf(`
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [%q]
scrape_configs:
  - job_name: longshore
    static_configs: [{targets: [%q]}]
`, rules, strings.TrimPrefix(a.url, "http://"))).URL}
	eventually(t, "samples of three scrapes", time.Minute, func() (bool, string) {
		n, err := p.Series(t.Context(), `count_over_time(longshore_output_lag_seconds{output="loki"}[1m]) >= 3`)
		return n == 1, fmt.Sprint(n, err)
	})
	filled := strings.NewReplacer("$instance", ".+", "$__rate_interval", "30s", "$__range", "5m")
	for _, panel := range panels(t, filepath.Join(stackFolder(t), "grafana", "dashboards", "agent.json")) {
		for _, target := range panel.Targets {
			expr := filled.Replace(target.Expr)
			if n, err := p.Series(t.Context(), expr); err != nil || n == 0 {
				t.Errorf("panel %q: %s has %d series (%v)", panel.Title, expr, n, err)
			}
		}
	}
	eventually(t, "all rules evaluated", time.Minute, func() (bool, string) { return rulesAreWell(t, p) })
}

// A panel is one of a Grafana dashboard.
type panel struct {
	Title   string
	Targets []struct{ Expr string }
}

func panels(t *testing.T, path string) []panel {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct{ Panels []panel }
	if err := json.Unmarshal(text, &dashboard); err != nil || len(dashboard.Panels) == 0 {
		t.Fatalf("%s has %d panels (%v)", path, len(dashboard.Panels), err)
	}
	return dashboard.Panels
}

// rulesAreWell reports whether all rules were evaluated without an error.
func rulesAreWell(t *testing.T, p query.Prometheus) (bool, string) {
	rules, err := p.Rules(t.Context())
	if err != nil {
		return false, err.Error()
	}
	for _, rule := range rules {
		if rule.Health != "ok" {
			return false, rule.Name + ": " + rule.Health + " " + rule.LastError
		}
	}
	return len(rules) >= 10, fmt.Sprintf("%d rules evaluated", len(rules))
}
