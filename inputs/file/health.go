package file

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
)

// A healthTracker holds the paths that cannot be read at present. Each is logged once when that
// begins and once when it ends; all show in the input's health.
type healthTracker struct {
	log    *slog.Logger
	report func(error)

	mu      sync.Mutex
	failing map[string]string
}

func newHealthTracker(log *slog.Logger, report func(error)) *healthTracker {
	return &healthTracker{log: log, report: report, failing: map[string]string{}}
}

// set notes why a path cannot be read.
func (h *healthTracker) set(path string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, known := h.failing[path]; !known {
		h.log.Warn("cannot read, will try again", "path", path, "error", err)
	}
	h.failing[path] = err.Error()
	h.reportLocked()
}

// clear notes that a path can be read, or is no longer of interest.
func (h *healthTracker) clear(path string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, known := h.failing[path]; !known {
		return
	}
	delete(h.failing, path)
	h.log.Info("no longer failing", "path", path)
	h.reportLocked()
}

// reportLocked reports the first error by path, and how many there are besides.
func (h *healthTracker) reportLocked() {
	switch paths := slices.Sorted(maps.Keys(h.failing)); len(paths) {
	case 0:
		h.report(nil)
	case 1:
		h.report(errors.New(h.failing[paths[0]]))
	default:
		h.report(fmt.Errorf("%s, and %d more", h.failing[paths[0]], len(paths)-1))
	}
}
