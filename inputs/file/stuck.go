package file

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/longshore/longshore/pipeline"
)

const stuckReview = 10 * time.Second

// A stopwatch says since when its owner, one goroutine, has been asking the file system: one of the
// network may hang, and whoever asks it something with it.
type stopwatch struct {
	pipeline.Stopwatch
	path atomic.Pointer[string]
}

func (s *stopwatch) begin(path string) {
	s.path.Store(&path)
	s.Begin()
}

// stuck returns an error that says what has not returned for long, or nil.
func (s *stopwatch) stuck(now time.Time) error {
	if !s.IsStuck(now) {
		return nil
	}
	return fmt.Errorf("%s has not answered since %s: its file system may be away or overloaded; what waits for it is "+
		"read when it answers", *s.path.Load(), s.Since().UTC().Format(time.RFC3339))
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
