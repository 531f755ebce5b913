package graph

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/longshore/longshore/agent/deliver"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/backoff"
	"github.com/longshore/longshore/pipeline/event"
)

// A behindRoute is a route whose output lagged and was let go: the worker forwards nothing by it,
// and the output reads for itself, in a catchUp, what it has missed. It is behind until both stand
// at the same place.
//
// What it reads goes through a copy of the pipeline that begins with the state of a checkpoint, as
// after a restart, so that it comes to the same records with the same times. It never reads on
// beyond the worker.
type behindRoute struct {
	of       *openSource
	source   *sourceState
	pipeline *pipelineInstance // the worker's
	k        int               // index of the route in it
	src      *event.Source
	from     uint64        // it was forwarded all below
	missed   atomic.Int64  // records that it was not
	low      atomic.Uint64 // nothing below is read again: the position of cursor
	turn     turn          // in the queue of its catchUp

	// Its catchUp owns these, or the worker while that answers it:
	own        *pipelineInstance // nil until it has begun
	timestamps timestamps
	cursor     pipeline.Cursor // from which to read on
	boundaries []uint64        // that reading ends records at
	limit      uint64          // the worker was here when last asked
	taken      uint64          // lines are taken up to here
	done       uint64          // and forwarded up to here
	retryAt    time.Time
	failures   int
	stuck      int  // how often reading again came to no more than before, although there is more
	gap        bool // some of what it has missed cannot be read any more
}

// goOnAt notes from where to read on.
func (r *behindRoute) goOnAt(c pipeline.Cursor) {
	r.cursor = c
	r.low.Store(c.Pos)
}

// position is where the worker stands with a source and one of its pipelines.
type position struct {
	joined     bool   // it forwards by the route again
	taken      uint64 // lines are taken up to here
	forwarded  uint64 // and forwarded up to here
	boundaries []uint64
}

// letGo has an output read for itself from a batch on that it did not take.
func (w *worker) letGo(s *sourceState, p *pipelineInstance, k int, b *deliver.Shared) {
	r := &behindRoute{of: s.of, source: s, pipeline: p, k: k, src: s.src, from: b.From, done: b.From}
	p.routes[k].behind = r
	r.goOnAt(s.of.progress.CheckpointAt(b.From))
	r.miss(b)
	s.of.feed.behind(s.of, r, s.attached() == 0)
	r.catchUp().add(r)
}

// miss leaves out a batch.
func (r *behindRoute) miss(b *deliver.Shared) {
	n := len(b.Records)
	b.Release()
	r.missed.Add(int64(n))
	r.output().deliverer.Behind(n)
}

// attached returns how many routes of the source are not behind.
func (s *sourceState) attached() (n int) {
	for _, p := range s.pipelines {
		for i := range p.routes {
			if p.routes[i].behind == nil {
				n++
			}
		}
	}
	return n
}

func (r *behindRoute) output() *output      { return r.pipeline.shared.outputs[r.k] }
func (r *behindRoute) track() deliver.Track { return r.pipeline.routes[r.k].track }
func (r *behindRoute) catchUp() *catchUp {
	o := r.output()
	return o.catchUps[o.deliverer.LaneOf(r.src)]
}

// rejoin has the worker forward by the route again if that has come to where the worker is, and
// returns where that is. Only the worker calls it.
func (r *behindRoute) rejoin() position {
	s, p := r.source, r.pipeline
	if r.taken == s.to && r.done == p.forwarded {
		r.end()
		return position{joined: true}
	}
	return position{taken: s.to, forwarded: p.forwarded, boundaries: r.of.progress.TimeoutBoundaries()}
}

// lose ends the route's being behind where what it has missed cannot be read any more. Only the
// worker calls it.
func (r *behindRoute) lose() position {
	r.output().deliverer.Lost(int(r.missed.Swap(0)))
	r.track().Done(r.done, r.source.to)
	r.end()
	return position{joined: true}
}

func (r *behindRoute) end() {
	left := int(r.missed.Swap(0))
	switch {
	case left == 0:
	case r.gap:
		r.output().deliverer.Lost(left)
	default: // an earlier run has done it
		r.output().deliverer.Skip(left)
	}
	r.pipeline.routes[r.k].behind = nil
	r.of.feed.caughtUp(r.of, r)
}

// A catchUp reads, for one lane of an output, what that has missed.
type catchUp struct {
	output  *output
	batches *batchPool
	now     func() time.Time
	busy    pipeline.Stopwatch
	// newPipeline returns a pipeline with transforms of its own: they count for no metric, and what
	// they remember is not mixed with what the other outputs' remember.
	newPipeline func(p *sharedPipeline, o *output) (*sharedPipeline, error)
	pipelines   map[*sharedPipeline]*sharedPipeline

	leavers atomic.Int64 // sources that cannot be read for much longer and have a route that is behind

	mu      sync.Mutex
	queue   behindQueue
	reading *behindRoute  // not in the queue meanwhile
	ended   bool          // no more is added
	changed chan struct{} // something of the above has
}

const (
	// catchUpSlice is how many batches are read of one source before others have their turn.
	catchUpSlice = 64
	// rejoinRetry is how long to wait where the worker is in the middle of a record.
	rejoinRetry = 50 * time.Millisecond
	// patientRejoins is how often the worker may be ahead of what can be read until that is tried
	// less and less often.
	patientRejoins = 20
	// rereadRetry is how long to wait after an error, at first and at most.
	rereadRetry, maxRereadRetry = time.Second, time.Minute
)

func (c *catchUp) add(r *behindRoute) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue.add(r, time.Now())
	c.poke()
}

// putBack ends the reading of a route, which has caught up or is read on later.
func (c *catchUp) putBack(r *behindRoute, joined bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reading = nil
	if !joined {
		c.queue.add(r, time.Now())
	}
}

// poke has the queue looked at again.
func (c *catchUp) poke() {
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

// end has run return once nothing is behind.
func (c *catchUp) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	c.poke()
}

// run catches up until end was called and nothing is behind, or until ctx ends.
func (c *catchUp) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		r, wait := c.next()
		switch {
		case r == nil && wait == 0:
			return
		case r == nil:
			timer.Reset(wait)
			select {
			case <-c.changed:
			case <-timer.C:
			case <-ctx.Done():
			}
		default:
			c.putBack(r, c.readOn(ctx, r))
		}
	}
}

// next removes the route that is to be read next: one of a source that cannot be read for much
// longer, or that which waits longest. Where there is none, it returns how long to wait; 0 where
// there will be none.
func (c *catchUp) next() (*behindRoute, time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.queue.len() == 0 && c.ended {
		return nil, 0
	}
	r, wait := c.queue.next(time.Now())
	c.reading = r
	return r, wait
}

// hurry notes that a source cannot be read for much longer, or that no route of it is behind any
// more.
func (c *catchUp) hurry(o *openSource, on bool) {
	if !on {
		c.leavers.Add(-1)
		return
	}
	c.leavers.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue.hurry(o)
	c.poke()
}

// hasLeaving reports whether a source waits that cannot be read for much longer. It is asked for
// every batch.
func (c *catchUp) hasLeaving() bool {
	if c.leavers.Load() == 0 {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	wait, some := c.queue.leaving.wait(time.Now())
	return some && wait <= 0
}

func (c *catchUp) isBehind() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reading != nil || c.queue.len() > 0
}

// leaving returns how many records are left of sources that cannot be read for much longer, and
// whether there are such sources.
func (c *catchUp) leaving() (missed int64, any bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range append(slices.Clone(c.queue.leaving.routes), c.reading) {
		if r != nil && r.of.leaving.Load() && !r.of.gone.Load() {
			missed, any = missed+r.missed.Load(), true
		}
	}
	return missed, any
}

// Why reading again ended before the source's end.
var (
	errJoined = errors.New("it has caught up")
	errYield  = errors.New("others have their turn")
	errAgain  = errors.New("a record has ended elsewhere meanwhile")
	errAhead  = errors.New("it has come to where the worker is")
)

// readOn reads on by a route, and reports whether it has caught up.
func (c *catchUp) readOn(ctx context.Context, r *behindRoute) (joined bool) {
	err, from := c.begin(r), r.taken
	if err == nil {
		known := pipeline.Known{
			ID: r.src.ID, Key: r.src.Key, Cursor: r.cursor, TimeoutBoundaries: slices.Clone(r.boundaries),
		}
		err = r.of.reread.Reread(ctx, known, &rereadFeed{c: c, r: r})
	}
	if gone, ok := errors.AsType[pipeline.Gone](err); ok {
		err = c.skipTo(ctx, r, gone.To)
	}
	switch {
	case errors.Is(err, errJoined):
		return true
	case errors.Is(err, errYield), errors.Is(err, errAgain), ctx.Err() != nil:
		return false
	case err == nil, errors.Is(err, errAhead):
		if err = c.rejoin(ctx, r); errors.Is(err, errJoined) {
			return true
		}
		if err == nil && !(r.of.gone.Load() && r.taken < r.limit) {
			r.stuck++
			if r.taken > from || r.taken >= r.limit {
				r.stuck = 0
			}
			r.retryAt = time.Now().Add(backoff.Doubled(rejoinRetry, maxRereadRetry, max(0, r.stuck-patientRejoins)))
			return false
		}
	}
	if ctx.Err() == nil && r.of.gone.Load() {
		return c.lose(ctx, r, err)
	}
	c.retryLater(r, err)
	return false
}

func (c *catchUp) retryLater(r *behindRoute, err error) {
	if r.failures == 0 {
		c.output.log.Warn("what the output has missed cannot be read now, will try again",
			"source", r.src.Key, "from", r.done, "error", err)
	}
	r.retryAt = time.Now().Add(backoff.Doubled(rereadRetry, maxRereadRetry, r.failures))
	r.failures++
}

func (c *catchUp) lose(ctx context.Context, r *behindRoute, cause error) bool {
	records := r.missed.Load()
	if _, err := c.ask(ctx, r, r.lose); err != nil {
		return false
	}
	c.output.log.Error("records are lost for this output, which lagged: their source is gone, and there was no room "+
		"for them in the spool", "source", r.src.Key, "from", r.done, "records", records, "error", cause)
	return true
}

// skipTo goes on at a position, as what is before it cannot be read any more. The worker may not be
// there yet.
func (c *catchUp) skipTo(ctx context.Context, r *behindRoute, to uint64) error {
	if err := c.rejoin(ctx, r); err != nil {
		return err
	}
	to = min(to, r.limit)
	if to <= r.taken {
		return errYield
	}
	if !r.gap {
		c.output.log.Error("records are lost for this output, which lagged: their source does not have them any more, "+
			"and there was no room for them in the spool", "source", r.src.Key, "from", r.done, "to", to)
	}
	r.gap = true
	if r.own.join.pending() {
		b := c.batches.get(r.src)
		r.own.join.release(b, r.taken)
		if err := c.forward(ctx, r, b); err != nil {
			return err
		}
	}
	r.track().Done(r.done, to)
	r.from, r.taken, r.done = max(r.from, to), to, to
	r.goOnAt(pipeline.Cursor{Pos: to})
	return c.rejoin(ctx, r)
}

// begin prepares a route that is read for the first time.
func (c *catchUp) begin(r *behindRoute) error {
	if r.own != nil {
		return nil
	}
	shared := r.pipeline.shared
	if c.pipelines[shared] == nil {
		p, err := c.newPipeline(shared, c.output)
		if err != nil {
			return fmt.Errorf("pipeline %s: %w", shared.name, err)
		}
		c.pipelines[shared] = p
	}
	progress := r.of.progress
	r.boundaries = progress.TimeoutBoundaries()
	byPipeline, state, _ := readState(r.cursor.State)
	from := byPipeline[shared.name]
	r.cursor.State, r.taken = state, r.cursor.Pos
	parsing := r.pipeline.parsing
	own := &pipelineInstance{shared: c.pipelines[shared], parsing: parsing, uniquifier: from.uniquifier}
	own.parsers = newChain(parsing.chains.parsers, r.src)
	var err error
	own.join, err = r.of.newJoin(shared, parsing, r.src, from.begin, slices.Clone(r.boundaries))
	if err != nil {
		return err
	}
	r.timestamps = timestamps{progress: progress, following: true}
	if own.join != nil {
		r.timestamps.joins = append(r.timestamps.joins, own.join)
	}
	r.own = own
	return nil
}

// ask has the worker do something for a route, and returns where that is.
func (c *catchUp) ask(ctx context.Context, r *behindRoute, what func() position) (position, error) {
	reply := make(chan position, 1)
	select {
	case r.of.feed.workerOf(r.src).in <- message{ask: what, reply: reply}:
	case <-ctx.Done():
		return position{}, ctx.Err()
	}
	select {
	case p := <-reply:
		return p, nil
	case <-ctx.Done():
		return position{}, ctx.Err()
	}
}

// rejoin asks the worker to forward by a route again. errJoined says that it does; without an error
// there is more to read, or the worker is in the middle of a record.
func (c *catchUp) rejoin(ctx context.Context, r *behindRoute) error {
	for {
		p, err := c.ask(ctx, r, r.rejoin)
		switch {
		case err != nil:
			return err
		case p.joined:
			return errJoined
		}
		r.limit = p.taken
		if !slices.Equal(r.boundaries, p.boundaries) {
			r.boundaries = p.boundaries
			if r.own.join != nil {
				i, _ := slices.BinarySearch(p.boundaries, r.taken)
				r.own.join.addBounds(p.boundaries[i:]...) // those before were passed
			}
		}
		if r.taken != p.taken || p.forwarded != p.taken || !r.own.join.pending() {
			return nil
		}
		// The worker's record was ended by a timeout, and so is this one.
		b := c.batches.get(r.src)
		r.own.join.release(b, r.taken)
		if err := c.forward(ctx, r, b); err != nil {
			return err
		}
	}
}

// take takes a batch that was read again.
func (c *catchUp) take(ctx context.Context, r *behindRoute, b *event.Batch) error {
	if b.To > r.limit {
		known := r.boundaries
		if err := c.rejoin(ctx, r); err != nil {
			c.batches.put(b)
			return err
		}
		if b.To > r.limit && !slices.Equal(known, r.boundaries) {
			c.batches.put(b) // a line may end elsewhere than it was read to
			return errAgain
		}
	}
	if b.From > r.taken {
		return fmt.Errorf("BUG: source %s is read again from %d, after %d", r.src.Key, b.From, r.taken)
	}
	r.failures = 0
	ahead := b.To > r.limit
	if !ahead {
		r.goOnAt(pipeline.Cursor{Pos: b.To, State: slices.Clone(b.Cursor)})
	}
	trim(b, r.taken, r.limit)
	if b.From >= b.To {
		c.batches.put(b)
	} else if err := c.process(ctx, r, b); err != nil {
		return err
	}
	if ahead {
		return errAhead
	}
	return nil
}

// process takes lines that were read again through the pipeline.
func (c *catchUp) process(ctx context.Context, r *behindRoute, b *event.Batch) error {
	r.taken = b.To
	r.timestamps.earlier, r.timestamps.anchoredBelow = r.of.progress.TimeAnchors(), math.MaxUint64
	r.timestamps.startBatch(b.From)
	if own := r.own; own.join != nil {
		if b.EndedByTimeout {
			own.join.addBounds(b.To)
		}
		own.join.joinLines(b)
		r.timestamps.datePending(own.join)
	}
	if err := c.forward(ctx, r, b); err != nil || r.taken < r.limit {
		return err
	}
	return c.rejoin(ctx, r)
}

// forward takes a batch of whole records through the pipeline, and hands it to the output but for
// what that has had before.
func (c *catchUp) forward(ctx context.Context, r *behindRoute, b *event.Batch) error {
	c.busy.Begin()
	r.own.apply(b, &r.timestamps, c.now)
	c.busy.End()
	to := b.To
	trim(b, r.from, to)
	if b.From >= b.To {
		c.batches.put(b)
		return nil
	}
	n := len(b.Records)
	r.missed.Add(int64(-n))
	c.output.deliverer.Behind(-n)
	if err := c.put(ctx, r, deliver.Share(b, 1, c.batches.put)); err != nil {
		return err
	}
	r.done = to
	return nil
}

// put hands a batch to the output when that has room for it. Where a source cannot be read for much
// longer, be it another one that waits for this one, it goes to the spool if need be.
func (c *catchUp) put(ctx context.Context, r *behindRoute, b *deliver.Shared) error {
	for !r.of.leaving.Load() && !c.hasLeaving() {
		var again <-chan time.Time
		if c.leavers.Load() > 0 {
			again = time.After(rejoinRetry) // one of them may have its turn then
		}
		taken, err := c.output.deliverer.PutPatient(ctx, b, r.track(), c.changed, again)
		if taken || err != nil {
			return err
		}
	}
	return c.output.deliverer.Put(ctx, b, r.track())
}

// trim leaves of a batch what is in [from, to).
func trim(b *event.Batch, from, to uint64) {
	before := func(pos uint64) int {
		i, _ := slices.BinarySearchFunc(b.Records, pos, func(r event.Record, pos uint64) int {
			return cmp.Compare(r.Pos, pos)
		})
		return i
	}
	if b.To > to {
		b.Keep(0, before(to))
		b.To, b.EndedByTimeout = to, false
	}
	if b.From < from {
		b.Keep(before(from), len(b.Records))
		b.From = from
	}
}

// rereadFeed is what an input sends to that reads a source again.
type rereadFeed struct {
	c     *catchUp
	r     *behindRoute
	taken int // batches
}

var _ pipeline.Feed = (*rereadFeed)(nil)

// Known implements pipeline.Feed.
func (f *rereadFeed) Known() []pipeline.Known { return nil }

// Open implements pipeline.Feed.
func (f *rereadFeed) Open(event.SourceID, string, []event.Label) (*event.Source, error) {
	return f.r.src, nil
}

// Adopt implements pipeline.Feed.
func (f *rereadFeed) Adopt(
	at pipeline.Known, _ uint64, _ []event.Label,
) (*event.Source, pipeline.Cursor, error) {
	return f.r.src, at.Cursor, nil
}

// Describe implements pipeline.Feed.
func (f *rereadFeed) Describe(id event.SourceID, key string, labels []event.Label) *event.Source {
	return f.r.of.feed.Describe(id, key, labels)
}

// Batch implements pipeline.Feed.
func (f *rereadFeed) Batch(src *event.Source) *event.Batch { return f.c.batches.get(src) }

// Send implements pipeline.Feed.
func (f *rereadFeed) Send(ctx context.Context, b *event.Batch) error {
	if err := f.c.take(ctx, f.r, b); err != nil {
		return err
	}
	f.taken++
	if f.r.of.leaving.Load() {
		f.r.of.feed.reviewLeaving(f.r.of, f.r.src)
	}
	if f.taken >= catchUpSlice || !f.r.of.leaving.Load() && f.c.hasLeaving() {
		return errYield
	}
	return nil
}

// Close implements pipeline.Feed.
func (f *rereadFeed) Close(*event.Source, bool) {}

// Hurry implements pipeline.Feed.
func (f *rereadFeed) Hurry(bool) {}

// Behind implements pipeline.Feed.
func (f *rereadFeed) Behind(*event.Source, uint64) (from uint64, behind bool) {
	return math.MaxUint64, false
}

// SpoolRoom implements pipeline.Feed.
func (f *rereadFeed) SpoolRoom() int64 { return 0 }
