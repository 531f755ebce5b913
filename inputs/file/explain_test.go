package file

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/pipetest"
)

func TestExplain(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"app.log": "a\nb\nc\nd\ne\nf\r\n", "debug.log": "x\n", "other.txt": "x\n", "packed.log": "\x1f\x8b\x00",
		"long.log": strings.Repeat("x", 2*pipeline.TailBytes), "empty.log": "",
		"big.log": strings.Repeat(strings.Repeat("y", 999)+"\n", 100),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(dir, "app.log"), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	settings := pipetest.Config[*Config](t, Spec(), fmt.Sprintf("paths: [/nowhere/*, '%s/*.log']\nexclude: [debug*]",
		dir))
	made, err := settings.Input(pipetest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	explain := func(name string) pipeline.Explanation {
		e, err := made.(*input).Explain(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	for name, want := range map[string]string{
		"app.log": "paths[1] DIR/*.log matches it", "debug.log": "exclude[0] debug* excludes it",
		"other.txt": "no glob of paths matches it", "none.log": "there is no file DIR/none.log",
		".":    "it is no regular file",
		"link": "no glob of paths matches it; it leads to DIR/app.log, and what counts is the path that is named",
	} {
		e := explain(filepath.Join(dir, name))
		if got := strings.ReplaceAll(e.Why, dir, "DIR"); got != want || e.Taken != strings.Contains(want, "] DIR") {
			t.Errorf("%s: %v, %q", name, e.Taken, got)
		}
	}
	if e := explain("web-1"); e.Found || e.Why != "this is no path of a file" {
		t.Errorf("of a name: %+v", e)
	}
	source := explain(filepath.Join(dir, "app.log")).Sources[0]
	if !slices.Equal(source.Lines, []string{"b", "c", "d", "e", "f"}) || source.Key != filepath.Join(dir, "app.log") {
		t.Errorf("the source is %+v", source)
	}
	if got := source.Position(6); got != "its first 6 bytes of 13 bytes" {
		t.Errorf("a position is %q", got)
	}
	for name, want := range map[string]int{"packed.log": 0, "empty.log": 0, "long.log": 1, "big.log": 5} {
		if s := explain(filepath.Join(dir, name)).Sources[0]; len(s.Lines) != want || s.NoLines == "" {
			t.Errorf("%s: %d lines, %s", name, len(s.Lines), s.NoLines)
		}
	}
}
