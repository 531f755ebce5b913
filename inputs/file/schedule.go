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
	idle    phase = iota // nothing to do, or something only when it is due
	ready                // in the queue
	reading              // a reader has it
)

// A slot is a file's part in the schedule, guarded by schedule.mu.
type slot struct {
	phase phase
	again bool // woken while a reader has it
	// What is to be read of it is about to be gone: as it was renamed or deleted; or, until it was
	// read to its end, as it is copied or truncated.
	leaving, expedited bool
	// expeditedAgain says that a file was expedited while a reader had it, who may have been held
	// up since before that was written which is about to be gone.
	expeditedAgain bool
	urgent         bool // it is counted in schedule.urgent
	// A file that waits for another has one read slice all the same, in which it is preregistered:
	// its identity is stored, so that it is found should it be renamed while Longshore is stopped.
	preregistering, preregistered bool
	index                         int32         // in schedule.later, from 1; 0 if it is not there
	notBefore                     time.Duration // the first tick after it was read to its end
	// late says, of a file that is idle, when it was read last, if that was late since the readers
	// were held up; else since when it is to be read.
	late time.Duration
	due  time.Duration // when it is to be woken, if index > 0
	// after is the file to be read to its end before this one: what was at the same path before.
	after *file
	next  []*file // those whose after this is
}

// A schedule hands out the files that have something to do in read slices, each to one reader at a
// time. Those come first of which lines are about to be gone; while there are such, the input
// hurries.
type schedule struct {
	ticks  ticks
	hurry  func(on bool)
	mu     sync.Mutex
	work   sync.Cond
	closed bool
	// A file that is ready is in one of the queues, and may be in the other, too.
	queue, urgentQueue []*file
	ready              int // files that are ready
	active             int // files that a reader has
	urgent             int // files of which lines are about to be gone
	taken              int // how many files were handed out
	later              laterHeap
	sooner             chan struct{} // the head of later has changed
}

func newSchedule(hurry func(on bool)) *schedule {
	s := &schedule{ticks: ticks{time.Now()}, hurry: hurry, sooner: make(chan struct{}, 1)}
	s.work.L = &s.mu
	return s
}

// wake queues f, at the next tick if it was just read, and reports whether it did so at once.
func (s *schedule) wake(f *file) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wakeLocked(f)
}

func (s *schedule) wakeLocked(f *file) bool {
	switch slot := &f.slot; {
	case slot.phase == reading:
		slot.again = true
		return false
	case slot.phase == ready || slot.after != nil && slot.preregistered:
		return false
	case s.ticks.now() < slot.notBefore:
		s.dueLocked(f, slot.notBefore)
		return false
	}
	s.enqueue(f)
	return true
}

func (s *schedule) enqueue(f *file) {
	s.undue(f)
	f.slot.phase, f.slot.late = ready, s.ticks.now()
	s.ready++
	if f.slot.mustHurry() {
		s.urgentQueue = append(s.urgentQueue, f)
	} else {
		s.queue = append(s.queue, f)
	}
	s.countUrgent(f)
	s.work.Signal()
}

// setLeaving notes whether f is about to be gone, since its name is none that the config asks for.
func (s *schedule) setLeaving(f *file, leaving bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.slot.leaving != leaving {
		f.slot.leaving = leaving
		s.reconsider(f)
	}
}

// expedite has f read to its end before others: it is copied or truncated.
func (s *schedule) expedite(f *file) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.slot.expedited = true
	f.slot.expeditedAgain = f.slot.phase == reading
	s.reconsider(f)
}

// reconsider applies that f is urgent, or no longer.
func (s *schedule) reconsider(f *file) {
	if f.slot.phase == ready && f.slot.mustHurry() {
		s.urgentQueue = append(s.urgentQueue, f)
	}
	s.countUrgent(f)
}

func (s *slot) mustHurry() bool { return s.leaving || s.expedited }

// isUrgent reports whether lines of f are about to be gone.
func (s *schedule) isUrgent(f *file) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return f.slot.urgent
}

// countUrgent counts f if lines of it that are about to be gone are waiting to be read.
func (s *schedule) countUrgent(f *file) {
	slot := &f.slot
	urgent := slot.mustHurry() && (slot.phase != idle || slot.after != nil)
	if urgent == slot.urgent {
		return
	}
	slot.urgent = urgent
	if urgent {
		s.urgent++
	} else {
		s.urgent--
	}
	if s.urgent == 0 || urgent && s.urgent == 1 {
		s.hurry(urgent)
	}
}

// dueLocked has f woken at a time, unless it is due sooner.
func (s *schedule) dueLocked(f *file, at time.Duration) {
	if f.slot.index > 0 {
		if at >= f.slot.due {
			return
		}
		s.undue(f)
	}
	f.slot.due = at
	heap.Push(&s.later, f)
	if f.slot.index == 1 {
		select {
		case s.sooner <- struct{}{}:
		default:
		}
	}
}

func (s *schedule) undue(f *file) {
	if f.slot.index > 0 {
		heap.Remove(&s.later, int(f.slot.index)-1)
	}
}

// take waits for the next file in the queue. It returns nil once the schedule is closed.
func (s *schedule) take() *file {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.ready == 0 && !s.closed {
		s.work.Wait()
	}
	if s.closed {
		return nil
	}
	f := s.nextLocked()
	f.slot.phase, f.slot.again, f.slot.expeditedAgain = reading, false, false
	s.ready--
	s.active++
	f.slot.preregistering = f.slot.after != nil
	return f
}

// One of fairEvery files that are handed out is taken from the usual queue, if there is one, so
// that a rotated file with very much to read does not hold up all others.
const fairEvery = 4

// nextLocked takes a file out of a queue. There is one that is ready.
func (s *schedule) nextLocked() *file {
	s.taken++
	first, second := &s.urgentQueue, &s.queue
	if s.taken%fairEvery == 0 {
		first, second = second, first
	}
	if f := popReady(first); f != nil {
		return f
	}
	return popReady(second)
}

// popReady takes the first file that is ready out of a queue, and those before it that are not any
// more: they were taken out of the other.
func popReady(queue *[]*file) *file {
	for len(*queue) > 0 {
		f := (*queue)[0]
		(*queue)[0] = nil
		*queue = (*queue)[1:]
		if f.slot.phase == ready {
			return f
		}
	}
	return nil
}

// hasMore reports, to a reader that has a file, whether there are others.
func (s *schedule) hasMore() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.active+s.ready > 1
}

// A sliceResult is how a read slice ended.
type sliceResult struct {
	more bool          // there is more to read now
	wait time.Duration // look again after this; 0 means when woken
	grew bool          // something was read
}

// done ends a read slice.
func (s *schedule) done(f *file, result sliceResult) {
	s.mu.Lock()
	defer s.mu.Unlock()
	slot := &f.slot
	slot.phase = idle
	slot.noteLate(s.ticks.now())
	s.active--
	defer s.countUrgent(f)
	if slot.preregistering {
		s.preregisteredLocked(f)
		return
	}
	if result.more {
		s.enqueue(f)
		return
	}
	slot.expedited = slot.expeditedAgain
	s.release(f)
	now := s.ticks.now()
	busy := result.grew && slot.notBefore > 0 && now-slot.notBefore < tickInterval // and in the tick before
	slot.notBefore = nextTick(now)
	if slot.again || slot.expeditedAgain || busy {
		s.dueLocked(f, slot.notBefore) // with or without a notification
	}
	if result.wait > 0 {
		s.dueLocked(f, now+result.wait)
	}
}

// preregisteredLocked ends the read slice of a file that waited. If it no longer does, it is
// queued.
func (s *schedule) preregisteredLocked(f *file) {
	f.slot.preregistering, f.slot.preregistered = false, true
	if f.slot.after == nil {
		s.enqueue(f)
	}
}

// noteLate notes that a file was read, and whether late.
func (s *slot) noteLate(now time.Duration) {
	if now-s.late <= heldUpAfter {
		now = 0
	}
	s.late = now
}

// stalledAfter is how late a file must be read for the program to have stood still, or all of
// its readers.
const stalledAfter = 500 * time.Millisecond

// wasStalled reports, to the reader that has f, whether it was to be read long ago: what the file
// had not grown by then says nothing.
func (s *schedule) wasStalled(f *file) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ticks.now()-f.slot.late > stalledAfter
}

// heldUpUntil returns until when f may have had something to read that was not read; zero if it was
// always read in time.
func (s *schedule) heldUpUntil(f *file) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch slot := &f.slot; {
	case slot.phase != idle:
		return time.Now()
	case slot.late == 0:
		return time.Time{}
	}
	return s.ticks.start.Add(f.slot.late)
}

// follow has f wait until before was read to its end; if a reader has f, from then on.
func (s *schedule) follow(f, before *file) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f == before || f.slot.phase == ready || f.slot.after != nil {
		return
	}
	f.slot.after, f.slot.preregistered = before, false
	before.slot.next = append(before.slot.next, f)
	s.countUrgent(f)
}

// release wakes those that waited for f.
func (s *schedule) release(f *file) {
	next := f.slot.next
	f.slot.next = nil
	for _, g := range next {
		g.slot.after = nil
		s.wakeLocked(g)
		s.countUrgent(g)
	}
}

// alarm wakes files when they are due, and closes the schedule when ctx ends.
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

// wakeDue wakes the files that are due and returns the time until the next one.
func (s *schedule) wakeDue() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.ticks.now()
	for len(s.later) > 0 {
		f := s.later[0]
		if wait := f.slot.due - now; wait > 0 {
			return wait
		}
		s.undue(f)
		if f.slot.phase == idle && f.slot.after == nil {
			s.enqueue(f)
			f.slot.late = f.slot.due
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
func (h laterHeap) Less(i, j int) bool { return h[i].slot.due < h[j].slot.due }
func (h laterHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].slot.index, h[j].slot.index = int32(i+1), int32(j+1)
}
func (h *laterHeap) Push(x any) {
	f := x.(*file)
	*h = append(*h, f)
	f.slot.index = int32(len(*h))
}
func (h *laterHeap) Pop() any {
	old := *h
	f := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	f.slot.index = 0
	return f
}
