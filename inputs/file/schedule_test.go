package file

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// reads runs a schedule whose files take no time to read, and notes when each was read.
// A file has grown if it was written to since.
type reads struct {
	schedule *schedule

	mu      sync.Mutex
	written map[*file]bool
	at      map[*file][]time.Time
}

func newReads(t *testing.T) *reads {
	l := &reads{schedule: newSchedule(func(bool) {}), written: map[*file]bool{}, at: map[*file][]time.Time{}}
	go l.schedule.alarm(t.Context())
	go func() {
		for f := l.schedule.take(); f != nil; f = l.schedule.take() {
			l.schedule.done(f, l.read(f))
		}
	}()
	return l
}

func (l *reads) read(f *file) sliceResult {
	l.mu.Lock()
	defer l.mu.Unlock()
	v := sliceResult{grew: l.written[f]}
	l.written[f], l.at[f] = false, append(l.at[f], time.Now())
	return v
}

// of returns when a file was read.
func (l *reads) of(f *file) []time.Time {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at[f]
}

func (l *reads) write(f *file) {
	l.writeUnnoticed(f)
	l.schedule.wake(f)
}

func (l *reads) writeUnnoticed(f *file) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.written[f] = true
}

// TestBusyFilesAreReadOnceATick, and all at the same instants; but what was quiet is read when it
// is written to.
func TestBusyFilesAreReadOnceATick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, a, b := newReads(t), &file{}, &file{}
		began := time.Now()
		for range 200 {
			time.Sleep(5 * time.Millisecond)
			l.write(a)
			time.Sleep(3 * time.Millisecond)
			l.write(b)
		}
		ofA, ofB, most := l.of(a), l.of(b), int(time.Since(began)/tickInterval)+2
		if len(ofA) > most || len(ofB) > most {
			t.Errorf("%d and %d reads in %v, want %d at the most", len(ofA), len(ofB), time.Since(began), most)
		}
		if first := ofA[0].Sub(began); first != 5*time.Millisecond {
			t.Errorf("the first read was after %v", first)
		}
		for i := 1; i < min(len(ofA), len(ofB)); i++ {
			if wait := ofA[i].Sub(ofA[i-1]); wait > tickInterval || !ofA[i].Equal(ofB[i]) {
				t.Errorf("read %d: after %v, %v before the other's", i, wait, ofB[i].Sub(ofA[i]))
			}
		}
		time.Sleep(time.Second)
		written := time.Now()
		l.write(a)
		ofA = l.of(a)
		if last := ofA[len(ofA)-1]; !last.Equal(written) {
			t.Errorf("after a second it was read %v after it was written to", last.Sub(written))
		}
	})
}

// TestABusyFileNeedsNoNotifications: it is read at each tick, until there is nothing new.
func TestABusyFileNeedsNoNotifications(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, f := newReads(t), &file{}
		l.write(f)
		time.Sleep(5 * time.Millisecond)
		l.write(f)
		for range 10 {
			time.Sleep(tickInterval)
			synctest.Wait()
			l.writeUnnoticed(f)
		}
		time.Sleep(time.Minute)
		if n := len(l.of(f)); n != 13 {
			t.Errorf("%d reads, want 2 after notifications, 10 of what had grown, and one in vain", n)
		}
	})
}

// TestHasMore: a reader that has a file can ask whether there are others.
func TestHasMore(t *testing.T) {
	s := newSchedule(func(bool) {})
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

// TestUrgentFilesComeFirst: those that are renamed, deleted, copied or truncated. Of four files
// that are handed out one is from the others, and the input hurries as long as one is urgent.
func TestUrgentFilesComeFirst(t *testing.T) {
	var hurries []bool
	s := newSchedule(func(on bool) { hurries = append(hurries, on) })
	files := make([]*file, 9)
	number := map[*file]int{}
	for i := range files {
		files[i] = &file{}
		number[files[i]] = i
		s.wake(files[i])
	}
	s.setLeaving(files[4], true)
	s.expedite(files[6])
	s.setLeaving(files[8], true)
	s.setLeaving(files[8], false) // its name is one of the config's again
	var order []int
	for range files {
		f := s.take()
		order = append(order, number[f])
		s.done(f, sliceResult{more: f == files[6] && len(order) < 3}) // read in two slices
	}
	if want := []int{4, 6, 8, 0, 6, 1, 2, 3, 5}; !slices.Equal(order, want) {
		t.Errorf("the order is %v, want %v", order, want)
	}
	if want := []bool{true, false}; !slices.Equal(hurries, want) {
		t.Errorf("the input hurries: %v, want %v", hurries, want)
	}
	if s.ready != 1 || s.take() != files[7] {
		t.Errorf("%d files are left, want the last one", s.ready)
	}
}

// TestWhatWaitsIsUrgent, too, once it was renamed: the file before it is read first.
func TestWhatWaitsIsUrgent(t *testing.T) {
	hurries := false
	s := newSchedule(func(on bool) { hurries = on })
	before, f := &file{}, &file{}
	s.wake(before)
	s.follow(f, before)
	if s.setLeaving(f, true); !hurries {
		t.Error("it does not hurry for what waits for another file")
	}
	s.done(s.take(), sliceResult{})
	if s.take() != f || !hurries {
		t.Error("it does not hurry until that is read")
	}
	if s.done(f, sliceResult{}); hurries {
		t.Error("it hurries for nothing")
	}
}

// TestExpeditedWhileItIsRead: what is copied or truncated while a reader has it, who may have
// looked at it before and been held up since, is urgent at the next tick, too, and only then.
func TestExpeditedWhileItIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hurries := false
		s, f := newSchedule(func(on bool) { hurries = on }), &file{}
		go s.alarm(t.Context())
		s.wake(f)
		s.take()
		s.expedite(f)
		for _, want := range []bool{true, false} {
			s.wake(f) // it is written to: that alone is not urgent
			s.done(f, sliceResult{})
			time.Sleep(tickInterval)
			synctest.Wait()
			if s.take() != f || hurries != want || s.isUrgent(f) != want {
				t.Errorf("the input hurries: %v; the file is urgent: %v; want %v", hurries, s.isUrgent(f), want)
			}
		}
	})
}
