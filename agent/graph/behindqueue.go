package graph

import (
	"container/heap"
	"slices"
	"time"
)

// A behindQueue has the routes that a catchUp has yet to read. There may be as many as sources, so
// nothing looks at all of them to find the next.
type behindQueue struct {
	leaving turns // of sources that cannot be read for much longer
	usual   turns
	// bySource has those of usual, one for each pipeline.
	bySource map[*openSource][]*behindRoute
	added    uint64
}

// A turn is when a route is read: no earlier than due, and before those that were added later.
type turn struct {
	due   time.Time
	order uint64
	index int // in turns
}

func (q *behindQueue) len() int { return q.leaving.Len() + q.usual.Len() }

// add puts a route behind all that are due before it.
func (q *behindQueue) add(r *behindRoute, now time.Time) {
	r.turn = turn{due: now, order: q.added}
	q.added++
	if r.retryAt.After(now) {
		r.turn.due = r.retryAt
	}
	if r.of.leaving.Load() {
		heap.Push(&q.leaving, r)
		return
	}
	heap.Push(&q.usual, r)
	if q.bySource == nil {
		q.bySource = map[*openSource][]*behindRoute{}
	}
	q.bySource[r.of] = append(q.bySource[r.of], r)
}

// hurry has those of a source that cannot be read for much longer come first.
func (q *behindQueue) hurry(o *openSource) {
	for _, r := range q.bySource[o] {
		heap.Remove(&q.usual, r.turn.index)
		heap.Push(&q.leaving, r)
	}
	delete(q.bySource, o)
}

// next removes the route that is to be read next. Where none is due, it returns how long to wait.
func (q *behindQueue) next(now time.Time) (r *behindRoute, wait time.Duration) {
	wait = time.Hour
	for _, t := range []*turns{&q.leaving, &q.usual} {
		if left, some := t.wait(now); some && left > 0 {
			wait = min(wait, left)
		} else if some {
			r = heap.Pop(t).(*behindRoute)
			q.forget(r)
			return r, 0
		}
	}
	return nil, wait
}

func (q *behindQueue) forget(r *behindRoute) {
	rest := slices.DeleteFunc(q.bySource[r.of], func(other *behindRoute) bool { return other == r })
	if len(rest) == 0 {
		delete(q.bySource, r.of)
		return
	}
	q.bySource[r.of] = rest
}

// turns are a heap, whose first is due first.
type turns struct {
	routes   []*behindRoute
	compared int // how often two were, for the test
}

var _ heap.Interface = (*turns)(nil)

// wait returns how long it is until one is due; some is false where there is none.
func (t *turns) wait(now time.Time) (left time.Duration, some bool) {
	if len(t.routes) == 0 {
		return 0, false
	}
	return t.routes[0].turn.due.Sub(now), true
}

// Len implements heap.Interface.
func (t *turns) Len() int { return len(t.routes) }

// Less implements heap.Interface.
func (t *turns) Less(i, j int) bool {
	t.compared++
	a, b := &t.routes[i].turn, &t.routes[j].turn
	if order := a.due.Compare(b.due); order != 0 {
		return order < 0
	}
	return a.order < b.order
}

// Swap implements heap.Interface.
func (t *turns) Swap(i, j int) {
	t.routes[i], t.routes[j] = t.routes[j], t.routes[i]
	t.routes[i].turn.index, t.routes[j].turn.index = i, j
}

// Push implements heap.Interface.
func (t *turns) Push(r any) {
	route := r.(*behindRoute)
	route.turn.index = len(t.routes)
	t.routes = append(t.routes, route)
}

// Pop implements heap.Interface.
func (t *turns) Pop() any {
	last := len(t.routes) - 1
	r := t.routes[last]
	t.routes[last] = nil
	t.routes = t.routes[:last]
	return r
}
