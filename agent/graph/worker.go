package graph

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/longshore/longshore/agent/deliver"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// A worker takes the batches of its share of the sources through their pipelines, in their order,
// and hands them to the outputs.
type worker struct {
	in        chan message
	batches   *batchPool
	now       func() time.Time
	deadlines deadlines
	recent    recentSources
	since     time.Time          // when it last went on after it had been held up
	freeAt    time.Time          // when it last had nothing to do
	stalled   time.Time          // when it last went on after the whole program had stood still
	quit      chan struct{}      // closed when no message comes any more
	ended     atomic.Bool        // the sources have ended by themselves; set before quit is closed
	busy      pipeline.Stopwatch // runs while a batch is in a pipeline, but not while it is handed on
	patient   atomic.Bool        // no output is let go any more
	late      []lateBatch        // of the source that is being closed
	closing   sync.WaitGroup
}

func newWorker(batches *batchPool, now func() time.Time) *worker {
	w := &worker{
		in: make(chan message), quit: make(chan struct{}), batches: batches, now: now, recent: newRecentSources(),
	}
	w.deadlines.timer = time.NewTimer(0)
	w.deadlines.timer.Stop()
	return w
}

// message is a batch of a source, or the end of the source, or something that is asked.
type message struct {
	of     *openSource
	batch  *event.Batch
	feed   *feed // that the batch came by
	gone   bool  // it has ended for good
	closed func(gone bool)
	ask    func() position // of a route that is behind
	reply  chan<- position
}

// heldUpAfter is how long a worker must be busy with one batch to have kept its sources waiting.
const heldUpAfter = 200 * time.Millisecond

// run works until quit is closed. When ctx ends, batches are discarded: nothing of them is
// acknowledged.
func (w *worker) run(ctx context.Context) {
	defer w.closing.Wait()
	defer w.deadlines.timer.Stop()
	defer w.recent.timer.Stop()
	for {
		select {
		case m := <-w.in:
			w.handle(ctx, m)
		case <-w.quit:
			w.end(ctx)
			return
		case <-w.deadlines.timer.C:
			w.noteStall(time.Now())
			w.handleQueued(ctx)
			w.releaseDue(ctx)
		case <-w.recent.timer.C:
			w.recent.onTimer()
		}
	}
}

func (w *worker) handle(ctx context.Context, m message) {
	alive := ctx.Err() == nil
	switch {
	case m.ask != nil:
		m.reply <- m.ask()
	case m.batch == nil:
		w.close(ctx, m)
	case !alive:
		m.of.coming.Add(-1)
		w.batches.put(m.batch)
	default:
		began := time.Now()
		w.process(ctx, m)
		if w.freeAt = time.Now(); w.freeAt.Sub(began) > heldUpAfter {
			w.since = w.freeAt
		}
	}
}

// close ends a source. One that is gone cannot be read again: its last record is not left to an
// output that lags, but offered until that takes it, without holding up others.
func (w *worker) close(ctx context.Context, m message) {
	gone := m.gone && ctx.Err() == nil
	if gone && m.of.state != nil {
		m.of.closing = true
		w.release(ctx, m.of.state)
		m.of.closing = false
	}
	late := w.late
	w.late = nil
	if len(late) == 0 {
		m.closed(gone)
		return
	}
	w.closing.Go(func() {
		for _, l := range late {
			l.put(ctx)
		}
		m.closed(gone && ctx.Err() == nil)
	})
}

// A lateBatch is the last of a source that is gone, which an output has yet to take.
type lateBatch struct {
	deliverer *deliver.Deliverer
	batch     *deliver.Shared
	track     deliver.Track
}

// put hands it over. Where the output's lane stays full, it goes to the spool, as nothing else has
// it.
func (l *lateBatch) put(ctx context.Context) {
	l.deliverer.Hurry(true)
	defer l.deliverer.Hurry(false)
	// An error is ctx's end: the batch is released, and not acknowledged.
	_ = l.deliverer.Put(ctx, l.batch, l.track)
}

// maxQueued bounds what is handled before records are ended that have waited long enough.
const maxQueued = 8

// handleQueued handles what waits to be taken.
func (w *worker) handleQueued(ctx context.Context) {
	for range maxQueued {
		select {
		case m := <-w.in:
			w.handle(ctx, m)
		default:
			return
		}
	}
}

// noteStall notes that the worker had nothing to do, and was woken late: the program was stopped
// or starved, and its inputs with it.
func (w *worker) noteStall(now time.Time) {
	d := &w.deadlines
	if len(d.queue) > 0 && now.Sub(latest(d.queue[0].wake, w.freeAt)) > heldUpAfter {
		w.stalled = now
	}
}

// releaseDue ends the records that have waited long enough for more lines.
func (w *worker) releaseDue(ctx context.Context) {
	for ctx.Err() == nil {
		s := w.deadlines.next(w.since, w.stalled)
		if s == nil {
			return
		}
		s.uncertainBelow = 0
		w.release(ctx, s)
		w.freeAt = time.Now()
	}
}

// end sends what is pending, where nothing more can come. When the program is told to stop, it is
// left to the next run: it is read again from there.
func (w *worker) end(ctx context.Context) {
	for _, s := range w.deadlines.queue {
		if w.ended.Load() && ctx.Err() == nil {
			w.release(ctx, s)
		}
	}
}

// process takes a batch through the pipelines of its source. Each but the last gets a copy, since
// joining and parsing write into the batch.
func (w *worker) process(ctx context.Context, m message) {
	w.busy.Begin()
	s, b := m.of.activate(m.batch.CarriedBy()), m.batch
	lines, to := len(b.Records), b.To
	s.to = to
	if b.EndedByTimeout {
		s.addTimeoutBoundary()
	}
	if lines > 0 && !m.of.begun {
		m.of.begun = true
		s.progress.Begin(b.Records[0].Pos)
	}
	s.timestamps.startBatch(b.From)
	all := make([]processed, 0, 2)
	for k := range s.pipelines {
		mine := b
		if k < len(s.pipelines)-1 {
			mine = w.batches.get(b.Source)
			mine.CopyFrom(b)
		}
		all = append(all, s.process(k, mine, w.now))
	}
	if lines > 0 {
		s.reviewBoundary()
	}
	s.checkpoint(to, b.Cursor)
	if lines > 0 && s.pending() {
		s.startWait()
		w.deadlines.add(s)
	}
	m.feed.inFlight.Add(int64(-lines))
	w.busy.End()
	w.forward(ctx, s, all)
	m.of.pending.Store(s.pending())
	m.of.coming.Add(-1)
	w.recent.add(m.of)
}

// release ends the pending records of a source. The boundary is noted before they are sent.
func (w *worker) release(ctx context.Context, s *sourceState) {
	if !s.pending() {
		return
	}
	if s.addTimeoutBoundary() {
		s.boundary = s.to
	}
	s.timestamps.startBatch(s.to)
	var all []processed
	for k, p := range s.pipelines {
		if p.join.pending() {
			all = append(all, s.release(k, w.batchFor(s), w.now))
		}
	}
	s.storeKept()
	w.forward(ctx, s, all)
	s.of.pending.Store(false)
}

// batchFor returns an empty batch for a pending record. The last of a source may wait for long, and
// takes no more memory than it needs.
func (w *worker) batchFor(s *sourceState) *event.Batch {
	if !s.of.closing {
		return w.batches.get(s.src)
	}
	b := &event.Batch{}
	b.Reset(s.src)
	return b
}

// forward hands the outputs what has gone through the pipelines. All of it is accounted for before
// the first of them may hold it up.
func (w *worker) forward(ctx context.Context, s *sourceState, all []processed) {
	for i := range all {
		all[i].account()
	}
	for i := range all {
		p, b := all[i].pipeline, all[i].batch
		p.forwarded = b.To
		if b.From == b.To {
			w.batches.put(b)
			continue
		}
		users := len(p.routes)
		if p.shared.recent != nil {
			users++
		}
		if users == 0 { // neither an output nor somebody who looks
			w.batches.put(b)
			continue
		}
		shared := deliver.Share(b, users, w.batches.put)
		if p.shared.recent != nil {
			p.shared.recent.Take(b, shared.Release)
		}
		for k := range p.routes {
			w.forwardTo(ctx, s, p, k, shared)
		}
	}
	if s.of.reread != nil {
		s.of.forwarded.Store(s.forwarded())
	}
}

// forwardTo hands a batch to an output. One that lags is let go where others would wait for it, and
// reads the batch later for itself.
func (w *worker) forwardTo(ctx context.Context, s *sourceState, p *pipelineInstance, k int, b *deliver.Shared) {
	r, d := &p.routes[k], p.shared.outputs[k].deliverer
	switch {
	case r.behind != nil:
		r.behind.miss(b)
	case w.patient.Load() || !s.mayBeLetGo():
		// An error is ctx's end: the batch is released, and not acknowledged.
		_ = d.Put(ctx, b, r.track)
	default:
		switch taken, err := d.Offer(ctx, b, r.track); {
		case taken, err != nil:
		case s.of.closing:
			w.late = append(w.late, lateBatch{d, b, r.track})
		default:
			w.letGo(s, p, k, b)
		}
	}
}
