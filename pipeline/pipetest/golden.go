package pipetest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// GoldenTime is the time that the source knows of the lines in golden files,
// unless they say otherwise.
const GoldenTime = "2024-05-01T12:00:10.000Z"

// ParserGolden runs a parser over the golden files that a pattern names, one
// source each, and compares the records. In a golden file
//
//	# starts a comment
//	@ 2024-05-01T12:00:10Z is the source's time from here on; "@ none": it knows none
//	< is a line
//	| is one more line of the same record
//	> is its record, as event.AppendRecord writes it
//	! says that the line before is not understood
//
// Run the test with UPDATE_GOLDEN=1 in the environment to write what the parser says now.
func ParserGolden(t *testing.T, pattern string, parser pipeline.NewParser) {
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files %s (%v)", pattern, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			goldenFile(t, file, parser)
		})
	}
}

func goldenFile(t *testing.T, file string, parser pipeline.NewParser) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	src := event.NewSource(1, "test", file, nil)
	p := parser(src)
	at := goldenTime(t, GoldenTime)
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	for n, line := range lines {
		mark, rest, _ := strings.Cut(line, " ")
		switch mark {
		case "<":
			whole, more := goldenLines(lines[n:])
			got.WriteString(more + goldenRecord(t, p, src, at, whole) + "\n")
			continue
		case ">", "!", "|":
			continue
		case "@":
			at = goldenTime(t, rest)
		}
		got.WriteString(line + "\n")
	}
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(strings.Split(string(text), "\n"), strings.Split(got.String(), "\n")); diff != "" {
		t.Errorf("%s: -want +got:\n%s", file, diff)
	}
}

// goldenLines returns the record that starts with the first of some lines of a golden
// file, and these lines as they stand there.
func goldenLines(lines []string) (record, asTheyStand string) {
	n := 1
	for n < len(lines) && (lines[n] == "|" || strings.HasPrefix(lines[n], "| ")) {
		n++
	}
	var parts []string
	for _, line := range lines[:n] {
		_, part, _ := strings.Cut(line, " ")
		parts = append(parts, part)
	}
	return strings.Join(parts, "\n"), strings.Join(lines[:n], "\n") + "\n"
}

func goldenTime(t *testing.T, s string) int64 {
	if s == "none" {
		return 0
	}
	at, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t.Fatal(err)
	}
	return at.UnixNano()
}

// goldenRecord parses one line; it is in the middle of a batch, whose other
// records must not change.
func goldenRecord(t *testing.T, p pipeline.Parser, src *event.Source, at int64, line string) string {
	b := ParserBatch(src, at, []byte(line))
	understood := ParseChecked(t, p, b, 1)
	if !understood {
		return "! not understood"
	}
	return "> " + string(event.AppendRecord(nil, b, 1, false))
}

// ParserBatch returns a batch of three records, the middle one of which has the
// given line and time.
func ParserBatch(src *event.Source, at int64, line []byte) *event.Batch {
	b := &event.Batch{}
	b.Reset(src)
	b.Add(0, at, b.PutString("before"))
	b.Add(1, at, b.Put(line))
	b.Add(2, at, b.PutString("behind"))
	return b
}

// ParseChecked parses record i and holds the parser to its contract: a record that is not
// understood is as before, no other record changes, and what is written out is valid JSON.
func ParseChecked(t testing.TB, p pipeline.Parser, b *event.Batch, i int) bool {
	before := append([]event.Record(nil), b.Records...)
	line := string(b.Line(i))
	understood := p.Parse(b, i)
	for k := range b.Records {
		if (k != i || !understood) && b.Records[k] != before[k] {
			t.Errorf("parsing record %d as %v changed record %d", i, understood, k)
		}
	}
	if got := string(b.Line(i)); got != line {
		t.Errorf("parsing changed the line %q to %q", line, got)
	}
	if understood != (b.Records[i].Flags&event.Parsed != 0) {
		t.Errorf("line %q: Parse says %v, its flag says otherwise", line, understood)
	}
	if out := event.AppendRecord(nil, b, i, true); !json.Valid(out) {
		t.Errorf("line %q gives what is not JSON: %s", line, out)
	}
	return understood
}
