package pipeline

import (
	"sync"

	"github.com/longshore/longshore/pipeline/event"
)

// A SourceMap has what each open source of an input belongs to there. The zero value is empty and
// ready; its methods are safe for concurrent use.
type SourceMap[T comparable] struct {
	mu  sync.Mutex
	all map[event.SourceID]T
}

// Set notes what a source belongs to from now on.
func (m *SourceMap[T]) Set(id event.SourceID, to T) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.all == nil {
		m.all = map[event.SourceID]T{}
	}
	m.all[id] = to
}

// Of returns what a source belongs to, or the zero value.
func (m *SourceMap[T]) Of(id event.SourceID) T {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.all[id]
}

// Any reports whether f holds for any of those that sources belong to. f must not use the map.
func (m *SourceMap[T]) Any(f func(T) bool) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, of := range m.all {
		if f(of) {
			return true
		}
	}
	return false
}

// Remove forgets a source, unless it belongs to something else by now.
func (m *SourceMap[T]) Remove(id event.SourceID, from T) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.all[id] == from {
		delete(m.all, id)
	}
}
