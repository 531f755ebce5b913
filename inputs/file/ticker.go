package file

import (
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// tickInterval is how long a file that is written to all the time is left alone between two
	// reads, so that it costs the same whether a line is written in that time or a thousand. A
	// file that was quiet is read at once.
	tickInterval = 75 * time.Millisecond
	// pauseTicks is for how many ticks notifications are left with the system when they bring no
	// news: it merges those of one file.
	pauseTicks = 2
	// resumeFor is how long they are then received whatever they say, enough for a thousand.
	resumeFor = 2 * time.Millisecond
	// In one of freeTickEvery ticks they are never paused: however busy Longshore is, no more of
	// them queue up than come in that time.
	freeTickEvery = 32
)

// ticks are counted from a start. What has to wait waits for one, so that one wake-up serves all.
type ticks struct{ start time.Time }

// now returns the time since the start.
func (t ticks) now() time.Duration { return time.Since(t.start) }

// nextTick returns the first tick after a time since the start.
func nextTick(at time.Duration) time.Duration { return at - at%tickInterval + tickInterval }

// isFreeTick reports whether a time is in a tick in which notifications are not paused.
func isFreeTick(at time.Duration) bool { return at/tickInterval%freeTickEvery == 0 }

// A throttle pauses a channel of notifications for some ticks when they bring no news.
type throttle struct {
	source    <-chan fsnotify.Event
	ticks     ticks
	resumedAt time.Duration
	paused    bool
	timer     *time.Timer
}

func newThrottle(source <-chan fsnotify.Event, t ticks) *throttle {
	return &throttle{source: source, ticks: t, timer: stoppedTimer()}
}

// channel returns nil while notifications are paused.
func (t *throttle) channel() <-chan fsnotify.Event {
	if t.paused {
		return nil
	}
	return t.source
}

// resumeAfter fires when it is time to call resume.
func (t *throttle) resumeAfter() <-chan time.Time { return t.timer.C }

func (t *throttle) resume() { t.paused, t.resumedAt = false, t.ticks.now() }

// note is called with whether a notification brought news.
func (t *throttle) note(news bool) {
	now := t.ticks.now()
	if news || now-t.resumedAt < resumeFor || isFreeTick(now) {
		return
	}
	t.paused = true
	t.timer.Reset(nextTick(now) - now + (pauseTicks-1)*tickInterval)
}

func (t *throttle) stop() { t.timer.Stop() }
