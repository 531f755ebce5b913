package file

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/longshore/longshore/pipeline"
)

// lossShown is how long a loss shows in the input's health.
const lossShown = 10 * time.Minute

// losses counts and tells what is known to have been in files and was never read.
type losses struct {
	log     *slog.Logger
	metrics *metrics
	health  *healthTracker

	mu    sync.Mutex
	files int
	bytes uint64
	until time.Time // when it no longer shows
}

// report tells of a file.
func (l *losses) report(key string, read, lost uint64, why string) {
	l.log.Warn("part of a file was never read: "+why, "file", key, "read", read, "missing_at_least", lost)
	l.metrics.lost.Add(float64(lost))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.files++
	l.bytes += lost
	l.until = time.Now().Add(lossShown)
	l.health.setLost(fmt.Errorf("at least %v of files were never read, as they were deleted or truncated before: "+
		"%d times, lately %s; the log tells of each", pipeline.Size(l.bytes), l.files, key))
}

// expire ends that losses show, where the last was some time ago.
func (l *losses) expire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.files == 0 || time.Now().Before(l.until) {
		return
	}
	l.files, l.bytes = 0, 0
	l.health.setLost(nil)
}
