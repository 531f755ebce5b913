package deliver

import (
	"slices"
	"sort"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// A Body is one for an output, and the stretches of sources that it stands for.
type Body struct {
	pipeline.Body
	Runs Runs

	strikes int  // how often it has failed as a whole, or what it was part of; see isolate
	spooled bool // all of it is on disk
	waits   bool // each of its records was refused for now, and it has gone behind others
}

// NewBody returns an empty body.
func NewBody() *Body {
	b := &Body{}
	b.Sources = &b.Runs
	return b
}

// clone returns a body with the same items, in memory of its own.
func (b *Body) clone() *Body {
	c := NewBody()
	runs := c.Sources
	c.Body, c.strikes, c.spooled, c.waits = b.Body, b.strikes, b.spooled, b.waits
	c.Sources, c.Runs = runs, slices.Clone(b.Runs)
	c.Bytes, c.Items = slices.Clone(b.Bytes), slices.Clone(b.Items)
	return c
}

// Reset empties the body and keeps its memory.
func (b *Body) Reset() {
	b.Body.Reset()
	b.spooled, b.waits = false, false
	clear(b.Runs)
	b.Runs = b.Runs[:0]
	b.strikes = 0
}

// A Run is a stretch of one source that successive items stand for: when they are done, so is the
// source from From up to To. A run may have no items.
type Run struct {
	Source   *event.Source
	Track    Track
	First    int // index of its first item; it ends where the next run starts
	From, To uint64
}

// Runs are those of one body. A pointer to them is its pipeline.ItemSources.
type Runs []Run

// SourceOf implements pipeline.ItemSources.
func (r *Runs) SourceOf(i int) *event.Source {
	runs := *r
	return runs[sort.Search(len(runs), func(k int) bool { return runs[k].First > i })-1].Source
}

// A Track records what one output has done of one source.
type Track interface {
	// Done notes that every record at a position in [from, to) is delivered, rejected or dropped.
	// It may be called in any order, from any goroutine.
	Done(from, to uint64)
	// Skip reports whether the record at a position was done in an earlier run, and is not to be
	// sent again. It costs next to nothing where none was.
	Skip(pos uint64) bool
	// Uncertain reports whether the record at a position, if it was not done, may have been sent in
	// an earlier run. It costs next to nothing where none was.
	Uncertain(pos uint64) bool
	// Reserve returns once it is on disk that records below a position may have been sent. None is
	// sent before.
	Reserve(to uint64) error
}

// itemRange returns the stretch of the source that item i of run k stands for: from itself (the
// first of a run: from the run's start) to the next item.
func (b *Body) itemRange(k, i int) (from, to uint64) {
	run := &b.Runs[k]
	from, to = run.From, run.To
	if i > run.First {
		from = b.Items[i].Pos
	}
	if i+1 < b.runEnd(k) {
		to = b.Items[i+1].Pos
	}
	return from, to
}

func (b *Body) runEnd(k int) int {
	if k+1 < len(b.Runs) {
		return b.Runs[k+1].First
	}
	return len(b.Items)
}

// reserve reserves the body's records.
func (b *Body) reserve() error {
	for i := range b.Runs {
		if err := b.Runs[i].Track.Reserve(b.Runs[i].To); err != nil {
			return err
		}
	}
	return nil
}

// finish notes everything in the body as done.
func (b *Body) finish() {
	for i := range b.Runs {
		b.Runs[i].Track.Done(b.Runs[i].From, b.Runs[i].To)
	}
}

// finishEmptyRuns notes the runs without items as done.
func (b *Body) finishEmptyRuns() {
	for k, run := range b.Runs {
		if run.First == b.runEnd(k) {
			run.Track.Done(run.From, run.To)
		}
	}
}

// copyItems copies the chosen items to an empty body.
func copyItems(dst, src *Body, chosen func(i int) bool) {
	copyRuns(dst, src, chosen, func(*Run, uint64, uint64) {})
}

// keepItems is copyItems, and notes all else of the body as done.
func keepItems(dst, src *Body, chosen func(i int) bool) {
	src.finishEmptyRuns()
	copyRuns(dst, src, chosen, func(run *Run, from, to uint64) { run.Track.Done(from, to) })
}

func copyRuns(dst, src *Body, chosen func(i int) bool, leave func(run *Run, from, to uint64)) {
	dst.Uncertain, dst.strikes, dst.spooled, dst.waits = src.Uncertain, src.strikes, src.spooled, src.waits
	for k := range src.Runs {
		run := &src.Runs[k]
		open := false
		for i := run.First; i < src.runEnd(k); i++ {
			from, to := src.itemRange(k, i)
			if !chosen(i) {
				open = false
				leave(run, from, to)
				continue
			}
			if !open {
				next := Run{Source: run.Source, Track: run.Track, First: len(dst.Items), From: from}
				dst.Runs = append(dst.Runs, next)
				open = true
			}
			dst.Runs[len(dst.Runs)-1].To = to
			dst.appendItem(src, i)
		}
	}
}

func (b *Body) appendItem(src *Body, i int) {
	item := src.Items[i]
	b.Bytes = append(b.Bytes, src.Item(i)...)
	item.End = uint32(len(b.Bytes))
	if len(src.Groups) > 0 {
		item.Group = b.Group([]byte(src.Groups[item.Group]))
	}
	b.Items = append(b.Items, item)
}

// removeLast removes the last item.
func (b *Body) removeLast() {
	last := len(b.Items) - 1
	b.Bytes = b.Bytes[:len(b.Bytes)-len(b.Item(last))]
	b.Items = b.Items[:last]
}

// A bodyPool keeps a few bodies for reuse, which the lanes of an output share. Bodies that one long
// record or very many groups have inflated are left to the garbage collector.
type bodyPool struct {
	bodies   chan *Body
	maxBytes int
}

const (
	pooledBodies    = 4
	maxPooledGroups = 1 << 10
)

func newBodyPool(limit int) bodyPool {
	return bodyPool{bodies: make(chan *Body, pooledBodies), maxBytes: 2 * limit}
}

// get returns an empty body.
func (p bodyPool) get() *Body {
	select {
	case b := <-p.bodies:
		return b
	default:
		return NewBody()
	}
}

func (p bodyPool) put(b *Body) {
	if cap(b.Bytes) > p.maxBytes || cap(b.Groups) > maxPooledGroups {
		return
	}
	b.Reset()
	select {
	case p.bodies <- b:
	default:
	}
}
