package deliver

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/longshore/longshore/pipeline"
)

// onResult deals with how the attempt in flight ended.
func (l *lane) onResult(result attemptResult) {
	b := l.inFlight
	l.inFlight = nil
	l.account(-len(b.Bytes))
	if result.stored != nil {
		if result.err == nil {
			l.d.tryingSince.Store(0)
		}
		l.onReconciled(b, result)
		return
	}
	l.d.metrics.requests.Add(1)
	if result.err != nil {
		l.d.metrics.failed.Add(1)
	}
	if result.probe.of != nil {
		l.onProbe(b, result.probe, result.err)
		return
	}
	l.d.metrics.bytes.Add(uint64(len(b.Bytes)))
	l.onAnswer(b, result.err)
}

// onAnswer deals with the answer to a body.
func (l *lane) onAnswer(b *Body, err error) {
	if err == nil {
		l.d.metrics.end(&l.d.metrics.delivered, len(b.Items))
		b.finish()
		l.d.bodies.put(b)
		l.gotThrough()
		l.succeeded()
		return
	}
	answer := asSendError(err)
	b.Uncertain = b.Uncertain || answer.Uncertain // an earlier attempt may have stored what this one has not
	if answer.Items != nil {
		l.applyItems(b, answer)
		return
	}
	l.onFailure(b, answer)
}

func (l *lane) succeeded() {
	l.pauses.Reset()
	l.pauseUntil = time.Time{}
	if !slices.ContainsFunc(l.queue, func(b *Body) bool { return b.waits }) {
		l.d.health.succeeded(l)
	}
}

// onFailure deals with an answer that holds for all of a body.
func (l *lane) onFailure(b *Body, answer *pipeline.SendError) {
	switch answer.Outcome {
	case pipeline.Split, pipeline.Bisect:
		if len(b.Items) > 1 {
			l.halve(b)
			return
		}
		l.rejectAll(b, answer)
	case pipeline.Reject:
		l.rejectAll(b, answer)
	default:
		if !l.isolate(b, answer) {
			l.retry(b, answer)
		}
	}
}

// retry puts a body of which nothing got through back to the front, for another attempt after a
// pause that grows.
func (l *lane) retry(b *Body, answer *pipeline.SendError) {
	l.retryAfter(b, answer, l.pauses.next(answer))
}

func (l *lane) retryAfter(b *Body, answer *pipeline.SendError, pause time.Duration) {
	l.postpone(b, answer, pause, true)
	l.pushFront(b)
}

// postpone notes a failure, which it tells or not, and after which nothing is sent for a while.
func (l *lane) postpone(b *Body, answer *pipeline.SendError, pause time.Duration, tell bool) {
	if l.d.reconciles(b) {
		pause = max(pause, reconcileDelay)
	}
	l.noteFailure(b, answer, pause, tell)
}

func (l *lane) noteFailure(b *Body, answer *pipeline.SendError, pause time.Duration, tell bool) {
	l.d.metrics.retried.Add(uint64(len(b.Items)))
	l.pauseUntil = time.Now().Add(pause)
	if answer.Outcome == pipeline.Hold && l.d.Refused != nil {
		l.d.Refused()
	}
	if tell && l.retrial == nil {
		l.d.health.failed(l, answer, pause)
	}
}

func (l *lane) halve(b *Body) {
	half := len(b.Items) / 2
	l.pushFront(l.part(b, func(i int) bool { return i < half }))
}

// part parts a body into the chosen items and the rest.
func (l *lane) part(b *Body, chosen func(i int) bool) (first, rest *Body) {
	first, rest = l.d.bodies.get(), l.d.bodies.get()
	copyItems(first, b, chosen)
	copyItems(rest, b, func(i int) bool { return !chosen(i) })
	b.finishEmptyRuns()
	l.d.bodies.put(b)
	return first, rest
}

// rejectAll makes dead letters of all items of a body.
func (l *lane) rejectAll(b *Body, answer *pipeline.SendError) {
	items := make([]pipeline.ItemError, len(b.Items))
	for i := range items {
		items[i] = pipeline.ItemError{Index: i, Outcome: pipeline.Reject, Status: answer.Status, Reason: answer.Reason}
	}
	l.applyItems(b, &pipeline.SendError{Items: items, Status: answer.Status, Reason: answer.Reason})
}

// applyItems deals with an answer item by item: dead letters are kept, what is to be sent again
// makes a new body, and all else is delivered. That ends a failure, however much is left.
func (l *lane) applyItems(b *Body, answer *pipeline.SendError) {
	rejected, again := partition(b, answer)
	if err := l.keepDeadLetters(b, rejected); err != nil {
		answer = &pipeline.SendError{Outcome: pipeline.Hold, Reason: err.Error(), Err: err}
		for _, item := range rejected {
			again[item.Index] = true
		}
		rejected = nil
	}
	l.d.metrics.end(&l.d.metrics.rejected, len(rejected))
	l.d.metrics.end(&l.d.metrics.delivered, len(b.Items)-len(rejected)-len(again))
	progress := len(again) < len(b.Items)
	if progress {
		l.gotThrough()
		b.strikes, b.waits = 0, false
	}
	held := heldOf(answer, again)
	rest := l.keepOnly(b, func(i int) bool { return again[i] })
	if rest != nil && progress && len(held) > 0 && l.d.aside != nil && !l.d.limits.InOrder {
		rest = l.leaveHeld(rest, held, answer)
	}
	switch {
	case rest == nil:
	case progress && l.mayRide(rest, answer):
		l.ride(rest, answer)
	case !progress && l.isolate(rest, answer):
	case !progress && l.retrial == nil && l.mayWait(rest, answer):
		l.takeTurns(rest, answer)
	default:
		l.retry(rest, answer)
	}
}

// heldOf returns which of the items that are to be sent again are held, as numbers among those.
func heldOf(answer *pipeline.SendError, again map[int]bool) map[int]bool {
	sorted := slices.Sorted(maps.Keys(again))
	held := map[int]bool{}
	for _, item := range answer.Items {
		if i, ok := slices.BinarySearch(sorted, item.Index); ok && item.Outcome == pipeline.Hold {
			held[i] = true
		}
	}
	return held
}

// leaveHeld has what the destination itself refuses wait aside, while it stores others of the same
// body, and returns the rest.
func (l *lane) leaveHeld(b *Body, held map[int]bool, answer *pipeline.SendError) *Body {
	refused, rest := l.part(b, func(i int) bool { return held[i] })
	if !l.setAside(refused, answer) {
		l.pushFront(rest)
		l.retry(refused, answer)
		return nil
	}
	if len(rest.Items) > 0 {
		return rest
	}
	l.d.bodies.put(rest)
	return nil
}

// mayRide reports whether what was refused of a body may go with a later one.
func (l *lane) mayRide(rest *Body, answer *pipeline.SendError) bool {
	return !l.closed && l.mayWait(rest, answer)
}

// mayWait reports whether later records may overtake those that were refused for now.
func (l *lane) mayWait(rest *Body, answer *pipeline.SendError) bool {
	return !l.d.limits.InOrder && answer.Outcome == pipeline.Retry && !l.d.reconciles(rest)
}

// takeTurns puts a body of which each record was refused for now behind the others: the destination
// may be busy with an index that those are not for. The pause grows once all have been tried.
func (l *lane) takeTurns(b *Body, answer *pipeline.SendError) {
	l.fillQueue()
	pause, tell := l.pauses.first(), !b.waits
	if l.turns++; l.turns > len(l.queue) {
		pause, tell = l.pauses.next(answer), true
	}
	l.postpone(b, answer, max(pause, answer.RetryAfter), tell)
	b.waits = true
	l.push(b)
}

// ride puts what was refused for now into the open body. Only where nothing else fills that, it
// waits for the first pause.
func (l *lane) ride(rest *Body, answer *pipeline.SendError) {
	l.d.metrics.retried.Add(uint64(len(rest.Items)))
	l.d.postponed.warn(l.d.Log, len(rest.Items),
		"the destination refused records for now while it stored others; they go with the next request",
		"reason", answer.Reason)
	l.succeeded()
	l.rideUntil = time.Now().Add(l.pauses.first())
	l.pauseUntil = time.Now().Add(answer.RetryAfter)
	if len(l.open.Items) == 0 {
		l.open = rest
		return
	}
	if !l.fits(rest) {
		l.seal()
		l.open = l.d.bodies.get()
	}
	own := *l.open
	copyItems(l.open, rest, func(int) bool { return true })
	l.open.Uncertain = own.Uncertain || rest.Uncertain
	l.open.strikes, l.open.waits = own.strikes, own.waits
	l.open.spooled = own.spooled && rest.spooled
	l.d.bodies.put(rest)
}

// fits reports whether the open body has room for all of another.
func (l *lane) fits(other *Body) bool {
	b, limits := l.open, &l.d.limits
	return len(b.Bytes)+len(other.Bytes) <= limits.Bytes &&
		(limits.Records == 0 || len(b.Items)+len(other.Items) <= limits.Records)
}

// keepOnly returns a body of the chosen items, and notes all others as done. Where there are none
// it returns nil, and the lane has succeeded.
func (l *lane) keepOnly(b *Body, chosen func(i int) bool) *Body {
	rest := l.d.bodies.get()
	keepItems(rest, b, chosen)
	l.d.bodies.put(b)
	if len(rest.Items) > 0 {
		return rest
	}
	l.d.bodies.put(rest)
	l.succeeded()
	return nil
}

// partition separates an answer's rejected items from those to be sent again, and makes the
// answer's outcome the most severe of the latter.
func partition(b *Body, answer *pipeline.SendError) (rejected []pipeline.ItemError, again map[int]bool) {
	again = map[int]bool{}
	seen := map[int]bool{}
	for _, item := range answer.Items {
		if seen[item.Index] {
			continue // its first outcome counts
		}
		seen[item.Index] = true
		switch {
		case item.Index < 0 || item.Index >= len(b.Items):
		case item.Outcome == pipeline.Reject:
			rejected = append(rejected, item)
		default:
			again[item.Index] = true
			if item.Outcome == pipeline.Hold || answer.Reason == "" {
				answer.Outcome, answer.Status, answer.Reason = item.Outcome, item.Status, item.Reason
			}
		}
	}
	return rejected, again
}

func (l *lane) keepDeadLetters(b *Body, rejected []pipeline.ItemError) error {
	if len(rejected) == 0 {
		return nil
	}
	letters := make([]DeadLetter, 0, len(rejected))
	for _, item := range rejected {
		original := l.d.Output.Original(&b.Body, item.Index)
		letters = append(letters, l.d.newDeadLetter(b, item.Index, item.Status, item.Reason, original))
	}
	if err := l.d.DeadLetters.Write(letters); err != nil {
		return fmt.Errorf("keeping %d rejected records: %w", len(letters), err)
	}
	l.d.rejected.add(letters)
	l.warnOfRejections(len(letters), &letters[0])
	return nil
}

func (l *lane) warnOfRejections(n int, first *DeadLetter) {
	l.d.rejections.warn(l.d.Log, n, "the destination rejected records; they are kept as dead letters",
		"reason", first.Reason, "source", first.Key, "position", first.Position)
}

// asSendError returns err as a SendError. After another error it is not known what was stored.
func asSendError(err error) *pipeline.SendError {
	var answer *pipeline.SendError
	if errors.As(err, &answer) {
		return answer
	}
	return &pipeline.SendError{Outcome: pipeline.Retry, Uncertain: true, Reason: err.Error(), Err: err}
}
