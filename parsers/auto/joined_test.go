package auto

import (
	"os"
	"strings"
	"testing"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

func newParser(*event.Source) pipeline.Parser { return New(nil) }

// joinedRecords returns the records of several lines in the golden file.
func joinedRecords(t testing.TB) []string {
	text, err := os.ReadFile("testdata/multiline.txt")
	if err != nil {
		t.Fatal(err)
	}
	var records []string
	for _, line := range strings.Split(string(text), "\n") {
		if first, ok := strings.CutPrefix(line, "< "); ok {
			records = append(records, first)
		}
		if rest, ok := strings.CutPrefix(line, "|"); ok {
			records[len(records)-1] += "\n" + strings.TrimPrefix(rest, " ")
		}
	}
	return records
}

func TestJoinedConformance(t *testing.T) {
	var understood []string
	for _, record := range joinedRecords(t) {
		if !strings.HasPrefix(record, "Routes:") && !strings.Contains(record, "not: 'json'") {
			understood = append(understood, record)
		}
	}
	pipetest.TestParser(t, newParser, understood...)
}

func TestJoinedAllocs(t *testing.T) {
	src := event.NewSource(1, "test", "test", nil)
	batch := &event.Batch{}
	for _, record := range joinedRecords(t) {
		p := New(nil)
		n := testing.AllocsPerRun(100, func() {
			batch.Reset(src)
			batch.Add(0, 1714564810e9, batch.PutString(record))
			p.Parse(batch, 0)
		})
		if n != 0 {
			t.Errorf("%v allocations, want none: %s", n, record)
		}
	}
}

func TestMultilineOff(t *testing.T) {
	newJoiner, _, err := (&Config{}).Joiner()
	if newJoiner != nil || err != nil {
		t.Errorf("multiline: false has a joiner (%v)", err)
	}
}

func FuzzJoined(f *testing.F) {
	for _, record := range joinedRecords(f) {
		f.Add([]byte(record))
	}
	src := event.NewSource(1, "test", "test", nil)
	f.Fuzz(func(t *testing.T, record []byte) {
		p := New(nil)
		for range 2 {
			pipetest.ParseChecked(t, p, pipetest.ParserBatch(src, 1714564810e9, record), 1)
		}
	})
}
