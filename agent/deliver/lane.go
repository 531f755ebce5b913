package deliver

import (
	"context"
	"errors"
	"time"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

type delivery struct {
	batch *Shared
	track Track
}

// A lane is one line of bodies to the destination: at most one is in flight,
// while the next one grows. One goroutine owns all of it.
type lane struct {
	d       *Deliverer
	in      chan delivery
	encoder pipeline.Encoder

	growing *Body   // without memory of its own until there is something to put into it
	queue   []*Body // to be sent, oldest first
	queued  int     // bytes in queue

	flying  *Body
	results chan landing
	place   *place    // at the gate
	began   time.Time // of the lane
	started time.Time // of the last request
	doubted bool      // its answer was one that came late, to a question
	pause   time.Time // no request before this
	more    time.Time // until then, what an input has at hand is waited for
	retry   backoff
	timer   *time.Timer
	wake    time.Time // when to look again; zero: when something happens
	closed  bool      // no more comes in
	spill   spill

	taken map[*event.Source]bool // what the filter says of a source
}

func newLane(d *Deliverer) *lane {
	l := &lane{
		d: d, in: make(chan delivery), encoder: d.Output.Encoder(),
		results: make(chan landing, 1), retry: backoff{settings: d.Settings.Retry}, place: d.gate.place(),
		taken: map[*event.Source]bool{}, growing: NewBody(),
	}
	return l
}

// run works until all is done after in was closed, or until ctx ends.
func (l *lane) run(ctx context.Context) {
	l.timer, l.began = time.NewTimer(time.Hour), time.Now()
	defer l.timer.Stop()
	for {
		l.wake = time.Time{}
		l.send(ctx)
		if l.closed && l.idle() {
			return
		}
		from := l.accept()
		l.arm()
		select {
		case dl, ok := <-from:
			if !ok {
				l.closed = true
				l.hurry()
				continue
			}
			if !l.encode(ctx, dl) {
				l.abandon()
				return
			}
		case answer := <-l.results:
			l.landed(answer)
		case <-l.place.turn:
		case <-l.timer.C:
		case <-ctx.Done():
			l.abandon()
			return
		}
	}
}

// hurry cuts the pause after a failure: there may be little time left, and the
// destination may be back.
func (l *lane) hurry() {
	if soon := time.Now().Add(settleTime); l.pause.After(soon) {
		l.pause = soon
	}
}

func (l *lane) idle() bool {
	return l.flying == nil && len(l.queue) == 0 && len(l.growing.Items) == 0 && !l.spill.holds()
}

// arm sets the timer for the next thing that time brings.
func (l *lane) arm() {
	if len(l.spill.tail) > 0 {
		l.wakeAt(l.spill.retry)
	}
	if s := &l.spill; s.spool != nil && !s.since.IsZero() {
		l.wakeAt(s.since.Add(s.patience))
	}
	if l.wake.IsZero() {
		l.timer.Stop()
		return
	}
	l.timer.Reset(time.Until(l.wake))
}

// wakeAt asks for a turn at a time; one that is past brings nothing any more.
func (l *lane) wakeAt(at time.Time) {
	if at.After(time.Now()) && (l.wake.IsZero() || at.Before(l.wake)) {
		l.wake = at
	}
}

// accept gives the channel to read batches from, or nil while the lane has as
// much as it may hold.
func (l *lane) accept() <-chan delivery {
	crowded := l.crowded()
	spill := l.spill.wanted(crowded, time.Now())
	if l.closed || len(l.spill.tail) > 0 || crowded && !spill {
		return nil
	}
	return l.in
}

// crowded says whether memory holds as much as it may. There is to be room for all of the batch that
// is taken next, or each lane would have a third body, with very little in it.
func (l *lane) crowded() bool {
	budget := int(l.d.Settings.Queue) / len(l.d.lanes)
	return l.queued > 0 && l.queued+len(l.growing.Bytes) >= budget-budget/8
}

// abandonAfter is how long a request may take to notice that ctx has ended. Not
// every one can: a terminal that is held takes no write and gives none back.
const abandonAfter = 5 * time.Second

// abandon waits for the request in flight, which ctx is ending, and lets go of
// the batches that wait. What was not done stays so in the ledger.
func (l *lane) abandon() {
	if l.flying != nil {
		select {
		case answer := <-l.results:
			if answer.stored == nil && settles(answer.err) {
				l.landed(answer)
			}
		case <-time.After(abandonAfter):
			l.d.Log.Warn("a delivery does not end and is left behind; its records are read again next time", "records", len(l.flying.Items))
		}
	}
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

// settles says whether an answer is the last word on some records.
func settles(err error) bool {
	var answer *pipeline.SendError
	return err == nil || errors.As(err, &answer) && (answer.Items != nil || answer.Outcome == pipeline.Reject)
}

// setApart begins another body with the last item, by which the growing one
// became too large.
func (l *lane) setApart() {
	b, next := l.growing, l.d.spares.get()
	next.Uncertain = b.Uncertain
	run, last := b.Runs[len(b.Runs)-1], len(b.Items)-1
	at := b.Items[last].Pos
	appendItem(next, b, last)
	next.Runs = append(next.Runs, Run{Source: run.Source, Track: run.Track, From: at, To: at})
	l.takeLast()
	l.endRun(at)
	l.add(b)
	l.growing = next
}

// seal puts the growing body into the queue.
func (l *lane) seal() {
	l.add(l.growing)
	l.growing = NewBody()
}

func (l *lane) push(b *Body) {
	l.queue = append(l.queue, b)
	l.weigh(len(b.Bytes))
}

// pushFront puts bodies before all others, in their order.
func (l *lane) pushFront(bodies ...*Body) {
	l.queue = append(append([]*Body(nil), bodies...), l.queue...)
	for _, b := range bodies {
		l.weigh(len(b.Bytes))
	}
}

func (l *lane) weigh(bytes int) {
	l.queued += bytes
	l.d.metrics.queued.Add(int64(bytes))
}

// send starts the next request if there is something to send, now is the time
// for it and the destination takes one more; if not yet, the lane wakes up then.
func (l *lane) send(ctx context.Context) {
	if len(l.spill.tail) > 0 {
		l.spillTail()
	}
	if l.flying != nil {
		return
	}
	l.refill()
	if !l.due() {
		l.place.leave()
		return
	}
	if l.d.asks(l.next()) {
		l.place.leave() // a question is not held against what it takes
	} else if !l.place.enter() {
		return
	}
	if len(l.queue) == 0 {
		l.push(l.growing)
		l.growing = NewBody()
	}
	l.flying = l.queue[0]
	l.queue = append(l.queue[:0], l.queue[1:]...)
	l.started = time.Now()
	go l.request(ctx, l.flying)
}

// request makes a try at a body, and gives up its place as soon as it has the
// answer: the lane may be held up elsewhere.
func (l *lane) request(ctx context.Context, b *Body) {
	got := l.d.try(ctx, b)
	l.place.exit(verdictOf(got.err))
	l.results <- got
}

// due says whether there is something to send by now; if it is not yet the time
// for it, the timer rings then.
func (l *lane) due() bool {
	full := len(l.queue) > 0
	if !full && (len(l.growing.Items) == 0 || l.spill.holds()) {
		l.wakeAt(l.pause)
		return false
	}
	wait := l.wait(full)
	if wait > 0 {
		l.wakeAt(time.Now().Add(wait))
	}
	return wait <= 0
}

// next gives the body that is to be sent next.
func (l *lane) next() *Body {
	if len(l.queue) > 0 {
		return l.queue[0]
	}
	return l.growing
}

// wait says how long to wait with the next request: through the pause after a
// failure, and, with a body that is not full, for the linger time since the last request and for what is
// to come at once.
func (l *lane) wait(full bool) time.Duration {
	now := time.Now()
	wait := l.pause.Sub(now)
	if l.d.asks(l.next()) {
		wait = max(wait, l.began.Add(settleTime).Sub(now))
	}
	if !full && !l.closed {
		wait = max(wait, l.started.Add(time.Duration(l.d.Settings.Batch.Linger)).Sub(now), l.more.Sub(now))
	}
	return wait
}
