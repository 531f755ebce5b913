package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/longshore/longshore/e2e/chatter/script"
	"github.com/longshore/longshore/e2e/query"
	"github.com/longshore/longshore/e2e/server"
)

// toVictoriaLogs are the outputs that reach a VictoriaLogs, by name, with its URL to be put in.
var toVictoriaLogs = map[string]string{
	"loki": `{type: loki, url: "%s/insert?_msg_field=message"}`,
	"elasticsearch": `{type: elasticsearch, urls: ["%s/insert/elasticsearch?` +
		`_msg_field=message&_time_field=@timestamp&_stream_fields=host,service,container.name,filename"]}`,
}

// A victoriaScenario is given a VictoriaLogs, an agent that delivers a file to it or to what stands
// before it, and the file.
type victoriaScenario func(t *testing.T, v query.VictoriaLogs, agent func(at string) *agent, file string)

func ofEachOutput(t *testing.T, scenario victoriaScenario, flags ...string) {
	for name, output := range toVictoriaLogs {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "shop.log")
			scenario(t, query.VictoriaLogs{URL: server.VictoriaLogs(t, flags...).URL}, func(at string) *agent {
				return newAgent(t, fmt.Sprintf("inputs: {files: {type: file, paths: [%s]}}\noutputs:\n  out: %s\n",
					file, fmt.Sprintf(output, at)))
			}, file)
		})
	}
}

// inVictoriaLogs waits until it has as many lines as it should have, or more.
func inVictoriaLogs(t *testing.T, v query.VictoriaLogs, want int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d lines in VictoriaLogs", want), 2*time.Minute, func() (bool, string) {
		n, err := v.Count(t.Context(), "*")
		return n >= want, fmt.Sprint(n, " ", err)
	})
}

// TestVictoriaLogs delivers through both outputs that it understands, with a stop and a crash on
// the way that leave nothing unanswered: every line is there once, and found by its fields.
func TestVictoriaLogs(t *testing.T) {
	ofEachOutput(t, func(t *testing.T, v query.VictoriaLogs, agent func(string) *agent, file string) {
		w := writer{name: "shop", format: "json", lines: 12_000}
		a := agent(v.URL)
		fill(t, file, w, 0, 4_000)
		a.start()
		inVictoriaLogs(t, v, 1)
		a.stop()
		fill(t, file, w, 4_000, 8_000)
		a.start()
		a.delivered("out", 4_000)
		a.kill()
		fill(t, file, w, 8_000, w.lines)
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
			if err != nil || time.Since(at).Abs() > time.Hour || row["level"] != script.Level(i) ||
				row["trace_id"] != script.Trace(w.name, i) || row["n"] != fmt.Sprint(i) ||
				!strings.Contains(row["_stream"], `="shop"`) {
				t.Fatalf("line %d is %v", i, row)
			}
		}
		for query, want := range map[string]int{
			"level:error": w.lines / 6, "trace_id:" + script.Trace(w.name, 120): 10, `filename:"` + file + `"`: w.lines,
		} {
			if n, err := v.Count(t.Context(), query); n != want || err != nil {
				t.Errorf("%s finds %d lines, want %d: %v", query, n, want, err)
			}
		}
	})
}

// TestVictoriaLogsAfterACrash: what a killed agent has sent without an answer is there twice, as
// VictoriaLogs neither takes ids nor answers Loki's queries. Nothing is lost, and nothing else is
// repeated.
func TestVictoriaLogsAfterACrash(t *testing.T) {
	ofEachOutput(t, func(t *testing.T, v query.VictoriaLogs, agent func(string) *agent, file string) {
		front := newGateway(t, v.URL)
		w := writer{name: "shop", format: "json", lines: 3_000}
		a := agent(front.URL)
		fill(t, file, w, 0, 1_000)
		a.start()
		a.delivered("out", 1_000)
		front.silence(true)
		fill(t, file, w, 1_000, 2_000)
		inVictoriaLogs(t, v, 1_001)
		a.kill()
		sent := settled(t, func() (int, error) { return v.Count(t.Context(), "*") }) - 1_000
		fill(t, file, w, 2_000, 3_000)
		front.silence(false)
		a.start()
		a.delivered("out", 2_000)
		a.stop()
		rows, err := v.Rows(t.Context(), "*")
		if err != nil {
			t.Fatal(err)
		}
		times := map[string]int{}
		for _, row := range rows {
			times[row["_msg"]]++
		}
		if len(times) != 3_000 || len(rows) != 3_000+sent {
			t.Errorf("%d lines, %d different, want 3000 and %d repeats", len(rows), len(times), sent)
		}
		for i := range 1_000 {
			if n := times[script.Message(w.name, i)]; n != 1 {
				t.Errorf("line %d, which was answered for, is there %d times", i, n)
			}
		}
	})
}

// TestVictoriaLogsLongLines: with the flag that the documentation names, long lines arrive through
// both, once.
func TestVictoriaLogsLongLines(t *testing.T) {
	lengths := []int{100, 250 << 10, 300 << 10, 900 << 10}
	ofEachOutput(t, func(t *testing.T, v query.VictoriaLogs, agent func(string) *agent, file string) {
		for _, n := range lengths {
			add(t, file, fmt.Appendf(nil, "{\"message\":\"%d %s\"}\n", n, strings.Repeat("x", n)))
		}
		a := agent(v.URL)
		a.start()
		a.delivered("out", len(lengths))
		a.stop()
		for _, n := range lengths {
			if found, err := v.Count(t.Context(), fmt.Sprintf(`_msg:"%d xxx"*`, n)); found != 1 || err != nil {
				t.Errorf("the line of %d bytes is there %d times: %v", n, found, err)
			}
		}
	}, "-insert.maxLineSizeBytes=2MB")
}
