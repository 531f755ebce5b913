package graph

import (
	"fmt"

	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/ledger"
)

// opened is a source that an input has open. There may be many thousands, with lines
// of few at a time: so what it takes to take lines is made when some come, and given up when
// none have come for long and all are done. Then the ledger has all that matters, as
// after a restart.
type opened struct {
	progress *ledger.Source
	way      *way

	// Its worker owns these:
	source  *source // nil while it rests
	durable bool    // its identity is on disk
	begun   bool    // its first record has come
	recent  bool    // had lines not long ago

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

// rest gives the source up, if all is done that came of it.
func (o *opened) rest() bool {
	s := o.source
	if s == nil {
		return true
	}
	if s.queued || s.holding() || len(s.kept) > 0 || s.to < s.times.bound || !o.progress.DoneTo(s.to) {
		return false
	}
	s.src.Rest()
	o.source = nil
	return true
}

// recent is the sources of which a worker had lines last, the oldest first.
type recent struct {
	sources []*opened
	most    int
}

// recentSources is more than write at the same time on nearly every host.
const recentSources = 1024

// add notes that a source has had lines. Where there are too many, the oldest ones are to
// rest; those that cannot have another turn.
func (r *recent) add(o *opened) {
	if !o.recent {
		o.recent = true
		r.sources = append(r.sources, o)
	}
	for range min(2, len(r.sources)-r.most) {
		oldest := r.sources[0]
		r.sources = r.sources[1:]
		if oldest.recent = !oldest.rest(); oldest.recent {
			r.sources = append(r.sources, oldest)
		}
	}
}
