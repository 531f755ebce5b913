// Package backoff pauses between attempts.
package backoff

import (
	"context"
	"math/rand/v2"
	"time"
)

// Sleep waits for d, or until ctx ends or something comes of early, which may be nil. The error is
// ctx's.
func Sleep(ctx context.Context, d time.Duration, early <-chan struct{}) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-early:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// Failures are those in a row.
type Failures int

// Next returns the pause after one more failure: a random time between half and all of what Doubled
// returns, so that those who failed together do not try again together.
func (f *Failures) Next(initial, longest time.Duration) time.Duration {
	pause := Doubled(initial, longest, int(*f))
	*f++
	if pause < 2 {
		return pause
	}
	return pause/2 + rand.N(pause/2)
}

// Reset notes a success.
func (f *Failures) Reset() { *f = 0 }

// Doubled returns initial, doubled a number of times, and at most longest.
func Doubled(initial, longest time.Duration, times int) time.Duration {
	for ; times > 0 && initial < longest; times-- {
		initial *= 2
	}
	return min(initial, longest)
}
