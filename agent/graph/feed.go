package graph

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/longshore/longshore/agent/ledger"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
	"github.com/longshore/longshore/pipeline/event"
)

// feed is what one input sees of the graph.
type feed struct {
	input        string
	in           *input
	labels       []event.Label
	ledger       *ledger.Ledger
	batches      *batchPool
	pipelines    []*sharedPipeline
	all          []*sharedPipeline // of the config
	parsers      map[string]parserFactory
	config       *config.Config // to make other parsers
	log          *slog.Logger
	workers      []*worker
	reserveAhead uint64
	observer     pipeline.Observer // of the sources' records; nil for none
	began        atomic.Int64      // when the observer has first asked, in Unix nanoseconds
	found        atomic.Bool       // sources of earlier runs are not waited for any more

	read     atomic.Uint64 // records
	left     atomic.Uint64 // that a reload found in flight
	due      atomic.Uint64 // how often they are to end: at each output of their source's pipelines
	inFlight atomic.Int64  // records read that the pipelines have not taken yet
	lastRead atomic.Int64  // when records were last read, in Unix nanoseconds; 0: none were

	mu      sync.Mutex
	hurries bool  // lines are about to be gone
	usual   *plan // of sources without options
	sources map[event.SourceID]*openSource
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
	labels, plan := f.planFor(key, labels)
	progress, err := f.ledger.Open(id, f.input, key, plan.routeNames(), f.reserveAhead)
	if err != nil {
		return nil, err
	}
	src := f.Describe(progress.ID(), key, labels)
	o := f.sources[src.ID]
	if o == nil {
		if o, err = f.newOpenSource(progress, plan); err != nil {
			return nil, fmt.Errorf("opening %s: %w", key, err)
		}
		f.sources[src.ID] = o
	}
	o.opens++
	o.closed = false
	return src, nil
}

// Adopt implements pipeline.Feed.
func (f *feed) Adopt(
	at pipeline.Known, uncertainTo uint64, labels []event.Label,
) (*event.Source, pipeline.Cursor, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, _, ok := readState(at.Cursor.State); !ok {
		at.Cursor.State = BeginAt(nil)
	}
	labels, plan := f.planFor(at.Key, labels)
	progress, from, err := f.ledger.Adopt(at, f.input, uncertainTo, plan.routeNames(), f.reserveAhead)
	if err != nil {
		return nil, pipeline.Cursor{}, err
	}
	o, err := f.newOpenSource(progress, plan)
	if err != nil {
		return nil, pipeline.Cursor{}, fmt.Errorf("adopting %s: %w", at.Key, err)
	}
	o.opens = 1
	f.sources[at.ID] = o
	_, from.State, _ = readState(from.State)
	return f.Describe(at.ID, at.Key, labels), from, nil
}

// Describe implements pipeline.Feed.
func (f *feed) Describe(id event.SourceID, key string, labels []event.Label) *event.Source {
	return event.NewSource(id, f.input, key, append(slices.Clip(labels), f.labels...))
}

// planFor returns how a source goes through the graph, and its labels without what chooses that.
func (f *feed) planFor(key string, labels []event.Label) ([]event.Label, *plan) {
	labels, options := splitOptions(labels)
	pipelines, err := options.pipelines(f.pipelines, f.all)
	f.warn(key, err)
	return labels, f.planOf(key, pipelines, options)
}

func (f *feed) newOpenSource(progress *ledger.Source, plan *plan) (*openSource, error) {
	o := &openSource{progress: progress, plan: plan, feed: f, reread: f.rereader()}
	if committer := f.committer(); committer != nil {
		id := progress.ID()
		progress.OnCommit(func(at pipeline.Cursor) { committer.Commit(id, at) })
	}
	return o, o.setTargets()
}

// committer returns the input where it is to be told what is done; else nil.
func (f *feed) committer() pipeline.Committer {
	if f.in == nil || !f.in.acknowledges {
		return nil
	}
	c, _ := f.in.input.(pipeline.Committer)
	return c
}

func (f *feed) planOf(key string, pipelines []*sharedPipeline, options sourceOptions) *plan {
	if len(options) == 0 && f.usual != nil {
		return f.usual
	}
	p := &plan{pipelines: pipelines, parsing: make([]*parsing, len(pipelines)), workers: len(f.workers)}
	var err error
	for i, shared := range pipelines {
		p.routes += len(shared.outputs)
		p.parsing[i], err = options.parsing(shared.parsing, f.parsers, f.config)
	}
	f.warn(key, err)
	if len(options) == 0 {
		f.usual = p
	}
	return p
}

// warn logs an option that cannot be applied.
func (f *feed) warn(key string, err error) {
	if err != nil {
		f.log.Warn("an option of a source cannot be applied", "source", key, "error", err)
	}
}

// rereader returns how outputs that lag can read for themselves; nil where they cannot, or where
// there are no others that would wait for them.
func (f *feed) rereader() pipeline.Rereader {
	if f.in == nil || len(outputsOf(f.all)) < 2 {
		return nil
	}
	r, _ := f.in.input.(pipeline.Rereader)
	return r
}

// Batch implements pipeline.Feed.
func (f *feed) Batch(src *event.Source) *event.Batch { return f.batches.get(src) }

// Send implements pipeline.Feed.
func (f *feed) Send(ctx context.Context, b *event.Batch) error {
	src := b.CarriedBy()
	o := f.source(src.ID)
	if o == nil {
		return fmt.Errorf("BUG: a batch of source %s (%s), which is not open", src.ID, src.Key)
	}
	records := len(b.Records)
	o.coming.Add(1)
	f.waitWhileParked(ctx, o)
	if err := ctx.Err(); err != nil {
		o.coming.Add(-1)
		f.batches.put(b)
		return err
	}
	f.count(o, records)
	select {
	case f.workerOf(src).in <- message{of: o, batch: b, feed: f}:
		return nil
	case <-ctx.Done(): // they stay in flight, as the next run reads them
		o.coming.Add(-1)
		f.batches.put(b)
		return ctx.Err()
	}
}

// waitWhileParked waits until not all routes of a source are behind: for nobody it is not read on.
func (f *feed) waitWhileParked(ctx context.Context, o *openSource) {
	f.mu.Lock()
	parked := o.parked
	f.mu.Unlock()
	if parked == nil {
		return
	}
	select {
	case <-parked:
	case <-ctx.Done():
	}
}

// heldUpUntil returns until when lines of a source may have waited to be taken; zero if they did
// not. An input that cannot tell is held up as long as the worker is, which goes on since a time.
func (f *feed) heldUpUntil(o *openSource, src *event.Source, now, since time.Time) time.Time {
	if o.coming.Load() > 0 {
		return now
	}
	if lookout, ok := f.in.input.(pipeline.Lookout); ok {
		return lookout.HeldUpUntil(src)
	}
	return since
}

// behind notes that one more route of a source is behind, and whether all are.
func (f *feed) behind(o *openSource, r *behindRoute, all bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	o.behind = append(o.behind, r)
	o.hurryIfLeaving(r.src)
	if all && o.parked == nil {
		o.parked = make(chan struct{})
	}
}

// caughtUp notes that one route less is behind.
func (f *feed) caughtUp(o *openSource, r *behindRoute) {
	f.mu.Lock()
	defer f.mu.Unlock()
	o.behind = slices.DeleteFunc(o.behind, func(other *behindRoute) bool { return other == r })
	o.hurryIfLeaving(r.src)
	if o.parked != nil {
		close(o.parked)
		o.parked = nil
	}
}

// Behind implements pipeline.Feed.
func (f *feed) Behind(src *event.Source, leavingTo uint64) (from uint64, behind bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	from = math.MaxUint64
	o := f.sources[src.ID]
	if o == nil {
		return from, false
	}
	if leavingTo > 0 {
		o.progress.Leave()
		o.leavingTo = max(o.leavingTo, leavingTo)
		o.hurryIfLeaving(src)
	}
	if o.reread != nil {
		from = o.progress.KeepCheckpoint(o.forwarded.Load())
	}
	for _, r := range o.behind {
		from = min(from, r.low.Load())
	}
	// What has yet to be handed to the outputs may be what one of them does not take.
	return from, len(o.behind) > 0 || o.reread != nil && (o.coming.Load() > 0 || o.pending.Load())
}

// leave notes that a source cannot be read for much longer: what outputs have of it is on disk when
// they end.
func (f *feed) leave(src *event.Source) {
	if o := f.source(src.ID); o != nil {
		o.progress.Leave()
	}
}

// reviewLeaving looks whether the outputs have all of what cannot be read for much longer.
func (f *feed) reviewLeaving(o *openSource, src *event.Source) {
	f.mu.Lock()
	defer f.mu.Unlock()
	o.hurryIfLeaving(src)
}

// count counts records in.
func (f *feed) count(o *openSource, records int) {
	f.read.Add(uint64(records))
	f.lastRead.Store(time.Now().UnixNano())
	f.due.Add(uint64(records * o.plan.routes))
	f.inFlight.Add(int64(records))
}

// Close implements pipeline.Feed. It goes the way of the source's batches: until their worker has
// seen them, the ledger does not know of them.
func (f *feed) Close(src *event.Source, gone bool) {
	o := f.source(src.ID)
	if o == nil {
		return
	}
	f.mu.Lock()
	opens := o.opens
	f.mu.Unlock()
	f.workerOf(src).in <- message{of: o, gone: gone, closed: func(gone bool) { f.closed(src.ID, o, opens, gone) }}
}

// closed ends a source unless it was opened again in the meantime.
func (f *feed) closed(id event.SourceID, o *openSource, opens int, gone bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if o.opens != opens {
		return
	}
	o.closed = true
	if gone && len(o.behind) > 0 {
		o.gone.Store(true)
	}
	o.progress.Close(gone)
	if gone && f.sources[id] == o {
		delete(f.sources, id)
	}
}

func (f *feed) source(id event.SourceID) *openSource {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sources[id]
}

func (f *feed) workerOf(src *event.Source) *worker {
	return f.workers[src.ShardKey%uint64(len(f.workers))]
}

// Hurry implements pipeline.Feed. A batch that is held up holds up those behind it, whichever their
// outputs are, and so all outputs are told.
func (f *feed) Hurry(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.hurries == on {
		return
	}
	f.hurries = on
	for _, o := range outputsOf(f.all) {
		o.deliverer.Hurry(on)
	}
}

// SpoolRoom implements pipeline.Feed.
func (f *feed) SpoolRoom() int64 {
	pipelines := f.pipelines
	if len(pipelines) == 0 {
		pipelines = f.all // its sources choose
	}
	room := int64(math.MaxInt64)
	for _, o := range outputsOf(pipelines) {
		room = min(room, max(0, o.spools.size-o.spools.bytes()))
	}
	return room
}

// outputsOf returns the outputs of some pipelines, each once.
func outputsOf(pipelines []*sharedPipeline) (outputs []*output) {
	for _, p := range pipelines {
		for _, o := range p.outputs {
			if !slices.Contains(outputs, o) {
				outputs = append(outputs, o)
			}
		}
	}
	return outputs
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
