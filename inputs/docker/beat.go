package docker

import (
	"context"
	"math/bits"
	"sync"
	"time"
)

const (
	// tick is how far apart beats are at the least.
	tick = 25 * time.Millisecond

	// spans is how many lengths there are of a wait: 1, 2, 4 … ticks. The longest for who has something to read
	// is commonSpan, which is also the window in which waits are counted.
	spans      = 5
	commonSpan = 8

	// manyWaits in a window make all wait twice as long, fewWaits half as long. Twice as few must be less than
	// many, or this would never settle.
	manyWaits = 200
	fewWaits  = 50
)

// A beat has those who follow busy logs wake in the same instants, as to be woken for a line costs more than
// the line; and the rarer the more they are. Who waits for a number of ticks waits for
// the next multiple of it, so that those who wake often and seldom wake together.
type beat struct {
	start time.Time // of tick 0

	mu     sync.Mutex
	slots  [spans]instant // by the logarithm of what is waited for
	timer  *time.Timer
	next   int64 // when it fires; 0: it does not
	common int   // ticks, for who has little to read
	window int64 // in which waits are counted
	waits  int
}

// An instant is when some wake.
type instant struct {
	at    int64         // tick
	woken chan struct{} // closed then; nil if nobody waits
}

func newBeat() *beat { return &beat{start: time.Now(), common: 1} }

// now counts ticks.
func (b *beat) now() int64 { return int64(time.Since(b.start) / tick) }

// span gives how many ticks somebody waits who has little to read: from 1, where few are busy, to
// commonSpan.
func (b *beat) span() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.common
}

// wait returns at the next multiple of span ticks, a power of two, or when ctx ends.
func (b *beat) wait(ctx context.Context, span int) {
	select {
	case <-b.join(span):
	case <-ctx.Done():
	}
}

// join gives what is closed at the next multiple of span ticks.
func (b *beat) join(span int) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	b.count(now)
	i := bits.TrailingZeros(uint(span))
	s := &b.slots[i]
	if s.woken == nil {
		*s = instant{(now>>i + 1) << i, make(chan struct{})}
		b.set(s.at)
	}
	return s.woken
}

// count counts a wait, and adapts what is common to those of the window before.
func (b *beat) count(now int64) {
	window := now / commonSpan
	if window != b.window {
		if window > b.window+1 {
			b.waits = 0
		}
		switch {
		case b.waits > manyWaits:
			b.common = min(2*b.common, commonSpan)
		case b.waits < fewWaits:
			b.common = max(b.common/2, 1)
		}
		b.window, b.waits = window, 0
	}
	b.waits++
}

// set has the timer fire at a tick, if it does not before.
func (b *beat) set(at int64) {
	if b.next != 0 && b.next <= at {
		return
	}
	b.next = at
	d := time.Until(b.start.Add(time.Duration(at) * tick))
	if b.timer == nil {
		b.timer = time.AfterFunc(d, b.fire)
		return
	}
	b.timer.Reset(d)
}

// fire wakes those whose time has come.
func (b *beat) fire() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.next = 0
	now := b.now()
	for i := range b.slots {
		s := &b.slots[i]
		switch {
		case s.woken == nil:
		case s.at <= now:
			close(s.woken)
			s.woken = nil
		default:
			b.set(s.at)
		}
	}
}

// stop ends the timer, when nobody waits any more.
func (b *beat) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.timer != nil {
		b.timer.Stop()
	}
}

const (
	// dryRead is what a read gives at least as long as there is more: the HTTP client's buffer of 4 KiB, without what
	// comes around the lines.
	dryRead = 2 << 10

	// lookBytes is how much may come of a log in one wait. A socket holds some 170 lines, however short, and
	// the engine waits for who does not read them.
	lookBytes = 8 << 10
)

// A pacer has one follower read its stream in the beat, unless that is a flood. The zero value does
// not pace.
type pacer struct {
	beat  *beat
	span  int   // what was last waited for; 0: nothing
	since int64 // when that was, tick
	read  int   // bytes since then
}

func newPacer(b *beat) pacer { return pacer{beat: b, span: 1} }

// after tells how many ticks to wait after n bytes were read, where there was room for more; 0 if
// there may be something at hand, or too much comes.
func (p *pacer) after(n, room int) int {
	if p.beat == nil {
		return 0
	}
	p.read += n
	if n >= min(room, dryRead) {
		return 0
	}
	now := p.beat.now()
	if p.span == 0 && now == p.since {
		return 0 // how much comes in a tick is not yet known
	}
	perTick := p.read / max(p.span, 1)
	p.span, p.since, p.read = p.beat.span(), now, 0
	for p.span > 0 && perTick*p.span > lookBytes {
		p.span /= 2
	}
	return p.span
}
