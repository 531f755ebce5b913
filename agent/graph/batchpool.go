package graph

import (
	"sync"

	"github.com/longshore/longshore/pipeline/event"
)

// batchPool keeps batches for reuse, and returns the one that came back last: it is most likely in
// the processor's cache. Batches for which it has no room, and those that one long line or very
// many short ones have inflated, are left to the garbage collector.
type batchPool struct {
	mu   sync.Mutex
	free []*event.Batch
}

const (
	pooledBatches    = 16
	maxPooledArena   = 1 << 20
	maxPooledRecords = 1 << 14
)

func (p *batchPool) get(src *event.Source) *event.Batch {
	b := p.last()
	if b == nil {
		b = &event.Batch{}
	}
	b.Reset(src)
	return b
}

// last removes the batch that came back last, and returns it, or nil.
func (p *batchPool) last() *event.Batch {
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

func (p *batchPool) put(b *event.Batch) {
	if cap(b.Arena) > maxPooledArena || cap(b.Records) > maxPooledRecords {
		return
	}
	b.Source = nil
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.free) < pooledBatches {
		p.free = append(p.free, b)
	}
}
