package graph

import (
	"container/heap"
	"time"
)

// deadlines are the sources of which a worker has pending records, the one that is due first in
// front. A source is there once: lines that come later only put its deadline off, which is seen
// when it is due.
type deadlines struct {
	timer *time.Timer
	queue sourceHeap
}

// add adds a source, unless it is there.
func (d *deadlines) add(s *sourceState) {
	if s.queued {
		return
	}
	s.queued, s.wake = true, s.due
	heap.Push(&d.queue, s)
	d.setTimer()
}

// next removes a source that has waited long enough, and returns it, or nil. No source is due
// before the time that a line may take to come since its input could last read on: what the program
// has kept waiting itself is not missing. since is when the worker last went on after it had been
// held up, and stalled when the whole program did.
func (d *deadlines) next(since, stalled time.Time) *sourceState {
	now := time.Now()
	for len(d.queue) > 0 && !d.queue[0].wake.After(now) {
		s := d.queue[0]
		due := s.due
		if s.pending() && !due.After(now) {
			from := latest(stalled, s.of.feed.heldUpUntil(s.of, s.src, now, since))
			due = latest(due, from.Add(s.wait))
		}
		if s.pending() && due.After(now) {
			s.wake = due
			heap.Fix(&d.queue, 0)
			continue
		}
		heap.Pop(&d.queue)
		s.queued = false
		if s.pending() {
			return s
		}
	}
	d.setTimer()
	return nil
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (d *deadlines) setTimer() {
	if len(d.queue) == 0 {
		d.timer.Stop()
		return
	}
	d.timer.Reset(time.Until(d.queue[0].wake))
}

// sourceHeap is a heap of sources by the time at which to look at them.
type sourceHeap []*sourceState

func (h sourceHeap) Len() int           { return len(h) }
func (h sourceHeap) Less(i, k int) bool { return h[i].wake.Before(h[k].wake) }
func (h sourceHeap) Swap(i, k int)      { h[i], h[k] = h[k], h[i] }
func (h *sourceHeap) Push(s any)        { *h = append(*h, s.(*sourceState)) }
func (h *sourceHeap) Pop() any {
	last := len(*h) - 1
	s := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return s
}
