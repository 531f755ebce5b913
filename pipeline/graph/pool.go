package graph

import "github.com/longshore/longshore/pipeline/event"

// pool keeps batches for reuse. What it has no room for is left to the garbage
// collector, and so are batches that one long line, or very many short ones,
// have blown up.
type pool chan *event.Batch

const (
	pooledBatches = 16
	pooledArena   = 1 << 20
	pooledRecords = 1 << 14
)

func newPool() pool { return make(pool, pooledBatches) }

func (p pool) get(src *event.Source) *event.Batch {
	select {
	case b := <-p:
		b.Reset(src)
		return b
	default:
		b := &event.Batch{}
		b.Reset(src)
		return b
	}
}

func (p pool) put(b *event.Batch) {
	if cap(b.Arena) > pooledArena || cap(b.Records) > pooledRecords {
		return
	}
	b.Source = nil
	select {
	case p <- b:
	default:
	}
}
