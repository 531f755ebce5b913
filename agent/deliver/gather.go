package deliver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// atHand is how long what an input has at hand may take to come: it may also be for
// another lane.
const atHand = 5 * time.Millisecond

// encode puts a batch's records into the growing body, and begins another
// whenever that is full. false means that ctx ended before it was done.
func (l *lane) encode(ctx context.Context, dl delivery) bool {
	b := dl.batch.Batch
	defer dl.batch.Release()
	elsewhere, ok := l.formerly(ctx, dl)
	if !ok {
		return false
	}
	whole := l.takesSource(b.Source)
	l.startRun(b.Source, dl.track, b.From)
	for i := range b.Records {
		r := &b.Records[i]
		if !whole || r.Flags&event.Dropped != 0 || r.ExcludedOutputs&(1<<l.d.Number) != 0 || !l.d.filter.takes(r) {
			l.d.metrics.end(l.d.metrics.filtered, 1)
			continue
		}
		if dl.track.Skip(r.Pos) || elsewhere[r.Pos] {
			l.d.metrics.end(l.d.metrics.skipped, 1)
			continue
		}
		if l.full() {
			l.endRun(r.Pos)
			l.seal()
			l.startRun(b.Source, dl.track, r.Pos)
		}
		if !l.encodeRecord(ctx, b, i) {
			return false
		}
		if dl.track.Uncertain(r.Pos) {
			l.growing.Uncertain = true
		}
		if len(l.growing.Bytes) > l.d.limits.Bytes && len(l.growing.Items) > 1 {
			l.setApart()
		}
	}
	l.endRun(b.To)
	if l.full() {
		l.seal()
	}
	l.more = time.Time{}
	if b.MorePending {
		l.more = time.Now().Add(min(atHand, time.Duration(l.d.Settings.Batch.Linger)))
	}
	return true
}

func (l *lane) takesSource(src *event.Source) bool {
	if len(l.d.filter.labels) == 0 {
		return true
	}
	takes, ok := l.taken[src]
	if !ok {
		if len(l.taken) > 10000 {
			clear(l.taken)
		}
		takes = l.d.filter.takesSource(src)
		l.taken[src] = takes
	}
	return takes
}

func (l *lane) full() bool {
	b := l.growing
	return len(b.Items) > 0 && (len(b.Bytes) >= l.d.limits.Bytes || l.d.limits.Records > 0 && len(b.Items) >= l.d.limits.Records)
}

// startRun begins a run, or goes on with the last one where it ends here.
func (l *lane) startRun(src *event.Source, track Track, from uint64) {
	if l.growing.Bytes == nil {
		l.growing = l.d.spares.get()
	}
	b := l.growing
	if n := len(b.Runs); n > 0 && b.Runs[n-1].Track == track && b.Runs[n-1].To == from {
		return
	}
	b.Runs = append(b.Runs, Run{Source: src, Track: track, First: len(b.Items), From: from, To: from})
}

// endRun ends the last run at a position. Without any item it waits for
// nothing and is done: what a filter leaves out must not pile up behind a
// destination that is away.
func (l *lane) endRun(to uint64) {
	b := l.growing
	run := &b.Runs[len(b.Runs)-1]
	run.To = to
	if run.First == len(b.Items) {
		run.Track.Done(run.From, run.To)
		b.Runs = b.Runs[:len(b.Runs)-1]
	}
}

func (l *lane) encodeRecord(ctx context.Context, b *event.Batch, i int) bool {
	body := l.growing
	start := len(body.Bytes)
	group, err := l.encodeUnlessRefused(body, b, i)
	if err != nil {
		body.Bytes = append(body.Bytes[:start], b.Line(i)...)
	}
	body.Items = append(body.Items, pipeline.Item{Pos: b.Records[i].Pos, End: uint32(len(body.Bytes)), Group: group})
	return err == nil || l.refuseUnencoded(ctx, err)
}

// errNotUnderstood is why a record is refused before any destination sees it.
var errNotUnderstood = errors.New("the parser did not understand it (on_error: dead_letter)")

func (l *lane) encodeUnlessRefused(dst *Body, b *event.Batch, i int) (group uint32, err error) {
	if b.Records[i].Flags&event.Rejected != 0 {
		return 0, errNotUnderstood
	}
	return l.encoder.Encode(&dst.Body, b, i)
}

// refuseUnencoded makes a letter of the growing body's last item, whose bytes
// are the raw line, and takes it out again. Where the letter cannot be kept,
// everything waits until it can; false means that ctx ended first.
func (l *lane) refuseUnencoded(ctx context.Context, cause error) bool {
	letter := l.d.newLetter(l.growing, len(l.growing.Items)-1, 0, cause.Error(), l.growing.Item(len(l.growing.Items)-1))
	letter.Encoded = nil // there is nothing to send again
	l.takeLast()
	for failed := false; ; failed = true {
		err := l.d.DeadLetters.Write([]DeadLetter{letter})
		if err == nil {
			l.d.metrics.end(l.d.metrics.refused, 1)
			l.refused(1, &letter)
			if failed {
				l.retry.reset()
				l.d.trouble.works(l)
			}
			return true
		}
		if l.flying == nil {
			l.place.leave() // others may send meanwhile
		}
		answer := &pipeline.SendError{Outcome: pipeline.Hold, Reason: fmt.Sprintf("keeping a record that cannot be encoded: %v", err), Err: err}
		pause := l.retry.next(answer)
		l.d.trouble.fails(l, answer, pause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return false
		}
	}
}

// takeLast takes the last item out of the growing body.
func (l *lane) takeLast() {
	b := l.growing
	last := len(b.Items) - 1
	b.Bytes = b.Bytes[:len(b.Bytes)-len(b.Item(last))]
	b.Items = b.Items[:last]
}
