package file

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// looks runs a schedule whose files take no time to read, and notes when each was looked at.
// A file has grown if it was written to since.
type looks struct {
	schedule *schedule

	mu      sync.Mutex
	written map[*file]bool
	at      map[*file][]time.Time
}

func newLooks(t *testing.T) *looks {
	l := &looks{schedule: newSchedule(), written: map[*file]bool{}, at: map[*file][]time.Time{}}
	go l.schedule.alarm(t.Context())
	go func() {
		for f := l.schedule.take(); f != nil; f = l.schedule.take() {
			l.schedule.done(f, l.look(f))
		}
	}()
	return l
}

func (l *looks) look(f *file) sliceResult {
	l.mu.Lock()
	defer l.mu.Unlock()
	v := sliceResult{grew: l.written[f]}
	l.written[f], l.at[f] = false, append(l.at[f], time.Now())
	return v
}

// of gives when a file was looked at.
func (l *looks) of(f *file) []time.Time {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at[f]
}

func (l *looks) write(f *file) {
	l.writeUntold(f)
	l.schedule.wake(f)
}

func (l *looks) writeUntold(f *file) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.written[f] = true
}

// TestBusyFilesAreLookedAtOnceInABeat, and all at the same instants; but what was
// quiet is looked at when it is written to.
func TestBusyFilesAreLookedAtOnceInABeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, a, b := newLooks(t), &file{}, &file{}
		began := time.Now()
		for range 200 {
			time.Sleep(5 * time.Millisecond)
			l.write(a)
			time.Sleep(3 * time.Millisecond)
			l.write(b)
		}
		ofA, ofB, most := l.of(a), l.of(b), int(time.Since(began)/tickInterval)+2
		if len(ofA) > most || len(ofB) > most {
			t.Errorf("%d and %d looks in %v, want %d at the most", len(ofA), len(ofB), time.Since(began), most)
		}
		if first := ofA[0].Sub(began); first != 5*time.Millisecond {
			t.Errorf("the first look was after %v", first)
		}
		for i := 1; i < min(len(ofA), len(ofB)); i++ {
			if wait := ofA[i].Sub(ofA[i-1]); wait > tickInterval || !ofA[i].Equal(ofB[i]) {
				t.Errorf("look %d: after %v, %v before the other's", i, wait, ofB[i].Sub(ofA[i]))
			}
		}
		time.Sleep(time.Second)
		written := time.Now()
		l.write(a)
		ofA = l.of(a)
		if last := ofA[len(ofA)-1]; !last.Equal(written) {
			t.Errorf("after a second it was looked at %v after it was written to", last.Sub(written))
		}
	})
}

// TestABusyFileNeedsNoNotices: it is looked at in each beat, until there is nothing new.
func TestABusyFileNeedsNoNotices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, f := newLooks(t), &file{}
		l.write(f)
		time.Sleep(5 * time.Millisecond)
		l.write(f)
		for range 10 {
			time.Sleep(tickInterval)
			synctest.Wait()
			l.writeUntold(f)
		}
		time.Sleep(time.Minute)
		if n := len(l.of(f)); n != 13 {
			t.Errorf("%d looks, want 2 that were told of, 10 at what had grown, and one in vain", n)
		}
	})
}

// TestOthersAreAtHand: during a turn it is known whether there are others to follow.
func TestOthersAreAtHand(t *testing.T) {
	s := newSchedule()
	for range 2 {
		s.wake(&file{})
	}
	for _, want := range []bool{true, false} {
		f := s.take()
		if got := s.hasMore(); got != want {
			t.Errorf("there are others: %v, want %v", got, want)
		}
		s.done(f, sliceResult{})
	}
}
