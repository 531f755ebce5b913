package csv

import (
	stdcsv "encoding/csv"
	"slices"
	"strings"
	"testing"

	"github.com/longshore/longshore/parsers/recognize"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

func newParser(t testing.TB) pipeline.NewParser {
	t.Helper()
	p, err := (&Config{Columns: []string{"time", "level", "_", "message", "duration"}, Delimiter: ","}).Parser()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const row = `2024-05-01T12:00:00Z,warn,,"a, ""quoted"" one",12`

func TestGolden(t *testing.T) { pipetest.ParserGolden(t, "testdata/*.txt", newParser(t)) }

func TestConformance(t *testing.T) { pipetest.TestParser(t, newParser(t), row) }

func TestCheck(t *testing.T) {
	for delimiter, ok := range map[string]bool{",": true, "\t": true, ";": true, "": false, "ab": false, `"`: false,
		"ä": false, "\n": false} {
		if problems := (&Config{Columns: []string{"a"}, Delimiter: delimiter}).Check(); (problems == nil) != ok {
			t.Errorf("%q: %v", delimiter, problems)
		}
	}
}

// FuzzRow: what is taken is what package encoding/csv reads.
func FuzzRow(f *testing.F) {
	f.Add(row)
	f.Add(`a;"b";c`)
	f.Fuzz(func(t *testing.T, line string) {
		if strings.ContainsAny(line, "\r\n") || line == "" {
			return
		}
		r := stdcsv.NewReader(strings.NewReader(line))
		want, err := r.Read()
		if err != nil {
			return // it is stricter: no bare quotes
		}
		b := &event.Batch{}
		b.Reset(event.NewSource(1, "test", "test", nil))
		b.Add(0, 0, b.PutString(line))
		p := &Parser{delimiter: ',', count: len(want), columns: recognize.NewColumns(make([]string, len(want)), nil)}
		var got []string
		for rest := b.Records[0].Line; ; {
			v, size, ok := p.value(b, rest)
			if !ok {
				t.Fatalf("%q is not understood", line)
			}
			got = append(got, string(b.Bytes(v)))
			if rest.Len == size {
				break
			}
			rest.Off, rest.Len = rest.Off+size+1, rest.Len-size-1
		}
		if !slices.Equal(got, want) || !p.Parse(b, 0) {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	})
}

func FuzzParse(f *testing.F) {
	p := newParser(f)
	src := event.NewSource(1, "test", "test", nil)
	f.Add([]byte(row))
	f.Fuzz(func(t *testing.T, line []byte) {
		b := pipetest.ParserBatch(src, 0, line)
		pipetest.ParseChecked(t, p(src), b, 1)
	})
}

func TestAllocs(t *testing.T) {
	src := event.NewSource(1, "test", "test", nil)
	p, b := newParser(t)(src), &event.Batch{}
	n := testing.AllocsPerRun(100, func() {
		b.Reset(src)
		b.Add(0, 0, b.PutString(row))
		p.Parse(b, 0)
	})
	if n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}
