package deliver

import (
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// trouble tells people that deliveries fail, once when it starts, now and then
// while it lasts, and when it is over; and whether the spool takes no more.
type trouble struct {
	log    *slog.Logger
	health func(error)

	mu     sync.Mutex
	ill    map[*lane]struct{} // the lanes whose last request failed
	stuck  map[*lane]struct{} // the lanes whose spool takes no more
	failed error              // the last failed request
	full   error              // why a spool takes no more
	since  time.Time          // zero when all is well
	logged time.Time
	said   string
}

// remindEvery is how often the same trouble is logged again.
const remindEvery = time.Minute

func newTrouble(log *slog.Logger, health func(error)) trouble {
	return trouble{log: log, health: health, ill: map[*lane]struct{}{}, stuck: map[*lane]struct{}{}}
}

// fails notes that a lane's request has failed.
func (t *trouble) fails(l *lane, err error, pause time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ill[l] = struct{}{}
	t.failed = err
	t.show()
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

// works notes that a lane is well. The output is, once all of them are.
func (t *trouble) works(l *lane) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.ill, l)
	if len(t.ill) > 0 || t.since.IsZero() {
		return
	}
	t.failed = nil
	t.show()
	t.log.Info("delivery works again", "failed_for", time.Since(t.since).Round(time.Millisecond).String())
	t.since, t.said = time.Time{}, ""
}

// spool notes that a lane's spool takes no more, and why, or takes it again (nil).
func (t *trouble) spool(l *lane, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.stuck[l] = struct{}{}
		t.full = fmt.Errorf("sources wait, since the spool takes no more: %w", err)
		t.show()
		return
	}
	if delete(t.stuck, l); len(t.stuck) == 0 && t.full != nil {
		t.full = nil
		t.show()
	}
}

func (t *trouble) show() {
	switch {
	case t.failed == nil:
		t.health(t.full)
	case t.full == nil:
		t.health(t.failed)
	default:
		t.health(fmt.Errorf("%w; %w", t.failed, t.full))
	}
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
