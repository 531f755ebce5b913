package recent

import (
	"context"
	"errors"
	"sync/atomic"
)

const (
	// maxStreams is how many clients may follow at a time.
	maxStreams = 8
	// maxBehind is how many chunks a client may be behind before it misses some.
	maxBehind = 16
)

// ErrBusy is the error of Subscribe where maxStreams clients follow already.
var ErrBusy = errors.New("too many clients follow the records; at most 8 can")

// ErrClosed is the error of Next when the store has been closed.
var ErrClosed = errors.New("the store of recent records is closed")

// A Subscription gets the records that are stored from now on.
type Subscription struct {
	store   *Store
	filter  Filter
	chunks  chan chunk
	missed  atomic.Uint64
	leftOut uint64 // by the store, when it was last asked
}

// Subscribe follows the records that a filter takes. Close must follow.
func (s *Store) Subscribe(f Filter) (*Subscription, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.clients) >= maxStreams {
		return nil, ErrBusy
	}
	c := &Subscription{store: s, filter: f, chunks: make(chan chunk, maxBehind), leftOut: s.leftOut.Load()}
	s.clients[c] = struct{}{}
	return c, nil
}

// Close ends the subscription.
func (c *Subscription) Close() {
	c.store.mu.Lock()
	defer c.store.mu.Unlock()
	delete(c.store.clients, c)
}

// show hands a chunk to all who follow, and reports whether there are any, who keep its memory. Who
// is too far behind misses it.
func (s *Store) show(c *chunk) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for client := range s.clients {
		select {
		case client.chunks <- *c:
		default:
			client.missed.Add(uint64(c.records))
		}
	}
	return len(s.clients) > 0
}

// Next waits for records, and calls visit with each that the filter takes. skipped is how many have
// come since the last call that were not looked at, as they came too fast. The error is ctx's, or
// ErrClosed.
func (c *Subscription) Next(ctx context.Context, visit func(record []byte)) (skipped uint64, err error) {
	select {
	case next := <-c.chunks:
		c.visit(next, visit)
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-c.store.closed:
		return 0, ErrClosed
	}
	leftOut := c.store.leftOut.Load()
	skipped = c.missed.Swap(0) + leftOut - c.leftOut
	c.leftOut = leftOut
	return skipped, nil
}

func (c *Subscription) visit(next chunk, visit func(record []byte)) {
	var record []byte
	eachFrame(next.frames, func(f *frame) {
		if c.filter.matches(f) {
			record = f.appendRecord(record[:0])
			visit(record)
		}
	})
}
