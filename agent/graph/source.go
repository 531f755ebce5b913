package graph

import (
	"cmp"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/longshore/longshore/agent/deliver"
	"github.com/longshore/longshore/agent/ledger"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// source is a source on its way through the graph. Its worker owns it.
type source struct {
	of       *opened
	progress *ledger.Source
	pipes    []*pipe
	times    lineTimes
	state    []byte // scratch

	now    []resumption  // scratch
	kept   []checkpoint  // that records held keep back, ascending
	src    *event.Source // of the batch that came last
	to     uint64        // where that ended
	unsure uint64        // an earlier run may have sent what is below
	wait   time.Duration // how long records are held now
	due    time.Time     // when they have been held long enough
	wake   time.Time     // when the worker is to look
	queued bool          // to be looked at
	cut    uint64        // where time has last ended a record; 0: what came since has shown whether it had to
}

// pipe is one pipeline as one source goes through it.
type pipe struct {
	pipeline *pipelineOf
	how      *taking
	parsers  chain
	join     *join // nil: lines stay as they are
	ties     ties
	tracks   []deliver.Track // one for each of the pipeline's outputs
}

// pipelineOf is a pipeline of the config: what its records go through.
type pipelineOf struct {
	name string
	*taking
	transforms []pipeline.Transform
	outputs    []*output
	read       atomic.Uint64 // lines taken
	joined     atomic.Uint64 // of these, how many became part of another's record
	inFlight   atomic.Int64  // of these, how many are held, since more may belong to them
}

func (p *pipelineOf) routes() []string {
	var routes []string
	for _, o := range p.outputs {
		routes = append(routes, p.name+"/"+o.name)
	}
	return routes
}

// newSource makes a source that goes on from where the ledger says.
func newSource(o *opened, src *event.Source) (*source, error) {
	byPipeline, _, _ := readState(o.progress.State())
	s := &source{of: o, progress: o.progress, times: newLineTimes(o.progress)}
	s.unsure = s.times.until
	for k, of := range o.way.pipelines {
		p, err := o.newPipe(k, src, byPipeline[of.name])
		if err != nil {
			return nil, fmt.Errorf("opening %s: %w", src.Key, err)
		}
		if p.join != nil {
			s.times.joins = append(s.times.joins, p.join)
		}
		s.pipes = append(s.pipes, p)
	}
	return s, nil
}

// newPipe makes the source's way through pipeline k.
func (o *opened) newPipe(k int, src *event.Source, from resumption) (*pipe, error) {
	of, how := o.way.pipelines[k], o.way.takings[k]
	number := src.ShardKey % uint64(o.way.workers*chainsPerWorker) // that says which worker, too
	p := &pipe{pipeline: of, how: how, parsers: how.parsers.of(number, src), ties: from.ties}
	if how.newJoiner != nil {
		p.join = newJoin(how, src, from.begin, o.progress.TimeoutBoundaries())
	}
	for _, route := range of.routes() {
		track, err := o.progress.Track(route)
		if err != nil {
			return nil, err
		}
		p.tracks = append(p.tracks, track)
		if p.join != nil {
			p.join.bound(track.Bounds()...)
		}
	}
	return p, nil
}

// understand parses every record of a batch, gives each its own time, and
// applies the transforms.
func (p *pipe) understand(b *event.Batch, times *lineTimes, now func() time.Time) {
	for i := range b.Records {
		p.parsers.parse(b, i)
		r := &b.Records[i]
		if r.Time == 0 {
			r.Time = p.undated(i, r.Pos, times, now)
		}
		r.Time = p.ties.unique(r.Time)
		p.dropLow(r)
		if i == 0 && p.join != nil {
			p.join.first(p.resumption(), b)
		}
	}
	for _, t := range p.pipeline.transforms {
		t.Apply(b)
	}
}

// dropLow drops a record whose level is below the lowest that is taken. One without a
// level counts as info.
func (p *pipe) dropLow(r *event.Record) {
	least := p.how.least
	if least == event.NoLevel {
		return
	}
	if level := cmp.Or(r.Level, event.Info); level < least {
		r.Flags |= event.Dropped
	}
}

// undated gives the time of record i, which knows none.
func (p *pipe) undated(i int, pos uint64, times *lineTimes, now func() time.Time) int64 {
	if i == 0 && p.join != nil && p.join.carried.lines > 0 {
		return times.ofHeld(&p.join.carried, now)
	}
	return times.at(pos, now)
}
