package ledger

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestBlockedRouteTakesNoMemory: reading goes on while one route waits with its first record.
func TestBlockedRouteTakesNoMemory(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	s := must[*Source](t)(l.Open(0, "in", "a.log", []string{"away", "well"}, 1<<20))
	away, well := must[*Track](t)(s.Track("away")), must[*Track](t)(s.Track("well"))
	const batches = 10000
	for i := range uint64(batches) {
		s.Checkpoint((i+1)*10, fmt.Appendf(nil, "at %d", (i+1)*10))
		well.Done(i*10, (i+1)*10)
		if i > 0 {
			away.Done(i*10, (i+1)*10)
		}
	}
	if n := len(s.checkpoints); n > 2*maxCheckpoints {
		t.Errorf("%d checkpoints are in memory", n)
	}
	away.Done(0, 7)
	if pos := cursorOf(t, l).Pos; pos != 0 {
		t.Errorf("the cursor is at %d with position 7 in flight", pos)
	}
	away.Done(7, 10)
	l = reopen(t, l, dir)
	defer l.Close()
	if got := cursorOf(t, l); got.Pos != 10*batches || string(got.State) != fmt.Sprintf("at %d", got.Pos) {
		t.Errorf("the cursor is at %d, %q", got.Pos, got.State)
	}
}

// TestCursorBetweenDroppedCheckpoints: what is done beyond it is skipped.
func TestCursorBetweenDroppedCheckpoints(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	s := must[*Source](t)(l.Open(0, "in", "a.log", []string{"x"}, 1<<20))
	x := must[*Track](t)(s.Track("x"))
	for i := range uint64(1000) {
		s.Checkpoint((i+1)*10, fmt.Appendf(nil, "at %d", (i+1)*10))
	}
	x.Done(0, 4990)
	l = reopen(t, l, dir)
	defer l.Close()
	at := cursorOf(t, l)
	if at.Pos > 4990 || at.Pos == 0 || string(at.State) != fmt.Sprintf("at %d", at.Pos) {
		t.Fatalf("the cursor is at %d, %q", at.Pos, at.State)
	}
	x = must[*Track](t)(must[*Source](t)(l.Open(s.ID(), "in", "a.log", []string{"x"}, 1<<20)).Track("x"))
	for pos := at.Pos; pos < 10000; pos++ {
		if done := pos < 4990; x.Skip(pos) != done {
			t.Fatalf("Skip(%d) = %v", pos, !done)
		}
	}
}

func TestLeftoversOfACrashAreRemoved(t *testing.T) {
	dir := t.TempDir()
	left := filepath.Join(dir, fileName+".new")
	if err := os.WriteFile(left, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, dir).Close()
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("an interrupted compaction has left its file: %v", err)
	}
}

// TestNoRoomToCompact: what was appended is on disk all the same.
func TestNoRoomToCompact(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	defer l.Close()
	s := must[*Source](t)(l.Open(0, "in", "a.log", []string{"x"}, 1<<20))
	l.file.dir = filepath.Join(dir, "missing")
	for i := range uint64(40) {
		s.Checkpoint(i+1, make([]byte, 64<<10))
		must[*Track](t)(s.Track("x")).Done(i, i+1)
		if err := l.Flush(); err != nil {
			t.Fatalf("a flush that is on disk has failed: %v", err)
		}
	}
	l.file.dir = dir
}

// TestOneWriteServesAllWhoWait: as of thousands of sources that begin at the same time.
func TestOneWriteServesAllWhoWait(t *testing.T) {
	l := open(t, t.TempDir())
	defer l.Close()
	a := must[*Source](t)(l.Open(0, "in", "a.log", []string{"x"}, 1<<20))
	b := must[*Source](t)(l.Open(0, "in", "b.log", []string{"x"}, 1<<20))
	waiting := a.changed
	if err := durable(b); err != nil {
		t.Fatal(err)
	}
	b.Checkpoint(0, []byte("b goes on"))
	size := l.file.size
	if err := l.flushTo(waiting); err != nil || l.file.size != size {
		t.Errorf("%d more bytes were written for a change that is on disk: %v", l.file.size-size, err)
	}
	if err := must[*Track](t)(b.Track("x")).Reserve(1 << 30); err != nil || l.file.size == size {
		t.Errorf("nothing was written for a change that is not on disk: %v", err)
	}
}
