package deliver

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

type delivery struct {
	batch *Shared
	track Track
}

// A lane is a sequence of requests, of which at most one is in flight. One goroutine owns it.
type lane struct {
	d       *Deliverer
	in      chan delivery // what cannot wait: once the lane has been full for a while it spills
	patient chan delivery // what can be read again: it waits where it is while the lane is full
	encoder pipeline.Encoder
	accepts map[*event.Source]bool // what the filter says of a source

	open        *Body   // filling; without memory of its own until there is something to put into it
	queue       []*Body // to be sent, oldest first
	queuedBytes int
	spill       spill
	retrial     *retrial // nil but in a lane for what waits aside

	inFlight *Body
	request  *request      // with inFlight
	hurried  chan struct{} // an input has begun to hurry, or no longer does
	permit   *permit
	pauses   pauses // between requests while nothing gets through
	asking   pauses // between questions that fail while nothing gets through
	askedAt  uint64 // the output's progress when the last of them failed
	doubt    doubt
	turns    int // bodies in a row that were refused for now, record by record

	heldUp   atomic.Bool // takes nothing in for now
	encoding pipeline.Stopwatch
	patience patience

	started     time.Time // the lane
	attemptAt   time.Time // when the last attempt began
	askedAgain  bool      // see mustAskAgain
	pauseUntil  time.Time // no request before this
	openedAt    time.Time // when the open body got its first record
	gatherUntil time.Time // how long what an input has at hand is waited for
	rideUntil   time.Time // how long the open body is held back for what was refused of another
	timer       *time.Timer
	wakeTime    time.Time // when to look again; zero: when something happens
	closed      bool      // nothing more comes in
	late        bool      // was stuck, and has found ctx ended
}

func newLane(d *Deliverer) *lane {
	p := pauses{settings: d.Settings.Retry}
	return &lane{
		d: d, in: make(chan delivery), patient: make(chan delivery),
		encoder: d.Output.Encoder(), accepts: map[*event.Source]bool{}, open: NewBody(),
		hurried: make(chan struct{}, 1),
		permit:  d.limiter.newPermit(), pauses: p, asking: p,
	}
}

// run works until all is done after in was closed, or until ctx ends.
func (l *lane) run(ctx context.Context) {
	l.timer, l.started = time.NewTimer(time.Hour), time.Now()
	defer l.timer.Stop()
	for {
		l.wakeTime = time.Time{}
		l.send(ctx)
		if l.closed && l.idle() {
			return
		}
		from, patient := l.intake()
		l.heldUp.Store(patient == nil && (from == nil || l.d.hurrying.Load() == 0))
		l.spillQueue()
		l.spillWaitedFor()
		l.setTimer()
		select {
		case dl, ok := <-from:
			if !ok {
				l.closed = true
				l.shortenPause()
				continue
			}
			if !l.encode(ctx, dl) {
				l.abandon()
				return
			}
		case dl := <-patient:
			if !l.encode(ctx, dl) {
				l.abandon()
				return
			}
		case result := <-l.request.result():
			l.onResult(result)
		case <-l.permit.granted:
		case <-l.hurried:
		case <-l.timer.C:
			l.reviewRequest()
		case <-ctx.Done():
			l.abandon()
			return
		}
	}
}

// shortenPause shortens the pause after a failure: at the end there may be little time left.
func (l *lane) shortenPause() {
	if soon := time.Now().Add(reconcileDelay); l.pauseUntil.After(soon) {
		l.pauseUntil = soon
	}
}

func (l *lane) idle() bool {
	return l.inFlight == nil && len(l.queue) == 0 && len(l.open.Items) == 0 && !l.spill.pending()
}

func (l *lane) setTimer() {
	s := &l.spill
	if l.inFlight != nil {
		l.wakeAt(l.request.reviewAt)
	}
	if len(s.tail) > 0 {
		l.wakeAt(s.retryAt)
	}
	if s.spool != nil && !s.fullSince.IsZero() {
		l.wakeAt(s.fullSince.Add(s.after))
		if l.d.hurrying.Load() > 0 {
			l.wakeAt(s.fullSince.Add(s.hurriedAfter))
		}
	}
	if l.wakeTime.IsZero() {
		l.timer.Stop()
		return
	}
	l.timer.Reset(time.Until(l.wakeTime))
}

// wakeAt has the lane look again at a time, unless that is past.
func (l *lane) wakeAt(at time.Time) {
	if at.After(time.Now()) && (l.wakeTime.IsZero() || at.Before(l.wakeTime)) {
		l.wakeTime = at
	}
}

// intake returns the channels to read batches from, or nil while the lane is full.
func (l *lane) intake() (in, patient <-chan delivery) {
	// What an input that hurried has put on disk fills the lane, too, when it no longer does.
	full := l.overBudget() || l.spill.hurried && l.spill.pending()
	spills := l.spill.due(full, l.d.hurrying.Load() > 0, time.Now())
	switch {
	case l.closed || len(l.spill.tail) > 0 || full && !spills:
		return nil, nil
	case full || l.spill.pending():
		return l.in, nil
	}
	return l.in, l.patient
}

// overBudget reports whether memory holds as much as it may. There is to be room for all of the
// batch that comes next, or each lane would have a third body, with very little in it.
func (l *lane) overBudget() bool {
	budget := int(l.d.Settings.Queue) / len(l.d.lanes)
	return l.queuedBytes > 0 && l.queuedBytes+len(l.open.Bytes) >= budget-budget/8
}

// abandonAfter is how long a request may take to notice that ctx has ended. Some never do: a
// terminal that is stopped takes no write and does not return it either.
const abandonAfter = 5 * time.Second

// abandon waits for the request in flight, which ctx is ending, puts what it can on disk, and
// releases the batches that wait. What was not done stays so in the ledger. A lane that was stuck
// for long leaves all as it is: another may be at work.
func (l *lane) abandon() {
	if l.late {
		return
	}
	if l.inFlight != nil {
		select {
		case result := <-l.request.results:
			if result.stored == nil && isFinal(result.err) {
				l.onResult(result)
			}
		case <-time.After(abandonAfter):
			l.d.Log.Warn("a delivery does not end and is abandoned; its records are read again next time",
				"records", len(l.inFlight.Items))
		}
	}
	l.spillRest()
	for {
		select {
		case dl, ok := <-l.in:
			if !ok {
				return
			}
			dl.batch.Release()
		default:
			return
		}
	}
}

// isFinal reports whether an answer is the last word on some records.
func isFinal(err error) bool {
	var answer *pipeline.SendError
	return err == nil || errors.As(err, &answer) && (answer.Items != nil || answer.Outcome == pipeline.Reject)
}

// splitLast begins another body with the last item, by which the open one became too large.
func (l *lane) splitLast() {
	b, next := l.open, l.d.bodies.get()
	next.Uncertain = b.Uncertain
	run, last := b.Runs[len(b.Runs)-1], len(b.Items)-1
	at := b.Items[last].Pos
	next.appendItem(b, last)
	next.Runs = append(next.Runs, Run{Source: run.Source, Track: run.Track, From: at, To: at})
	b.removeLast()
	l.endRun(at)
	l.enqueue(b)
	l.open = next
}

// seal puts the open body into the queue.
func (l *lane) seal() {
	l.enqueue(l.open)
	l.open = NewBody()
}

func (l *lane) push(b *Body) {
	l.queue = append(l.queue, b)
	l.account(len(b.Bytes))
}

// pushFront puts bodies before all others, in their order. Empty ones go back to the pool.
func (l *lane) pushFront(bodies ...*Body) {
	bodies = slices.DeleteFunc(bodies, func(b *Body) bool {
		empty := len(b.Items) == 0
		if empty {
			l.d.bodies.put(b)
		}
		return empty
	})
	l.queue = append(append([]*Body(nil), bodies...), l.queue...)
	for _, b := range bodies {
		l.account(len(b.Bytes))
	}
}

func (l *lane) account(bytes int) {
	l.queuedBytes += bytes
	l.d.metrics.queued.Add(int64(bytes))
}

// send starts the next request if there is something to send, it is time, and the limiter allows
// it. If not yet, the lane wakes up then.
func (l *lane) send(ctx context.Context) {
	if len(l.spill.tail) > 0 {
		l.spillTail()
	}
	if l.inFlight != nil {
		return
	}
	l.refill()
	if !l.ready() {
		l.permit.release()
		return
	}
	asks := l.d.reconciles(l.next())
	if asks {
		l.permit.release() // questions are reads, and a lane asks one at a time: they are not limited
	} else if !l.permit.acquire() {
		return
	}
	if len(l.queue) == 0 {
		l.push(l.open)
		l.open = NewBody()
	}
	l.inFlight = l.queue[0]
	l.queue = append(l.queue[:0], l.queue[1:]...)
	l.attemptAt = time.Now()
	l.d.tryingSince.CompareAndSwap(0, l.attemptAt.UnixNano())
	var sample probe
	if !asks {
		sample = l.takeProbe(l.inFlight)
	}
	l.request = l.newRequest(ctx, asks, sample)
	go l.request.run()
}

// ready reports whether to send now. If it is not yet time, the timer fires then.
func (l *lane) ready() bool {
	full := len(l.queue) > 0
	if !full && (len(l.open.Items) == 0 || l.spill.pending()) {
		l.wakeAt(l.pauseUntil)
		return false
	}
	delay := l.delay(full)
	if delay > 0 {
		l.wakeAt(time.Now().Add(delay))
	}
	return delay <= 0
}

// next returns the body that is to be sent next.
func (l *lane) next() *Body {
	if len(l.queue) > 0 {
		return l.queue[0]
	}
	return l.open
}

// delay returns how long to wait with the next request: through the pause after a failure, and,
// with a body that is not full, for the linger time and for what an input has at hand.
func (l *lane) delay(full bool) time.Duration {
	now := time.Now()
	delay := l.pauseUntil.Sub(now)
	if l.d.reconciles(l.next()) {
		delay = max(delay, l.started.Add(reconcileDelay).Sub(now))
	}
	if !full && !l.closed {
		lingerUntil := l.attemptAt.Add(time.Duration(l.d.Settings.Batch.Linger))
		delay = max(delay, lingerUntil.Sub(now), l.gatherUntil.Sub(now), l.rideUntil.Sub(now), l.grows(now))
	}
	return delay
}

// goneTick is how often a body that grows is looked at, for sources that are gone.
const goneTick = time.Second

// grows returns for how long the open body is to grow.
func (l *lane) grows(now time.Time) time.Duration {
	limits := &l.d.limits
	if limits.Age == 0 {
		return 0
	}
	left := l.openedAt.Add(limits.Age).Sub(now)
	if unsafe := l.openedAt.Add(limits.UnsafeAge).Sub(now); unsafe < left {
		if l.open.isGone() {
			return unsafe
		}
		l.wakeAt(now.Add(max(goneTick, unsafe)))
	}
	return left
}
