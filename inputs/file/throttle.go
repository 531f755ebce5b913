package file

import (
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// beat is how long a file that is written to all the time is left alone between
	// two looks, so that it costs the same whether a line is written in that time or
	// a thousand. A file that was quiet does not wait for a beat.
	beat = 75 * time.Millisecond
	// heldFor is how many beats the system's notices are left with it, once they bring no
	// news: it merges those of one file.
	heldFor = 2
	// openFor is how long they are taken then whatever they say, enough for a thousand.
	openFor = 2 * time.Millisecond
	// breath is how many beats come to one in which they are not held back: however busy
	// we are, no more of them pile up than come in that time.
	breath = 32
)

// beats are counted from a start. What has to wait waits for one, so that we wake up once
// for all of it.
type beats struct{ start time.Time }

// now gives the time since the start.
func (b beats) now() time.Duration { return time.Since(b.start) }

// next gives the first beat after a time since the start.
func next(at time.Duration) time.Duration { return at - at%beat + beat }

// isBreath tells whether a time is in a beat in which notices are not held back.
func isBreath(at time.Duration) bool { return at/beat%breath == 0 }

// throttle holds back a channel of notices for some beats when they bring no news.
type throttle struct {
	source <-chan fsnotify.Event
	beats  beats
	opened time.Duration
	held   bool
	timer  *time.Timer
}

func newThrottle(source <-chan fsnotify.Event, b beats) *throttle {
	return &throttle{source: source, beats: b, timer: stoppedTimer()}
}

// channel is nil while notices are held back.
func (t *throttle) channel() <-chan fsnotify.Event {
	if t.held {
		return nil
	}
	return t.source
}

// over fires when notices were held back for long enough: call open.
func (t *throttle) over() <-chan time.Time { return t.timer.C }

func (t *throttle) open() { t.held, t.opened = false, t.beats.now() }

// note is told whether a notice brought news.
func (t *throttle) note(news bool) {
	now := t.beats.now()
	if news || now-t.opened < openFor || isBreath(now) {
		return
	}
	t.held = true
	t.timer.Reset(next(now) - now + (heldFor-1)*beat)
}

func (t *throttle) stop() { t.timer.Stop() }
