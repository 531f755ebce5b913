package graph

import (
	"container/heap"
	"time"
)

// waiting is the sources of which a worker holds records, the one that is due
// first in front. A source stands there once, since lines that come later only put
// it off: that is found out when it is due.
type waiting struct {
	timer *time.Timer
	queue deadlines
}

// add puts a source in, unless it is there.
func (w *waiting) add(s *source) {
	if s.queued {
		return
	}
	s.queued, s.wake = true, s.due
	heap.Push(&w.queue, s)
	w.set()
}

// next takes out a source that has waited long enough, if there is one. No source
// is taken before the time that a line may take to come since the worker has last
// taken lines without delay: what it has kept waiting itself is not missing.
func (w *waiting) next(since time.Time) *source {
	now := time.Now()
	for len(w.queue) > 0 && !w.queue[0].wake.After(now) {
		s := w.queue[0]
		due := s.due
		if earliest := since.Add(s.wait); earliest.After(due) {
			due = earliest
		}
		if s.holding() && due.After(now) {
			s.wake = due
			heap.Fix(&w.queue, 0)
			continue
		}
		heap.Pop(&w.queue)
		s.queued = false
		if s.holding() {
			return s
		}
	}
	w.set()
	return nil
}

// set has the timer fire when the first source is due.
func (w *waiting) set() {
	if len(w.queue) == 0 {
		w.timer.Stop()
		return
	}
	w.timer.Reset(time.Until(w.queue[0].wake))
}

// deadlines is a heap of sources by the time at which to look at them.
type deadlines []*source

func (d deadlines) Len() int           { return len(d) }
func (d deadlines) Less(i, k int) bool { return d[i].wake.Before(d[k].wake) }
func (d deadlines) Swap(i, k int)      { d[i], d[k] = d[k], d[i] }
func (d *deadlines) Push(s any)        { *d = append(*d, s.(*source)) }
func (d *deadlines) Pop() any {
	last := len(*d) - 1
	s := (*d)[last]
	(*d)[last] = nil
	*d = (*d)[:last]
	return s
}
