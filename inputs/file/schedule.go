package file

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// A phase is where a file stands between the readers.
type phase uint8

const (
	idle  phase = iota // nothing to do, or something only when it is due
	ready              // in the queue
	turn               // with a reader
)

// A slot is a file's part in the schedule, guarded by schedule.mu.
type slot struct {
	phase phase
	again bool // woken during its turn
	// While it waits it has one turn all the same, to be met: its identity is
	// stored, so that it is found again should it be renamed while we are away.
	meeting, met bool
	index        int32         // in schedule.later, from 1; 0 if it is not there
	notBefore    time.Duration // the first beat after it was read dry
	due          time.Duration // when it is to be woken, if index > 0
	// after is the file that is to be read dry before this one: what
	// stood at the same path before.
	after *file
	next  []*file // those whose after this is
}

// A schedule hands out the files that have something to do, in turns, and each
// to one reader at a time.
type schedule struct {
	beats  beats
	mu     sync.Mutex
	work   sync.Cond
	closed bool
	queue  []*file
	turns  int // files that are with a reader
	later  laterHeap
	sooner chan struct{} // the head of later has changed
}

func newSchedule() *schedule {
	s := &schedule{beats: beats{time.Now()}, sooner: make(chan struct{}, 1)}
	s.work.L = &s.mu
	return s
}

// wake sees to it that f gets a turn, and tells whether that is so at once.
func (s *schedule) wake(f *file) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wakeLocked(f)
}

func (s *schedule) wakeLocked(f *file) bool {
	switch {
	case f.phase == turn:
		f.again = true
		return false
	case f.phase == ready || f.after != nil && f.met:
		return false
	case s.beats.now() < f.notBefore:
		s.dueLocked(f, f.notBefore)
		return false
	}
	s.enqueue(f)
	return true
}

func (s *schedule) enqueue(f *file) {
	s.undue(f)
	f.phase = ready
	s.queue = append(s.queue, f)
	s.work.Signal()
}

// dueLocked has f woken at a time, or sooner if that was agreed before.
func (s *schedule) dueLocked(f *file, at time.Duration) {
	if f.index > 0 {
		if at >= f.due {
			return
		}
		s.undue(f)
	}
	f.due = at
	heap.Push(&s.later, f)
	if f.index == 1 {
		select {
		case s.sooner <- struct{}{}:
		default:
		}
	}
}

func (s *schedule) undue(f *file) {
	if f.index > 0 {
		heap.Remove(&s.later, int(f.index)-1)
	}
}

// take waits for the next file in the queue; nil means that the schedule is closed.
func (s *schedule) take() *file {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.queue) == 0 && !s.closed {
		s.work.Wait()
	}
	if s.closed {
		return nil
	}
	f := s.queue[0]
	s.queue[0] = nil
	s.queue = s.queue[1:]
	f.phase, f.again = turn, false
	s.turns++
	f.meeting = f.after != nil
	return f
}

// hasMore tells, during a turn, whether there are others.
func (s *schedule) hasMore() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.turns+len(s.queue) > 1
}

// A verdict is how a turn ended.
type verdict struct {
	more bool          // there is more to read now
	wait time.Duration // look again after this; 0 means when woken
	grew bool          // something was read
}

// done ends a turn.
func (s *schedule) done(f *file, v verdict) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.phase = idle
	s.turns--
	if f.meeting {
		s.metLocked(f)
		return
	}
	if v.more {
		s.enqueue(f)
		return
	}
	s.release(f)
	now := s.beats.now()
	busy := v.grew && f.notBefore > 0 && now-f.notBefore < beat // and in the beat before
	f.notBefore = next(now)
	if f.again || busy {
		s.dueLocked(f, f.notBefore) // whether we are told of it or not
	}
	if v.wait > 0 {
		s.dueLocked(f, now+v.wait)
	}
}

// metLocked ends the turn of a file that waits; if it no longer does, it has
// its own.
func (s *schedule) metLocked(f *file) {
	f.meeting, f.met = false, true
	if f.after == nil {
		s.enqueue(f)
	}
}

// follow has f wait until before was read dry; if it is its turn, from the next one on.
func (s *schedule) follow(f, before *file) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f == before || f.phase == ready || f.after != nil {
		return
	}
	f.after, f.met = before, false
	before.next = append(before.next, f)
}

// release wakes those that waited for f to be read dry.
func (s *schedule) release(f *file) {
	next := f.next
	f.next = nil
	for _, g := range next {
		g.after = nil
		s.wakeLocked(g)
	}
}

// alarm wakes files when they are due, until ctx ends. Then it sends the
// readers home.
func (s *schedule) alarm(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		timer.Reset(s.wakeDue())
		select {
		case <-ctx.Done():
			s.close()
			return
		case <-s.sooner:
		case <-timer.C:
		}
	}
}

// wakeDue wakes the files that are due and gives how long it is until the next
// one.
func (s *schedule) wakeDue() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.beats.now()
	for len(s.later) > 0 {
		f := s.later[0]
		if wait := f.due - now; wait > 0 {
			return wait
		}
		s.undue(f)
		if f.phase == idle && f.after == nil {
			s.enqueue(f)
		}
	}
	return time.Hour
}

func (s *schedule) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.work.Broadcast()
}

// laterHeap orders files by when they are due.
type laterHeap []*file

func (h laterHeap) Len() int           { return len(h) }
func (h laterHeap) Less(i, j int) bool { return h[i].due < h[j].due }
func (h laterHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = int32(i+1), int32(j+1)
}
func (h *laterHeap) Push(x any) {
	f := x.(*file)
	*h = append(*h, f)
	f.index = int32(len(*h))
}
func (h *laterHeap) Pop() any {
	old := *h
	f := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	f.index = 0
	return f
}
