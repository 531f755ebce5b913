package deliver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/longshore/longshore/pipeline"
)

// settleTime is how long to wait before asking what became of an uncertain
// body: its request may still be at work in the destination.
const settleTime = time.Second

// landing is how a try at a body ended: with the answer to sending it, or with
// what the destination said it holds.
type landing struct {
	err    error
	stored []bool // not nil when it was asked
}

// try makes one try at a body: it sends it, or, where some of it may be stored
// already and the destination can be asked, asks.
func (d *Deliverer) try(ctx context.Context, b *Body) landing {
	if err := reserve(b); err != nil {
		reason := fmt.Sprintf("noting on disk what is about to be sent: %v", err)
		return landing{err: &pipeline.SendError{Outcome: pipeline.Retry, Reason: reason, Err: err}}
	}
	if !d.asks(b) {
		return landing{err: d.Output.Send(ctx, &b.Body)}
	}
	stored := make([]bool, len(b.Items))
	err := d.reconciler.Stored(ctx, &b.Body, stored)
	return landing{err: err, stored: stored}
}

// asks says whether the destination is asked what it holds of a body before
// that is sent.
func (d *Deliverer) asks(b *Body) bool { return b.Uncertain && d.reconciler != nil }

// reserve notes that a body's records may be sent.
func reserve(b *Body) error {
	for i := range b.Runs {
		if err := b.Runs[i].Track.Reserve(b.Runs[i].To); err != nil {
			return err
		}
	}
	return nil
}

// asked deals with what the destination says it holds of a body: that is done,
// and the rest is sent next.
func (l *lane) asked(b *Body, answer landing) {
	switch {
	case errors.Is(answer.err, pipeline.ErrUnknowable):
		l.d.metrics.unknowable.Add(uint64(len(b.Items)))
		l.d.unknowable.warn(len(b.Items), "records are sent again, and may be there twice: the destination cannot be asked what it holds", "why", answer.err)
		b.Uncertain = false
		l.pushFront(b)
	case answer.err != nil:
		l.again(b, asSendError(answer.err))
	default:
		l.reconciled(b, answer.stored)
	}
}

func (l *lane) reconciled(b *Body, stored []bool) {
	rest := l.d.spares.get()
	pick(rest, b, func(i int) bool { return !stored[i] }, true)
	rest.Uncertain = false
	found := len(b.Items) - len(rest.Items)
	l.d.metrics.end(l.d.metrics.delivered, found)
	l.d.metrics.found.Add(uint64(found))
	l.d.spares.put(b)
	if len(rest.Items) == 0 {
		l.d.spares.put(rest)
		l.well()
		return
	}
	l.pushFront(rest)
	if l.doubtful() {
		rest.Uncertain = true
		l.pause = time.Now().Add(settleTime)
	}
}

// doubtful says that a destination is to be asked once more: an answer that took
// long may come from one that stood still, and is only now at work on what was sent
// before.
func (l *lane) doubtful() bool {
	l.doubted = !l.doubted && time.Since(l.started) > settleTime
	return l.doubted
}

// asSendError gives an error of no kind that of one after which it is not known
// what was stored.
func asSendError(err error) *pipeline.SendError {
	var answer *pipeline.SendError
	if errors.As(err, &answer) {
		return answer
	}
	return &pipeline.SendError{Outcome: pipeline.Retry, Uncertain: true, Reason: err.Error(), Err: err}
}
