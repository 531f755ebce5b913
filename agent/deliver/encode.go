package deliver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/backoff"
	"github.com/longshore/longshore/pipeline/event"
)

// gatherTime bounds the wait for what an input has at hand: it may also be for another lane.
const gatherTime = 5 * time.Millisecond

// encode puts a batch's records into the open body, and begins another whenever that is full. It
// returns false if ctx ended before it was done.
func (l *lane) encode(ctx context.Context, dl delivery) bool {
	b := dl.batch.Batch
	defer dl.batch.Release()
	atPrevious, ok := l.storedAtPrevious(ctx, dl)
	if !ok {
		return false
	}
	l.encoding.Begin()
	defer l.encoding.End()
	accepted := l.acceptsSource(b.Source)
	l.startRun(b.Source, dl.track, b.From)
	for i := range b.Records {
		r := &b.Records[i]
		if !accepted || r.Flags&event.Dropped != 0 || r.ExcludedOutputs&(1<<l.d.Number) != 0 || !l.d.filter.accepts(r) {
			l.d.metrics.end(&l.d.metrics.filtered, 1)
			continue
		}
		if dl.track.Skip(r.Pos) || atPrevious[r.Pos] {
			l.d.metrics.end(&l.d.metrics.skipped, 1)
			continue
		}
		if l.full() {
			l.endRun(r.Pos)
			l.seal()
			l.startRun(b.Source, dl.track, r.Pos)
		}
		if !l.encodeRecord(ctx, b, i) {
			l.late = l.encoding.IsStuck(time.Now())
			l.endRun(r.Pos)
			return false
		}
		if dl.track.Uncertain(r.Pos) {
			l.open.Uncertain = true
		}
		if len(l.open.Bytes) > l.d.limits.Bytes && len(l.open.Items) > 1 {
			l.splitLast()
		}
	}
	if l.encoding.IsStuck(time.Now()) && ctx.Err() != nil {
		l.late = true
		return false
	}
	l.endRun(b.To)
	if l.full() {
		l.seal()
	}
	l.gatherUntil = time.Time{}
	if b.MorePending {
		l.gatherUntil = time.Now().Add(min(gatherTime, time.Duration(l.d.Settings.Batch.Linger)))
	}
	return true
}

func (l *lane) acceptsSource(src *event.Source) bool {
	if len(l.d.filter.labels) == 0 {
		return true
	}
	accepts, ok := l.accepts[src]
	if !ok {
		if len(l.accepts) > 10000 {
			clear(l.accepts)
		}
		accepts = l.d.filter.acceptsSource(src)
		l.accepts[src] = accepts
	}
	return accepts
}

func (l *lane) full() bool {
	b, limits := l.open, &l.d.limits
	return len(b.Items) > 0 && (len(b.Bytes) >= limits.Bytes || limits.Records > 0 && len(b.Items) >= limits.Records)
}

// startRun begins a run, or goes on with the last one where it ends here.
func (l *lane) startRun(src *event.Source, track Track, from uint64) {
	if l.open.Bytes == nil {
		l.open = l.d.bodies.get()
	}
	b := l.open
	b.spooled = false // what was, and rides with what comes now, is so no longer
	if n := len(b.Runs); n > 0 && b.Runs[n-1].Track == track && b.Runs[n-1].To == from && b.Runs[n-1].Source == src {
		return
	}
	b.Runs = append(b.Runs, Run{Source: src, Track: track, First: len(b.Items), From: from, To: from})
}

// endRun ends the last run at a position. Without any item it waits for nothing and is done: what a
// filter leaves out must not pile up behind a destination that is away.
func (l *lane) endRun(to uint64) {
	b := l.open
	run := &b.Runs[len(b.Runs)-1]
	run.To = to
	if run.First == len(b.Items) {
		run.Track.Done(run.From, run.To)
		b.Runs = b.Runs[:len(b.Runs)-1]
	}
}

func (l *lane) encodeRecord(ctx context.Context, b *event.Batch, i int) bool {
	body := l.open
	start := len(body.Bytes)
	if len(body.Items) == 0 && l.d.limits.Age > 0 {
		l.openedAt = time.Now()
	}
	group, err := l.encodeUnlessRejected(body, b, i)
	if err != nil {
		body.Bytes = append(body.Bytes[:start], b.Line(i)...)
	}
	body.Items = append(body.Items, pipeline.Item{Pos: b.Records[i].Pos, End: uint32(len(body.Bytes)), Group: group})
	if err == nil {
		return true
	}
	if ctx.Err() != nil {
		return false // perhaps it was stuck, and someone else is at it by now
	}
	defer l.encoding.Resume(l.encoding.End())
	return l.rejectLast(ctx, err)
}

// errNotParsed is why a record is rejected before any destination sees it.
var errNotParsed = errors.New("the parser did not understand it (on_error: dead_letter)")

func (l *lane) encodeUnlessRejected(dst *Body, b *event.Batch, i int) (group uint32, err error) {
	if b.Records[i].Flags&event.Rejected != 0 {
		return 0, errNotParsed
	}
	defer func() {
		if panicked := recover(); panicked != nil {
			l.d.panics.Note(panicked, "encoding a record has panicked, and it is a dead letter",
				"source", b.Source.Key, "position", b.Records[i].Pos)
			l.encoder = l.d.Output.Encoder()
			err = fmt.Errorf("encoding it has panicked: %v", panicked)
		}
	}()
	return l.encoder.Encode(&dst.Body, b, i)
}

// rejectLast makes a dead letter of the open body's last item, whose bytes are the raw line, and
// removes it. Where the dead letter cannot be kept, everything waits until it can; false means that
// ctx ended first.
func (l *lane) rejectLast(ctx context.Context, cause error) bool {
	last := len(l.open.Items) - 1
	letter := l.d.newDeadLetter(l.open, last, 0, cause.Error(), l.open.Item(last))
	letter.Encoded = nil // there is nothing to send again
	l.open.removeLast()
	for failed := false; ; failed = true {
		err := l.d.DeadLetters.Write([]DeadLetter{letter})
		if err == nil {
			l.d.metrics.end(&l.d.metrics.rejected, 1)
			l.warnOfRejections(1, &letter)
			if failed {
				l.pauses.Reset()
				l.d.health.succeeded(l)
			}
			return true
		}
		if l.inFlight == nil {
			l.permit.release() // others may send meanwhile
		}
		reason := fmt.Sprintf("keeping a record that cannot be encoded: %v", err)
		answer := &pipeline.SendError{Outcome: pipeline.Hold, Reason: reason, Err: err}
		pause := l.pauses.next(answer)
		l.d.health.failed(l, answer, pause)
		l.heldUp.Store(true)
		if backoff.Sleep(ctx, pause, nil) != nil {
			return false
		}
	}
}
