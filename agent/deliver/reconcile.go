package deliver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/longshore/longshore/pipeline"
)

// reconcileDelay is how long to wait before asking what became of an uncertain body: its request
// may still be at work in the destination.
const reconcileDelay = time.Second

// attemptResult is how an attempt at a body ended: with the answer to sending it, or with what the
// destination says it holds.
type attemptResult struct {
	err    error
	stored []bool // not nil when it was asked
}

// attempt sends a body, or asks for it.
func (d *Deliverer) attempt(ctx context.Context, b *Body, asks bool) attemptResult {
	if err := b.reserve(); err != nil {
		reason := fmt.Sprintf("noting on disk what is about to be sent: %v", err)
		return attemptResult{err: &pipeline.SendError{Outcome: pipeline.Retry, Reason: reason, Err: err}}
	}
	if !asks {
		return attemptResult{err: d.send(ctx, &b.Body)}
	}
	stored := make([]bool, len(b.Items))
	err := d.withoutSecrets(d.reconciler.Stored(ctx, &b.Body, stored))
	return attemptResult{err: err, stored: stored}
}

// reconciles reports whether the destination is asked what it holds of a body before that is sent.
func (d *Deliverer) reconciles(b *Body) bool {
	return b.Uncertain && d.reconciler != nil && (d.idempotent == nil || !d.idempotent.RepeatsAreHarmless(&b.Body))
}

// onReconciled deals with what the destination says it holds of a body.
func (l *lane) onReconciled(b *Body, result attemptResult) {
	switch {
	case errors.Is(result.err, pipeline.ErrUnknowable):
		l.d.metrics.unknowable.Add(uint64(len(b.Items)))
		l.d.unknowable.warn(l.d.Log, len(b.Items),
			"records are sent again, and may be duplicates: the destination cannot be asked what it holds",
			"why", result.err)
		b.Uncertain = false
		l.pushFront(b)
	case result.err != nil:
		answer := asSendError(result.err)
		l.retryAfter(b, answer, l.asking.next(answer))
	default:
		l.asking.Reset()
		l.sendMissing(b, result.stored)
	}
}

// sendMissing notes what is stored of a body as delivered, and has the rest sent next.
func (l *lane) sendMissing(b *Body, stored []bool) {
	found := 0
	for _, is := range stored {
		if is {
			found++
		}
	}
	l.d.metrics.end(&l.d.metrics.delivered, found)
	l.d.metrics.reconciled.Add(uint64(found))
	if found > 0 {
		l.pauses.Reset()
	}
	rest := l.keepOnly(b, func(i int) bool { return !stored[i] })
	if rest == nil {
		return
	}
	rest.Uncertain = false
	l.pushFront(rest)
	if l.mustAskAgain() {
		rest.Uncertain = true
		l.pauseUntil = time.Now().Add(reconcileDelay)
	}
}

// mustAskAgain reports whether to ask once more: an answer that took long may come from a
// destination that stood still, and works only now on what was sent before.
func (l *lane) mustAskAgain() bool {
	l.askedAgain = !l.askedAgain && time.Since(l.attemptAt) > reconcileDelay
	return l.askedAgain
}
