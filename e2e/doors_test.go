package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestDoors has an agent send to another by Loki's push API and by Elasticsearch's bulk API, as it
// would to these, while that one is killed, and clients by HTTP. Nothing is lost, and records are
// what they were.
func TestDoors(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	push, bulk, lines := freeAddress(t), freeAddress(t), freeAddress(t)
	receiver := newAgent(t, fmt.Sprintf(`
inputs:
  push: {type: loki, listen: %q}
  bulk: {type: elasticsearch, listen: %q}
  lines: {type: http, listen: %q}
outputs:
  pushed: {type: file, path: %q}
  bulked: {type: file, path: %q}
  lined: {type: file, path: %q}
pipelines:
  a: {inputs: [push], outputs: [pushed]}
  b: {inputs: [bulk], outputs: [bulked]}
  c: {inputs: [lines], outputs: [lined]}
`, push, bulk, lines, file("pushed"), file("bulked"), file("lined")))
	sender := newAgent(t, fmt.Sprintf(`
inputs: {app: {type: file, paths: [%q]}}
outputs:
  loki: {type: loki, url: "http://%s", batch: {max_records: 100}}
  es: {type: elasticsearch, urls: ["http://%s"], batch: {max_records: 100}}
`, file("app.log"), push, bulk))
	const count = 20_000
	var text strings.Builder
	for i := range count {
		fmt.Fprintf(&text, `{"ts":"2026-11-30T21:00:00.%03dZ","level":"warn","msg":"number %06d","user":"u%d"}`+"\n",
			i%1000, i, i)
	}
	if err := os.WriteFile(file("app.log"), []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	receiver.start()
	sender.start()
	for kills := range 3 {
		eventually(t, "something more comes", time.Minute, func() (bool, string) {
			n := len(doorRecords(t, file("pushed")))
			return n > kills*count/4, fmt.Sprint(n)
		})
		receiver.kill()
		receiver.start()
	}
	eventually(t, "all comes by both", 2*time.Minute, func() (bool, string) {
		a, b := len(doorRecords(t, file("pushed"))), len(doorRecords(t, file("bulked")))
		return a == count && b == count, fmt.Sprint(a, " and ", b)
	})
	body := strings.NewReader(`[{"level":"warn","message":"number x"}]`)
	answer, err := http.Post("http://"+lines, "application/json", body)
	if err != nil || answer.StatusCode != http.StatusNoContent {
		t.Fatal(answer, err)
	}
	answer.Body.Close()
	if got := doorRecords(t, file("lined")); len(got) != 1 {
		t.Errorf("by HTTP %v came, and it was answered", got)
	}
	sender.stop()
	receiver.stop()
}

// doorRecords returns how often each message came. All are what the sender has read.
func doorRecords(t *testing.T, path string) map[string]int {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	got := map[string]int{}
	for line := range strings.Lines(string(text)) {
		var r struct {
			Timestamp, Level, Message, User string
			Filename                        string
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			continue // it is being written, or was when the agent was killed
		}
		fits := r.Filename != "" && r.User != "" && strings.HasPrefix(r.Timestamp, "2026-11-30T21:00:00.")
		if r.Level != "warn" || !strings.HasPrefix(r.Message, "number ") || !fits && filepath.Base(path) != "lined" {
			t.Fatalf("%s: %s", path, line)
		}
		got[r.Message]++
	}
	return got
}
