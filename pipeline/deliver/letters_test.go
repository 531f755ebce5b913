package deliver

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// kept gives the records of the letters in a file, line by line, and "torn"
// for a line that is none.
func kept(t *testing.T, path string) []string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var records []string
	for _, line := range bytes.Split(bytes.TrimSuffix(content, []byte("\n")), []byte("\n")) {
		var l Letter
		if json.Unmarshal(line, &l) != nil {
			l.Record = "torn"
		}
		records = append(records, l.Record)
	}
	return records
}

func write(t *testing.T, l *LetterFile, record string) {
	t.Helper()
	if err := l.Write([]Letter{{Output: "out", Record: record}}); err != nil {
		t.Fatal(err)
	}
}

func TestATornLetterDoesNotSpoilTheNext(t *testing.T) {
	l := NewLetterFile(t.TempDir(), "out")
	write(t, l, "a")
	content, _ := os.ReadFile(l.Path())
	if err := os.WriteFile(l.Path(), append(content, content[:len(content)/2]...), 0o640); err != nil {
		t.Fatal(err)
	}
	again := NewLetterFile(filepath.Dir(l.Path()), "out")
	write(t, again, "b")
	write(t, again, "c")
	if diff := cmp.Diff([]string{"a", "torn", "b", "c"}, kept(t, l.Path())); diff != "" {
		t.Error(diff)
	}
}

func TestLettersGoOnWhenTheirFileIsTakenAway(t *testing.T) {
	l := NewLetterFile(filepath.Join(t.TempDir(), "dead-letters"), "out")
	write(t, l, "a")
	if err := os.RemoveAll(filepath.Dir(l.Path())); err != nil {
		t.Fatal(err)
	}
	write(t, l, "b")
	if diff := cmp.Diff([]string{"b"}, kept(t, l.Path())); diff != "" {
		t.Error(diff)
	}
}
