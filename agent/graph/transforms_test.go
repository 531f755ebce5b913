package graph

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/components"
	"github.com/longshore/longshore/pipeline"
)

// transforms are the real ones.
func transforms() []pipeline.Spec {
	return slices.DeleteFunc(components.All(), func(s pipeline.Spec) bool { return s.Kind != pipeline.KindTransform })
}

// TestTransforms sends lines through a pipeline that redacts by default, drops some and directs
// some, and one that rejects what it does not understand. The account closes.
func TestTransforms(t *testing.T) {
	w := newWorld()
	w.more = transforms()
	w.sources["a"] = []string{"debug t=1", "info t=2", "error t=3", "info t=4 token=abc123",
		"what is this password=hunter2"}
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		g := w.build(t, dir, `
inputs: {in: {type: script}}
parsers: {words: {type: words, on_error: dead_letter}}
transforms:
  quiet: {type: drop, if: level == "debug"}
  ways: {type: route, routes: [{if: level >= "error", outputs: [x, y]}], else: [x]}
outputs: {x: {type: memory}, y: {type: memory}}
pipelines:
  main: {inputs: [in], parsers: [words], transforms: [quiet, ways], outputs: [x, y]}
`)
		if err := g.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"info t=2", "error t=3", "info t=4 token=[REDACTED]"},
			linesOf(w.stored["x"])); diff != "" {
			t.Errorf("x: %s", diff)
		}
		if diff := cmp.Diff([]string{"error t=3"}, linesOf(w.stored["y"])); diff != "" {
			t.Errorf("y: %s", diff)
		}
		s := g.Status()
		closes(t, s, 2)
		for i, want := range []uint64{1, 3} {
			if c := s.Outputs[i].Counts; c.Filtered != want || c.Rejected != 1 || c.InFlight != 0 {
				t.Errorf("%s: %+v", s.Outputs[i].Name, c)
			}
		}
		deadLetters, err := os.ReadFile(filepath.Join(dir, "dead-letters", "x.jsonl"))
		if err != nil || !bytes.Contains(deadLetters,
			[]byte("what is this password=[REDACTED]")) || bytes.Contains(deadLetters, []byte("hunter2")) {
			t.Errorf("dead letters: %s, %v", deadLetters, err)
		}
	})
}

func linesOf(stored []string) []string {
	var lines []string
	for _, s := range stored {
		lines = append(lines, s[strings.LastIndexByte(s, '|')+1:])
	}
	return lines
}

// TestDestinationsWordsAreRedacted: a destination that repeats a secret puts it into no dead letter
// and no report, unless redaction is off.
func TestDestinationsWordsAreRedacted(t *testing.T) {
	for _, redact := range []bool{true, false} {
		w := newWorld()
		w.more = transforms()
		w.sources["a"] = []string{"info t=1"}
		w.answer = func(string, []string) error {
			return &pipeline.SendError{Outcome: pipeline.Reject, Status: 400,
				Reason: "bad header Authorization: Bearer 0f1e2d3c4b5a69788796a5b4c3d2e1f0"}
		}
		dir := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			g := w.build(t, dir, fmt.Sprintf(`
redact: %v
inputs: {in: {type: script}}
parsers: {words: {type: words}}
outputs: {x: {type: memory}}
pipelines:
  main: {inputs: [in], parsers: [words], outputs: [x]}
`, redact))
			if err := g.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
		})
		letters, err := os.ReadFile(filepath.Join(dir, "dead-letters", "x.jsonl"))
		if err != nil || !bytes.Contains(letters, []byte("bad header")) ||
			bytes.Contains(letters, []byte("0f1e2d3c")) == redact {
			t.Errorf("redact: %v: dead letters: %s, %v", redact, letters, err)
		}
	}
}
