package graph

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/longshore/longshore/agent/ledger"
)

// TestReplayGivesEveryLineTheTimeItHad dates lines while the clock runs on,
// crashes, and dates them again, in other batches and on another clock.
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
	times := newLineTimes(s)
	had := map[uint64]int64{}
	const batch, end = 30, 900
	for first := uint64(0); first < end; first += batch {
		times.round(first)
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
	times = newLineTimes(s)
	clock = time.Unix(5000, 0)
	different := map[int64]bool{}
	for pos := uint64(0); pos < end; pos += 10 {
		if pos%70 == 0 {
			times.round(pos)
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

// TestLinesOfASourceThatHadNoneKeepTheirTime crashes when a source is known and
// none of its lines was read, and again when some were sent.
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
		times := newLineTimes(s)
		for _, first := range []uint64{0, 30} {
			times.round(first)
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

// crashed gives a ledger as the next process finds it when this one is killed now.
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

// TestMarksOfALongOutageAreFew dates a line a second for a month during which
// nothing is acknowledged.
func TestMarksOfALongOutageAreFew(t *testing.T) {
	l := openLedger(t, t.TempDir())
	defer l.Close()
	s, err := l.Open(0, "in", "a.log", []string{"x"}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	times := newLineTimes(s)
	start := time.Unix(1_700_000_000, 0)
	const month = 30 * 24 * 3600
	for i := uint64(0); i < month; i++ {
		times.round(i)
		times.at(i, func() time.Time { return start.Add(time.Duration(i) * time.Second) })
	}
	if times.held > 20*marksHeld {
		t.Errorf("%d marks are held after a month", times.held)
	}
}

// TestAHeldRecordKeepsItsTime: a record is held that takes a mark, and before it is
// known to, lines that come after it do.
func TestAHeldRecordKeepsItsTime(t *testing.T) {
	dir := t.TempDir()
	l := openLedger(t, dir)
	s, err := l.Open(0, "in", "a.log", []string{"x"}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	clock := time.Unix(100, 0)
	now := func() time.Time { clock = clock.Add(time.Second); return clock }
	times, held := newLineTimes(s), &join{}
	times.joins = []*join{held}
	times.round(0)
	held.open = openRecord{lines: 1, pos: 30, first: 0}
	times.round(40)
	had := []int64{times.at(50, now), times.ofHeld(&held.open, now)}
	held.open = openRecord{}
	times.round(60)
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
	times = newLineTimes(s)
	times.round(0)
	for i, pos := range []uint64{50, 30, 60} {
		if got := times.at(pos, now); got != had[i] {
			t.Errorf("the record at %d had the time %d, and has %d after a crash", pos, had[i], got)
		}
	}
}
