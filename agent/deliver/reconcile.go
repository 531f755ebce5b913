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
	probe  probe
}

// attempt sends a body or a probe, or asks for the body.
func (d *Deliverer) attempt(ctx context.Context, b *Body, asks bool, p probe) (result attemptResult) {
	defer func() {
		if panicked := recover(); panicked != nil {
			d.panics.Note(panicked, "a request has panicked, and is made again", "records", len(b.Items))
			result = failedRequest(b, asks, p, fmt.Sprintf("the output has panicked: %v", panicked))
		}
	}()
	if p.of != nil {
		b = NewBody()
		copyItems(b, p.of, func(i int) bool { return i == p.item })
	}
	if err := b.reserve(); err != nil {
		reason := fmt.Sprintf("noting on disk what is about to be sent: %v", err)
		return attemptResult{err: &pipeline.SendError{Outcome: pipeline.Retry, Reason: reason, Err: err}, probe: p}
	}
	if !asks && (p.of == nil || !d.reconciles(b)) {
		return attemptResult{err: d.send(ctx, &b.Body), probe: p}
	}
	stored := make([]bool, len(b.Items))
	err := d.withoutSecrets(d.reconciler.Stored(ctx, &b.Body, stored))
	switch {
	case asks:
		return attemptResult{err: err, stored: stored}
	case err == nil && stored[0], err != nil && !errors.Is(err, pipeline.ErrUnknowable):
		return attemptResult{err: err, probe: p}
	}
	return attemptResult{err: d.send(ctx, &b.Body), probe: p}
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
		if progress := l.d.progress.Load(); progress != l.askedAt {
			l.askedAt = progress
			l.asking.Reset()
		}
		l.noteFailure(b, answer, l.asking.next(answer), true) // what was sent has had its time by now
		l.pushFront(b)
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
