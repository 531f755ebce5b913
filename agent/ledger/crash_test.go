package ledger

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/longshore/longshore/agent/disk"
	"github.com/longshore/longshore/agent/disk/disktest"
	"github.com/longshore/longshore/pipeline"
)

var crashRoutes = []string{"x", "y"}

const positions = 60 // of a source in the tests of power loss

// An expectation is what a ledger was told of one source before the power failed, and what it
// promised.
type expectation struct {
	source     *Source
	read       uint64
	durable    bool // Durable returned nil
	gone       bool
	boundaries map[uint64]bool // that were noted; false for those removed again
	routes     [2]struct {
		acked      [positions]bool // Done was called
		kept       [positions]bool // and a Flush returned nil after it
		reserved   uint64          // Reserve returned nil
		boundaries []uint64        // and these had been noted below it
	}
}

// history is one history of a ledger.
type history struct {
	d       *disktest.Disk
	rnd     *rand.Rand
	ledger  *Ledger
	sources map[string]*expectation
	lost    []string // sources that a process did not know though they were on disk
}

func openSimulated(d *disktest.Disk) (*Ledger, error) {
	if err := disk.MkdirAll(d, "data"); err != nil {
		return nil, err
	}
	return openOn(d, "data", slog.New(slog.DiscardHandler))
}

// randomHistory does random things to a ledger until the power fails.
func randomHistory(d *disktest.Disk, rnd *rand.Rand) *history {
	v := &history{d: d, rnd: rnd, sources: map[string]*expectation{}}
	for step := 0; step < 120 && !d.Stopped(); step++ {
		if v.ledger == nil || rnd.IntN(15) == 0 { // a killed process closes nothing
			v.restart()
			continue
		}
		v.step()
	}
	return v
}

func (v *history) restart() {
	v.ledger = nil
	l, err := openSimulated(v.d)
	if err != nil {
		return
	}
	v.ledger = l
	known := byKey(l)
	for key, f := range v.sources {
		k, ok := known[key]
		if !ok {
			if f.durable && !f.gone {
				v.lost = append(v.lost, key)
			}
			delete(v.sources, key) // to be created anew
			continue
		}
		f.source, _ = l.Open(k.ID, "in", key, crashRoutes, 5)
		f.read, f.gone = k.Cursor.Pos, false
		if lost := f.lostBoundaries(k); lost != nil {
			v.lost = append(v.lost, fmt.Sprint(key, " boundaries ", lost))
		}
		for pos := range f.boundaries {
			f.boundaries[pos] = slices.Contains(k.TimeoutBoundaries, pos)
		}
	}
}

func byKey(l *Ledger) map[string]pipeline.Known {
	known := map[string]pipeline.Known{}
	for _, k := range l.Known("in") {
		known[k.Key] = k
	}
	return known
}

func (v *history) step() {
	key := fmt.Sprint("s", v.rnd.IntN(3))
	f := v.sources[key]
	if f == nil {
		v.create(key)
		return
	}
	r := v.rnd.IntN(len(crashRoutes))
	track, _ := f.source.Track(crashRoutes[r])
	switch v.rnd.IntN(10) {
	case 0, 1, 2:
		if f.read < positions && !f.gone {
			f.read++
			f.source.Checkpoint(f.read, state(f.read))
		}
	case 3, 4, 5:
		v.acknowledge(f, r, track)
	case 6:
		if track.Reserve(f.read) == nil {
			f.routes[r].reserved = max(f.routes[r].reserved, f.read)
			f.routes[r].boundaries = f.boundariesUpTo(f.read)
		}
	case 7:
		v.flush()
	case 8:
		if durable(f.source) == nil {
			f.durable = true
		}
	case 9:
		v.rarely(f)
	}
}

// state is as long as it makes an entry tear in the middle.
func state(pos uint64) []byte { return fmt.Appendf(nil, "at %d%s", pos, strings.Repeat("-", 300)) }

func (v *history) create(key string) {
	s, err := v.ledger.Open(0, "in", key, crashRoutes, 5)
	if err == nil {
		v.sources[key] = &expectation{source: s, boundaries: map[uint64]bool{}}
	}
}

func (v *history) acknowledge(f *expectation, r int, track *Track) {
	if f.read == 0 {
		return
	}
	from := v.rnd.Uint64N(f.read)
	to := from + 1 + v.rnd.Uint64N(f.read-from)
	for pos := from; pos < to; pos++ {
		f.routes[r].acked[pos] = true
	}
	track.Done(from, to)
}

func (v *history) flush() {
	if v.ledger.Flush() != nil {
		return
	}
	for _, f := range v.sources {
		for r := range f.routes {
			f.keep(r)
		}
	}
}

// keep notes what is on disk now. What was acknowledged before a kill and not flushed is
// gone with it.
func (f *expectation) keep(r int) {
	track, _ := f.source.Track(crashRoutes[r])
	for pos := range f.routes[r].acked {
		at := uint64(pos)
		if at < f.source.resume.Pos || track.acked.Has(at) {
			f.routes[r].kept[pos] = true
		}
	}
}

// rarely compacts the file, or closes a source for good.
func (v *history) rarely(f *expectation) {
	switch v.rnd.IntN(8) {
	case 4, 5, 6:
		f.addBoundary(1 + v.rnd.Uint64N(positions))
	case 7:
		f.removeBoundary(1 + v.rnd.Uint64N(positions))
	case 0:
		f.gone = true
		f.source.Close(true)
	case 1, 2:
		v.ledger.writing.Lock()
		defer v.ledger.writing.Unlock()
		v.ledger.file.replace(v.ledger.snapshot())
	case 3:
		if _, err := v.ledger.Open(f.source.ID(), "in", f.source.key, crashRoutes, 5); err == nil {
			f.gone = false
		}
	}
}

func (f *expectation) addBoundary(pos uint64) {
	if pos > f.source.resume.Pos {
		f.boundaries[pos] = true
		f.source.AddTimeoutBoundary(pos)
	}
}

func (f *expectation) removeBoundary(pos uint64) {
	if !f.boundaries[pos] {
		return
	}
	f.boundaries[pos] = false
	f.source.RemoveTimeoutBoundary(pos)
	for r := range f.routes {
		f.routes[r].boundaries = slices.DeleteFunc(f.routes[r].boundaries, func(p uint64) bool { return p == pos })
	}
}

// boundariesUpTo returns the boundaries that are kept up to a position.
func (f *expectation) boundariesUpTo(to uint64) (boundaries []uint64) {
	for pos, kept := range f.boundaries {
		if kept && pos <= to {
			boundaries = append(boundaries, pos)
		}
	}
	return boundaries
}

// checkBoundaries: all that may have ended a record that was sent are there, and none
// that was not noted.
func (f *expectation) checkBoundaries(t *testing.T, k pipeline.Known) {
	t.Helper()
	for _, pos := range k.TimeoutBoundaries {
		if _, noted := f.boundaries[pos]; !noted || pos <= k.Cursor.Pos {
			t.Errorf("source %s, at %d: nobody has noted the boundary at %d, or it is done", k.Key, k.Cursor.Pos, pos)
		}
	}
	if lost := f.lostBoundaries(k); lost != nil {
		t.Errorf("source %s, at %d: the boundaries %v were on disk, and are lost: %v", k.Key, k.Cursor.Pos, lost,
			k.TimeoutBoundaries)
	}
}

func (f *expectation) lostBoundaries(k pipeline.Known) (lost []uint64) {
	for r := range f.routes {
		for _, pos := range f.routes[r].boundaries {
			if pos > k.Cursor.Pos && !slices.Contains(k.TimeoutBoundaries, pos) {
				lost = append(lost, pos)
			}
		}
	}
	return lost
}

// check holds a ledger after the crash against what it was told and promised.
func (v *history) check(t *testing.T, l *Ledger) {
	t.Helper()
	known := byKey(l)
	if len(v.lost) > 0 {
		t.Errorf("%v were on disk, and were lost at a kill", v.lost)
	}
	for key, f := range v.sources {
		k, ok := known[key]
		if !ok {
			if f.durable && !f.gone {
				t.Errorf("source %s was on disk, and is lost", key)
			}
			continue
		}
		if k.Cursor.Pos > 0 && string(k.Cursor.State) != string(state(k.Cursor.Pos)) {
			t.Errorf("source %s: the state of its cursor, %d, is %.10q", key, k.Cursor.Pos, k.Cursor.State)
		}
		f.checkBoundaries(t, k)
		f.check(t, l, k)
	}
}

func (f *expectation) check(t *testing.T, l *Ledger, k pipeline.Known) {
	t.Helper()
	s, err := l.Open(k.ID, "in", k.Key, crashRoutes, 5)
	if err != nil {
		t.Fatal(err)
	}
	for r, route := range crashRoutes {
		track, _ := s.Track(route)
		for pos := range uint64(positions) {
			done := pos < k.Cursor.Pos || track.Skip(pos)
			told := &f.routes[r]
			switch {
			case done && !told.acked[pos]:
				t.Errorf("source %s, route %s: %d is done, and was never acknowledged", k.Key, route, pos)
			case !done && told.kept[pos]:
				t.Errorf("source %s, route %s: the acknowledgement of %d was on disk, and is lost", k.Key, route, pos)
			case !done && pos < told.reserved && !track.Uncertain(pos):
				t.Errorf("source %s, route %s: %d may have been sent, and passes for fresh", k.Key, route, pos)
			}
		}
	}
}

// goOn is the next process, as far as it comes; it says whether its source was on disk.
func (v *history) goOn(d *disktest.Disk) bool {
	l, err := openSimulated(d)
	if err != nil {
		return false
	}
	s, err := l.Open(0, "in", "again", crashRoutes, 5)
	return err == nil && durable(s) == nil
}

// TestPowerLossAtEveryOperation: after a kill or any power loss, also one during the recovery,
// nothing is done that was not acknowledged, and all that the ledger said was on disk is there.
func TestPowerLossAtEveryOperation(t *testing.T) {
	for n := range uint64(3) {
		rnd := rand.New(rand.NewPCG(n, 2))
		disktest.EveryCrash(t, 5, func(d *disktest.Disk) *history {
			return randomHistory(d, rand.New(rand.NewPCG(n, 1)))
		}, func(t *testing.T, d *disktest.Disk, v *history) {
			d.StopAt(1 + rnd.IntN(20))
			again := v.goOn(d)
			l, err := openSimulated(d.Crash(rnd.Uint64N(8)))
			if err != nil {
				t.Fatal(err)
			}
			v.check(t, l)
			if _, ok := byKey(l)["again"]; again && !ok {
				t.Error("a source was on disk after the recovery, and is lost")
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestDiskErrors: an error is said, nothing is taken for stored that is not, and it goes on
// when the disk does.
func TestDiskErrors(t *testing.T) {
	for _, kind := range []disktest.Kind{disktest.Write, disktest.Sync, disktest.SyncDir, disktest.Rename,
		disktest.Create} {
		for _, again := range []bool{false, true} {
			t.Run(fmt.Sprint(kind, again), func(t *testing.T) {
				d := disktest.New()
				l := must[*Ledger](t)(openSimulated(d))
				s := must[*Source](t)(l.Open(0, "in", "a", crashRoutes, 5))
				s.Checkpoint(1, state(1))
				failing := true
				d.Fault = func(op disktest.Op) error {
					if failing && op.Kind == kind {
						return syscall.EIO
					}
					return nil
				}
				compacted := l.file.replace(l.snapshot())
				stored := durable(s)
				if (kind == disktest.Write || kind == disktest.Sync) && stored == nil || compacted == nil {
					t.Errorf("compacting: %v, storing: %v", compacted, stored)
				}
				failing = false
				if again || stored != nil {
					if err := l.Flush(); err != nil {
						t.Fatal(err)
					}
				}
				for seed := range uint64(30) {
					if known := byKey(must[*Ledger](t)(openSimulated(d.Crash(seed)))); known["a"].ID != s.ID() {
						t.Fatalf("seed %d: known: %+v", seed, known)
					}
				}
			})
		}
	}
}

// TestNothingOfAFailedWriteIsRead: entries that could not be stored are written
// anew, and are not to come back behind newer ones.
func TestNothingOfAFailedWriteIsRead(t *testing.T) {
	for _, fault := range []disktest.Kind{disktest.Sync, disktest.Truncate} {
		d := disktest.New()
		l := must[*Ledger](t)(openSimulated(d))
		first := appendFrame(nil, &entry{kind: kindSource, id: 1, input: "in", key: "first"})
		stale := appendFrame(nil, &entry{kind: kindSource, id: 2, input: "in", key: "stale"})
		failing := true
		d.Fault = func(op disktest.Op) error {
			if failing && (op.Kind == disktest.Sync || op.Kind == fault) {
				return syscall.EIO
			}
			return nil
		}
		for range 2 {
			if l.file.append(append(first, stale...)) == nil {
				t.Fatal("the fault did not show")
			}
		}
		failing = false
		if err := l.file.append(first); err != nil {
			t.Fatal(err)
		}
		for seed := range uint64(20) {
			known := byKey(must[*Ledger](t)(openSimulated(d.Crash(seed))))
			if _, ok := known["first"]; !ok || len(known) != 1 {
				t.Errorf("seed %d: known: %+v", seed, known)
			}
		}
	}
}

// TestKillThenPowerLoss: what a killed process had written and not synced, the
// next one takes for stored.
func TestKillThenPowerLoss(t *testing.T) {
	d := disktest.New()
	l := must[*Ledger](t)(openSimulated(d))
	must[*Source](t)(l.Open(0, "in", "a", crashRoutes, 5))
	d.StopAt(2) // the fsync after the write
	if l.Flush() == nil {
		t.Fatal("the power did not fail")
	}
	d = d.Kill()
	known := byKey(must[*Ledger](t)(openSimulated(d)))
	if _, ok := known["a"]; !ok {
		t.Fatal("what was written is not read")
	}
	if known = byKey(must[*Ledger](t)(openSimulated(d.Crash(disktest.Dropped)))); len(known) != 1 {
		t.Error("what one process was told is stored is lost to the next")
	}
}

// TestDamageAndPowerLoss: setting a damaged file aside never loses what is good
// in it, nor the file.
func TestDamageAndPowerLoss(t *testing.T) {
	whole := disktest.New()
	l := must[*Ledger](t)(openSimulated(whole))
	for _, key := range []string{"good", "bad", "after"} {
		must[*Source](t)(l.Open(0, "in", key, crashRoutes, 5))
		if err := l.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	content, err := disk.ReadFile(whole, "data/"+fileName)
	if err != nil {
		t.Fatal(err)
	}
	content[strings.Index(string(content), "bad")] ^= 1
	disktest.EveryCrash(t, 10, func(d *disktest.Disk) bool {
		if d.Mkdir("data") != nil || disk.WriteFile(d, "data/"+fileName, content) != nil ||
			d.SyncDir("data") != nil || d.SyncDir(".") != nil {
			return false
		}
		openSimulated(d)
		return true
	}, func(t *testing.T, d *disktest.Disk, began bool) {
		if !began {
			return
		}
		known := byKey(must[*Ledger](t)(openSimulated(d)))
		for _, key := range []string{"good", "after"} {
			if _, ok := known[key]; !ok {
				t.Errorf("what can be read of a damaged file is lost: %s", key)
			}
		}
		names, _ := d.ReadDir("data")
		if !strings.Contains(strings.Join(names, " "), ".damaged-") {
			t.Errorf("the damaged file was not kept: %v", names)
		}
	})
}
