package graph

import (
	"cmp"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/longshore/longshore/agent/deliver"
	"github.com/longshore/longshore/agent/ledger"
	"github.com/longshore/longshore/agent/recent"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// sourceState is what a source that is not idle has in the graph. Its worker owns it.
type sourceState struct {
	of         *openSource
	progress   *ledger.Source
	pipelines  []*pipelineInstance
	timestamps timestamps
	state      []byte // scratch

	resumptions    []resumption  // scratch
	kept           []checkpoint  // that pending records keep back, ascending
	src            *event.Source // of the last batch
	to             uint64        // where that ended
	uncertainBelow uint64        // an earlier run may have sent what is below
	wait           time.Duration // how long records are pending now
	due            time.Time     // when they have been so for long enough
	wake           time.Time     // when the worker is to look
	queued         bool          // to be looked at
	boundary       uint64        // the last of a timeout; 0 once a later line has shown whether it is needed
}

// sharedPipeline is a pipeline of the config, which its sources share.
type sharedPipeline struct {
	name string
	*parsing
	transformNames []string
	transforms     []pipeline.Transform
	outputs        []*output
	recent         *recent.Tap // nil where recent records are not kept
	panics         *pipeline.Panics
	read           atomic.Uint64 // lines taken
	joined         atomic.Uint64 // of these, how many became part of another's record
	pending        atomic.Int64  // of these, how many wait for more that may belong to them
	left           atomic.Uint64 // of these, how many did so when a reload ended the pipeline
}

func (p *sharedPipeline) routes() []string {
	var routes []string
	for _, o := range p.outputs {
		routes = append(routes, p.name+"/"+o.name)
	}
	return routes
}

// pipelineInstance is a pipeline as one source goes through it.
type pipelineInstance struct {
	shared     *sharedPipeline
	parsing    *parsing
	parsers    chain
	join       *join // nil: lines stay as they are
	uniquifier uniquifier
	routes     []route           // to each of the pipeline's outputs
	observer   pipeline.Observer // sees what has gone through it; nil for none
	forwarded  uint64            // the source is forwarded up to here
	panicked   panicked
}

// A route is a pipeline's way to one of its outputs, for one source.
type route struct {
	track  deliver.Track
	behind *behindRoute // nil while the output takes what the worker forwards
}

// forwarded returns up to where all pipelines have forwarded the source.
func (s *sourceState) forwarded() uint64 {
	low := uint64(math.MaxUint64)
	for _, p := range s.pipelines {
		low = min(low, p.forwarded)
	}
	return low
}

// newSourceState returns the state of a source that goes on from where the ledger says.
func newSourceState(o *openSource, src *event.Source) (*sourceState, error) {
	byPipeline, _, _ := readState(o.progress.State())
	s := &sourceState{of: o, progress: o.progress, timestamps: newTimestamps(o.progress)}
	s.uncertainBelow = s.timestamps.anchoredBelow
	for k, of := range o.plan.pipelines {
		p, err := o.newPipelineInstance(k, src, byPipeline[of.name])
		if err != nil {
			return nil, fmt.Errorf("opening %s: %w", src.Key, err)
		}
		if p.join != nil {
			s.timestamps.joins = append(s.timestamps.joins, p.join)
		}
		s.pipelines = append(s.pipelines, p)
	}
	return s, nil
}

func (o *openSource) newPipelineInstance(k int, src *event.Source, from resumption) (*pipelineInstance, error) {
	shared, parsing := o.plan.pipelines[k], o.plan.parsing[k]
	number := src.ShardKey % uint64(o.plan.workers*chainsPerWorker) // that determines the worker, too
	p := &pipelineInstance{shared: shared, parsing: parsing, uniquifier: from.uniquifier}
	p.parsers = parsing.chains.get(number, src)
	if k == 0 {
		p.observer = o.feed.observer
	}
	var err error
	p.join, err = o.newJoin(shared, parsing, src, from.begin, o.progress.TimeoutBoundaries())
	if err != nil {
		return nil, err
	}
	for _, name := range shared.routes() {
		track, err := o.progress.Track(name)
		if err != nil {
			return nil, err
		}
		p.routes = append(p.routes, route{track: track})
	}
	return p, nil
}

// newJoin returns how the lines of the source are joined in a pipeline; nil if they stay as they
// are. Its bounds are the timeout boundaries, and what earlier runs have done by the routes.
func (o *openSource) newJoin(
	shared *sharedPipeline, p *parsing, src *event.Source, begin uint64, boundaries []uint64,
) (*join, error) {
	if p.newJoiner == nil || o.feed.in != nil && o.feed.in.wholeRecords {
		return nil, nil
	}
	j := newJoin(p, src, begin, boundaries)
	for _, name := range shared.routes() {
		track, err := o.progress.Track(name)
		if err != nil {
			return nil, err
		}
		j.addBounds(track.Bounds()...)
	}
	return j, nil
}

// apply parses every record of a batch, gives each its own time, and applies the transforms.
func (p *pipelineInstance) apply(b *event.Batch, t *timestamps, now func() time.Time) {
	for next := 0; next < len(b.Records); {
		next = p.parse(b, next, t, now)
	}
	for _, transform := range p.shared.transforms {
		transform.Apply(b)
	}
	if p.observer != nil {
		p.observer.Observe(b)
	}
}

// parse parses the records of a batch from one on, gives each its own time, and returns how far it
// got: to the end, or to a record at which a parser has panicked, which is to be parsed again.
func (p *pipelineInstance) parse(b *event.Batch, from int, t *timestamps, now func() time.Time) (next int) {
	was := event.Record{} // what an input sets of the record
	defer func() {
		if next < len(b.Records) {
			p.onPanic(recover(), b.Source, was.Pos)
			b.Records[next] = was
		}
	}()
	for next = from; next < len(b.Records); next++ {
		r := &b.Records[next]
		was.Pos, was.Time, was.Line, was.Flags = r.Pos, r.Time, r.Line, r.Flags
		if p.panicked.times < 2 || p.panicked.pos != r.Pos {
			p.parsers.parse(b, next)
			r = &b.Records[next]
		}
		if was.Flags&event.KeepsTime != 0 && r.Time != was.Time {
			restoreTime(b, next, was.Time)
		}
		if r.Time == 0 {
			r.Time = p.uniquifier.unique(p.assignTime(next, r.Pos, t, now))
		} else if !b.TimesUnique {
			r.Time = p.uniquifier.unique(r.Time)
		}
		p.dropBelowLevel(r)
		if next == 0 && p.join != nil {
			p.join.onFirst(p.resumption(), b)
		}
	}
	return next
}

// restoreTime gives record i the time that its input has set. That of its line becomes a field.
func restoreTime(b *event.Batch, i int, at int64) {
	r := &b.Records[i]
	key := event.Value{Span: b.PutString("line_time"), Kind: event.Name}
	start := len(b.Arena)
	b.Arena = event.AppendTime(b.Arena, r.Time)
	b.AddField(i, key, event.Value{
		Span: event.Span{Off: uint32(start), Len: uint32(len(b.Arena) - start)}, Kind: event.Plain,
	})
	r.Time = at
}

// A panicked says at which record a pipeline's parsers have panicked last, and how often.
type panicked struct {
	pos   uint64
	times int
}

// onPanic makes the parsers anew, as what they remember may be wrong. A record at which they panic
// all the same stays plain text. Where that does not help, it is not a parser's panic, and goes on.
func (p *pipelineInstance) onPanic(value any, src *event.Source, pos uint64) {
	if p.panicked.pos != pos {
		p.panicked = panicked{pos: pos}
	}
	p.panicked.times++
	switch {
	case p.panicked.times > 2:
		panic(value)
	case p.panicked.times == 2:
		p.shared.panics.Note(value, "a parser has panicked twice at a line, which goes on as plain text",
			"source", src.Key, "position", pos)
	}
	p.parsers.renew(p.parsing.chains.parsers, src)
}

// dropBelowLevel drops a record whose level is too low. One without a level counts as info.
func (p *pipelineInstance) dropBelowLevel(r *event.Record) {
	least := p.parsing.lowestLevel
	if least == event.NoLevel {
		return
	}
	if level := cmp.Or(r.Level, event.Info); level < least {
		r.Flags |= event.Dropped
	}
}

// assignTime returns a time for record i, which has none.
func (p *pipelineInstance) assignTime(i int, pos uint64, t *timestamps, now func() time.Time) int64 {
	if i == 0 && p.join != nil && p.join.carried.lines > 0 {
		return t.ofPending(&p.join.carried, now)
	}
	return t.at(pos, now)
}
