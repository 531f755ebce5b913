package admin

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/longshore/longshore/pipeline"
)

// Health remembers which parts are ill, why and since when. It is safe for
// concurrent use, and its zero value is ready to use: healthy, but not ready yet.
type Health struct {
	mu      sync.Mutex
	ill     map[part]Illness
	started bool
}

type part struct {
	kind, name string
	vital      bool
}

// An Illness is one part that cannot do its work.
type Illness struct {
	Kind   string    `json:"kind"`
	Name   string    `json:"name"`
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
}

// Component gives the function by which a component says how it is: pipeline.Env.Health. An ill
// component shows in /ready.
func (h *Health) Component(kind pipeline.Kind, name string) func(error) {
	return h.note(part{kind: string(kind), name: name})
}

// Vital gives the same for a part of the agent itself, without which it cannot
// do its work and only a restart may help. It shows in /health as well.
func (h *Health) Vital(name string) func(error) {
	return h.note(part{kind: "agent", name: name, vital: true})
}

// Ready says that all components were started, or that they no longer run.
func (h *Health) Ready(ready bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.started = ready
}

func (h *Health) note(p part) func(error) {
	return func(err error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		if err == nil {
			delete(h.ill, p)
			return
		}
		if h.ill == nil {
			h.ill = map[part]Illness{}
		}
		now := Illness{Kind: p.kind, Name: p.name, Reason: err.Error(), Since: time.Now().UTC()}
		if before, was := h.ill[p]; was {
			now.Since = before.Since
		}
		h.ill[p] = now
	}
}

// Alive gives what keeps the agent from doing its work at all; none is good.
func (h *Health) Alive() []Illness {
	return h.list(func(p part) bool { return p.vital })
}

// Waiting gives whether the components were started, and what is ill.
func (h *Health) Waiting() (started bool, ill []Illness) {
	ill = h.list(func(part) bool { return true })
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.started, ill
}

func (h *Health) list(which func(part) bool) []Illness {
	h.mu.Lock()
	defer h.mu.Unlock()
	ill := []Illness{}
	for p, i := range h.ill {
		if which(p) {
			ill = append(ill, i)
		}
	}
	slices.SortFunc(ill, func(a, b Illness) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
	return ill
}
