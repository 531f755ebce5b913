package graph

import (
	"context"
	"time"

	"github.com/longshore/longshore/agent/deliver"
	"github.com/longshore/longshore/pipeline/event"
)

// A worker joins and parses the batches of its share of the sources, in their order,
// and hands them to the outputs.
type worker struct {
	in      chan message
	batches *pool
	now     func() time.Time
	waiting waiting
	recent  recent
	since   time.Time // when it last took up work again that had been held up
	ended   bool      // the sources have ended by themselves; set before in is closed
}

func newWorker(batches *pool, now func() time.Time) *worker {
	// Nothing queues before a worker: a batch is taken up while the processor still has it
	// near, and what would wait can as well wait in its file.
	w := &worker{in: make(chan message), batches: batches, now: now, recent: newRecent()}
	w.waiting.timer = time.NewTimer(0)
	w.waiting.timer.Stop()
	return w
}

// message is a batch of a source, or, without one, the source's end.
type message struct {
	of     *opened
	batch  *event.Batch
	feed   *feed // that the batch came by
	gone   bool  // it has ended for good
	closed func(gone bool)
}

// heldUp is how long a worker must be busy with one batch to have kept its sources
// waiting.
const heldUp = 200 * time.Millisecond

// run works until in is closed and empty. When ctx ends, batches are let go:
// nothing of them is acknowledged.
func (w *worker) run(ctx context.Context) {
	defer w.waiting.timer.Stop()
	defer w.recent.timer.Stop()
	for {
		select {
		case m, ok := <-w.in:
			if !ok {
				w.end(ctx)
				return
			}
			w.handle(ctx, m)
		case <-w.waiting.timer.C:
			w.handleQueued(ctx)
			w.releaseDue(ctx)
		case <-w.recent.timer.C:
			w.recent.again()
		}
	}
}

func (w *worker) handle(ctx context.Context, m message) {
	alive := ctx.Err() == nil
	switch {
	case m.batch == nil:
		if m.gone && alive && m.of.source != nil {
			w.release(ctx, m.of.source)
		}
		m.closed(m.gone && alive)
	case !alive:
		w.batches.put(m.batch)
	default:
		began := time.Now()
		w.process(ctx, m)
		if now := time.Now(); now.Sub(began) > heldUp {
			w.since = now
		}
	}
}

// mostQueued bounds what is handled before records are ended that have waited long enough.
const mostQueued = 8

// handleQueued handles what has come and was not taken yet.
func (w *worker) handleQueued(ctx context.Context) {
	for range mostQueued {
		select {
		case m, ok := <-w.in:
			if !ok {
				return // run sees it, too
			}
			w.handle(ctx, m)
		default:
			return
		}
	}
}

// releaseDue ends the records that have waited long enough for more lines.
func (w *worker) releaseDue(ctx context.Context) {
	for s := w.waiting.next(w.since); s != nil && ctx.Err() == nil; s = w.waiting.next(w.since) {
		s.unsure = 0
		w.release(ctx, s)
	}
}

// end sends what is still held, where nothing more can come. When the program is told to
// stop, it is left to the next run: it is read again from there.
func (w *worker) end(ctx context.Context) {
	for _, s := range w.waiting.queue {
		if w.ended && ctx.Err() == nil {
			w.release(ctx, s)
		}
	}
}

// process takes a batch through the pipelines of its source. Each but the
// first gets a copy, since joining and parsing write into the batch.
func (w *worker) process(ctx context.Context, m message) {
	s, b := m.of.rouse(m.batch.Source), m.batch
	lines, to := len(b.Records), b.To
	s.to = to
	if b.EndedByTimeout {
		s.cutHere()
	}
	if lines > 0 && !m.of.begun {
		m.of.begun = true
		s.progress.Begin(b.Records[0].Pos)
	}
	s.times.round(b.From)
	through := make([]passage, 0, 2)
	for k := range s.pipes {
		mine := b
		if k < len(s.pipes)-1 {
			mine = w.batches.get(b.Source)
			mine.CopyFrom(b)
		}
		through = append(through, s.pass(k, mine, w.now))
	}
	if lines > 0 {
		s.uncut()
	}
	s.checkpoint(to, b.Cursor)
	if lines > 0 && s.holding() {
		s.hold()
		w.waiting.add(s)
	}
	m.feed.inFlight.Add(int64(-lines))
	w.handOn(ctx, through)
	w.recent.add(m.of)
}

// release ends the records of a source that are held, and the cut is noted before
// they are sent.
func (w *worker) release(ctx context.Context, s *source) {
	if !s.holding() {
		return
	}
	if s.cutHere() {
		s.cut = s.to
	}
	s.times.round(s.to)
	var through []passage
	for k, p := range s.pipes {
		if p.join.holding() {
			through = append(through, s.release(k, w.batches.get(s.src), w.now))
		}
	}
	s.storeKept()
	w.handOn(ctx, through)
}

// handOn gives the outputs what has gone through the pipelines. All of it is accounted
// for before the first of them may hold it up.
func (w *worker) handOn(ctx context.Context, through []passage) {
	for i := range through {
		through[i].account()
	}
	for i := range through {
		t := &through[i]
		if b := t.batch; b.From == b.To {
			w.batches.put(b)
			continue
		}
		w.hand(ctx, t.pipe, t.batch)
	}
}

func (w *worker) hand(ctx context.Context, p *pipe, b *event.Batch) {
	outputs := p.pipeline.outputs
	shared := deliver.Share(b, len(outputs), w.batches.put)
	for i, o := range outputs {
		// An error is ctx's end: the batch is released, and not acknowledged.
		_ = o.deliverer.Put(ctx, shared, p.tracks[i])
	}
}
