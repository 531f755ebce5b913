package deliver

import (
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// A healthTracker reports that deliveries fail: when it starts, now and then while it lasts, and
// when it is over. It also reports a spool that is full, and records that wait aside.
type healthTracker struct {
	log    *slog.Logger
	report func(error)

	mu         sync.Mutex
	failing    map[*lane]struct{} // lanes whose last request failed
	full       map[*lane]struct{} // lanes whose spool is full
	requestErr error              // of the last failed request
	spoolErr   error
	asideErr   error
	since      time.Time // zero while nothing fails
	logged     time.Time
	lastText   string
}

// logAgainAfter is how often the same problem is logged.
const logAgainAfter = time.Minute

func newHealthTracker(log *slog.Logger, report func(error)) healthTracker {
	return healthTracker{log: log, report: report, failing: map[*lane]struct{}{}, full: map[*lane]struct{}{}}
}

func (t *healthTracker) failed(l *lane, err error, pause time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failing[l] = struct{}{}
	t.requestErr = err
	t.update()
	now := time.Now()
	if t.since.IsZero() {
		t.since = now
	}
	if err.Error() == t.lastText && now.Sub(t.logged) < logAgainAfter {
		return
	}
	t.lastText, t.logged = err.Error(), now
	t.log.Warn("delivery failed, will try again; nothing is lost", "error", err,
		"next_try_in", pause.Round(time.Millisecond).String(),
		"failing_for", now.Sub(t.since).Round(time.Second).String())
}

// succeeded notes that a lane works. The output does, once all of them do.
func (t *healthTracker) succeeded(l *lane) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.failing, l)
	if len(t.failing) > 0 || t.since.IsZero() {
		return
	}
	t.requestErr = nil
	t.update()
	t.log.Info("delivery works again", "failed_for", time.Since(t.since).Round(time.Millisecond).String())
	t.since, t.lastText = time.Time{}, ""
}

// setSpool notes why a lane's spool takes no more, or that it does (nil).
func (t *healthTracker) setSpool(l *lane, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.full[l] = struct{}{}
		t.spoolErr = fmt.Errorf("sources wait, since the spool takes no more: %w", err)
		t.update()
		return
	}
	if delete(t.full, l); len(t.full) == 0 && t.spoolErr != nil {
		t.spoolErr = nil
		t.update()
	}
}

// setAside notes that records wait aside, or that none does (nil).
func (t *healthTracker) setAside(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil && t.asideErr == nil {
		return
	}
	t.asideErr = err
	t.update()
}

func (t *healthTracker) update() {
	var all error
	for _, err := range []error{t.requestErr, t.spoolErr, t.asideErr} {
		switch {
		case all == nil:
			all = err
		case err != nil:
			all = fmt.Errorf("%w; %w", all, err)
		}
	}
	t.report(all)
}

// A throttledLog counts records that something happened to. It logs the first at once, and then now
// and then how many more there were.
type throttledLog struct {
	mu      sync.Mutex
	logged  time.Time
	pending int
}

func (t *throttledLog) warn(log *slog.Logger, n int, message string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pending += n
	if !t.logged.IsZero() && time.Since(t.logged) < logAgainAfter {
		return
	}
	log.Warn(message, append([]any{"records", t.pending}, args...)...)
	t.logged, t.pending = time.Now(), 0
}
