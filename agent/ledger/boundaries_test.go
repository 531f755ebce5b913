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

func boundariesOf(t *testing.T, l *Ledger) []uint64 {
	t.Helper()
	known := l.Known("in")
	if len(known) != 1 {
		t.Fatalf("the ledger knows %d sources, want 1", len(known))
	}
	return known[0].TimeoutBoundaries
}

// TestTimeoutBoundaryIsStoredBeforeTheRecordItEnded: and is removed when the cursor is there.
func TestTimeoutBoundaryIsStoredBeforeTheRecordItEnded(t *testing.T) {
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
	if boundaries := boundariesOf(t, open(t, copyOf(t, dir))); boundaries != nil {
		t.Errorf("boundaries are on disk before anyone waits for them: %v", boundaries)
	}
	reserve(40)
	s.AddTimeoutBoundary(70)
	s.AddTimeoutBoundary(30)
	reserve(100)
	if diff := cmp.Diff([]uint64{30, 40, 70}, boundariesOf(t, open(t, copyOf(t, dir)))); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	s.RemoveTimeoutBoundary(40)
	x.Done(0, 100)
	l = reopen(t, l, dir)
	defer l.Close()
	if boundaries := boundariesOf(t, l); len(boundaries) != 0 {
		t.Errorf("the cursor is at 100, and the boundaries %v are kept", boundaries)
	}
}

// TestTimeoutBoundariesAreWrittenOnce: as of a source whose destination is away, and which
// ends record after record by time.
func TestTimeoutBoundariesAreWrittenOnce(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	s := must[*Source](t)(l.Open(0, "in", "a.log", []string{"x"}, 1<<20))
	const boundaries = 2000
	for i := range uint64(boundaries) {
		s.AddTimeoutBoundary((i + 1) * 100)
		if err := l.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if l.file.size > 100*boundaries {
		t.Errorf("%d boundaries took %d bytes", boundaries, l.file.size)
	}
	if err := l.file.replace(l.snapshot()); err != nil {
		t.Fatal(err)
	}
	if l.file.size > 3*boundaries {
		t.Errorf("%d boundaries take %d bytes after a compaction", boundaries, l.file.size)
	}
	l = reopen(t, l, dir)
	defer l.Close()
	if n := len(boundariesOf(t, l)); n != boundaries {
		t.Errorf("%d boundaries are known, want %d", n, boundaries)
	}
}

// firstVersion is a file that the code of that version wrote.
const firstVersion = "" +
	"6c6f6e6773686f7265206c656467657220310a14000000ca7fc9c253c1ace2f6fef1a280ca01" +
	"02696e05612e6c6f6725000000110c675550c1ace2f6fef1a280ca0164066174203130300101" +
	"78e48040018c01a001025aa41378dc58"

// TestReadsFirstVersion reads a file from before there were timeout boundaries.
func TestReadsFirstVersion(t *testing.T) {
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
	if at.Pos != 100 || string(at.State) != "at 100" || boundariesOf(t, l) != nil {
		t.Errorf("the cursor is at %d, %q, with boundaries %v", at.Pos, at.State, boundariesOf(t, l))
	}
	s := must[*Source](t)(l.Open(l.Known("in")[0].ID, "in", "a.log", []string{"x"}, 1<<20))
	anchors, until := s.EarlierTimeAnchors()
	if diff := cmp.Diff([]TimeAnchor{{90, 1234}, {120, 5678}}, anchors); diff != "" || until != 100+1<<20 {
		t.Errorf("anchors hold until %d; -want +got\n%s", until, diff)
	}
	if x := must[*Track](t)(s.Track("x")); !x.Skip(150) || x.Skip(120) {
		t.Error("what is done beyond the cursor is not known")
	}
}

// TestAdditionsOfLaterVersionsAreIgnored: a step back to an older version of the
// program must not set a good ledger aside.
func TestAdditionsOfLaterVersionsAreIgnored(t *testing.T) {
	p := []byte(header)
	p = appendFrame(p, &entry{kind: kindSource, id: 7, input: "in", key: "a.log"})
	p = frame(append([]byte{'X', 7}, "anything"...), p)
	p = frame(append(appendPayload(nil, &entry{kind: kindProgress, id: 7, resume: cursorAt(9)}),
		"a further field"...), p)
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
