package file

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func testCursor() cursor {
	return cursor{
		id: inode{2049, 131}, pos: 1 << 40, size: 1<<40 + 7, skipping: true,
		head: printOf(make([]byte, headMax)), tail: printOf([]byte("the end\n")),
	}
}

func TestCursor(t *testing.T) {
	for _, c := range []cursor{{}, testCursor(), {finished: true, size: 3}} {
		got, err := decodeCursor(c.append(nil))
		if err != nil || got != c {
			t.Errorf("%+v became %+v, %v", c, got, err)
		}
	}
}

func TestCursorIsSmall(t *testing.T) {
	c := testCursor()
	if n := len(c.append(nil)); n > 48 {
		t.Errorf("%d bytes", n)
	}
}

func FuzzCursor(f *testing.F) {
	c := testCursor()
	f.Add(c.append(nil))
	f.Add([]byte{1, 0})
	f.Fuzz(func(t *testing.T, p []byte) {
		c, err := decodeCursor(p)
		if err != nil {
			return
		}
		again, err := decodeCursor(c.append(nil))
		if err != nil || again != c {
			t.Errorf("%s: %v", cmp.Diff(c, again, cmp.AllowUnexported(cursor{}, inode{}, fingerprint{})), err)
		}
	})
}
