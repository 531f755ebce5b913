package graph

import (
	"sync"

	"github.com/longshore/longshore/pipeline/event"
)

// pool keeps batches for reuse, and gives the one that came back last: its memory is the
// nearest to the processor. What it has no room for is left to the garbage collector, and
// so are batches that one long line, or very many short ones, have blown up.
type pool struct {
	mu   sync.Mutex
	free []*event.Batch
}

const (
	pooledBatches = 16
	pooledArena   = 1 << 20
	pooledRecords = 1 << 14
)

func (p *pool) get(src *event.Source) *event.Batch {
	b := p.last()
	if b == nil {
		b = &event.Batch{}
	}
	b.Reset(src)
	return b
}

// last takes the batch that came back last out of the pool; nil if it is empty.
func (p *pool) last() *event.Batch {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.free)
	if n == 0 {
		return nil
	}
	b := p.free[n-1]
	p.free[n-1] = nil
	p.free = p.free[:n-1]
	return b
}

func (p *pool) put(b *event.Batch) {
	if cap(b.Arena) > pooledArena || cap(b.Records) > pooledRecords {
		return
	}
	b.Source = nil
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.free) < pooledBatches {
		p.free = append(p.free, b)
	}
}
