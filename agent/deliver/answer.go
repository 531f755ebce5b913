package deliver

import (
	"fmt"
	"time"

	"github.com/longshore/longshore/pipeline"
)

// landed deals with the answer to the request in flight.
func (l *lane) landed(got landing) {
	b := l.flying
	l.flying = nil
	l.weigh(-len(b.Bytes))
	if got.stored != nil {
		l.asked(b, got)
		return
	}
	l.d.metrics.requests.Add(1)
	l.d.metrics.bytes.Add(uint64(len(b.Bytes)))
	if got.err == nil {
		l.delivered(b)
		return
	}
	l.d.metrics.failed.Add(1)
	answer := asSendError(got.err)
	b.Uncertain = answer.Uncertain
	if answer.Items != nil {
		l.sortOut(b, answer)
		return
	}
	l.failedWhole(b, answer)
}

func (l *lane) delivered(b *Body) {
	l.d.metrics.end(l.d.metrics.delivered, len(b.Items))
	finish(b)
	l.d.spares.put(b)
	l.well()
}

func (l *lane) well() {
	l.retry.reset()
	l.pause = time.Time{}
	l.d.trouble.works(l)
}

func (l *lane) failedWhole(b *Body, answer *pipeline.SendError) {
	switch answer.Outcome {
	case pipeline.Split, pipeline.Bisect:
		if len(b.Items) > 1 {
			l.halve(b)
			return
		}
		l.refuseWhole(b, answer)
	case pipeline.Reject:
		l.refuseWhole(b, answer)
	default:
		l.again(b, answer)
	}
}

// again puts a body back to the front, for another try after a pause.
func (l *lane) again(b *Body, answer *pipeline.SendError) {
	l.d.metrics.retried.Add(uint64(len(b.Items)))
	pause := l.retry.next(answer)
	if l.d.asks(b) {
		pause = max(pause, settleTime)
	}
	l.pause = time.Now().Add(pause)
	l.d.trouble.fails(l, answer, pause)
	l.pushFront(b)
}

func (l *lane) halve(b *Body) {
	half := len(b.Items) / 2
	first, second := l.d.spares.get(), l.d.spares.get()
	pick(first, b, func(i int) bool { return i < half }, false)
	pick(second, b, func(i int) bool { return i >= half }, false)
	finishEmpty(b)
	l.pushFront(first, second)
	l.d.spares.put(b)
}

// refuseWhole makes dead letters of all items of a body.
func (l *lane) refuseWhole(b *Body, answer *pipeline.SendError) {
	items := make([]pipeline.ItemError, len(b.Items))
	for i := range items {
		items[i] = pipeline.ItemError{Index: i, Outcome: pipeline.Reject, Status: answer.Status, Reason: answer.Reason}
	}
	l.sortOut(b, &pipeline.SendError{Items: items, Status: answer.Status, Reason: answer.Reason})
}

// sortOut deals with an answer item by item: dead letters are kept, what is
// to be sent again makes a new body, and all else is delivered.
func (l *lane) sortOut(b *Body, answer *pipeline.SendError) {
	refused, again := sortItems(b, answer)
	if err := l.letters(b, refused); err != nil {
		answer = &pipeline.SendError{Outcome: pipeline.Hold, Reason: err.Error(), Err: err}
		for _, item := range refused {
			again[item.Index] = true
		}
		refused = nil
	}
	l.d.metrics.end(l.d.metrics.refused, len(refused))
	l.d.metrics.end(l.d.metrics.delivered, len(b.Items)-len(refused)-len(again))
	rest := l.d.spares.get()
	pick(rest, b, func(i int) bool { return again[i] }, true)
	l.d.spares.put(b)
	if len(rest.Items) == 0 {
		l.d.spares.put(rest)
		l.well()
		return
	}
	l.again(rest, answer)
}

// sortItems parts an answer's items in two, and makes the answer's outcome the
// most severe of those to be sent again.
func sortItems(b *Body, answer *pipeline.SendError) (refused []pipeline.ItemError, again map[int]bool) {
	again = map[int]bool{}
	named := map[int]bool{}
	for _, item := range answer.Items {
		if named[item.Index] {
			continue // its first outcome counts
		}
		named[item.Index] = true
		switch {
		case item.Index < 0 || item.Index >= len(b.Items):
		case item.Outcome == pipeline.Reject:
			refused = append(refused, item)
		default:
			again[item.Index] = true
			if item.Outcome == pipeline.Hold || answer.Reason == "" {
				answer.Outcome, answer.Status, answer.Reason = item.Outcome, item.Status, item.Reason
			}
		}
	}
	return refused, again
}

func (l *lane) letters(b *Body, refused []pipeline.ItemError) error {
	if len(refused) == 0 {
		return nil
	}
	letters := make([]DeadLetter, 0, len(refused))
	for _, item := range refused {
		letters = append(letters, l.d.newLetter(b, item.Index, item.Status, item.Reason, l.d.Output.Original(&b.Body, item.Index)))
	}
	if err := l.d.DeadLetters.Write(letters); err != nil {
		return fmt.Errorf("keeping %d refused records: %w", len(letters), err)
	}
	l.refused(len(letters), &letters[0])
	return nil
}

func (l *lane) refused(n int, first *DeadLetter) {
	l.d.refusals.warn(n, "the destination refused records; they are kept as dead letters",
		"reason", first.Reason, "source", first.Key, "position", first.Position)
}
