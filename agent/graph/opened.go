package graph

import (
	"fmt"
	"time"

	"github.com/longshore/longshore/agent/ledger"
	"github.com/longshore/longshore/pipeline/event"
)

// opened is a source that an input has open. There may be many thousands, with lines
// of few at a time: so what it takes to take lines is made when some come, and given up when
// none have come for long and all are done. Then the ledger has all that matters, as
// after a restart.
type opened struct {
	progress *ledger.Source
	way      *way

	// Its worker owns these:
	source *source // nil while it rests
	begun  bool    // its first record has come
	recent bool    // had lines not long ago

	// Guarded by feed.mu:
	closed bool
	opens  int // how often it was opened
}

// way is how a source goes through the graph.
type way struct {
	pipelines []*pipelineOf
	takings   []*taking // of lines, by each of the pipelines
	workers   int
}

// routes gives the number of the outputs.
func (w *way) routes() int {
	n := 0
	for _, p := range w.pipelines {
		n += len(p.outputs)
	}
	return n
}

// settle has the ledger know where the records of each route go.
func (o *opened) settle() error {
	for _, p := range o.way.pipelines {
		for i, route := range p.routes() {
			if err := o.progress.SetTarget(route, p.outputs[i].place); err != nil {
				return err
			}
		}
	}
	return nil
}

// rouse has the source ready for lines.
func (o *opened) rouse(src *event.Source) *source {
	if o.source == nil {
		var err error
		if o.source, err = newSource(o, src); err != nil {
			panic(fmt.Sprintf("BUG: it was opened, and cannot be any more: %v", err))
		}
	}
	o.source.src = src
	return o.source
}

// rest gives the source up, if all is done that came of it, and otherwise what it can do without.
func (o *opened) rest() bool {
	s := o.source
	if s == nil {
		return true
	}
	s.src.Rest()
	s.now, s.state = nil, nil
	if s.queued || s.holding() || len(s.kept) > 0 || s.to < s.times.bound || !o.progress.DoneTo(s.to) {
		return false
	}
	o.source = nil
	return true
}

// recent is the sources of which a worker had lines last, the oldest first.
type recent struct {
	sources []*opened
	most    int
	timer   *time.Timer // when to try again to have some rest
	armed   bool
}

const (
	// recentSources is more than write at the same time on nearly every host.
	recentSources = 1024
	// restAgain is how long what came of the oldest sources is given to be done.
	restAgain = 200 * time.Millisecond
)

func newRecent() recent {
	r := recent{most: recentSources, timer: time.NewTimer(0)}
	r.timer.Stop()
	return r
}

// add notes that a source has had lines.
func (r *recent) add(o *opened) {
	if !o.recent {
		o.recent = true
		r.sources = append(r.sources, o)
	}
	r.trim(2)
}

// trim has the oldest sources rest where there are too many, at most so many at a time. Those
// that cannot have another turn.
func (r *recent) trim(most int) {
	for range min(most, len(r.sources)-r.most) {
		oldest := r.sources[0]
		r.sources = r.sources[1:]
		if oldest.recent = !oldest.rest(); oldest.recent {
			r.sources = append(r.sources, oldest)
		}
	}
	if len(r.sources) > r.most && !r.armed {
		r.armed = true
		r.timer.Reset(restAgain)
	}
}

// again is to be called when the timer fires.
func (r *recent) again() {
	r.armed = false
	r.trim(len(r.sources))
}
