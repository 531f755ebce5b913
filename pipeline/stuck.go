package pipeline

import (
	"sync/atomic"
	"time"
)

// StuckAfter is how long what has to end soon may take.
const StuckAfter = time.Minute

// A Supervised is an Input that notices where it is stuck. Then all that is connected with it is
// started anew, from what is on disk, and what ignores its end is left behind.
type Supervised interface {
	// Stuck reports whether one of the input's goroutines has been at something for StuckAfter that
	// has to end soon. The methods of a Feed need not, nor what waits for the outside world: a file
	// system that hangs, for one, would hang again. It is called every few seconds while Run runs,
	// and takes no lock that what is stuck may hold.
	Stuck(now time.Time) bool
}

// A Stopwatch says since when its owner, one goroutine at a time, has been at something. Any
// goroutine may read it. The zero value is stopped.
type Stopwatch struct{ since atomic.Int64 } // in Unix nanoseconds; 0: stopped

// Begin starts it anew.
func (s *Stopwatch) Begin() { s.since.Store(time.Now().UnixNano()) }

// End stops it, and reports whether it ran.
func (s *Stopwatch) End() (ran bool) { return s.since.Swap(0) != 0 }

// Resume starts it anew if End has said that it ran.
func (s *Stopwatch) Resume(ran bool) {
	if ran {
		s.Begin()
	}
}

// Since returns when it was started; the zero time where it is stopped.
func (s *Stopwatch) Since() time.Time {
	if since := s.since.Load(); since != 0 {
		return time.Unix(0, since)
	}
	return time.Time{}
}

// IsStuck reports whether it has run for StuckAfter.
func (s *Stopwatch) IsStuck(now time.Time) bool {
	since := s.Since()
	return !since.IsZero() && now.Sub(since) >= StuckAfter
}
