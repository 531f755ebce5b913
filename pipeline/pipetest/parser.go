package pipetest

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// TestParser checks a parser against its contract: it understands the lines it
// is meant for; of others it leaves the record as it was; whatever the line, the
// record comes out as valid JSON; and what it says does not depend on other lines.
func TestParser(t *testing.T, newParser pipeline.NewParser, understood ...string) {
	src := event.NewSource(1, "test", "suite", nil)
	t.Run("understands its lines", func(t *testing.T) {
		p := newParser(src)
		for _, line := range understood {
			if _, ok := parse(t, p, line); !ok {
				t.Errorf("does not understand %q", line)
			}
		}
	})
	t.Run("survives hostile lines", func(t *testing.T) {
		p := newParser(src)
		for range 2 { // the second time with a memory of the first
			for _, line := range append(HostileLines, understood...) {
				parse(t, p, line)
			}
		}
	})
	t.Run("says the same whatever came before", func(t *testing.T) {
		old := newParser(src)
		for range 3 {
			for _, line := range append(understood, HostileLines...) {
				a, _ := parse(t, old, line)
				b, _ := parse(t, newParser(src), line)
				if diff := cmp.Diff(a, b); diff != "" {
					t.Errorf("%.100q: %s", line, diff)
				}
			}
		}
	})
}

// parse parses one line, checks the record and returns it as JSON.
func parse(t *testing.T, p pipeline.Parser, line string) (string, bool) {
	t.Helper()
	b := &event.Batch{}
	b.Reset(event.NewSource(1, "test", "suite", nil))
	b.Add(0, 1700000000000000000, b.PutString("neighbour"))
	b.Add(10, 1700000000000000000, b.PutString(line))
	before := b.Records[1]
	ok := p.Parse(b, 1)
	if got := b.Records[1]; !ok && got != before {
		t.Errorf("%.100q is not understood, but the record was changed", line)
	}
	if got := string(b.Line(1)); got != line {
		t.Errorf("the line %.100q became %.100q", line, got)
	}
	out := event.AppendRecord(nil, b, 1, true)
	if !json.Valid(out) {
		t.Errorf("%.100q came out as invalid JSON: %.300s", line, out)
	}
	if len(b.Fields(0)) > 0 {
		t.Errorf("%.100q changed the record before it", line)
	}
	for _, f := range b.Fields(1) {
		if key := b.Bytes(f.Key.Span); f.Key.Kind == event.Name && event.NameKind(key) != event.Name {
			t.Errorf("%.100q has a field %q, which is no event.Name", line, key)
		}
	}
	return string(out), ok
}
