package docker

import (
	"context"
	"math/bits"
	"sync"
	"time"
)

const (
	// tick is how far apart beats are at the least.
	tickInterval = 25 * time.Millisecond

	// spans is how many lengths there are of a wait: 1, 2, 4 … ticks. The longest for who has something to read
	// is commonSpan, which is also the window in which waits are counted.
	intervals   = 5
	maxInterval = 8

	// manyWaits in a window make all wait twice as long, fewWaits half as long. Twice as few must be less than
	// many, or this would never settle.
	manyWaits = 200
	fewWaits  = 50
)

// A beat has those who follow busy logs wake in the same instants, as to be woken for a line costs more than
// the line; and the rarer the more they are. Who waits for a number of ticks waits for
// the next multiple of it, so that those who wake often and seldom wake together.
type ticker struct {
	start time.Time // of tick 0

	mu       sync.Mutex
	wakeups  [intervals]wakeup // by the logarithm of what is waited for
	timer    *time.Timer
	next     int64 // when it fires; 0: it does not
	interval int   // ticks, for who has little to read
	window   int64 // in which waits are counted
	waits    int
}

// An instant is when some wake.
type wakeup struct {
	tick    int64         // tick
	reached chan struct{} // closed then; nil if nobody waits
}

func newTicker() *ticker { return &ticker{start: time.Now(), interval: 1} }

// now counts ticks.
func (b *ticker) now() int64 { return int64(time.Since(b.start) / tickInterval) }

// span gives how many ticks somebody waits who has little to read: from 1, where few are busy, to
// commonSpan.
func (b *ticker) pollInterval() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.interval
}

// wait returns at the next multiple of span ticks, a power of two, or when ctx ends.
func (b *ticker) wait(ctx context.Context, ticks int) {
	select {
	case <-b.after(ticks):
	case <-ctx.Done():
	}
}

// join gives what is closed at the next multiple of span ticks.
func (b *ticker) after(ticks int) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	b.countWait(now)
	i := bits.TrailingZeros(uint(ticks))
	s := &b.wakeups[i]
	if s.reached == nil {
		*s = wakeup{(now>>i + 1) << i, make(chan struct{})}
		b.setTimer(s.tick)
	}
	return s.reached
}

// count counts a wait, and adapts what is common to those of the window before.
func (b *ticker) countWait(now int64) {
	window := now / maxInterval
	if window != b.window {
		if window > b.window+1 {
			b.waits = 0
		}
		switch {
		case b.waits > manyWaits:
			b.interval = min(2*b.interval, maxInterval)
		case b.waits < fewWaits:
			b.interval = max(b.interval/2, 1)
		}
		b.window, b.waits = window, 0
	}
	b.waits++
}

// set has the timer fire at a tick, if it does not before.
func (b *ticker) setTimer(at int64) {
	if b.next != 0 && b.next <= at {
		return
	}
	b.next = at
	d := time.Until(b.start.Add(time.Duration(at) * tickInterval))
	if b.timer == nil {
		b.timer = time.AfterFunc(d, b.fire)
		return
	}
	b.timer.Reset(d)
}

// fire wakes those whose time has come.
func (b *ticker) fire() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.next = 0
	now := b.now()
	for i := range b.wakeups {
		s := &b.wakeups[i]
		switch {
		case s.reached == nil:
		case s.tick <= now:
			close(s.reached)
			s.reached = nil
		default:
			b.setTimer(s.tick)
		}
	}
}

// stop ends the timer, when nobody waits any more.
func (b *ticker) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.timer != nil {
		b.timer.Stop()
	}
}

const (
	// dryRead is what a read gives at least as long as there is more: the HTTP client's buffer of 4 KiB, without what
	// comes around the lines.
	shortRead = 2 << 10

	// lookBytes is how much may come of a log in one wait. A socket holds some 170 lines, however short, and
	// the engine waits for who does not read them.
	maxWaitBytes = 8 << 10
)

// A pacer has one follower read its stream in the beat, unless that is a flood. The zero value does
// not pace.
type pacer struct {
	ticker *ticker
	ticks  int   // what was last waited for; 0: nothing
	since  int64 // when that was, tick
	read   int   // bytes since then
}

func newPacer(b *ticker) pacer { return pacer{ticker: b, ticks: 1} }

// after tells how many ticks to wait after n bytes were read, where there was room for more; 0 if
// there may be something at hand, or too much comes.
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
		return 0 // how much comes in a tick is not yet known
	}
	perTick := p.read / max(p.ticks, 1)
	p.ticks, p.since, p.read = p.ticker.pollInterval(), now, 0
	for p.ticks > 0 && perTick*p.ticks > maxWaitBytes {
		p.ticks /= 2
	}
	return p.ticks
}
