// Package pipetest holds the conformance suites that every input, parser and
// output passes, and the fakes they run against.
package pipetest

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sort"
	"sync"
	"testing"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// Got is one record as a Feed received it.
type Got struct {
	Source *event.Source  // that it has its labels from
	Of     event.SourceID // the source that the position is of
	Pos    uint64
	Time   int64
	Line   string
	Flags  event.Flags
}

// A Feed stands in for the pipelines and the ledger when an input is tested. It checks every batch
// against the contract of pipeline.Feed, keeps the records, and acknowledges when told to. A batch
// that was sent is overwritten and lent again: it is no longer the input's.
type Feed struct {
	t testing.TB

	mu      sync.Mutex
	changed chan struct{} // closed and replaced at every change
	sources map[event.SourceID]*feedSource
	got     []Got
	sent    []mark // the batches not acknowledged, in the order they came
	pool    []*event.Batch
	nextID  event.SourceID
	blocked bool
	lags    bool
	refused error // what Send returns
	waiting int   // calls of Send that are held up
	hurries bool
	spools  bool
	room    int64 // of the spool
	input   string

	committer  pipeline.Committer // nil for none
	acksAtOnce bool
}

type feedSource struct {
	src         *event.Source
	key         string
	sent, acked pipeline.Cursor
	boundaries  []uint64 // ascending
	leavingTo   uint64
	lent        int // batches that were not sent yet
	open, gone  bool
}

// A mark is where a batch ended.
type mark struct {
	source event.SourceID
	at     pipeline.Cursor
}

// maxLent is how many batches an input may be filling for one source.
const maxLent = 4

var _ pipeline.Feed = (*Feed)(nil)

// NewFeed returns a feed that knows no source.
func NewFeed(t testing.TB) *Feed {
	return &Feed{
		t:       t,
		changed: make(chan struct{}),
		sources: map[event.SourceID]*feedSource{},
		nextID:  1,
		room:    math.MaxInt64,
		input:   "test",
	}
}

// Restart returns the feed of the next run: it knows the sources of this one as
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
		next.sources[id] = &feedSource{key: s.key, sent: s.acked, acked: s.acked, boundaries: s.openBoundaries()}
	}
	return next
}

// rewind is Restart, but the next run begins every source anew, with what its cursor holds.
func (f *Feed) rewind() *Feed {
	next := f.Restart()
	for _, s := range next.sources {
		s.sent.Pos, s.acked.Pos = 0, 0
	}
	return next
}

// marks returns where the batches end that are not acknowledged, in their order.
func (f *Feed) marks() []mark {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.sent)
}

// at returns a feed that knows one source, up to where a batch ended.
func (f *Feed) at(m mark) *Feed {
	f.mu.Lock()
	defer f.mu.Unlock()
	again, s := NewFeed(f.t), f.sources[m.source]
	again.sources[m.source] = &feedSource{key: s.key, sent: m.at, acked: m.at, boundaries: s.boundaries}
	return again
}

// refuse has Send return an error from now on.
func (f *Feed) refuse(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refused = err
}

// Lag has an output lag, or not any more: what was not acknowledged it has yet to read.
func (f *Feed) Lag(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lags = on
}

// Behind implements pipeline.Feed.
func (f *Feed) Behind(src *event.Source, leavingTo uint64) (from uint64, behind bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.sources[src.ID]
	if !f.lags || s == nil {
		return math.MaxUint64, false
	}
	s.leavingTo = max(s.leavingTo, leavingTo)
	return s.acked.Pos, s.acked.Pos < s.sent.Pos
}

// Acked returns up to where a source is acknowledged.
func (f *Feed) Acked(id event.SourceID) uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sources[id].acked.Pos
}

// LeavingTo returns up to where an input has said that a source cannot be read for much longer.
func (f *Feed) LeavingTo(id event.SourceID) uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sources[id].leavingTo
}

// CheckReread has an input read again from where batches ended that are not acknowledged, one of
// every so many, and checks that all comes again that came after them. Nothing new may come
// meanwhile.
func (f *Feed) CheckReread(ctx context.Context, r pipeline.Rereader, every int) {
	f.t.Helper()
	got := f.Got()
	for i, from := range f.marks() {
		if i%every != 0 {
			continue
		}
		again := f.at(from)
		if err := r.Reread(ctx, again.Known()[0], again); err != nil {
			f.t.Fatalf("reading again from %d: %v", from.at.Pos, err)
		}
		want := slices.DeleteFunc(slices.Clone(got), func(g Got) bool {
			return g.Of != from.source || g.Pos < from.at.Pos
		})
		wantRecords(f.t, fmt.Sprint("again from ", from.at.Pos), again.Got(), want)
	}
}

// Known implements pipeline.Feed.
func (f *Feed) Known() []pipeline.Known {
	f.mu.Lock()
	defer f.mu.Unlock()
	var known []pipeline.Known
	for id, s := range f.sources {
		at := pipeline.Cursor{Pos: s.acked.Pos, State: slices.Clone(s.acked.State)}
		known = append(known, pipeline.Known{ID: id, Key: s.key, Cursor: at, TimeoutBoundaries: s.openBoundaries()})
	}
	sort.Slice(known, func(i, j int) bool { return known[i].ID < known[j].ID })
	return known
}

// openBoundaries returns the timeout boundaries beyond what was acknowledged: they outlast a crash,
// as the ledger has stored them before their batch went on.
func (s *feedSource) openBoundaries() (open []uint64) {
	for _, at := range s.boundaries {
		if at > s.acked.Pos {
			open = append(open, at)
		}
	}
	return open
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

// Adopt implements pipeline.Feed.
func (f *Feed) Adopt(
	at pipeline.Known, _ uint64, labels []event.Label,
) (*event.Source, pipeline.Cursor, error) {
	f.mu.Lock()
	s := f.sources[at.ID]
	if s == nil {
		s = &feedSource{key: at.Key}
		f.sources[at.ID] = s
	}
	if at.Cursor.Pos > s.acked.Pos {
		s.acked = pipeline.Cursor{Pos: at.Cursor.Pos, State: slices.Clone(at.Cursor.State)}
	}
	s.sent = s.acked
	from := s.acked
	f.mu.Unlock()
	src, err := f.Open(at.ID, at.Key, labels)
	return src, from, err
}

// Describe implements pipeline.Feed.
func (f *Feed) Describe(id event.SourceID, key string, labels []event.Label) *event.Source {
	return event.NewSource(id, f.input, key, labels)
}

// CommitTo has an input told of what is acknowledged, as it runs.
func (f *Feed) CommitTo(c pipeline.Committer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.committer = c
}

// AckAtOnce has everything acknowledged as soon as it is sent.
func (f *Feed) AckAtOnce() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.acksAtOnce = true
}

// Batch implements pipeline.Feed.
func (f *Feed) Batch(src *event.Source) *event.Batch {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.sources[src.ID]
	if s == nil || !s.open {
		f.t.Errorf("a batch is taken for source %s, which is not open", src.ID)
	} else if s.lent++; s.lent > maxLent {
		f.t.Errorf("source %s: %d batches are taken and not sent: batches are the memory of the whole program", s.key,
			s.lent)
	}
	b := &event.Batch{}
	if n := len(f.pool); n > 0 {
		b, f.pool = f.pool[n-1], f.pool[:n-1]
	}
	b.Reset(src)
	return b
}

// Send implements pipeline.Feed.
func (f *Feed) Send(ctx context.Context, b *event.Batch) error {
	err := f.send(ctx, b)
	f.mu.Lock()
	acks := err == nil && f.acksAtOnce
	f.mu.Unlock()
	if acks {
		f.Ack()
	}
	return err
}

func (f *Feed) send(ctx context.Context, b *event.Batch) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s := f.sources[b.CarriedBy().ID]; s != nil {
		s.lent--
	}
	err := f.pass(ctx, int64(len(b.Arena)))
	if err == nil {
		f.take(b)
	}
	f.reclaim(b)
	f.notify()
	return err
}

// pass waits while the feed is blocked, unless the input hurries and the spool has room.
func (f *Feed) pass(ctx context.Context, bytes int64) error {
	f.waiting++
	f.notify()
	for f.blocked && !f.spool(bytes) && ctx.Err() == nil {
		changed := f.changed
		f.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-changed:
		}
		f.mu.Lock()
	}
	f.waiting--
	if f.refused != nil {
		return f.refused
	}
	return ctx.Err()
}

func (f *Feed) spool(bytes int64) bool {
	if !f.spools || !f.hurries || f.room < bytes {
		return false
	}
	f.room -= bytes
	return true
}

func (f *Feed) take(b *event.Batch) {
	id := b.CarriedBy().ID
	s := f.sources[id]
	if s == nil || !s.open {
		f.t.Errorf("a batch of source %s, which is not open", id)
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
		f.got = append(f.got, Got{b.Source, id, r.Pos, r.Time, string(b.Line(i)), r.Flags})
	}
	s.noteBoundary(f.t, b)
	s.sent = pipeline.Cursor{Pos: b.To, State: slices.Clone(b.Cursor)}
	if len(b.Records) == 0 && s.acked.Pos == b.From {
		s.acked = s.sent // there is nothing to wait for
		return
	}
	f.sent = append(f.sent, mark{id, s.sent})
}

// noteBoundary notes where a batch was ended by a timeout.
func (s *feedSource) noteBoundary(t testing.TB, b *event.Batch) {
	if !b.EndedByTimeout {
		return
	}
	if len(b.Records) == 0 {
		t.Errorf("source %s: batch [%d, %d) is ended by a timeout, and has no record", s.key, b.From, b.To)
	}
	if i, known := slices.BinarySearch(s.boundaries, b.To); !known {
		s.boundaries = slices.Insert(s.boundaries, i, b.To)
	}
}

// reclaim overwrites a batch, so that it shows when an input still uses it, and
// keeps it to be lent again.
func (f *Feed) reclaim(b *event.Batch) {
	for _, p := range [][]byte{b.Arena, b.Cursor} {
		for i := range p {
			p[i] = '#'
		}
	}
	b.Source = nil
	f.pool = append(f.pool, b)
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

// Hurry implements pipeline.Feed.
func (f *Feed) Hurry(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hurries = on
	f.notify()
}

// Hurries reports whether the input hurries.
func (f *Feed) Hurries() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.hurries
}

// SpoolRoom implements pipeline.Feed.
func (f *Feed) SpoolRoom() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.room
}

// SetSpool gives the feed a spool with room for so many bytes: while it is blocked, it takes what
// an input sends that hurries.
func (f *Feed) SetSpool(bytes int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.spools, f.room = true, bytes
	f.notify()
}

func (f *Feed) notify() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// Ack acknowledges all that was received so far.
func (f *Feed) Ack() { f.ack(func(mark) bool { return true }) }

// AckSource acknowledges all that was received of one source.
func (f *Feed) AckSource(id event.SourceID) {
	f.ack(func(m mark) bool { return m.source == id })
}

// AckBatch acknowledges the oldest batch that is not, and reports whether there was one.
func (f *Feed) AckBatch() bool {
	n := 0
	f.ack(func(mark) bool { n++; return n == 1 })
	return n > 0
}

// ack acknowledges the batches wanted, which of each source are its oldest.
func (f *Feed) ack(wanted func(mark) bool) {
	f.mu.Lock()
	var acked []mark
	f.sent = slices.DeleteFunc(f.sent, func(m mark) bool {
		if !wanted(m) {
			return false
		}
		f.sources[m.source].acked = m.at
		acked = append(acked, m)
		return true
	})
	committer := f.committer
	f.mu.Unlock()
	for _, m := range acked {
		if committer != nil {
			committer.Commit(m.source, m.at)
		}
	}
}

// Block makes Send block, or lets it go on.
func (f *Feed) Block(blocked bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.blocked = blocked
	f.notify()
}

// Got returns what was received so far.
func (f *Feed) Got() []Got {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Got(nil), f.got...)
}

// Lines returns the lines received so far, in order.
func (f *Feed) Lines() []string {
	var lines []string
	for _, g := range f.Got() {
		lines = append(lines, g.Line)
	}
	return lines
}

// Wait returns when done is true of what was received, or fails the test when ctx ends before.
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

// IsOpen reports whether a source with this key is open.
func (f *Feed) IsOpen(key string) bool { return slices.Contains(f.OpenSources(), key) }

// WaitBlocked returns when the feed is blocked and holds up a Send, or fails the
// test when ctx ends before.
func (f *Feed) WaitBlocked(ctx context.Context) {
	f.t.Helper()
	f.Wait(ctx, "a batch that is held up", func([]Got) bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.waiting > 0
	})
}

// OpenSources returns the keys of the sources that are open.
func (f *Feed) OpenSources() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var keys []string
	for _, s := range f.sources {
		if s.open {
			keys = append(keys, s.key)
		}
	}
	sort.Strings(keys)
	return keys
}
