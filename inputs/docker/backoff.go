package docker

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	firstPause = 100 * time.Millisecond
	longPause  = 30 * time.Second
)

// A backoff pauses between attempts: doubling, with jitter, so that the
// containers of an engine that comes back do not ask all at once.
type backoff struct{ next time.Duration }

func (b *backoff) reset() { b.next = 0 }

// pause waits, or until ctx ends or something comes of early.
func (b *backoff) wait(ctx context.Context, early <-chan struct{}) {
	b.next = min(max(2*b.next, firstPause), longPause)
	timer := time.NewTimer(b.next/2 + rand.N(b.next/2))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-early:
	case <-ctx.Done():
	}
}
