package deliver

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

type delivery struct {
	batch *Shared
	track pipeline.Track
}

// A lane is one line of bodies to the destination: at most one is in flight,
// while the next one grows. One goroutine owns all of it.
type lane struct {
	d       *Deliverer
	in      chan delivery
	encoder pipeline.Encoder

	growing *pipeline.Body
	queue   []*pipeline.Body // to be sent, oldest first
	queued  int              // bytes in queue
	spare   []*pipeline.Body

	flying  *pipeline.Body
	results chan landing
	began   time.Time // of the lane
	started time.Time // of the last request
	pause   time.Time // no request before this
	retry   backoff
	timer   *time.Timer
	wake    time.Time // when to look again; zero: when something happens
	closed  bool      // no more comes in
	spill   spill

	taken map[*event.Source]bool // what the filter says of a source
}

// spareBodies are kept for reuse; more are left to the garbage collector.
const spareBodies = 2

func newLane(d *Deliverer) *lane {
	l := &lane{
		d: d, in: make(chan delivery, 1), encoder: d.Output.Encoder(),
		results: make(chan landing, 1), retry: backoff{settings: d.Settings.Retry},
		taken: map[*event.Source]bool{},
	}
	l.growing = l.body()
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

// crowded says whether memory holds as much as it may.
func (l *lane) crowded() bool {
	budget := int(l.d.Settings.Queue) / len(l.d.lanes)
	return l.queued > 0 && l.queued+len(l.growing.Bytes) >= budget
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
	return err == nil || errors.As(err, &answer) && (answer.Items != nil || answer.Outcome == pipeline.Refuse)
}

func (l *lane) body() *pipeline.Body {
	if n := len(l.spare); n > 0 {
		b := l.spare[n-1]
		l.spare = l.spare[:n-1]
		return b
	}
	return &pipeline.Body{}
}

func (l *lane) recycle(b *pipeline.Body) {
	if len(l.spare) >= spareBodies || cap(b.Bytes) > 2*l.d.limits.Bytes {
		return
	}
	b.Reset()
	l.spare = append(l.spare, b)
}

// encode puts a batch's records into the growing body, and begins another
// whenever that is full. false means that ctx ended before it was done.
func (l *lane) encode(ctx context.Context, dl delivery) bool {
	b := dl.batch.Batch
	defer dl.batch.Release()
	whole := l.takesSource(b.Source)
	l.startRun(b.Source, dl.track, b.From)
	for i := range b.Records {
		r := &b.Records[i]
		if !whole || r.Flags&event.Dropped != 0 || !l.d.filter.takes(r) {
			l.d.metrics.end(l.d.metrics.filtered, 1)
			continue
		}
		if dl.track.Skip(r.Pos) {
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
func (l *lane) startRun(src *event.Source, track pipeline.Track, from uint64) {
	b := l.growing
	if n := len(b.Runs); n > 0 && b.Runs[n-1].Track == track && b.Runs[n-1].To == from {
		return
	}
	b.Runs = append(b.Runs, pipeline.Run{Source: src, Track: track, First: len(b.Items), From: from, To: from})
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
	group, err := l.encoder.Encode(body, b, i)
	if err != nil {
		body.Bytes = append(body.Bytes[:start], b.Line(i)...)
	}
	body.Items = append(body.Items, pipeline.Item{Pos: b.Records[i].Pos, End: uint32(len(body.Bytes)), Group: group})
	return err == nil || l.refuseUnencoded(ctx, err)
}

// refuseUnencoded makes a letter of the growing body's last item, whose bytes
// are the raw line, and takes it out again. Where the letter cannot be kept,
// everything waits until it can; false means that ctx ended first.
func (l *lane) refuseUnencoded(ctx context.Context, cause error) bool {
	letter := newLetter(l.d.Name, l.growing, len(l.growing.Items)-1, 0, cause.Error(), l.growing.Item(len(l.growing.Items)-1))
	letter.Encoded = nil // there is nothing to send again
	l.takeLast()
	for failed := false; ; failed = true {
		err := l.d.Letters.Write([]Letter{letter})
		if err == nil {
			l.d.metrics.end(l.d.metrics.refused, 1)
			l.refused(1, &letter)
			if failed {
				l.retry.reset()
				l.d.trouble.worked(l)
			}
			return true
		}
		answer := &pipeline.SendError{Outcome: pipeline.Hold, Reason: fmt.Sprintf("keeping a record that cannot be encoded: %v", err), Err: err}
		pause := l.retry.next(answer)
		l.d.trouble.failed(l, answer, pause)
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

// setApart begins another body with the last item, by which the growing one
// became too large.
func (l *lane) setApart() {
	b, next := l.growing, l.body()
	next.Uncertain = b.Uncertain
	run, last := b.Runs[len(b.Runs)-1], len(b.Items)-1
	at := b.Items[last].Pos
	appendItem(next, b, last)
	next.Runs = append(next.Runs, pipeline.Run{Source: run.Source, Track: run.Track, From: at, To: at})
	l.takeLast()
	l.endRun(at)
	l.add(b)
	l.growing = next
}

// seal puts the growing body into the queue.
func (l *lane) seal() {
	l.add(l.growing)
	l.growing = l.body()
}

func (l *lane) push(b *pipeline.Body) {
	l.queue = append(l.queue, b)
	l.weigh(len(b.Bytes))
}

// pushFront puts bodies before all others, in their order.
func (l *lane) pushFront(bodies ...*pipeline.Body) {
	l.queue = append(append([]*pipeline.Body(nil), bodies...), l.queue...)
	for _, b := range bodies {
		l.weigh(len(b.Bytes))
	}
}

func (l *lane) weigh(bytes int) {
	l.queued += bytes
	l.d.metrics.queued.Add(int64(bytes))
}

// send starts the next request if there is something to send and now is the
// time for it; if it is not yet, the timer rings then.
func (l *lane) send(ctx context.Context) {
	if len(l.spill.tail) > 0 {
		l.spillTail()
	}
	if l.flying != nil {
		return
	}
	l.refill()
	full := len(l.queue) > 0
	if !full && (len(l.growing.Items) == 0 || l.spill.holds()) {
		l.wakeAt(l.pause)
		return
	}
	if wait := l.wait(full); wait > 0 {
		l.wakeAt(time.Now().Add(wait))
		return
	}
	if !full {
		l.push(l.growing)
		l.growing = l.body()
	}
	l.flying = l.queue[0]
	l.queue = append(l.queue[:0], l.queue[1:]...)
	l.started = time.Now()
	go func(b *pipeline.Body) { l.results <- l.d.try(ctx, b) }(l.flying)
}

// next gives the body that is to be sent next.
func (l *lane) next() *pipeline.Body {
	if len(l.queue) > 0 {
		return l.queue[0]
	}
	return l.growing
}

// wait says how long to wait with the next request: through the pause after a
// failure, and, with a body that is not full, for the linger time since the last request.
func (l *lane) wait(full bool) time.Duration {
	now := time.Now()
	wait := l.pause.Sub(now)
	if l.next().Uncertain && l.d.reconciler != nil {
		wait = max(wait, l.began.Add(settleTime).Sub(now))
	}
	if !full && !l.closed {
		wait = max(wait, l.started.Add(time.Duration(l.d.Settings.Batch.Linger)).Sub(now))
	}
	return wait
}

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

func (l *lane) delivered(b *pipeline.Body) {
	l.d.metrics.end(l.d.metrics.delivered, len(b.Items))
	finish(b)
	l.recycle(b)
	l.well()
}

func (l *lane) well() {
	l.retry.reset()
	l.pause = time.Time{}
	l.d.trouble.worked(l)
}

func (l *lane) failedWhole(b *pipeline.Body, answer *pipeline.SendError) {
	switch answer.Outcome {
	case pipeline.Split, pipeline.Bisect:
		if len(b.Items) > 1 {
			l.halve(b)
			return
		}
		l.refuseWhole(b, answer)
	case pipeline.Refuse:
		l.refuseWhole(b, answer)
	default:
		l.again(b, answer)
	}
}

// again puts a body back to the front, for another try after a pause.
func (l *lane) again(b *pipeline.Body, answer *pipeline.SendError) {
	l.d.metrics.retried.Add(uint64(len(b.Items)))
	pause := l.retry.next(answer)
	if b.Uncertain && l.d.reconciler != nil {
		pause = max(pause, settleTime)
	}
	l.pause = time.Now().Add(pause)
	l.d.trouble.failed(l, answer, pause)
	l.pushFront(b)
}

func (l *lane) halve(b *pipeline.Body) {
	half := len(b.Items) / 2
	first, second := l.body(), l.body()
	pick(first, b, func(i int) bool { return i < half }, false)
	pick(second, b, func(i int) bool { return i >= half }, false)
	finishEmpty(b)
	l.pushFront(first, second)
	l.recycle(b)
}

// refuseWhole makes dead letters of all items of a body.
func (l *lane) refuseWhole(b *pipeline.Body, answer *pipeline.SendError) {
	items := make([]pipeline.ItemError, len(b.Items))
	for i := range items {
		items[i] = pipeline.ItemError{Index: i, Outcome: pipeline.Refuse, Status: answer.Status, Reason: answer.Reason}
	}
	l.sortOut(b, &pipeline.SendError{Items: items, Status: answer.Status, Reason: answer.Reason})
}

// sortOut deals with an answer item by item: dead letters are kept, what is
// to be sent again makes a new body, and all else is delivered.
func (l *lane) sortOut(b *pipeline.Body, answer *pipeline.SendError) {
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
	rest := l.body()
	pick(rest, b, func(i int) bool { return again[i] }, true)
	l.recycle(b)
	if len(rest.Items) == 0 {
		l.recycle(rest)
		l.well()
		return
	}
	l.again(rest, answer)
}

// sortItems parts an answer's items in two, and makes the answer's outcome the
// most severe of those to be sent again.
func sortItems(b *pipeline.Body, answer *pipeline.SendError) (refused []pipeline.ItemError, again map[int]bool) {
	again = map[int]bool{}
	named := map[int]bool{}
	for _, item := range answer.Items {
		if named[item.Index] {
			continue // its first outcome counts
		}
		named[item.Index] = true
		switch {
		case item.Index < 0 || item.Index >= len(b.Items):
		case item.Outcome == pipeline.Refuse:
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

func (l *lane) letters(b *pipeline.Body, refused []pipeline.ItemError) error {
	if len(refused) == 0 {
		return nil
	}
	letters := make([]Letter, 0, len(refused))
	for _, item := range refused {
		letters = append(letters, newLetter(l.d.Name, b, item.Index, item.Status, item.Reason, l.d.Output.Original(b, item.Index)))
	}
	if err := l.d.Letters.Write(letters); err != nil {
		return fmt.Errorf("keeping %d refused records: %w", len(letters), err)
	}
	l.refused(len(letters), &letters[0])
	return nil
}

func (l *lane) refused(n int, first *Letter) {
	l.d.refusals.warn(n, "the destination refused records; they are kept as dead letters",
		"reason", first.Reason, "source", first.Key, "position", first.Position)
}

// backoff doubles a pause from one failure to the next.
type backoff struct {
	settings pipeline.RetrySettings
	failures int
}

func (b *backoff) reset() { b.failures = 0 }

// next gives the pause before the next try: what the destination asked for, or
// a random time between half and all of the doubled pause. Where we are
// refused, it is the longest pause at once.
func (b *backoff) next(answer *pipeline.SendError) time.Duration {
	if answer.RetryAfter > 0 {
		return answer.RetryAfter
	}
	longest := time.Duration(b.settings.Max)
	pause := longest
	if answer.Outcome != pipeline.Hold && b.failures < 30 {
		pause = min(time.Duration(b.settings.Initial)<<b.failures, longest)
	}
	b.failures++
	if pause < 2 {
		return pause
	}
	return pause/2 + rand.N(pause/2)
}
