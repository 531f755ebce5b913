package ledger

import (
	"fmt"
	"log/slog"
	"testing"

	"github.com/longshore/longshore/agent/disk/disktest"
)

// TestNoteIsNeverBehind stops the program after each operation of the disk: what the note says is
// never less than the progress beside it, and it knows of no source that the ledger does not.
func TestNoteIsNeverBehind(t *testing.T) {
	for stop := range 400 {
		d := disktest.New()
		operations := 0
		d.Fault = func(disktest.Op) error {
			if operations++; operations > stop {
				return fmt.Errorf("killed")
			}
			return nil
		}
		l, err := openOn(d, "data", slog.New(slog.DiscardHandler))
		if err != nil {
			continue
		}
		observed := uint64(0)
		l.SetNote(func() []byte { return fmt.Append(nil, observed) })
		s, err := l.Open(0, "in", "a", []string{"out"}, 1)
		if err != nil {
			t.Fatal(err)
		}
		track, err := s.Track("out")
		if err != nil {
			t.Fatal(err)
		}
		for at := uint64(0); at < 200; at++ {
			observed = at + 1
			s.Checkpoint(at+1, []byte("state"))
			track.Done(at, at+1)
			if at%3 == 0 {
				_ = l.Flush()
			}
		}
		d.Fault = nil
		again, err := openOn(d, "data", slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		noted, known := uint64(0), again.Known("in")
		if note := again.Note(); note != nil {
			if _, err := fmt.Sscan(string(note), &noted); err != nil {
				t.Fatal(err)
			}
			if len(known) != 1 || !again.Knows(s.ID()) {
				t.Fatalf("after %d operations there is a note, and %d sources", stop, len(known))
			}
		}
		if len(known) > 0 && noted < known[0].Cursor.Pos {
			t.Fatalf("after %d operations the note says %d, and the cursor is at %d", stop, noted, known[0].Cursor.Pos)
		}
	}
}

// TestNoteStays when the file is compacted, also after nobody notes anything any more.
func TestNoteStays(t *testing.T) {
	dir := t.TempDir()
	l, err := Open(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	l.SetNote(func() []byte { return []byte("noted") })
	if _, err := l.Open(0, "in", "a", []string{"out"}, 1); err != nil {
		t.Fatal(err)
	}
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	l.SetNote(nil)
	for _, compacts := range []bool{false, true} {
		if compacts {
			if err := l.file.replace(l.snapshot()); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if l, err = Open(dir, slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
		if note := string(l.Note()); note != "noted" {
			t.Errorf("the note is %q", note)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}
