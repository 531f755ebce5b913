// Package pipetest holds the conformance suites that every input, parser and
// output passes, and the fakes they run against.
package pipetest

import (
	"context"
	"fmt"
	"sort"
	"sync"
	"testing"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// Got is one record as a Feed received it.
type Got struct {
	Source *event.Source
	Pos    uint64
	Time   int64
	Line   string
	Flags  event.Flags
}

// A Feed stands in for the pipelines and the ledger when an input is tested. It
// holds every batch against the contract of pipeline.Feed, keeps the records,
// and acknowledges when told to.
type Feed struct {
	t testing.TB

	mu      sync.Mutex
	changed chan struct{} // closed and replaced at every change
	sources map[event.SourceID]*feedSource
	got     []Got
	nextID  event.SourceID
	blocked bool
	input   string
}

type feedSource struct {
	src         *event.Source
	key         string
	sent, acked pipeline.Cursor
	open, gone  bool
}

var _ pipeline.Feed = (*Feed)(nil)

// NewFeed gives a feed that knows no source.
func NewFeed(t testing.TB) *Feed {
	return &Feed{
		t:       t,
		changed: make(chan struct{}),
		sources: map[event.SourceID]*feedSource{},
		nextID:  1,
		input:   "test",
	}
}

// Restart gives the feed of the next run: it knows the sources of this one as
// far as they were acknowledged, and has received nothing.
func (f *Feed) Restart() *Feed {
	f.mu.Lock()
	defer f.mu.Unlock()
	next := NewFeed(f.t)
	next.nextID = f.nextID
	for id, s := range f.sources {
		if s.gone && s.acked.Pos >= s.sent.Pos {
			continue
		}
		next.sources[id] = &feedSource{key: s.key, sent: s.acked, acked: s.acked}
	}
	return next
}

// Known implements pipeline.Feed.
func (f *Feed) Known() []pipeline.Known {
	f.mu.Lock()
	defer f.mu.Unlock()
	var known []pipeline.Known
	for id, s := range f.sources {
		known = append(known, pipeline.Known{ID: id, Key: s.key, Cursor: s.acked})
	}
	sort.Slice(known, func(i, j int) bool { return known[i].ID < known[j].ID })
	return known
}

// Open implements pipeline.Feed.
func (f *Feed) Open(id event.SourceID, key string, labels []event.Label) (*event.Source, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if id == 0 {
		id = f.nextID
		f.nextID++
		f.sources[id] = &feedSource{key: key}
	}
	s := f.sources[id]
	if s == nil {
		return nil, fmt.Errorf("opening source %s: the ledger does not know it", id)
	}
	if s.open {
		f.t.Errorf("source %s (%s) is opened twice", id, key)
	}
	s.open, s.gone = true, false
	s.src = event.NewSource(id, f.input, key, labels)
	f.notify()
	return s.src, nil
}

// Batch implements pipeline.Feed.
func (f *Feed) Batch(src *event.Source) *event.Batch {
	b := &event.Batch{}
	b.Reset(src)
	return b
}

// Send implements pipeline.Feed.
func (f *Feed) Send(ctx context.Context, b *event.Batch) error {
	for {
		f.mu.Lock()
		if !f.blocked && ctx.Err() == nil {
			break
		}
		changed := f.changed
		f.mu.Unlock()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
	defer f.mu.Unlock()
	f.take(b)
	f.notify()
	return nil
}

func (f *Feed) take(b *event.Batch) {
	s := f.sources[b.Source.ID]
	if s == nil || !s.open {
		f.t.Errorf("a batch of source %s, which is not open", b.Source.ID)
		return
	}
	if b.From != s.sent.Pos || b.To < b.From {
		f.t.Errorf("source %s: batch [%d, %d) does not follow position %d", s.key, b.From, b.To, s.sent.Pos)
	}
	if len(b.Cursor) == 0 {
		f.t.Errorf("source %s: batch [%d, %d) has no cursor", s.key, b.From, b.To)
	}
	at := b.From
	for i := range b.Records {
		r := &b.Records[i]
		if r.Pos < at || r.Pos >= b.To {
			f.t.Errorf("source %s: record at %d is out of order in batch [%d, %d)", s.key, r.Pos, b.From, b.To)
		}
		at = r.Pos + 1
		f.got = append(f.got, Got{b.Source, r.Pos, r.Time, string(b.Line(i)), r.Flags})
	}
	s.sent = pipeline.Cursor{Pos: b.To, State: append([]byte(nil), b.Cursor...)}
}

// Close implements pipeline.Feed.
func (f *Feed) Close(src *event.Source, gone bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.sources[src.ID]
	if s == nil || !s.open {
		f.t.Errorf("source %s is closed, but it is not open", src.ID)
		return
	}
	s.open, s.gone = false, gone
	f.notify()
}

func (f *Feed) notify() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// Ack acknowledges all that was received so far.
func (f *Feed) Ack() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.sources {
		s.acked = s.sent
	}
}

// Block makes Send block, or lets it go on.
func (f *Feed) Block(blocked bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.blocked = blocked
	f.notify()
}

// Got gives what was received so far.
func (f *Feed) Got() []Got {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Got(nil), f.got...)
}

// Lines gives the lines received so far, in order.
func (f *Feed) Lines() []string {
	var lines []string
	for _, g := range f.Got() {
		lines = append(lines, g.Line)
	}
	return lines
}

// Wait returns when done is true of what was received, or fails the test when
// ctx ends before.
func (f *Feed) Wait(ctx context.Context, what string, done func([]Got) bool) []Got {
	f.t.Helper()
	for {
		f.mu.Lock()
		got, changed := append([]Got(nil), f.got...), f.changed
		f.mu.Unlock()
		if done(got) {
			return got
		}
		select {
		case <-ctx.Done():
			f.t.Fatalf("waiting for %s: only %d records came", what, len(got))
		case <-changed:
		}
	}
}

// WaitFor waits until n records were received.
func (f *Feed) WaitFor(ctx context.Context, n int) []Got {
	f.t.Helper()
	return f.Wait(ctx, fmt.Sprintf("%d records", n), func(got []Got) bool { return len(got) >= n })
}

// IsOpen tells whether a source with this key is open.
func (f *Feed) IsOpen(key string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.sources {
		if s.key == key && s.open {
			return true
		}
	}
	return false
}
