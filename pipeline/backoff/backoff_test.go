package backoff

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"
)

func TestSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		early := make(chan struct{}, 1)
		early <- struct{}{}
		began := time.Now()
		for _, test := range []struct {
			early <-chan struct{}
			d     time.Duration
			until time.Duration
			err   error
		}{{nil, time.Second, time.Second, nil}, {early, time.Hour, time.Second, nil},
			{nil, time.Hour, time.Minute, context.DeadlineExceeded}} {
			err := Sleep(ctx, test.d, test.early)
			if got := time.Since(began); got != test.until || err != test.err {
				t.Errorf("it lasted until %v, and the error is %v; want %v and %v", got, err, test.until, test.err)
			}
		}
	})
}

func TestNext(t *testing.T) {
	var b Failures
	for round := range 2 {
		for n, whole := range []time.Duration{100, 200, 400, 800, 1000, 1000} {
			if got := b.Next(100, 1000); got < whole/2 || got > whole {
				t.Errorf("round %d, pause %d: %d, want %d to %d", round, n, got, whole/2, whole)
			}
		}
		b.Reset()
	}
	for _, longest := range []time.Duration{0, 1, math.MaxInt64 / 4} {
		for range 200 {
			if got := b.Next(time.Hour, longest); got < 0 || got > longest {
				t.Fatalf("pause of %v, and the longest is %v", got, longest)
			}
		}
	}
}
