package graph

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/longshore/longshore/agent/ledger"
)

// TestReplayGivesEveryLineTheTimeItHad dates lines while the clock runs on, crashes, and dates them
// again, in other batches and on another clock.
func TestReplayGivesEveryLineTheTimeItHad(t *testing.T) {
	dir := t.TempDir()
	l := openLedger(t, dir)
	s, err := l.Open(0, "in", "a.log", []string{"x"}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	track, err := s.Track("x")
	if err != nil {
		t.Fatal(err)
	}
	clock := time.Unix(100, 0)
	now := func() time.Time { clock = clock.Add(70 * time.Millisecond); return clock }
	times := newTimestamps(s)
	had := map[uint64]int64{}
	const batch, end = 30, 900
	for first := uint64(0); first < end; first += batch {
		times.startBatch(first)
		for pos := first; pos < first+batch; pos += 10 {
			had[pos] = times.at(pos, now)
		}
		s.Checkpoint(first+batch, []byte("s"))
		if err := track.Reserve(first + batch); err != nil {
			t.Fatal(err)
		}
	}
	l, _ = crashed(t, l, dir)
	defer l.Close()
	if s, err = l.Open(s.ID(), "in", "a.log", []string{"x"}, 1000); err != nil {
		t.Fatal(err)
	}
	times = newTimestamps(s)
	clock = time.Unix(5000, 0)
	different := map[int64]bool{}
	for pos := uint64(0); pos < end; pos += 10 {
		if pos%70 == 0 {
			times.startBatch(pos)
		}
		got := times.at(pos, now)
		if got != had[pos] {
			t.Fatalf("the line at %d had the time %d, and has %d after a crash", pos, had[pos], got)
		}
		different[got] = true
	}
	if len(different) < 3 {
		t.Errorf("all lines took %d times: the clock did not move", len(different))
	}
}

// TestLinesOfASourceThatHadNoneKeepTheirTime crashes when a source is known and none of its lines
// was read, and again when some were sent.
func TestLinesOfASourceThatHadNoneKeepTheirTime(t *testing.T) {
	dir := t.TempDir()
	l := openLedger(t, dir)
	s, err := l.Open(0, "in", "a.log", []string{"x"}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	s.Checkpoint(0, []byte("s"))
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	clock := time.Unix(100, 0)
	now := func() time.Time { clock = clock.Add(time.Second); return clock }
	var had []int64
	for range 3 {
		l, dir = crashed(t, l, dir)
		if s, err = l.Open(s.ID(), "in", "a.log", []string{"x"}, 1000); err != nil {
			t.Fatal(err)
		}
		times := newTimestamps(s)
		for _, first := range []uint64{0, 30} {
			times.startBatch(first)
			had = append(had, times.at(first+10, now))
		}
		track, err := s.Track("x")
		if err != nil {
			t.Fatal(err)
		}
		if err := track.Reserve(60); err != nil {
			t.Fatal(err)
		}
	}
	l.Close()
	for i := 2; i < len(had); i++ {
		if had[i] != had[i-2] {
			t.Fatalf("two lines have the times %d, two for each run", had)
		}
	}
}

// crashed returns a ledger as the next process finds it when this one is killed now.
func crashed(t *testing.T, l *ledger.Ledger, dir string) (*ledger.Ledger, string) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, "ledger.log"))
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	next := t.TempDir()
	if err := os.WriteFile(filepath.Join(next, "ledger.log"), content, 0o640); err != nil {
		t.Fatal(err)
	}
	return openLedger(t, next), next
}

func openLedger(t *testing.T, dir string) *ledger.Ledger {
	t.Helper()
	l, err := ledger.Open(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestLongOutageHasFewAnchors dates a line a second for a month during which nothing is
// acknowledged.
func TestLongOutageHasFewAnchors(t *testing.T) {
	l := openLedger(t, t.TempDir())
	defer l.Close()
	s, err := l.Open(0, "in", "a.log", []string{"x"}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	times := newTimestamps(s)
	start := time.Unix(1_700_000_000, 0)
	const month = 30 * 24 * 3600
	for i := uint64(0); i < month; i++ {
		times.startBatch(i)
		times.at(i, func() time.Time { return start.Add(time.Duration(i) * time.Second) })
	}
	if times.kept > 20*anchorsKept {
		t.Errorf("%d anchors are kept after a month", times.kept)
	}
}

// TestPendingRecordKeepsItsTime: a record is pending that is assigned a time, and before it is
// known to, lines that come after it do.
func TestPendingRecordKeepsItsTime(t *testing.T) {
	dir := t.TempDir()
	l := openLedger(t, dir)
	s, err := l.Open(0, "in", "a.log", []string{"x"}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	clock := time.Unix(100, 0)
	now := func() time.Time { clock = clock.Add(time.Second); return clock }
	times, pending := newTimestamps(s), &join{}
	times.joins = []*join{pending}
	times.startBatch(0)
	pending.open = openRecord{lines: 1, pos: 30, batchFrom: 0}
	times.startBatch(40)
	had := []int64{times.at(50, now), times.ofPending(&pending.open, now)}
	pending.open = openRecord{}
	times.startBatch(60)
	had = append(had, times.at(60, now))
	track, err := s.Track("x")
	if err != nil {
		t.Fatal(err)
	}
	if err := track.Reserve(70); err != nil {
		t.Fatal(err)
	}
	l, _ = crashed(t, l, dir)
	defer l.Close()
	if s, err = l.Open(s.ID(), "in", "a.log", []string{"x"}, 1000); err != nil {
		t.Fatal(err)
	}
	times = newTimestamps(s)
	times.startBatch(0)
	for i, pos := range []uint64{50, 30, 60} {
		if got := times.at(pos, now); got != had[i] {
			t.Errorf("the record at %d had the time %d, and has %d after a crash", pos, had[i], got)
		}
	}
}
