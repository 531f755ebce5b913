package admin

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/longshore/longshore/pipeline"
)

// Health holds the present problems of the agent's parts. It is safe for concurrent use, and its
// zero value is ready to use: healthy, but not started.
type Health struct {
	mu       sync.Mutex
	problems map[part]Problem
	started  bool
}

type part struct {
	kind, name string
	vital      bool
}

// A Problem is why a part cannot do its work.
type Problem struct {
	Kind   string    `json:"kind"`
	Name   string    `json:"name"`
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
}

// Component returns the function by which a component reports its health, pipeline.Env.Health. Its
// problems show in /ready.
func (h *Health) Component(kind pipeline.Kind, name string) func(error) {
	return h.note(part{kind: string(kind), name: name})
}

// Vital returns the same for a part of the agent without which it cannot work and only a restart
// may help. Its problems show in /health, too.
func (h *Health) Vital(name string) func(error) {
	return h.note(part{kind: "agent", name: name, vital: true})
}

// Ready notes whether the components are running.
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
			delete(h.problems, p)
			return
		}
		if h.problems == nil {
			h.problems = map[part]Problem{}
		}
		now := Problem{Kind: p.kind, Name: p.name, Reason: err.Error(), Since: time.Now().UTC()}
		if before, was := h.problems[p]; was {
			now.Since = before.Since
		}
		h.problems[p] = now
	}
}

// Vitals returns the problems of vital parts.
func (h *Health) Vitals() []Problem {
	return h.list(func(p part) bool { return p.vital })
}

// Readiness reports whether the components are running, and returns all problems.
func (h *Health) Readiness() (started bool, problems []Problem) {
	problems = h.list(func(part) bool { return true })
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.started, problems
}

func (h *Health) list(which func(part) bool) []Problem {
	h.mu.Lock()
	defer h.mu.Unlock()
	problems := []Problem{}
	for p, i := range h.problems {
		if which(p) {
			problems = append(problems, i)
		}
	}
	slices.SortFunc(problems, func(a, b Problem) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
	return problems
}
