package file

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/longshore/longshore/pipeline"
)

// TestExamine looks at files that are there, not yet, and cannot be; nothing is made or written.
func TestExamine(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(at("there.jsonl"), []byte("half a li"), 0o600); err != nil {
		t.Fatal(err)
	}
	const room = "space ok: SIZE are free"
	for path, want := range map[string]string{
		"there.jsonl":   "folder ok: DIR, file ok: DIR/there.jsonl may be appended to, " + room,
		"new.jsonl":     "folder ok: DIR, file ok: DIR/new.jsonl is not there yet, and may be made, " + room,
		"no/such.jsonl": "folder failed: DIR/no is not there -> make it: mkdir -p DIR/no",
		"there.jsonl/x": "folder failed: DIR/there.jsonl is no folder -> name a file in a folder as path",
		".": "folder ok: UP, file failed: DIR is not a regular file -> name one that is, or none that is there; for " +
			"the terminal take the output stdout",
	} {
		o := &Output{path: filepath.Clean(at(path))}
		var told []string
		o.Examine(t.Context(), func(f pipeline.Finding) {
			line := fmt.Sprintf("%s %s: %s", f.What, f.State, f.Says)
			if f.Advice != "" {
				line += " -> " + f.Advice
			}
			told = append(told, line)
		})
		got := strings.ReplaceAll(strings.Join(told, ", "), dir, "DIR")
		got = strings.ReplaceAll(got, filepath.Dir(dir), "UP")
		got = regexp.MustCompile(`space \w+: .* are free.*`).ReplaceAllString(got, room)
		if got != want {
			t.Errorf("%s:\n%s\nwant\n%s", path, got, want)
		}
	}
	if text, err := os.ReadFile(at("there.jsonl")); err != nil || string(text) != "half a li" {
		t.Errorf("the file is changed: %q, %v", text, err)
	}
	if left, _ := filepath.Glob(at("*")); len(left) != 1 {
		t.Errorf("files were made: %v", left)
	}
}
