package multiline

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/longshore/longshore/pipeline"
)

// corpus returns the lines in other parsers' golden files, without empty
// ones and those that start records of several.
func corpus(t testing.TB) map[string][]string {
	t.Helper()
	lines := map[string][]string{}
	names, err := filepath.Glob("../*/testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "harmless.txt") { // of no format: indented lines, pieces of traces
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all := strings.Split(string(text), "\n")
		for n, line := range all[:len(all)-1] {
			if rest, ok := strings.CutPrefix(line, "< "); ok && rest != "" && !strings.HasSuffix(rest, " F ") &&
				!strings.HasPrefix(all[n+1], "|") {
				lines[name] = append(lines[name], rest)
			}
		}
	}
	return lines
}

// TestNoLineOfAKnownFormatIsJoined holds the joiner against all lines that the
// parsers know: none continues the one before, whichever that is, but for an exception's
// name below a line that tells of trouble.
func TestNoLineOfAKnownFormatIsJoined(t *testing.T) {
	all := corpus(t)
	for name, lines := range all {
		for _, line := range lines {
			if before, joined := joinedTo(all, line); joined {
				t.Errorf("%s: %q is joined to %q", name, line, before)
			}
		}
	}
}

// mostBefore bounds how many lines of a format others are put below.
const mostBefore = 4

// joinedTo finds a line that another is joined to, and should not be.
func joinedTo(all map[string][]string, line string) (before string, joined bool) {
	named := exceptionName([]byte(line)) != nameless
	for _, others := range all {
		for _, before := range others[:min(len(others), mostBefore)] {
			joiner := NewAuto()
			joiner.Line([]byte(before))
			if joiner.part || joiner.docker || isJUL([]byte(before)) { // the next line is its other half
				continue
			}
			told := named && joiner.record.alarmed()
			if joiner.Line([]byte(line))&pipeline.Continues != 0 && !told {
				return before, true
			}
		}
	}
	return "", false
}

// TestNoLogLineEndsUpInATrace puts some lines of each format below every line of every trace.
func TestNoLogLineEndsUpInATrace(t *testing.T) {
	traces := goldenFiles(t)
	for name, lines := range corpus(t) {
		for _, line := range lines[:min(len(lines), mostBefore)] {
			if !isHead([]byte(line)) {
				continue
			}
			for trace, text := range traces {
				joiner := NewAuto()
				for _, old := range strings.Split(text, "\n") {
					before, ok := goldenLine(old)
					if !ok {
						continue
					}
					joiner.Line([]byte(before))
					if isJUL([]byte(before)) || joiner.docker {
						continue
					}
					copied := *joiner
					if copied.Line([]byte(line))&pipeline.Continues != 0 {
						t.Fatalf("%s: %q is joined to the record of %q in %s", name, line, before, trace)
					}
				}
			}
		}
	}
}
