package deliver

import (
	"log/slog"
	"sync"
	"time"
)

// trouble tells people that deliveries fail, once when it starts, now and then
// while it lasts, and when it is over.
type trouble struct {
	log    *slog.Logger
	health func(error)

	mu     sync.Mutex
	ill    map[*lane]struct{} // the lanes whose last request failed
	since  time.Time          // zero when all is well
	logged time.Time
	said   string
}

// remindEvery is how often the same trouble is logged again.
const remindEvery = time.Minute

func (t *trouble) failed(l *lane, err error, pause time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ill == nil {
		t.ill = map[*lane]struct{}{}
	}
	t.ill[l] = struct{}{}
	t.health(err)
	now := time.Now()
	if t.since.IsZero() {
		t.since = now
	}
	if err.Error() == t.said && now.Sub(t.logged) < remindEvery {
		return
	}
	t.said, t.logged = err.Error(), now
	t.log.Warn("delivery failed, will try again", "error", err, "next_try_in", pause.Round(time.Millisecond).String(), "failing_for", now.Sub(t.since).Round(time.Second).String())
}

// worked notes that a lane is well. The output is, once all of them are.
func (t *trouble) worked(l *lane) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.ill, l)
	if len(t.ill) > 0 || t.since.IsZero() {
		return
	}
	t.health(nil)
	t.log.Info("delivery works again", "failed_for", time.Since(t.since).Round(time.Millisecond).String())
	t.since, t.said = time.Time{}, ""
}

// A reminder counts records that something happened to, and tells people: of
// the first at once, and then of how many more there were, now and then.
type reminder struct {
	log *slog.Logger

	mu      sync.Mutex
	logged  time.Time
	pending int
}

func (r *reminder) warn(n int, message string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pending += n
	if !r.logged.IsZero() && time.Since(r.logged) < remindEvery {
		return
	}
	r.log.Warn(message, append([]any{"records", r.pending}, args...)...)
	r.logged, r.pending = time.Now(), 0
}
