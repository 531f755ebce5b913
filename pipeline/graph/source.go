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

	// Guarded by feed.mu:
	opens  int // how often it was opened
	closed bool
}

// pipe is one pipeline as one source goes through it.
type pipe struct {
	pipeline *pipelineOf
	parsers  chain
	ties     ties
	tracks   []pipeline.Track // one for each of the pipeline's outputs
}

// pipelineOf is a pipeline of the config: what its records go through.
type pipelineOf struct {
	name       string
	parsers    []parserOf
	transforms []pipeline.Transform
	outputs    []*output
	read       atomic.Uint64 // records taken
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
	for _, of := range pipelines {
		p := &pipe{pipeline: of, parsers: newChain(of.parsers, src), ties: byPipeline[of.name]}
		for _, route := range of.routes() {
			track, err := progress.Track(route)
			if err != nil {
				return nil, fmt.Errorf("opening %s: %w", src.Key, err)
			}
			p.tracks = append(p.tracks, track)
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
			r.Time = times.at(b.From, r.Pos, now)
		}
		r.Time = p.ties.unique(r.Time)
	}
	for _, t := range p.pipeline.transforms {
		t.Apply(b)
	}
}
