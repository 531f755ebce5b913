package graph

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/longshore/longshore/agent/ledger"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// openSource is a source that an input has open. Most are idle, so their state is created on the
// first batch and released once the source is idle and fully acknowledged.
type openSource struct {
	progress *ledger.Source
	plan     *plan
	feed     *feed
	reread   pipeline.Rereader // nil: no output is let go
	leaving  atomic.Bool       // an output has yet to read what cannot be read for much longer
	gone     atomic.Bool       // it cannot be read any more
	coming   atomic.Int32      // batches that were sent and have not gone to the outputs
	pending  atomic.Bool       // a record is, between two batches
	// All of its pipelines have forwarded what is below.
	forwarded atomic.Uint64

	// Its worker owns these:
	state   *sourceState // nil while it is idle
	begun   bool         // its first record has come
	recent  bool         // it is among the worker's recentSources
	closing bool         // what is forwarded is its last

	// Guarded by feed.mu:
	closed bool
	opens  int // how often it was opened
	behind []*behindRoute
	parked chan struct{} // closed when not all routes are behind any more; nil when not all are
	// What is below cannot be read for much longer.
	leavingTo uint64
}

// mayBeLetGo reports whether an output can read the source again that does not take what its worker
// forwards. What does not wait goes to the spool of the last one, as if there were no other.
func (s *sourceState) mayBeLetGo() bool {
	o := s.of
	return o.reread != nil && o.reread.CanReread(s.src.ID) && !(o.feed.in.ephemeral && s.attached() < 2)
}

// hurryIfLeaving has what cannot be read for much longer come first at the outputs that have yet to
// read it. The caller holds feed.mu.
func (o *openSource) hurryIfLeaving(src *event.Source) {
	leaving := slices.ContainsFunc(o.behind, func(r *behindRoute) bool { return r.low.Load() < o.leavingTo })
	if o.leaving.Swap(leaving) != leaving {
		o.hurry(src, leaving)
	}
}

// plan is how a source goes through the graph.
type plan struct {
	pipelines []*sharedPipeline
	parsing   []*parsing // by each of the pipelines
	routes    int
	workers   int
}

func (p *plan) routeNames() (names []string) {
	for _, shared := range p.pipelines {
		names = append(names, shared.routes()...)
	}
	return names
}

// hurry has what the outputs have yet to read of a source come first, and their lanes that are full
// go to disk, or not any more.
func (o *openSource) hurry(src *event.Source, on bool) {
	for _, shared := range o.plan.pipelines {
		for _, out := range shared.outputs {
			out.deliverer.Hurry(on)
			out.catchUps[out.deliverer.LaneOf(src)].hurry(o, on)
		}
	}
}

// setTargets tells the ledger where the records of each route go.
func (o *openSource) setTargets() error {
	for _, p := range o.plan.pipelines {
		for i, route := range p.routes() {
			if err := o.progress.SetTarget(route, p.outputs[i].target); err != nil {
				return err
			}
		}
	}
	return nil
}

// activate returns the source's state for a batch.
func (o *openSource) activate(src *event.Source) *sourceState {
	if o.state == nil {
		var err error
		if o.state, err = newSourceState(o, src); err != nil {
			panic(fmt.Sprintf("BUG: it was opened, and cannot be any more: %v", err))
		}
	}
	o.state.src = src
	return o.state
}

// deactivate releases the source's state if all that came of it is done, and otherwise what can be
// spared.
func (o *openSource) deactivate() bool {
	s := o.state
	if s == nil {
		return true
	}
	s.src.ReleaseCache()
	s.resumptions, s.state = nil, nil
	if s.queued || s.pending() || len(s.kept) > 0 || s.to < s.timestamps.earlierEnd || !o.progress.DoneTo(s.to) {
		return false
	}
	o.state = nil
	return true
}

// recentSources are those of which a worker had lines last, the oldest first.
type recentSources struct {
	sources []*openSource
	most    int
	timer   *time.Timer // when to try again to deactivate some
	armed   bool
}

const (
	// maxRecentSources is more than write at the same time on nearly every host.
	maxRecentSources = 1024
	// deactivateAgain is how long what came of the oldest sources is given to be done.
	deactivateAgain = 200 * time.Millisecond
	// maxNotDone is how many are found not to be done before the rest are not tried.
	maxNotDone = 512
)

func newRecentSources() recentSources {
	r := recentSources{most: maxRecentSources, timer: time.NewTimer(0)}
	r.timer.Stop()
	return r
}

// add notes that a source has had lines.
func (r *recentSources) add(o *openSource) {
	if !o.recent {
		o.recent = true
		r.sources = append(r.sources, o)
	}
	r.trim(2, 2)
}

// trim deactivates the oldest sources where there are too many, at most so many at a time, until so
// many cannot be: what came of those behind is hardly done, either.
func (r *recentSources) trim(most, mostFailed int) {
	for range min(most, len(r.sources)-r.most) {
		oldest := r.sources[0]
		r.sources = r.sources[1:]
		if oldest.recent = !oldest.deactivate(); !oldest.recent {
			continue
		}
		r.sources = append(r.sources, oldest)
		if mostFailed--; mostFailed == 0 {
			break
		}
	}
	if len(r.sources) > r.most && !r.armed {
		r.armed = true
		r.timer.Reset(deactivateAgain)
	}
}

// onTimer is to be called when the timer fires.
func (r *recentSources) onTimer() {
	r.armed = false
	r.trim(len(r.sources), maxNotDone)
}
