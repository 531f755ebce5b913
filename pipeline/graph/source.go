package graph

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/ledger"
)

// source is a source on its way through the graph. Its worker owns it.
type source struct {
	progress *ledger.Source
	pipes    []*pipe
	times    lineTimes
	durable  bool   // its identity is on disk
	begun    bool   // its first record has come
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

	// Guarded by feed.mu:
	opens  int // how often it was opened
	closed bool
}

// pipe is one pipeline as one source goes through it.
type pipe struct {
	pipeline *pipelineOf
	parsers  chain
	join     *join // nil: lines stay as they are
	ties     ties
	tracks   []pipeline.Track // one for each of the pipeline's outputs
}

// pipelineOf is a pipeline of the config: what its records go through.
type pipelineOf struct {
	name       string
	parsers    []parserOf
	transforms []pipeline.Transform
	outputs    []*output
	newJoiner  pipeline.NewJoiner // nil: lines stay as they are
	limits     pipeline.JoinLimits
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

func newSource(progress *ledger.Source, src *event.Source, pipelines []*pipelineOf, state []byte) (*source, error) {
	byPipeline, _, _ := readState(state)
	s := &source{progress: progress, times: newLineTimes(progress)}
	s.unsure = s.times.until
	for _, of := range pipelines {
		p := &pipe{pipeline: of, parsers: newChain(of.parsers, src), ties: byPipeline[of.name].ties}
		if of.newJoiner != nil {
			p.join = newJoin(of, src, byPipeline[of.name].begin, progress.Cuts())
			s.times.joins = append(s.times.joins, p.join)
		}
		for i, route := range of.routes() {
			track, err := progress.Track(route)
			if err != nil {
				return nil, fmt.Errorf("opening %s: %w", src.Key, err)
			}
			if err := progress.Settle(route, of.outputs[i].place); err != nil {
				return nil, fmt.Errorf("opening %s: %w", src.Key, err)
			}
			p.tracks = append(p.tracks, track)
			if p.join != nil {
				p.join.bound(track.Bounds()...)
			}
		}
		s.pipes = append(s.pipes, p)
	}
	return s, nil
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
		if i == 0 && p.join != nil {
			p.join.first(p.resumption(), b)
		}
	}
	for _, t := range p.pipeline.transforms {
		t.Apply(b)
	}
}

// undated gives the time of record i, which knows none.
func (p *pipe) undated(i int, pos uint64, times *lineTimes, now func() time.Time) int64 {
	if i == 0 && p.join != nil && p.join.carried.lines > 0 {
		return times.ofHeld(&p.join.carried, now)
	}
	return times.at(pos, now)
}
