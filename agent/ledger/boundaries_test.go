package ledger

import (
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/pipeline"
)

func cutsOf(t *testing.T, l *Ledger) []uint64 {
	t.Helper()
	known := l.Known("in")
	if len(known) != 1 {
		t.Fatalf("the ledger knows %d sources, want 1", len(known))
	}
	return known[0].TimeoutBoundaries
}

// TestACutIsOnDiskBeforeWhatItEnded and goes when the cursor is there.
func TestACutIsOnDiskBeforeWhatItEnded(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	s := must[*Source](t)(l.Open(0, "in", "a.log", []string{"x"}, 1<<20))
	x := must[*Track](t)(s.Track("x"))
	s.Checkpoint(100, []byte("at 100"))
	reserve := func(to uint64) {
		if err := x.Reserve(to); err != nil {
			t.Fatal(err)
		}
	}
	reserve(10)
	s.AddTimeoutBoundary(40)
	s.AddTimeoutBoundary(40)
	reserve(39)
	if cuts := cutsOf(t, open(t, copyOf(t, dir))); cuts != nil {
		t.Errorf("cuts are on disk before anyone waits for them: %v", cuts)
	}
	reserve(40)
	s.AddTimeoutBoundary(70)
	s.AddTimeoutBoundary(30)
	reserve(100)
	if diff := cmp.Diff([]uint64{30, 40, 70}, cutsOf(t, open(t, copyOf(t, dir)))); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	s.RemoveTimeoutBoundary(40)
	x.Done(0, 100)
	l = reopen(t, l, dir)
	defer l.Close()
	if cuts := cutsOf(t, l); len(cuts) != 0 {
		t.Errorf("the cursor is at 100, and the cuts %v are kept", cuts)
	}
}

// TestCutsAreWrittenOnce: as of a source whose destination is away, and which
// ends record after record by time.
func TestCutsAreWrittenOnce(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	s := must[*Source](t)(l.Open(0, "in", "a.log", []string{"x"}, 1<<20))
	const cuts = 2000
	for i := range uint64(cuts) {
		s.AddTimeoutBoundary((i + 1) * 100)
		if err := l.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if l.file.size > 100*cuts {
		t.Errorf("%d cuts took %d bytes", cuts, l.file.size)
	}
	if err := l.file.replace(l.snapshot()); err != nil {
		t.Fatal(err)
	}
	if l.file.size > 3*cuts {
		t.Errorf("%d cuts take %d bytes after a compaction", cuts, l.file.size)
	}
	l = reopen(t, l, dir)
	defer l.Close()
	if n := len(cutsOf(t, l)); n != cuts {
		t.Errorf("%d cuts are known, want %d", n, cuts)
	}
}

// firstVersion is such a file, as it was written by the code of that time.
const firstVersion = "" +
	"6c6f6e6773686f7265206c656467657220310a14000000ca7fc9c253c1ace2f6fef1a280ca01" +
	"02696e05612e6c6f6725000000110c675550c1ace2f6fef1a280ca0164066174203130300101" +
	"78e48040018c01a001025aa41378dc58"

// TestAFileOfTheFirstVersion was written before there were cuts.
func TestAFileOfTheFirstVersion(t *testing.T) {
	content, err := hex.DecodeString(firstVersion)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, fileName), content, 0o640); err != nil {
		t.Fatal(err)
	}
	l := open(t, dir)
	defer l.Close()
	at := cursorOf(t, l)
	if at.Pos != 100 || string(at.State) != "at 100" || cutsOf(t, l) != nil {
		t.Errorf("the cursor is at %d, %q, with cuts %v", at.Pos, at.State, cutsOf(t, l))
	}
	s := must[*Source](t)(l.Open(l.Known("in")[0].ID, "in", "a.log", []string{"x"}, 1<<20))
	marks, until := s.EarlierTimeAnchors()
	if diff := cmp.Diff([]TimeAnchor{{90, 1234}, {120, 5678}}, marks); diff != "" || until != 100+1<<20 {
		t.Errorf("marks hold until %d; -want +got\n%s", until, diff)
	}
	if x := must[*Track](t)(s.Track("x")); !x.Skip(150) || x.Skip(120) {
		t.Error("what is done beyond the cursor is not known")
	}
}

// TestWhatALaterVersionAddsIsPassedOver: a step back to an older version of the
// program must not set a good ledger aside.
func TestWhatALaterVersionAddsIsPassedOver(t *testing.T) {
	p := []byte(header)
	p = appendFrame(p, &entry{kind: kindSource, id: 7, input: "in", key: "a.log"})
	p = frame(append([]byte{'X', 7}, "anything"...), p)
	p = frame(append(appendPayload(nil, &entry{kind: kindProgress, id: 7, resume: cursorAt(9)}), "a further field"...), p)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, fileName), p, 0o640); err != nil {
		t.Fatal(err)
	}
	l := open(t, dir)
	defer l.Close()
	if at := cursorOf(t, l); at.Pos != 9 {
		t.Errorf("the cursor is at %d, want 9", at.Pos)
	}
}

func frame(payload, dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(payload)))
	dst = binary.LittleEndian.AppendUint32(dst, crc32.Checksum(payload, castagnoli))
	return append(dst, payload...)
}

func cursorAt(pos uint64) pipeline.Cursor { return pipeline.Cursor{Pos: pos, State: []byte("s")} }
