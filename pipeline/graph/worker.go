package graph

import (
	"context"
	"time"

	"github.com/longshore/longshore/pipeline/deliver"
	"github.com/longshore/longshore/pipeline/event"
)

// A worker parses the batches of its share of the sources, in their order, and
// hands them to the outputs.
type worker struct {
	in      chan message
	batches pool
	now     func() time.Time
}

// message is a batch of a source, or, without one, the source's end.
type message struct {
	source *source
	batch  *event.Batch
	feed   *feed // that the batch came by
	closed func()
}

// storePause is how long to wait when a new source's identity cannot be stored.
const storePause = time.Second

// run works until in is closed and empty. When ctx ends, batches are let go:
// nothing of them is acknowledged.
func (w *worker) run(ctx context.Context) {
	for m := range w.in {
		switch {
		case m.batch == nil:
			m.closed()
		case ctx.Err() != nil:
			w.batches.put(m.batch)
		default:
			records := len(m.batch.Records)
			if w.process(ctx, m.source, m.batch) {
				m.feed.inFlight.Add(int64(-records))
			}
		}
	}
}

// process takes a batch through the pipelines of its source. Each but the
// first gets a copy, since parsing writes into the batch.
// false means that ctx ended before they had it.
func (w *worker) process(ctx context.Context, s *source, b *event.Batch) bool {
	if b.Timed {
		s.progress.Cut(b.To)
	}
	parsed := make([]*event.Batch, 0, 2)
	for i, p := range s.pipes {
		mine := b
		if i < len(s.pipes)-1 {
			mine = w.batches.get(b.Source)
			mine.CopyFrom(b)
		}
		p.understand(mine, &s.times, w.now)
		parsed = append(parsed, mine)
	}
	if len(b.Records) > 0 && !s.begun {
		s.begun = true
		s.progress.Begin(b.Records[0].Pos)
	}
	s.state = appendState(s.state[:0], s.pipes, b.Cursor)
	s.progress.Checkpoint(b.To, s.state)
	if !w.store(ctx, s, len(b.Records)) {
		for _, mine := range parsed {
			w.batches.put(mine)
		}
		return false
	}
	for i, p := range s.pipes {
		p.pipeline.read.Add(uint64(len(parsed[i].Records)))
		w.hand(ctx, p, parsed[i])
	}
	return true
}

// store makes sure that a source's identity, and where it began, is on disk
// before the first record of it is sent. It waits as long as that takes; false
// means ctx ended.
func (w *worker) store(ctx context.Context, s *source, records int) bool {
	for !s.durable && records > 0 {
		err := s.progress.Durable()
		if err == nil {
			s.durable = true
			break
		}
		select { // the ledger says that it cannot write
		case <-ctx.Done():
			return false
		case <-time.After(storePause):
		}
	}
	return true
}

func (w *worker) hand(ctx context.Context, p *pipe, b *event.Batch) {
	outputs := p.pipeline.outputs
	shared := deliver.Share(b, len(outputs), w.batches.put)
	for i, o := range outputs {
		// An error is ctx's end: the batch is released, and not acknowledged.
		_ = o.deliverer.Put(ctx, shared, p.tracks[i])
	}
}
