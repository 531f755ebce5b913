package probe

import (
	"time"

	"github.com/longshore/longshore/pipeline/backoff"
)

// A state is what a target is in.
type state string

const (
	up   state = "up"
	down state = "down"
)

// A target is one thing that is probed, and what is remembered of it.
type target struct {
	state    state       // "" before the first that is sure
	failures int         // in a row
	starting time.Time   // failures do not count until then, unless it was up since
	actions  []time.Time // of the window, oldest first
	tries    int         // actions since it was up last
	next     time.Time   // no action before
	limited  bool        // it was said that there are no more actions
}

// note takes a result, and reports whether the state has changed.
func (t *target) note(r result, now time.Time, retries int) (changed bool) {
	before := t.state
	switch {
	case r.unknown, r.err != nil && now.Before(t.starting):
		return false
	case r.err == nil:
		t.state, t.failures, t.tries, t.limited, t.starting = up, 0, 0, false, time.Time{}
		t.next = time.Time{}
	default:
		if t.failures++; t.failures >= retries {
			t.state = down
		}
	}
	return t.state != before
}

// A verdict says whether an action is due.
type verdict int

const (
	notYet verdict = iota
	act
	noMore // for the first time since it was up: there were as many as the window may have
)

// due decides about an action for a target that is down.
func (t *target) due(a *Action, now time.Time, retries int) verdict {
	if t.state != down || t.failures < retries || now.Before(t.next) {
		return notYet
	}
	t.expire(a, now)
	if len(t.actions) < a.Max {
		return act
	}
	if t.limited {
		return notYet
	}
	t.limited = true
	return noMore
}

// expire forgets actions from before the window.
func (t *target) expire(a *Action, now time.Time) {
	for len(t.actions) > 0 && now.Sub(t.actions[0]) >= time.Duration(a.Window) {
		t.actions = t.actions[1:]
	}
}

// acted notes an action: from then on failures count anew, and the next one waits.
func (t *target) acted(a *Action, now time.Time, startPeriod time.Duration) {
	const longest = 24 * time.Hour
	t.actions = append(t.actions, now)
	t.failures, t.starting = 0, now.Add(startPeriod)
	t.next = now.Add(backoff.Doubled(time.Duration(a.Backoff), longest, t.tries))
	t.tries++
}
