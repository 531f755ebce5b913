package journald

import (
	"context"
	"math"
	"os"
	"sync/atomic"

	"github.com/longshore/longshore/inputs/journald/journalfile"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

type fileInfo = os.FileInfo

// A sender makes batches of entries.
type sender struct {
	feed     pipeline.Feed
	src      *event.Source
	id       [16]byte
	from     uint64         // To of the batch before
	progress *atomic.Uint64 // the same, for others; may be nil
	batch    *event.Batch   // nil while it is empty
}

func (s *sender) add(h journalfile.Head, e *entry) {
	if s.batch == nil {
		s.batch = s.feed.Batch(s.src)
	}
	b, begin, cut := s.batch, len(s.batch.Arena), false
	b.Arena, cut = e.appendRecord(b.Arena)
	line := event.Span{Off: uint32(begin), Len: uint32(len(b.Arena) - begin)}
	rec := b.Add(h.Seqnum, nanoseconds(h.Realtime), line)
	if cut {
		rec.Flags |= event.Truncated
	}
}

// nanoseconds returns a time of the journal as records have it, 0 for one that is none.
func nanoseconds(micro uint64) int64 {
	if micro > math.MaxInt64/1000 {
		return 0
	}
	return int64(micro) * 1000
}

func (s *sender) full() bool {
	return s.batch != nil && (len(s.batch.Arena) >= batchBytes || len(s.batch.Records) >= batchRecords)
}

// flush sends what there is. Where all entries were left out for long, it notes the position.
func (s *sender) flush(ctx context.Context, to uint64, more bool) error {
	if s.batch == nil && to-s.from < quietNumbers {
		return nil
	}
	return s.send(ctx, to, more)
}

func (s *sender) send(ctx context.Context, to uint64, more bool) error {
	b := s.batch
	if b == nil {
		b = s.feed.Batch(s.src)
	}
	s.batch = nil
	b.From, b.To, b.MorePending = s.from, to, more
	b.Cursor = append(append(b.Cursor[:0], stateVersion), s.id[:]...)
	if err := s.feed.Send(ctx, b); err != nil {
		return err
	}
	s.from = to
	if s.progress != nil {
		s.progress.Store(to)
	}
	return nil
}
