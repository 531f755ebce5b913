package e2e

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/longshore/longshore/e2e/chatter/script"
	"github.com/longshore/longshore/e2e/query"
	"github.com/longshore/longshore/e2e/server"
)

// TestSplunkEndpoint delivers by the Splunk output to the endpoint of VictoriaLogs that speaks its
// protocol, over a stop and a crash that leave nothing unanswered: every line is there once, as
// it was.
func TestSplunkEndpoint(t *testing.T) {
	v := query.VictoriaLogs{URL: server.VictoriaLogs(t).URL}
	w := writer{name: "shop", format: "json", lines: 9_000}
	file := filepath.Join(t.TempDir(), "shop.log")
	a := newAgent(t, fmt.Sprintf(`
inputs: {files: {type: file, paths: [%s]}}
outputs:
  out:
    type: splunk
    url: %s/insert/splunk
    token: ${TOKEN}
    sourcetype: "type-{level}"
    fields: {tier: "t-{level}"}
`, file, v.URL), "TOKEN=canary-token")
	fill(t, file, w, 0, 3_000)
	a.start()
	inVictoriaLogs(t, v, 1)
	a.stop()
	fill(t, file, w, 3_000, 6_000)
	a.start()
	a.delivered("out", 3_000)
	a.kill()
	fill(t, file, w, 6_000, w.lines)
	a.start()
	inVictoriaLogs(t, v, w.lines)
	a.stop()
	rows, err := v.Rows(t.Context(), "*")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]query.Row{}
	for _, row := range rows {
		seen[row["_msg"]] = row
	}
	if len(rows) != w.lines || len(seen) != w.lines {
		t.Fatalf("%d lines, %d different, want %d; one is %v", len(rows), len(seen), w.lines, rows[0])
	}
	for i := range w.lines {
		row := seen[script.Message(w.name, i)]
		at, err := time.Parse(time.RFC3339Nano, row["_time"])
		if err != nil || time.Since(at).Abs() > time.Hour || row["event.level"] != script.Level(i) ||
			row["event.trace_id"] != script.Trace(w.name, i) || row["source"] != file ||
			row["sourcetype"] != "type-"+script.Level(i) || row["fields.tier"] != "t-"+script.Level(i) {
			t.Fatalf("line %d is %v", i, row)
		}
	}
	nowhere(t, a, "canary-token")
}
