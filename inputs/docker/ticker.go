package docker

import (
	"context"
	"math/bits"
	"sync"
	"time"
)

const (
	tickInterval = 25 * time.Millisecond

	// A wait takes 1, 2, 4 … ticks, of which there are so many. maxInterval is the longest for a
	// log that has new lines, and the window in which waits are counted.
	intervals   = 5
	maxInterval = 8

	// More than manyWaits in a window double the interval, less than fewWaits halve it. Twice
	// fewWaits must be less than manyWaits, or the interval would oscillate.
	manyWaits = 200
	fewWaits  = 50
)

// A ticker makes the followers of busy logs wake in the same instants, as waking up for a line
// costs more than the line, and the less often the more they are. A wait of n ticks ends at the
// next multiple of n, so that long and short waits end together.
type ticker struct {
	start time.Time // of tick 0

	mu       sync.Mutex
	wakeups  [intervals]wakeup // by the logarithm of the wait
	timer    *time.Timer
	next     int64 // tick at which it fires, or 0
	interval int   // ticks to wait after little output
	window   int64 // in which waits are counted
	waits    int
}

// A wakeup is when some followers wake.
type wakeup struct {
	tick    int64
	reached chan struct{} // closed then; nil if nobody waits
}

func newTicker() *ticker { return &ticker{start: time.Now(), interval: 1} }

// now returns the current tick.
func (t *ticker) now() int64 { return int64(time.Since(t.start) / tickInterval) }

// pollInterval returns how many ticks to wait after little output: 1 where few logs are busy, up to
// maxInterval.
func (t *ticker) pollInterval() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.interval
}

// wait waits for the next multiple of ticks, a power of two, or until ctx ends.
func (t *ticker) wait(ctx context.Context, ticks int) {
	select {
	case <-t.after(ticks):
	case <-ctx.Done():
	}
}

// after returns a channel that is closed at the next multiple of ticks.
func (t *ticker) after(ticks int) <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	t.countWait(now)
	i := bits.TrailingZeros(uint(ticks))
	w := &t.wakeups[i]
	if w.reached == nil {
		*w = wakeup{(now>>i + 1) << i, make(chan struct{})}
		t.setTimer(w.tick)
	}
	return w.reached
}

// countWait counts a wait, and adapts the interval to those of the previous window.
func (t *ticker) countWait(now int64) {
	window := now / maxInterval
	if window != t.window {
		if window > t.window+1 {
			t.waits = 0
		}
		switch {
		case t.waits > manyWaits:
			t.interval = min(2*t.interval, maxInterval)
		case t.waits < fewWaits:
			t.interval = max(t.interval/2, 1)
		}
		t.window, t.waits = window, 0
	}
	t.waits++
}

// setTimer makes the timer fire at a tick, or earlier.
func (t *ticker) setTimer(tick int64) {
	if t.next != 0 && t.next <= tick {
		return
	}
	t.next = tick
	d := time.Until(t.start.Add(time.Duration(tick) * tickInterval))
	if t.timer == nil {
		t.timer = time.AfterFunc(d, t.fire)
		return
	}
	t.timer.Reset(d)
}

// fire wakes the followers whose tick has come.
func (t *ticker) fire() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.next = 0
	now := t.now()
	for i := range t.wakeups {
		w := &t.wakeups[i]
		switch {
		case w.reached == nil:
		case w.tick <= now:
			close(w.reached)
			w.reached = nil
		default:
			t.setTimer(w.tick)
		}
	}
}

// stop ends the timer, when nobody waits any more.
func (t *ticker) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.timer != nil {
		t.timer.Stop()
	}
}

const (
	// A read returns at least shortRead bytes while there is more: the HTTP client's buffer of 4
	// KiB, less what frames the lines.
	shortRead = 2 << 10

	// maxWaitBytes bounds how much of a log may arrive in one wait. A socket holds some 170 lines,
	// however short, and when it is full the engine waits.
	maxWaitBytes = 8 << 10
)

// A pacer makes a follower read its stream at the ticker's ticks, unless too much arrives. The zero
// value does not.
type pacer struct {
	ticker *ticker
	ticks  int   // of the last wait
	since  int64 // tick of the last wait
	read   int   // bytes since then
}

func newPacer(t *ticker) pacer { return pacer{ticker: t, ticks: 1} }

// after returns how many ticks to wait after n bytes were read into room bytes; 0 if more may be at
// hand, or too much arrives.
func (p *pacer) after(n, room int) int {
	if p.ticker == nil {
		return 0
	}
	p.read += n
	if n >= min(room, shortRead) {
		return 0
	}
	now := p.ticker.now()
	if p.ticks == 0 && now == p.since {
		return 0 // how much arrives in a tick is not yet known
	}
	perTick := p.read / max(p.ticks, 1)
	p.ticks, p.since, p.read = p.ticker.pollInterval(), now, 0
	for p.ticks > 0 && perTick*p.ticks > maxWaitBytes {
		p.ticks /= 2
	}
	return p.ticks
}
