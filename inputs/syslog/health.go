package syslog

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/longshore/longshore/pipeline"
)

// notedFor is how long what has happened once shows.
const notedFor = time.Minute

// health is what keeps the input from working, or did so within the last minute.
type health struct {
	env pipeline.Env
	now func() time.Time

	mu    sync.Mutex
	wrong map[string]error
	until map[string]time.Time // of those that fade
}

func newHealth(env pipeline.Env) *health {
	return &health{env: env, now: time.Now, wrong: map[string]error{}, until: map[string]time.Time{}}
}

// set notes how something is until it is set again.
func (h *health) set(what string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	before := h.wrong[what]
	switch {
	case err == nil && before == nil:
		return
	case err == nil:
		h.env.Log.Info("works again", "what", what)
	case before == nil:
		h.env.Log.Warn("does not work, will try again", "what", what, "error", err)
	}
	h.putLocked(what, err)
}

// note notes what has happened for a minute.
func (h *health) note(what string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.until[what] = h.now().Add(notedFor)
	h.putLocked(what, err)
}

// fade forgets what was noted long enough ago.
func (h *health) fade() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for what, until := range h.until {
		if !h.now().Before(until) {
			delete(h.until, what)
			h.putLocked(what, nil)
		}
	}
}

func (h *health) putLocked(what string, err error) {
	if err == nil {
		delete(h.wrong, what)
	} else {
		h.wrong[what] = err
	}
	var all []error
	for _, what := range slices.Sorted(maps.Keys(h.wrong)) {
		all = append(all, h.wrong[what])
	}
	h.env.Health(errors.Join(all...))
}

func errTooMany(most int) error {
	return fmt.Errorf("more than %s are open: one more was turned away; raise max_connections",
		pipeline.Count(most, "connection"))
}

func errDrops(n uint64) error {
	return fmt.Errorf("the kernel dropped %s within the last minute, as its buffer was full: raise receive_buffer and "+
		"net.core.rmem_max, or have them sent by TCP", pipeline.Count(int(n), "datagram"))
}
