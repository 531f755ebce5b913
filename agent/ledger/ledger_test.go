package ledger

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/agent/disk/disktest"
	"github.com/longshore/longshore/pipeline"
)

func open(t *testing.T, dir string) *Ledger {
	t.Helper()
	l, err := Open(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func reopen(t *testing.T, l *Ledger, dir string) *Ledger {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return open(t, dir)
}

func cursorOf(t *testing.T, l *Ledger) pipeline.Cursor {
	t.Helper()
	known := l.Known("in")
	if len(known) != 1 {
		t.Fatalf("the ledger knows %d sources, want 1", len(known))
	}
	return known[0].Cursor
}

func TestCursorMovesOnlyWhenEveryRouteIsDone(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	s := must[*Source](t)(l.Open(0, "in", "a.log", []string{"main/x", "main/y"}, 100))
	x, y := must[*Track](t)(s.Track("main/x")), must[*Track](t)(s.Track("main/y"))
	s.Checkpoint(100, []byte("at 100"))
	s.Checkpoint(200, []byte("at 200"))

	x.Done(0, 200)
	y.Done(100, 200) // out of order: 0 to 100 is still under way
	if got := cursorOf(t, l); got.Pos != 0 {
		t.Errorf("the cursor is at %d before all routes were done", got.Pos)
	}
	y.Done(0, 50)
	y.Done(50, 99)
	if got := cursorOf(t, l); got.Pos != 0 {
		t.Errorf("the cursor is at %d though position 99 is not done", got.Pos)
	}
	y.Done(99, 100)
	l = reopen(t, l, dir)
	defer l.Close()
	if diff := cmp.Diff(pipeline.Cursor{Pos: 200, State: []byte("at 200")}, cursorOf(t, l)); diff != "" {
		t.Error(diff)
	}
}

func TestRouteThatWasAheadSkips(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	s := must[*Source](t)(l.Open(0, "in", "a.log", []string{"x", "y"}, 100))
	s.Checkpoint(100, []byte("s"))
	must[*Track](t)(s.Track("x")).Done(0, 40)
	must[*Track](t)(s.Track("x")).Done(60, 80)
	l = reopen(t, l, dir)
	defer l.Close()
	s = must[*Source](t)(l.Open(s.ID(), "in", "a.log", []string{"x", "y", "new"}, 100))
	x, y, fresh := must[*Track](t)(s.Track("x")), must[*Track](t)(s.Track("y")), must[*Track](t)(s.Track("new"))
	for pos, want := range map[uint64]bool{0: true, 39: true, 40: false, 59: false, 60: true, 79: true, 80: false,
		99: false} {
		if x.Skip(pos) != want {
			t.Errorf("Skip(%d) = %v, want %v", pos, !want, want)
		}
		if y.Skip(pos) || fresh.Skip(pos) {
			t.Errorf("a route that has done nothing skips %d", pos)
		}
	}
}

func TestGoneSourceIsRemovedOnceDone(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	s := must[*Source](t)(l.Open(0, "in", "a.log", []string{"x"}, 100))
	if err := durable(s); err != nil {
		t.Fatal(err)
	}
	s.Checkpoint(10, []byte("s"))
	s.Close(true)
	if n := len(l.Known("in")); n != 1 {
		t.Fatalf("%d sources are known before the gone one is done, want 1", n)
	}
	must[*Track](t)(s.Track("x")).Done(0, 10)
	l = reopen(t, l, dir)
	defer l.Close()
	if n := len(l.Known("in")); n != 0 {
		t.Errorf("%d sources are known after the only one is gone, want 0", n)
	}
}

func TestGoneSourceIsKeptUntilItsSuccessorIsKnown(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	defer func() { l.Close() }()
	first := must[*Source](t)(l.Open(0, "in", "a.log", []string{"x"}, 100))
	first.Checkpoint(0, []byte("began here"))
	second := must[*Source](t)(l.Open(0, "in", "a.log", []string{"x"}, 100))
	other := must[*Source](t)(l.Open(0, "in", "b.log", []string{"x"}, 100))
	other.Checkpoint(0, []byte("began here"))
	first.Close(true)
	other.Close(true)
	names := func(l *Ledger) (names []string) {
		for _, k := range l.Known("in") {
			names = append(names, k.Key+" "+string(k.Cursor.State))
		}
		slices.Sort(names)
		return names
	}
	if diff := cmp.Diff([]string{"a.log ", "a.log began here"}, names(l)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	second.Checkpoint(0, []byte("and the next there"))
	if diff := cmp.Diff([]string{"a.log and the next there"}, names(l)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	l = reopen(t, l, dir)
	if diff := cmp.Diff([]string{"a.log and the next there"}, names(l)); diff != "" {
		t.Errorf("after a restart: -want +got\n%s", diff)
	}
}

// TestUnusedTimeAnchorsAreDropped: records were dated that were not sent before a clean stop. The
// next run dates them anew, and a replay of that must not find the dates they had first.
func TestUnusedTimeAnchorsAreDropped(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	s := must[*Source](t)(l.Open(0, "in", "a.log", []string{"x"}, 100))
	s.Checkpoint(0, []byte("s"))
	s.AddTimeAnchor(TimeAnchor{0, 1})
	if err := must[*Track](t)(s.Track("x")).Reserve(400); err != nil {
		t.Fatal(err)
	}
	s.AddTimeAnchor(TimeAnchor{500, 2})
	s.AddTimeAnchor(TimeAnchor{600, 3})
	again := func() {
		l = reopen(t, l, dir)
		s = must[*Source](t)(l.Open(s.ID(), "in", "a.log", []string{"x"}, 100))
	}
	again()
	if _, until := s.EarlierTimeAnchors(); until != 400 {
		t.Fatalf("anchors hold until %d, want 400", until)
	}
	s.AddTimeAnchor(TimeAnchor{400, 4})
	s.AddTimeAnchor(TimeAnchor{700, 5})
	again()
	defer l.Close()
	anchors, _ := s.EarlierTimeAnchors()
	if diff := cmp.Diff([]TimeAnchor{{0, 1}, {400, 4}, {700, 5}}, anchors); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// TestWhatOneRouteHasDoneIsEarlier: one output has records that another, which is away, has not,
// over runs in which nothing is sent. When they are read again they must come out as they did.
func TestWhatOneRouteHasDoneIsEarlier(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	s := must[*Source](t)(l.Open(0, "in", "a.log", []string{"away", "living"}, 100))
	s.Checkpoint(0, []byte("s"))
	s.AddTimeAnchor(TimeAnchor{0, 1})
	living := must[*Track](t)(s.Track("living"))
	if err := living.Reserve(400); err != nil {
		t.Fatal(err)
	}
	living.Done(0, 400)
	for run := range 3 {
		l = reopen(t, l, dir)
		s = must[*Source](t)(l.Open(s.ID(), "in", "a.log", []string{"away", "living"}, 100))
		anchors, until := s.EarlierTimeAnchors()
		if diff := cmp.Diff([]TimeAnchor{{0, 1}}, anchors); diff != "" || until != 400 {
			t.Errorf("run %d: anchors hold until %d, want 400; -want +got\n%s", run, until, diff)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// durable returns when a source's identity is on disk, and by what its input finds it again.
func durable(s *Source) error { return s.tracks[0].Reserve(0) }

func TestReserveStoresTheIdentity(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	defer l.Close()
	s := must[*Source](t)(l.Open(0, "in", "a.log", []string{"x"}, 100))
	if err := durable(s); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil {
		t.Fatal(err)
	}
	var got []entry
	if _, err := replay(content, func(e entry) { got = append(got, e) }); err != nil {
		t.Fatal(err)
	}
	if len(got) == 0 || got[0].id != s.ID() || got[0].key != "a.log" {
		t.Errorf("on disk: %+v", got)
	}
}

// TestReserveStoresWhereASourceBegan: a flush may come between creating a source and
// the first checkpoint; a crash after that must not lose the cursor.
func TestReserveStoresWhereASourceBegan(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	defer l.Close()
	s := must[*Source](t)(l.Open(0, "in", "a.log", []string{"x"}, 100))
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	s.Checkpoint(0, []byte("inode 7"))
	s.Checkpoint(100, []byte("inode 7, further"))
	if err := durable(s); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil {
		t.Fatal(err)
	}
	var last entry
	if _, err := replay(content, func(e entry) { last = e }); err != nil {
		t.Fatal(err)
	}
	if last.kind != kindProgress || string(last.resume.State) != "inode 7" {
		t.Errorf("the last entry on disk: %+v", last)
	}
}

func TestCompactionKeepsTheState(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	s := must[*Source](t)(l.Open(0, "in", "a.log", []string{"x"}, 100))
	x := must[*Track](t)(s.Track("x"))
	state := make([]byte, 64<<10)
	const steps = 100
	for i := range uint64(steps) {
		s.Checkpoint((i+1)*10, state)
		x.Done(i*10, (i+1)*10)
		if err := l.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if l.file.size > 3*compactAbove {
		t.Errorf("the file has %d bytes after %d flushes: it was not compacted", l.file.size, steps)
	}
	l = reopen(t, l, dir)
	defer l.Close()
	if got := cursorOf(t, l); got.Pos != steps*10 || len(got.State) != len(state) {
		t.Errorf("the cursor is at %d with %d bytes", got.Pos, len(got.State))
	}
}

func TestTornEndIsTruncated(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	s := must[*Source](t)(l.Open(0, "in", "a.log", []string{"x"}, 100))
	x := must[*Track](t)(s.Track("x"))
	s.Checkpoint(10, []byte("ten"))
	x.Done(0, 10)
	l = reopen(t, l, dir)
	l.Close()
	path := filepath.Join(dir, fileName)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for size := len(header); size < len(whole); size++ { // the header comes with the file's name
		if err := os.WriteFile(path, whole[:size], 0o640); err != nil {
			t.Fatal(err)
		}
		l := open(t, dir)
		for _, k := range l.Known("in") {
			if k.Cursor.Pos != 0 && k.Cursor.Pos != 10 {
				t.Errorf("truncated at %d: the cursor is at %d", size, k.Cursor.Pos)
			}
		}
		l.Close()
	}
	if left, _ := filepath.Glob(path + ".damaged*"); len(left) > 0 {
		t.Errorf("a torn end counted as damage: %v", left)
	}
}

func TestDamagedFileIsSetAside(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	must[*Source](t)(l.Open(0, "in", "first", nil, 100))
	l.Flush()
	end := l.file.size
	must[*Source](t)(l.Open(0, "in", "second", nil, 100))
	l.Flush()
	third := must[*Source](t)(l.Open(0, "in", "third", []string{"x"}, 100))
	third.Checkpoint(10, []byte("ten"))
	must[*Track](t)(third.Track("x")).Done(0, 10)
	l.Close()
	path := filepath.Join(dir, fileName)
	content, _ := os.ReadFile(path)
	content[end+frameHead] ^= 0xff
	os.WriteFile(path, content, 0o640)

	for range 2 {
		l = open(t, dir)
		known := byKey(l)
		if len(known) != 2 || known["first"].ID == 0 || known["third"].Cursor.Pos != 10 {
			t.Errorf("known after damage: %+v", known)
		}
		l.Close()
	}
	if kept, _ := filepath.Glob(path + ".damaged*"); len(kept) != 1 {
		t.Errorf("files set aside: %v, want one", kept)
	}
}

// TestDamageAtTheEnd: what no torn write explains is set aside even if nothing follows.
func TestDamageAtTheEnd(t *testing.T) {
	cases := map[string]func(content []byte) []byte{
		"empty":              func([]byte) []byte { return nil },
		"part of the header": func(content []byte) []byte { return content[:5] },
		"last entry":         func(content []byte) []byte { content[len(content)-1] ^= 1; return content },
	}
	for name, damage := range cases {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			l := open(t, dir)
			must[*Source](t)(l.Open(0, "in", "a.log", nil, 100))
			l.Flush()
			path := filepath.Join(dir, fileName)
			content, err := os.ReadFile(path)
			l.Close()
			if err == nil {
				err = os.WriteFile(path, damage(content), 0o640)
			}
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				l = open(t, dir)
				if known := l.Known("in"); len(known) > 0 {
					t.Errorf("known after damage: %+v", known)
				}
				l.Close()
			}
			if kept, _ := filepath.Glob(path + ".damaged*"); len(kept) != 1 {
				t.Errorf("files set aside: %v, want one", kept)
			}
		})
	}
}

func TestSecondProcessIsRejected(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	defer l.Close()
	if _, err := Open(dir, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a second ledger opened the same folder")
	}
}

// TestLockIsNoLink: what a link points to is neither locked nor emptied.
func TestLockIsNoLink(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "precious")
	if err := os.WriteFile(target, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, filepath.Join(dir, "lock")); err != nil {
		t.Fatal(err)
	}
	if held, err := lock(dir); err == nil {
		held.Close()
		t.Error("the link was locked")
	}
	if content, err := os.ReadFile(target); err != nil || string(content) != "content" {
		t.Errorf("the target has %q, %v", content, err)
	}
}

// TestPositionsAgainstBits compares Positions with a plain array of bits.
func TestPositionsAgainstBits(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var r Positions
		var bits [64]bool
		for range 30 {
			from := rnd.Uint64N(64)
			to := from + rnd.Uint64N(64-from+1)
			r.Add(from, to)
			for i := from; i < to; i++ {
				bits[i] = true
			}
			compare(t, r, bits)
		}
		below := rnd.Uint64N(64)
		r.trim(below)
		for i := range below {
			bits[i] = false
		}
		compare(t, r, bits)
	}
}

func compare(t *testing.T, r Positions, bits [64]bool) {
	t.Helper()
	for i, want := range bits {
		if r.Has(uint64(i)) != want {
			t.Fatalf("has(%d) = %v in %v", i, !want, r)
		}
		end := i
		for end < len(bits) && bits[end] {
			end++
		}
		if got := r.endOfSpan(uint64(i)); got != uint64(end) {
			t.Fatalf("endOfSpan(%d) = %d, want %d in %v", i, got, end, r)
		}
	}
	for i := 1; i < len(r); i++ {
		if r[i-1].to >= r[i].from {
			t.Fatalf("spans touch: %v", r)
		}
	}
}

func FuzzReplay(f *testing.F) {
	f.Add([]byte(header))
	e := entry{kind: kindProgress, id: 7, resume: pipeline.Cursor{Pos: 9, State: []byte("x")},
		tracks: []trackEntry{{"a", 7, Positions{{1, 2}, {5, 9}}}}}
	p := appendFrame(appendFrame([]byte(header), &entry{kind: kindSource, id: 7, input: "in", key: "k"}), &e)
	f.Add(p)
	f.Add(appendFrame(p, &entry{kind: kindBoundaries, id: 7, boundaries: []uint64{3, 9, 500}}))
	f.Fuzz(func(t *testing.T, p []byte) {
		var again []byte
		good, _ := replay(p, func(e entry) { again = appendFrame(again, &e) })
		if len(good) > len(p)+len(header) {
			t.Fatalf("%d good bytes of %d", len(good), len(p))
		}
		if of, err := replay(good, func(entry) {}); err != nil || len(of) != len(good) {
			t.Fatalf("what is kept is not good: %d bytes of %d, %v", len(of), len(good), err)
		}
		if _, err := replay(append([]byte(header), again...), func(entry) {}); err != nil {
			t.Fatalf("what was read cannot be written and read again: %v", err)
		}
	})
}

// TestReservation goes through the life of a reservation: on disk before Reserve returns, ahead of
// what was asked, uncertain after a crash, gone after a clean stop.
func TestReservation(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	s := must[*Source](t)(l.Open(0, "in", "a.log", []string{"x"}, 100))
	x := must[*Track](t)(s.Track("x"))
	s.Checkpoint(50, []byte("fifty"))
	if err := x.Reserve(50); err != nil {
		t.Fatal(err)
	}
	if got := reservedOnDisk(t, dir); got != 150 {
		t.Errorf("reserved on disk: %d, want 50 and 100 ahead", got)
	}
	x.Done(0, 20)
	l.Flush()
	crashed := copyOf(t, dir)

	again := open(t, crashed)
	defer again.Close()
	s = must[*Source](t)(again.Open(s.ID(), "in", "a.log", []string{"x"}, 100))
	x = must[*Track](t)(s.Track("x"))
	for pos, want := range map[uint64][2]bool{0: {true, true}, 19: {true, true}, 20: {false, true},
		149: {false, true}, 150: {false, false}} {
		if got := [2]bool{x.Skip(pos), x.Uncertain(pos)}; got != want {
			t.Errorf("position %d: skipped, uncertain: %v, want %v", pos, got, want)
		}
	}

	s.Checkpoint(50, []byte("fifty"))
	x.Reserve(50)
	x.Done(20, 150)
	again = reopen(t, again, crashed)
	defer again.Close()
	if got := reservedOnDisk(t, crashed); got > 150 {
		t.Errorf("reserved after a clean stop: %d", got)
	}
	l.Close()
}

func reservedOnDisk(t *testing.T, dir string) (reserved uint64) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil {
		t.Fatal(err)
	}
	replay(content, func(e entry) {
		for _, track := range e.tracks {
			reserved = track.reserved
		}
	})
	return reserved
}

// copyOf returns a copy of a ledger's folder as a crash would leave it.
func copyOf(t *testing.T, dir string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil {
		t.Fatal(err)
	}
	crashed := t.TempDir()
	if err := os.WriteFile(filepath.Join(crashed, fileName), content, 0o640); err != nil {
		t.Fatal(err)
	}
	return crashed
}

// TestSteadySourceNeedsNoWritesOfItsOwn: once a source has a pace, the periodic
// flush reserves for it.
func TestSteadySourceNeedsNoWritesOfItsOwn(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	defer l.Close()
	s := must[*Source](t)(l.Open(0, "in", "a.log", []string{"x"}, 100))
	x := must[*Track](t)(s.Track("x"))
	at := uint64(0)
	for range 10 {
		l.Flush()
		before := l.file.size
		for range 50 {
			at += 1000
			s.Checkpoint(at, []byte("s"))
			x.Reserve(at)
			x.Done(at-1000, at)
		}
		if at > 200_000 && l.file.size != before {
			t.Errorf("at %d a source at a steady pace waited for the disk", at)
		}
	}
}

// TestDamagedHeader costs nothing but the file: without what it says, sources would begin anew.
func TestDamagedHeader(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	must[*Source](t)(l.Open(0, "in", "a.log", nil, 100))
	l.Close()
	path := filepath.Join(dir, fileName)
	content, _ := os.ReadFile(path)
	content[3] ^= 1
	os.WriteFile(path, content, 0o640)
	l = open(t, dir)
	defer l.Close()
	if known := byKey(l); known["a.log"].ID == 0 {
		t.Errorf("known after damage: %+v", known)
	}
}

// TestGarbageIsReadInTime: looking for good entries in a file of noise takes no long.
func TestGarbageIsReadInTime(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	noise := []byte(header)
	for len(noise) < 4<<20 {
		noise = append(noise, byte(rnd.Uint32()))
	}
	noise = appendFrame(noise, &entry{kind: kindSource, id: 7, input: "in", key: "k"})
	entries := 0
	if good, err := replay(noise, func(entry) { entries++ }); err == nil || entries != 1 || len(good) > 100 {
		t.Errorf("%d entries, and %d good bytes: %v", entries, len(good), err)
	}
}

// TestNewSourcesShareAWrite: what many new files have goes out after one write to the disk,
// not after one for each.
func TestNewSourcesShareAWrite(t *testing.T) {
	disk := disktest.New()
	l := must[*Ledger](t)(openSimulated(disk))
	var tracks []*Track
	for n := range 300 {
		s := must[*Source](t)(l.Open(0, "in", fmt.Sprint(n), []string{"x"}, 100))
		s.Begin(0)
		s.Checkpoint(10, []byte("at 10"))
		tracks = append(tracks, must[*Track](t)(s.Track("x")))
	}
	syncs := 0
	disk.Fault = func(op disktest.Op) error {
		if op.Kind == disktest.Sync {
			syncs++
		}
		return nil
	}
	for _, track := range tracks {
		if err := track.Reserve(10); err != nil {
			t.Fatal(err)
		}
	}
	if syncs > 2 {
		t.Errorf("300 new sources took %d syncs", syncs)
	}
}

// TestBegin: sources that another program has read in part, also two of one key, are known from
// there on, also after a restart.
func TestBegin(t *testing.T) {
	dir := t.TempDir()
	for run := range 2 {
		l, err := Open(dir, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if knows := l.HasKey("app", "/var/log/app.log"); knows != (run > 0) || l.HasKey("b", "/var/log/app.log") {
			t.Errorf("run %d: knows it: %v", run, knows)
		}
		for _, state := range []string{"there", "renamed"} {
			at := pipeline.Cursor{Pos: 26, State: []byte(state)}
			if run > 0 {
				break
			}
			if err := l.Begin("app", "/var/log/app.log", at); err != nil {
				t.Error(err)
			}
		}
		var states []string
		for _, known := range l.Known("app") {
			if known.Key != "/var/log/app.log" || known.Cursor.Pos != 26 {
				t.Errorf("run %d: %+v", run, known)
			}
			states = append(states, string(known.Cursor.State))
		}
		if slices.Sort(states); !slices.Equal(states, []string{"renamed", "there"}) {
			t.Errorf("run %d: %v", run, states)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
