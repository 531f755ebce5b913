package multiline

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

// In a golden file, # starts a comment, and every other line is one of a source
// behind what the joiner says of it:
//
//   - begins a record
//     *. begins one that is complete
//     |  continues the record
//     |. continues it, and completes it
//
// Run the test with UPDATE_GOLDEN=1 to write what the joiner says now; lines that
// start with a question mark are new ones.
var marks = map[string]bool{"* ": true, "*.": true, "| ": true, "|.": true, "? ": true}

func mark(decision pipeline.JoinDecision) string {
	m := []byte("* ")
	if decision&pipeline.Continues != 0 {
		m[0] = '|'
	}
	if decision&pipeline.Complete != 0 {
		m[1] = '.'
	}
	return string(m)
}

// goldenLine returns the line of the source in a line of a golden file.
func goldenLine(line string) (string, bool) {
	head := (line + "   ")[:2]
	if !marks[head] {
		return "", false
	}
	return strings.TrimPrefix(line[min(len(line), 2):], " "), true
}

func newAuto(*event.Source) pipeline.Joiner { return NewAuto() }

func TestGolden(t *testing.T) {
	for name, text := range goldenFiles(t) {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) {
			joiner := NewAuto()
			var got, lines []string
			for _, old := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
				line, ok := goldenLine(old)
				if !ok {
					got = append(got, old)
					continue
				}
				lines = append(lines, line)
				got = append(got, strings.TrimRight(mark(joiner.Line([]byte(line)))+" "+line, " "))
			}
			pipetest.TestJoiner(t, newAuto, lines...)
			checkGolden(t, name, text, strings.Join(got, "\n")+"\n")
		})
	}
}

func checkGolden(t *testing.T, name, want, got string) {
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s: -want +got:\n%s", name, diff)
	}
}

func goldenFiles(t testing.TB) map[string]string {
	names, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(names) == 0 {
		t.Fatalf("no golden files (%v)", err)
	}
	files := map[string]string{}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(text)
	}
	return files
}
