package graph

import (
	"sync/atomic"
	"time"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// An observer is the input that sees the records of all others: of each source those of its first
// pipeline, before they are handed to outputs, and so before any of them can be acknowledged. What
// it knows is written with the ledger's progress (ledger.SetNote), by the same write. So what it
// remembers is never behind the positions from which sources are read again, and it can tell what
// comes once more by its position.
//
// A route that is let go reads for itself through a pipeline of its own, which nobody observes: the
// worker has been there.
type observer struct {
	pipeline.Observer
	graph *Graph
	in    *input
	works atomic.Bool
}

var _ pipeline.Overview = (*observer)(nil)

func (g *Graph) setObserver(in *input) {
	if o, ok := in.input.(pipeline.Observer); ok {
		g.observer = &observer{Observer: o, graph: g, in: in}
	}
}

// of returns who observes an input's records: nobody its own.
func (o *observer) of(in *input) pipeline.Observer {
	if o == nil || o.in == in {
		return nil
	}
	return o
}

// Observe implements pipeline.Observer.
func (o *observer) Observe(b *event.Batch) {
	if o.works.Load() {
		o.Observer.Observe(b)
	}
}

// beginObserving is called before anything is read. Where it fails, nothing is observed, and logs
// go on.
func (g *Graph) beginObserving() {
	o := g.observer
	if o == nil {
		return
	}
	if err := o.Begin(g.ledger.Note(), o); err != nil {
		g.Log.Error("no record is observed", "input", o.in.name, "error", err)
		g.Health(pipeline.KindInput, o.in.name)(err)
		return
	}
	g.ledger.SetNote(o.State)
	o.works.Store(true)
}

// endObserving is called when a reload has stopped the graph, and the ledger has its last note.
func (g *Graph) endObserving() {
	if g.observer != nil {
		g.ledger.SetNote(nil)
	}
}

// Lagging implements pipeline.Overview.
func (o *observer) Lagging(visit func(id event.SourceID)) {
	for _, in := range o.graph.inputs {
		if in != o.in {
			in.feed.lagging(visit)
		}
	}
}

// Knows implements pipeline.Overview.
func (o *observer) Knows(id event.SourceID) bool { return o.graph.ledger.Knows(id) }

// findAgain is how long an input has after a start to find the sources of earlier runs, unless they
// are gone.
const findAgain = time.Minute

// unopened calls visit with the sources of earlier runs that the input has not opened yet. It is
// for inputs that do not say what is unread: one of files opens none that has nothing to read.
func (f *feed) unopened(visit func(id event.SourceID)) {
	if f.found.Load() {
		return
	}
	now := time.Now().UnixNano()
	f.began.CompareAndSwap(0, now)
	if now-f.began.Load() > int64(findAgain) {
		f.found.Store(true)
		return
	}
	for _, id := range f.ledger.Sources(f.input) {
		if f.source(id) == nil {
			visit(id)
		}
	}
}

// lagging calls visit with the open sources of which something waits to be read, as far as the
// input knows, or to be taken by the worker.
func (f *feed) lagging(visit func(id event.SourceID)) {
	type state struct {
		id     event.SourceID
		coming bool
	}
	gauge, _ := f.in.input.(pipeline.Gauge)
	if gauge == nil {
		f.unopened(visit)
	}
	f.mu.Lock()
	open := make([]state, 0, len(f.sources))
	for id, o := range f.sources {
		if !o.closed {
			open = append(open, state{id, o.coming.Load() > 0})
		}
	}
	f.mu.Unlock()
	for _, s := range open {
		unread := int64(0)
		if gauge != nil && !s.coming {
			unread, _ = gauge.Unread(s.id)
		}
		if s.coming || unread > 0 {
			visit(s.id)
		}
	}
}
