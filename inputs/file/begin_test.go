package file

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestCursorAt: a cursor has what the file is known by, and is refused where it could not be.
func TestCursorAt(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "app.log")
	if err := os.WriteFile(path, []byte("one\ntwo\nthr"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		pos    uint64
		inLine bool
		err    error
	}{
		{0, false, nil}, {4, false, nil}, {8, false, nil}, {5, true, nil}, {11, true, nil}, {12, false, ErrBeyondEnd},
		{1 << 62, false, ErrBeyondEnd},
	}
	for _, test := range tests {
		place, err := CursorAt(path, test.pos)
		if !errors.Is(err, test.err) || place.InLine != test.inLine {
			t.Errorf("%d: in a line %v, %v", test.pos, place.InLine, err)
		}
		if err != nil {
			continue
		}
		c, err := decodeCursor(place.Cursor.State, path)
		if err != nil || place.Cursor.Pos != test.pos || c.pos != test.pos || c.head.len != 11 ||
			uint64(c.tail.len) != test.pos || c.ended != test.inLine {
			t.Errorf("%d: %+v, %v", test.pos, c, err)
		}
	}
	if _, err := CursorAt(filepath.Join(dir, "app.log.gz"), 0); !errors.Is(err, ErrCompressed) {
		t.Errorf("a compressed file: %v", err)
	}
	if _, err := CursorAt(dir, 0); !errors.Is(err, ErrNotRegular) {
		t.Errorf("a folder: %v", err)
	}
}
