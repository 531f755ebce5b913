// Package receive is for inputs that clients send records to, and that answer when these are done:
// stored at every output, or in a spool on disk. A client that gets no answer sends again.
//
// A Hub has a few sources of its own, which carry the records of all clients: a request takes one
// of them while it is handed on, and then waits until the source is committed beyond it. Where
// something goes wrong before a request is complete, nothing of it was handed on.
package receive

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/hop"
)

// Traits are those of an input that stands on a Hub.
var Traits = pipeline.Traits{Ephemeral: true, Acknowledges: true, WholeRecords: true, ReserveAhead: 1 << 16}

const (
	// carriers is how many requests are handed on at the same time, unless Hub.Parallel says.
	carriers = 16
	// maxInHand bounds the bytes of all requests that are read and not handed on yet.
	maxInHand = 64 << 20
	// endGrace is how long requests that were handed on are waited for at the end.
	endGrace = 3 * time.Second
	// maxDescribed is how many sources of clients are kept at the least; twice as many may be.
	maxDescribed = 20_000
)

var (
	// ErrBusy is the error of a request for which there is no room now.
	ErrBusy = errors.New("too much is being received at the same time; send it again a little later")
	// ErrEnding is the error of a request that cannot be waited for, as the input ends.
	ErrEnding = errors.New("it ends or reloads; send it again a little later")
)

// A Hub hands on what clients send. Its methods are safe for use by several goroutines.
type Hub struct {
	// Parallel is how many requests are handed on at the same time. Those of one come one after the
	// other.
	Parallel int

	feed pipeline.Feed
	ctx  context.Context // of the run

	free    freeCarriers
	byID    map[event.SourceID]*carrier
	buffers buffers
	inHand  atomic.Int64  // bytes
	ending  chan struct{} // closed when nobody is to wait any more

	mu        sync.Mutex
	described map[string]*event.Source // those that were used lately
	earlier   map[string]*event.Source // and those before
}

// freeCarriers are those that no request uses. The one that was used last is the next: a client
// that waits for its answers has one carrier, by which its records are in order and their times
// unique.
type freeCarriers struct {
	any chan struct{} // has one for each

	mu  sync.Mutex
	all []*carrier
}

func (f *freeCarriers) put(c *carrier) {
	f.mu.Lock()
	f.all = append(f.all, c)
	f.mu.Unlock()
	f.any <- struct{}{}
}

// get returns one, after any has had one.
func (f *freeCarriers) get() *carrier {
	f.mu.Lock()
	defer f.mu.Unlock()
	last := len(f.all) - 1
	c := f.all[last]
	f.all = f.all[:last]
	return c
}

// A carrier is a source that the records of requests come by, one request after the other.
type carrier struct {
	src  *event.Source
	next uint64 // position; of whoever has the carrier

	mu      sync.Mutex
	done    uint64 // all before it is
	waiting []waiting
}

// waiting is a request that ends at a position. There are few, in ascending order.
type waiting struct {
	to   uint64
	done chan struct{}
}

// NewHub returns a Hub. Begin must come before all else.
func NewHub() *Hub {
	return &Hub{Parallel: carriers, ending: make(chan struct{}), described: map[string]*event.Source{}}
}

// Begin opens the Hub's sources. What earlier runs had of theirs cannot be read again.
func (h *Hub) Begin(ctx context.Context, feed pipeline.Feed, name string) error {
	for _, k := range feed.Known() {
		src, err := feed.Open(k.ID, k.Key, nil)
		if err != nil {
			return fmt.Errorf("ending a source of an earlier run: %w", err)
		}
		feed.Close(src, true)
	}
	h.feed, h.ctx = feed, ctx
	h.free.any, h.byID = make(chan struct{}, h.Parallel), map[event.SourceID]*carrier{}
	for i := range h.Parallel {
		src, err := feed.Open(0, fmt.Sprintf("%s %d", name, i), nil)
		if err != nil {
			return fmt.Errorf("opening a source for what is received: %w", err)
		}
		c := &carrier{src: src}
		h.byID[src.ID] = c
		h.free.put(c)
	}
	return nil
}

// End closes the Hub's sources, when no request is being handed on any more. What is not done by
// then was not acknowledged either.
func (h *Hub) End() {
	for _, c := range h.byID {
		h.feed.Close(c.src, false)
	}
}

// StopWaiting ends the waiting of all requests, with ErrEnding.
func (h *Hub) StopWaiting() { close(h.ending) }

// Commit implements pipeline.Committer.
func (h *Hub) Commit(id event.SourceID, at pipeline.Cursor) {
	c := h.byID[id]
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done = max(c.done, at.Pos)
	n := 0
	for n < len(c.waiting) && c.waiting[n].to <= c.done {
		close(c.waiting[n].done)
		n++
	}
	c.waiting = append(c.waiting[:0], c.waiting[n:]...)
}

// Source returns the source of records that a client describes by labels: it is the same for the
// same key. id is their origin's, or 0 where they have none.
func (h *Hub) Source(id event.SourceID, key string, labels func() []event.Label) *event.Source {
	name := key
	if id != 0 {
		name = id.String() + key
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if src := h.described[name]; src != nil {
		return src
	}
	if len(h.described) >= maxDescribed {
		h.earlier, h.described = h.described, map[string]*event.Source{}
	}
	if src := h.earlier[name]; src != nil {
		h.described[name] = src
		return src
	}
	if id == 0 {
		of := fnv.New64a()
		of.Write([]byte(key))
		id = event.SourceID(of.Sum64())
	}
	src := h.feed.Describe(id, key, labels())
	h.described[name] = src
	return src
}

// A Request gathers the records of one request. It is used by one goroutine.
type Request struct {
	hub     *Hub
	batches []*event.Batch
	src     *event.Source
	records uint64
	held    []func() // what gives room back
}

// maxBatch is how many bytes of lines a batch has at about the most.
const maxBatch = 128 << 10

// NewRequest returns a request without records.
func (h *Hub) NewRequest() *Request { return &Request{hub: h} }

// Len returns how many records there are.
func (r *Request) Len() int { return int(r.records) }

// Batches returns the batches of the records, in their order. They are for tests to look at.
func (r *Request) Batches() []*event.Batch { return r.batches }

// Batch returns the batch for the next record, whose labels and identity are those of src. It is to
// be added at the position Next, and nothing else to be changed.
func (r *Request) Batch(src *event.Source) *event.Batch {
	n := len(r.batches)
	if n > 0 && r.src == src && len(r.batches[n-1].Arena) < maxBatch {
		return r.batches[n-1]
	}
	b := &event.Batch{}
	if n > 0 && r.src == src { // it becomes about as large as the one before
		b.Arena = make([]byte, 0, maxBatch+maxBatch/16)
		b.Records = make([]event.Record, 0, len(r.batches[n-1].Records)+16)
	}
	r.dropEmpty()
	b.Reset(src)
	r.src = src
	r.batches = append(r.batches, b)
	return b
}

// dropEmpty drops the last batch if nothing was added to it.
func (r *Request) dropEmpty() {
	if n := len(r.batches); n > 0 && len(r.batches[n-1].Records) == 0 {
		r.batches = r.batches[:n-1]
	}
}

// Add adds a record whose line is the given span of the batch that Batch returned, and returns its
// index. at is in Unix nanoseconds.
func (r *Request) Add(b *event.Batch, at int64, line event.Span) int {
	b.Add(r.records, at, line)
	r.records++
	return len(b.Records) - 1
}

// AddRecord adds a record that another Longshore wrote as JSON, with the labels of the batch's
// source and the position that it has there, and reports whether it is one. All of a batch are
// added so, or none.
func (r *Request) AddRecord(b *event.Batch, pos uint64, value []byte) bool {
	if hop.AppendRecord(b, r.records, value) != nil {
		return false
	}
	b.SetPosition(pos)
	b.TimesUnique = true // they are, where it comes from
	r.records++
	return true
}

// ReleaseOnceHandedOn has functions called that give back what the request takes of the Hub's room,
// once its records are the pipeline's: those who wait then for what is done hold up nobody. They
// may be called again.
func (r *Request) ReleaseOnceHandedOn(release ...func()) { r.held = append(r.held, release...) }

// Deliver hands the records on, and returns nil when all of them are done: at every output, or in a
// spool. ctx is the client's. After an error they may be done or not.
func (r *Request) Deliver(ctx context.Context) error {
	if r.dropEmpty(); r.records == 0 {
		return nil
	}
	h := r.hub
	select {
	case <-h.free.any:
		c := h.free.get()
		done, err := r.send(c)
		h.free.put(c)
		if err != nil {
			return err
		}
		return h.wait(ctx, done)
	case <-ctx.Done():
		return ctx.Err()
	case <-h.ctx.Done():
		return ErrEnding
	}
}

// send hands the batches on by a carrier, and returns what is closed when they are done.
func (r *Request) send(c *carrier) (done chan struct{}, err error) {
	defer func() {
		for _, release := range r.held {
			release()
		}
	}()
	base := c.next
	for k, b := range r.batches {
		to := base + r.end(k)
		b.Carrier, b.From, b.To = c.src, c.next, to
		for i := range b.Records {
			b.Records[i].Pos += base
		}
		b.MorePending = k+1 < len(r.batches)
		b.Cursor = append(b.Cursor[:0], 1) // it cannot be read again
		if r.hub.feed.Send(r.hub.ctx, b) != nil {
			return nil, ErrEnding
		}
		c.next = to
	}
	r.batches = nil // they are the pipeline's
	return c.waitFor(c.next), nil
}

// end returns the position behind batch k, as the request counts.
func (r *Request) end(k int) uint64 {
	if k+1 < len(r.batches) {
		return r.batches[k+1].Records[0].Pos
	}
	return r.records
}

func (c *carrier) waitFor(to uint64) chan struct{} {
	done := make(chan struct{})
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done >= to {
		close(done)
		return done
	}
	c.waiting = append(c.waiting, waiting{to, done})
	return done
}

func (h *Hub) wait(ctx context.Context, done chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-h.ending:
		return ErrEnding
	}
}

// Hold takes room for bytes of a request that is being read, and reports whether there is any. They
// are to be given back with Release.
func (h *Hub) Hold(bytes int64) bool {
	if h.inHand.Add(bytes) > maxInHand {
		h.inHand.Add(-bytes)
		return false
	}
	return true
}

// Release gives back what Hold took.
func (h *Hub) Release(bytes int64) { h.inHand.Add(-bytes) }
