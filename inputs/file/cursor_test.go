package file

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func testCursor() cursor {
	return cursor{
		id: inode{2049, 131}, pos: 1 << 40, size: 1<<40 + 7, modified: 1_790_000_000_000, skipping: true,
		head: fingerprintOf(make([]byte, headMax)), tail: fingerprintOf([]byte("the end\n")),
	}
}

func TestCursor(t *testing.T) {
	for _, c := range []cursor{{}, testCursor(), {finished: true, compressed: true, size: 3}, {ended: true, pos: 1}} {
		got, err := decodeCursor(c.append(nil), "app.log")
		if err != nil || got != c {
			t.Errorf("%+v became %+v, %v", c, got, err)
		}
	}
}

func TestCursorOfTheFirstVersion(t *testing.T) {
	for name, compressed := range map[string]bool{"app.log": false, "app.log.gz": true} {
		var p []byte
		p = append(p, 1, cursorFinished, 5, 6, 7, 8)
		p = appendFingerprint(appendFingerprint(p, fingerprint{}), fingerprint{})
		got, err := decodeCursor(p, name)
		want := cursor{id: inode{5, 6}, pos: 7, size: 8, finished: true, compressed: compressed}
		if got != want || err != nil {
			t.Errorf("%s: %+v, %v, want %+v", name, got, err, want)
		}
	}
}

func TestCursorIsSmall(t *testing.T) {
	c := testCursor()
	if n := len(c.append(nil)); n > 54 {
		t.Errorf("%d bytes", n)
	}
}

func FuzzCursor(f *testing.F) {
	c := testCursor()
	f.Add(c.append(nil))
	f.Add([]byte{1, 0})
	f.Fuzz(func(t *testing.T, p []byte) {
		c, err := decodeCursor(p, "app.log")
		if err != nil {
			return
		}
		again, err := decodeCursor(c.append(nil), "app.log")
		if err != nil || again != c {
			t.Errorf("%s: %v", cmp.Diff(c, again, cmp.AllowUnexported(cursor{}, inode{}, fingerprint{})), err)
		}
	})
}
