package file

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

const (
	// stuckAfter is how long looking at a folder, or reading a block of a file, may take: a file
	// system of the network may hang, and whoever asks it something with it.
	stuckAfter  = time.Minute
	stuckReview = 10 * time.Second
)

// A stopwatch says since when its owner, one goroutine, has been asking the file system.
type stopwatch struct {
	since atomic.Int64 // in Unix nanoseconds; 0: it has not
	path  atomic.Pointer[string]
}

func (s *stopwatch) begin(path string) {
	s.path.Store(&path)
	s.goOn()
}

func (s *stopwatch) goOn() { s.since.Store(time.Now().UnixNano()) }
func (s *stopwatch) end()  { s.since.Store(0) }

// stuck returns an error that says what has not returned for long, or nil.
func (s *stopwatch) stuck(now time.Time) error {
	since := s.since.Load()
	if since == 0 {
		return nil
	}
	took := now.Sub(time.Unix(0, since))
	if took < stuckAfter {
		return nil
	}
	return fmt.Errorf("%s has not answered since %s: its file system may be away or overloaded; what waits for it is "+
		"read when it answers", *s.path.Load(), time.Unix(0, since).UTC().Format(time.RFC3339))
}

// watchStuck tells, until ctx ends, when the file system does not answer.
func (c *core) watchStuck(ctx context.Context, all []*stopwatch) {
	ticker := time.NewTicker(stuckReview)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		var first error
		for _, s := range all {
			if err := s.stuck(time.Now()); err != nil && first == nil {
				first = err
			}
		}
		c.health.setStuck(first)
	}
}
