package graph

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/longshore/longshore/agent/ledger"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
	"github.com/longshore/longshore/pipeline/event"
)

// feed is what one input sees of the graph.
type feed struct {
	input     string
	labels    []event.Label
	ledger    *ledger.Ledger
	batches   *pool
	pipelines []*pipelineOf
	all       []*pipelineOf // of the config
	parsers   map[string]parserOf
	types     *config.Config // of parsers
	log       *slog.Logger
	workers   []*worker
	stride    uint64

	read     atomic.Uint64 // records
	due      atomic.Uint64 // how often they are to end: at each output of their source's pipelines
	inFlight atomic.Int64  // records read that the pipelines have not taken yet

	mu      sync.Mutex
	usual   *way // of sources that choose nothing
	sources map[event.SourceID]*opened
}

var _ pipeline.Feed = (*feed)(nil)

// Known implements pipeline.Feed.
func (f *feed) Known() []pipeline.Known {
	known := f.ledger.Known(f.input)
	for i := range known {
		_, known[i].Cursor.State, _ = readState(known[i].Cursor.State)
	}
	return known
}

// Open implements pipeline.Feed.
func (f *feed) Open(id event.SourceID, key string, labels []event.Label) (*event.Source, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	labels, choices := choose(labels)
	pipelines, err := choices.pipelines(f.pipelines, f.all)
	f.warn(key, err)
	progress, err := f.ledger.Open(id, f.input, key, routesOf(pipelines), f.stride)
	if err != nil {
		return nil, err
	}
	src := event.NewSource(progress.ID(), f.input, key, append(labels, f.labels...))
	o := f.sources[src.ID]
	if o == nil {
		o = &opened{progress: progress, way: f.way(key, pipelines, choices)}
		if err := o.settle(); err != nil {
			return nil, fmt.Errorf("opening %s: %w", key, err)
		}
		f.sources[src.ID] = o
	}
	o.opens++
	o.closed = false
	return src, nil
}

// way gives how a source is taken that has chosen these pipelines.
func (f *feed) way(key string, pipelines []*pipelineOf, choices choices) *way {
	if len(choices) == 0 && f.usual != nil {
		return f.usual
	}
	w := &way{pipelines: pipelines, takings: make([]*taking, len(pipelines)), workers: len(f.workers)}
	var err error
	for i, of := range pipelines {
		w.takings[i], err = choices.taking(of.taking, f.parsers, f.types)
	}
	f.warn(key, err)
	if len(choices) == 0 {
		f.usual = w
	}
	return w
}

// warn tells of a choice that cannot be followed.
func (f *feed) warn(key string, err error) {
	if err != nil {
		f.log.Warn("a source is not taken as it chooses", "source", key, "error", err)
	}
}

func routesOf(pipelines []*pipelineOf) []string {
	var routes []string
	for _, p := range pipelines {
		routes = append(routes, p.routes()...)
	}
	return routes
}

// Batch implements pipeline.Feed.
func (f *feed) Batch(src *event.Source) *event.Batch { return f.batches.get(src) }

// Send implements pipeline.Feed.
func (f *feed) Send(ctx context.Context, b *event.Batch) error {
	o := f.source(b.Source.ID)
	if o == nil {
		return fmt.Errorf("BUG: a batch of source %s (%s), which is not open", b.Source.ID, b.Source.Key)
	}
	records := len(b.Records)
	if err := ctx.Err(); err != nil {
		f.batches.put(b)
		return err
	}
	f.take(o, records)
	select {
	case f.worker(b.Source).in <- message{of: o, batch: b, feed: f}:
		return nil
	case <-ctx.Done():
		f.take(o, -records)
		f.batches.put(b)
		return ctx.Err()
	}
}

// take counts records in, or back out again.
func (f *feed) take(o *opened, records int) {
	f.read.Add(uint64(records))
	f.due.Add(uint64(records * o.way.routes()))
	f.inFlight.Add(int64(records))
}

// Close implements pipeline.Feed. It takes its turn behind the source's
// batches: until their worker has seen them, the ledger does not know of them.
func (f *feed) Close(src *event.Source, gone bool) {
	o := f.source(src.ID)
	if o == nil {
		return
	}
	f.mu.Lock()
	opens := o.opens
	f.mu.Unlock()
	f.worker(src).in <- message{of: o, gone: gone, closed: func(gone bool) { f.closed(src.ID, o, opens, gone) }}
}

// closed ends a source unless it was opened again in the meantime.
func (f *feed) closed(id event.SourceID, o *opened, opens int, gone bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if o.opens != opens {
		return
	}
	o.closed = true
	o.progress.Close(gone)
	if gone {
		delete(f.sources, id)
	}
}

func (f *feed) source(id event.SourceID) *opened {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sources[id]
}

func (f *feed) worker(src *event.Source) *worker {
	return f.workers[src.ShardKey%uint64(len(f.workers))]
}

// open counts the sources that are being read.
func (f *feed) open() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, o := range f.sources {
		if !o.closed {
			n++
		}
	}
	return n
}
