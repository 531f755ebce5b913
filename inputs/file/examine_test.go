package file

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/pipetest"
)

func TestExamine(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.log", "b.log", "debug.log", "other.txt"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	config := pipetest.Config[*Config](t, Spec(),
		fmt.Sprintf("paths: ['%[1]s/*.log', '%[1]s/none/*.log', '%[1]s/*.txt']\n"+
			"exclude: [debug*]", dir))
	made, err := config.Input(pipetest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	in := made.(*input)
	in.settings.openFile = func(path string) (*os.File, error) {
		if strings.HasSuffix(path, ".txt") {
			return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrPermission}
		}
		return openFile(path)
	}
	var told []string
	in.Examine(t.Context(), func(f pipeline.Finding) {
		told = append(told, fmt.Sprintf("%s: %s", f.State, strings.ReplaceAll(f.Says, dir, "DIR")))
		if (f.Advice == "") != (f.State == pipeline.FoundFine) {
			t.Errorf("%s: advises %q", f.What, f.Advice)
		}
	})
	want := []string{"ok: 2 files and 1 excluded", "warning: 0 files",
		"failed: 1 file, 1 of them, or folders, not readable: open DIR/other.txt: permission denied"}
	if strings.Join(told, "\n") != strings.Join(want, "\n") {
		t.Errorf("told:\n%s", strings.Join(told, "\n"))
	}
}
