package deliver

import (
	"sort"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// A Body is what outputs see of it, and the stretches of sources that it stands for.
type Body struct {
	pipeline.Body
	Runs Runs
}

// NewBody returns an empty body.
func NewBody() *Body {
	b := &Body{}
	b.Sources = &b.Runs
	return b
}

// Reset empties the body and keeps its memory.
func (b *Body) Reset() {
	b.Body.Reset()
	clear(b.Runs)
	b.Runs = b.Runs[:0]
}

// A Run is a stretch of one source that successive items stand for: when they are done, so is
// the source from From up to To. A run may have no items.
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
	// Done notes that every record at a position in [from, to) is delivered, rejected or
	// dropped. It may be called in any order, from any goroutine.
	Done(from, to uint64)
	// Skip reports whether the record at a position was done in an earlier run, and is not to
	// be sent again. It costs next to nothing where none was.
	Skip(pos uint64) bool
	// Uncertain reports whether the record at a position, if it was not done, may have been
	// sent in an earlier run. It costs next to nothing where none was.
	Uncertain(pos uint64) bool
	// Reserve returns once it is on disk that records below a position may have been sent.
	// None is sent before.
	Reserve(to uint64) error
}

// coverage gives the stretch of the source that item i of run k stands for:
// from itself (the first of a run: from the run's start) to the next item.
func coverage(b *Body, k, i int) (from, to uint64) {
	run := &b.Runs[k]
	from, to = run.From, run.To
	if i > run.First {
		from = b.Items[i].Pos
	}
	if i+1 < runEnd(b, k) {
		to = b.Items[i+1].Pos
	}
	return from, to
}

func runEnd(b *Body, k int) int {
	if k+1 < len(b.Runs) {
		return b.Runs[k+1].First
	}
	return len(b.Items)
}

// finish notes everything in the body as done.
func finish(b *Body) {
	for i := range b.Runs {
		b.Runs[i].Track.Done(b.Runs[i].From, b.Runs[i].To)
	}
}

// pick copies the items that keep chooses to an empty body. With done, the
// stretches of all others are noted as done, and so are runs without items.
func pick(dst, src *Body, keep func(i int) bool, done bool) {
	dst.Uncertain = src.Uncertain
	for k := range src.Runs {
		run := src.Runs[k]
		end := runEnd(src, k)
		if done && run.First == end {
			run.Track.Done(run.From, run.To)
		}
		open := false
		for i := run.First; i < end; i++ {
			from, to := coverage(src, k, i)
			if !keep(i) {
				open = false
				if done {
					run.Track.Done(from, to)
				}
				continue
			}
			if !open {
				dst.Runs = append(dst.Runs, Run{
					Source: run.Source, Track: run.Track, First: len(dst.Items), From: from,
				})
				open = true
			}
			dst.Runs[len(dst.Runs)-1].To = to
			appendItem(dst, src, i)
		}
	}
}

func appendItem(dst, src *Body, i int) {
	item := src.Items[i]
	dst.Bytes = append(dst.Bytes, src.Item(i)...)
	item.End = uint32(len(dst.Bytes))
	if len(src.Groups) > 0 {
		item.Group = dst.Group([]byte(src.Groups[item.Group]))
	}
	dst.Items = append(dst.Items, item)
}

// finishEmpty notes the runs that have no items as done.
func finishEmpty(b *Body) {
	for k, run := range b.Runs {
		if run.First == runEnd(b, k) {
			run.Track.Done(run.From, run.To)
		}
	}
}
