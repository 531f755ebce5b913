package e2e

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/longshore/longshore/e2e/query"
	"github.com/longshore/longshore/e2e/server"
)

// backends are a Loki and an Elasticsearch that tests share. What each test
// stores goes by its name.
type backends struct {
	loki    *server.LokiServer
	elastic *server.ElasticServer
}

func (b backends) askLoki() query.Loki       { return query.Loki{URL: b.loki.URL} }
func (b backends) askElastic() query.Elastic { return query.Elastic{URL: b.elastic.URL} }

// agent follows the files of a folder, to both. A Loki that was asked to end may
// keep a request without an answer for as long as the agent waits.
func (b backends) agent(t *testing.T, files, index string) *agent {
	t.Helper()
	return newAgent(t, fmt.Sprintf(`
shutdown_timeout: 3s
inputs:
  files: {type: file, paths: [%s]}
outputs:
  loki: {type: loki, url: %q, timeout: 5s, retry: {max_backoff: 1s}}
  elastic: {type: elasticsearch, urls: [%q], index: %s, install_template: true, retry: {max_backoff: 1s}}
`, filepath.Join(files, "*.log"), b.loki.URL, b.elastic.URL, index))
}

func (b backends) stop() {
	b.loki.Stop()
	b.elastic.Stop()
}

func (b backends) start() {
	b.loki.Start()
	b.elastic.Start()
}

// has waits until both have all lines of a writer.
func (b backends) has(t *testing.T, w writer, when span) {
	t.Helper()
	inElastic(t, b.askElastic(), w.name, w.lines)
	inLoki(t, b.askLoki(), fmt.Sprintf("{service_name=%q}", w.name), when, w.lines)
}

// check holds what Elasticsearch and, as log queries see it, Loki have against the script.
func (b backends) check(t *testing.T, w writer, when span) {
	t.Helper()
	checkDocs(t, w, elasticDocs(t, b.askElastic(), w.name), w.name)
	checkDocs(t, w, lokiDocs(t, b.askLoki(), w, when), w.name)
}

// TestTrouble sends what is hard to take, and takes the servers away.
func TestTrouble(t *testing.T) {
	b := backends{loki: server.LokiOrImitation(t), elastic: server.Elasticsearch(t)}
	t.Run("hostile bytes", func(t *testing.T) { hostileBytes(t, b) })
	t.Run("down", func(t *testing.T) { down(t, b) })
	t.Run("stopped in the middle", func(t *testing.T) { stoppedInTheMiddle(t, b) })
}

// down starts the agent, ends it and starts it again while it can deliver nothing.
func down(t *testing.T, b backends) {
	w := writer{name: "down", format: "json", lines: 15_000} // more than the queues hold
	dir := t.TempDir()
	when := around()
	b.stop()
	fill(t, filepath.Join(dir, "down.log"), w, 0, w.lines)
	a := b.agent(t, dir, w.name)
	a.start()
	a.says("/health", 200)
	eventually(t, "both outputs named as ill", time.Minute, func() (bool, string) {
		status, why := a.ask("/ready")
		return status == 503 && strings.Contains(why, b.loki.URL) && strings.Contains(why, b.elastic.URL) &&
			strings.Count(why, "connection refused") == 2, why
	})
	a.says("/health", 200)
	asked := time.Now()
	a.stop()
	if took := time.Since(asked); took > 10*time.Second {
		t.Errorf("the agent took %v to end; its shutdown_timeout is 3s", took)
	}
	a.start()
	a.says("/ready", 503)
	b.start()
	b.has(t, w, when)
	a.says("/ready", 200)
	a.stop()
	b.check(t, w, when)
	lokiCounts(t, b.askLoki(), `{service_name="down"}`, when, w.lines)
}

// stoppedInTheMiddle ends and starts each server while lines are written. What was
// on its way then may be stored or not.
func stoppedInTheMiddle(t *testing.T, b backends) {
	w := writer{name: "middle", format: "json", lines: 12_000}
	file := filepath.Join(t.TempDir(), "middle.log")
	when := around()
	a := b.agent(t, filepath.Dir(file), w.name)
	a.start()
	next := 0
	// write goes on until the servers have been restarted, and has something to
	// write while they are down.
	write := func(lines int) {
		fill(t, file, w, next, next+lines)
		next += lines
	}
	write(2_000)
	inElastic(t, b.askElastic(), w.name, 1)
	write(2_000)
	b.loki.Stop()
	write(2_000)
	b.loki.Start()
	inLoki(t, b.askLoki(), `{service_name="middle"}`, when, 2_001)
	write(2_000)
	b.elastic.Stop()
	write(2_000)
	b.elastic.Start()
	write(w.lines - next)
	b.has(t, w, when)
	a.stop()
	b.check(t, w, when)
	lokiCounts(t, b.askLoki(), `{service_name="middle"}`, when, w.lines)
}

// hostileBytes are lines that no well-behaved program writes.
func hostileBytes(t *testing.T, b backends) {
	file := filepath.Join(t.TempDir(), "hostile.log")
	when := around()
	lines := hostileLines()
	for _, line := range lines {
		add(t, file, []byte(line.raw+"\n\x00\x00\n\r\n")) // and two empty lines, one of NULs
	}
	a := b.agent(t, filepath.Dir(file), "hostile")
	a.start()
	inElastic(t, b.askElastic(), "hostile", 3*len(lines))
	inLoki(t, b.askLoki(), `{service_name="hostile"}`, when, 3*len(lines))
	a.stop()

	checkHostile(t, lines, 2*len(lines), elasticDocs(t, b.askElastic(), "hostile"), 1<<20)
	var docs []doc
	for _, entry := range lokiEntries(t, b.askLoki(), `{service_name="hostile"}`, when) {
		docs = append(docs, docOf(t, writer{}, entry))
	}
	checkHostile(t, lines, 2*len(lines), docs, 255<<10)
}

type hostileLine struct {
	name, raw string
	long      bool   // it is cut, and marked
	skipped   string // at its start: no part of the message
}

func hostileLines() []hostileLine {
	const mebi = 1 << 20
	hole := strings.Repeat("\x00", 300)
	garbage := make([]byte, 5_000)
	rand.NewChaCha8([32]byte{1}).Read(garbage)
	garbage = bytes.ReplaceAll(garbage, []byte("\n"), []byte("\x00"))
	return []hostileLine{
		{name: "garbage", raw: string(garbage) + "."},
		{name: "a hole", raw: hole + "after a hole", skipped: hole},
		{name: "text with a NUL", raw: "nul \x00 inside"},
		{name: "invalid UTF-8", raw: "caf\xe9 \xff\xfe \xc3\x28 \xed\xa0\x80"},
		{name: "escape codes", raw: "\x1b]0;title\x07 red"},
		{name: "broken JSON", raw: `{"level":"info","msg":"no end`},
		{name: "deep JSON", raw: strings.Repeat(`{"a":`, 20_000)},
		{name: "line separators", raw: "one\u2028two\rthree"},
		{name: "10 MB", raw: "huge " + strings.Repeat("x", 10*mebi), long: true},
		{name: "10 MB of JSON", raw: `{"level":"warn","msg":"` + strings.Repeat("y", 10*mebi) + `"}`, long: true},
		{name: "the last line", raw: "end"},
	}
}

// checkHostile wants every line as a message, with what is no UTF-8 replaced, and
// so many empty ones; of a long line its start, of so many bytes at least.
func checkHostile(t *testing.T, lines []hostileLine, empty int, docs []doc, atLeast int) {
	t.Helper()
	if len(docs) != len(lines)+empty {
		t.Errorf("there are %d records, want %d", len(docs), len(lines)+empty)
	}
	for _, line := range lines {
		message := string([]rune(strings.TrimPrefix(line.raw, line.skipped)))
		if !slices.ContainsFunc(docs, func(d doc) bool {
			whole := !line.long && !d.Truncated && d.Message == message
			cut := line.long && d.Truncated && len(d.Message) >= atLeast && strings.HasPrefix(message, d.Message)
			return whole || cut
		}) {
			t.Errorf("%s: it is not there", line.name)
		}
	}
}
