package file

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
)

// A healthTracker holds the paths that cannot be read at present. Each is logged once when that
// begins and once when it ends; all show in the input's health.
type healthTracker struct {
	log    *slog.Logger
	report func(error)

	mu      sync.Mutex
	failing map[string]string
	lost    error // lines were lost
	crowded error // not all files with something to read can be open
	stuck   error // the file system does not answer
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

// setLost notes what was lost; nil if that was long ago.
func (h *healthTracker) setLost(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lost = err
	h.reportLocked()
}

// setCrowded notes that not all files can be open that have to be, or that they can.
func (h *healthTracker) setCrowded(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.crowded = err
	h.reportLocked()
}

// setStuck notes that the file system does not answer, or that it does again. It is logged once.
func (h *healthTracker) setStuck(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case err == nil && h.stuck == nil:
		return
	case err == nil:
		h.log.Info("the file system answers again")
	case h.stuck == nil:
		h.log.Warn("the file system does not answer", "error", err)
	}
	h.stuck = err
	h.reportLocked()
}

// reportLocked reports what was lost or may be, and the first error by path with how many there are
// besides.
func (h *healthTracker) reportLocked() {
	var problems []string
	for _, err := range [...]error{h.lost, h.crowded, h.stuck} {
		if err != nil {
			problems = append(problems, err.Error())
		}
	}
	switch paths := slices.Sorted(maps.Keys(h.failing)); len(paths) {
	case 0:
	case 1:
		problems = append(problems, h.failing[paths[0]])
	default:
		problems = append(problems, fmt.Sprintf("%s, and %d more", h.failing[paths[0]], len(paths)-1))
	}
	if len(problems) == 0 {
		h.report(nil)
		return
	}
	h.report(errors.New(strings.Join(problems, "; ")))
}
