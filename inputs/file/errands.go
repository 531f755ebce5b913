package file

import (
	"context"
	"sync"
)

// errands are calls of the feed that may have to wait for a destination, and that nobody waits for.
// They are made one after the other, in their order.
type errands struct {
	mu    sync.Mutex
	queue []func(ctx context.Context)
	more  chan struct{}
}

func newErrands() *errands { return &errands{more: make(chan struct{}, 1)} }

func (e *errands) add(call func(ctx context.Context)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.queue = append(e.queue, call)
	select {
	case e.more <- struct{}{}:
	default:
	}
}

// run makes the calls until ctx ends, and then those that are left.
func (e *errands) run(ctx context.Context) {
	for {
		e.runAll(ctx)
		select {
		case <-ctx.Done():
			e.runAll(ctx)
			return
		case <-e.more:
		}
	}
}

func (e *errands) runAll(ctx context.Context) {
	for {
		e.mu.Lock()
		calls := e.queue
		e.queue = nil
		e.mu.Unlock()
		if len(calls) == 0 {
			return
		}
		for _, call := range calls {
			call(ctx)
		}
	}
}
