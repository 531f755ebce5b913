package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestOpenDataDir: a data_dir that every user may write to is warned of.
func TestOpenDataDir(t *testing.T) {
	dir := t.TempDir()
	file, data := filepath.Join(dir, "longshore.yml"), filepath.Join(dir, "data")
	config := "data_dir: " + data + "\ninputs: {a: {type: docker}}\noutputs: {o: {type: stdout}}\n"
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	modes := map[os.FileMode]bool{0o750: false, 0o770: false, 0o777: true, 0o777 | os.ModeSticky: true}
	for mode, warned := range modes {
		if err := os.Chmod(data, mode); err != nil {
			t.Fatal(err)
		}
		var stderr bytes.Buffer
		a := app{stdout: &bytes.Buffer{}, stderr: &stderr, components: fakes(),
			env: func(string) (string, bool) { return "", false }}
		if code := a.run(t.Context(), []string{"check", "-c", file}); code != exitDone {
			t.Errorf("%v: ends with %d: %s", mode, code, &stderr)
		}
		if got := strings.Contains(stderr.String(), "warning: "+data); got != warned {
			t.Errorf("%v: warned %v: %s", mode, got, &stderr)
		}
	}
}
