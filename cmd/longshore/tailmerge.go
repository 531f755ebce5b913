package main

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

const (
	// mergeEvery is how long records are held so that those of several sources come in the order of
	// their times.
	mergeEvery = 100 * time.Millisecond
	// quietTime is how long nothing must have come for what was there at the start to be merged,
	// and longestHold how long that is waited for.
	quietTime, longestHold = 250 * time.Millisecond, 2 * time.Second
	// endTime is how long nothing must have come for a source whose end is not known to have been
	// read to it.
	endTime = time.Second
	// goneTime is how long nothing must have come for files that were truncated meanwhile, or so.
	goneTime = 10 * time.Second
	// maxHeld bounds what is held, in bytes of JSON: then it is shown as it is.
	maxHeld = 16 << 20
)

// A merger holds records for a while, and shows them in the order of their times.
type merger struct {
	show func(*tailRecord) error

	mu      sync.Mutex
	held    []*tailRecord
	bytes   int
	failed  error // of showing
	began   time.Time
	last    time.Time        // when something came
	inputs  int              // that have yet to say what they found
	sizes   map[string]int64 // of files, at the start
	unread  map[string]bool  // files that are not read up to there
	endless bool             // there are sources beside these
	merged  bool             // what was there at the start is shown
}

// newMerger returns the merger of a number of inputs. With files, one of them says the sizes of all
// that it reads.
func newMerger(show func(*tailRecord) error, inputs int, files bool) *merger {
	m := &merger{show: show, inputs: inputs, began: time.Now(), last: time.Now(), sizes: map[string]int64{},
		unread: map[string]bool{}}
	m.endless = inputs > 1 || !files
	return m
}

// inputFound notes that an input has found its sources, and the sizes of files.
func (m *merger) inputFound(sizes map[string]int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.inputs--
	m.last = time.Now()
	for path, size := range sizes {
		m.sizes[path] = size
		if size > 0 {
			m.unread[path] = true
		}
	}
}

// isLater reports whether what stands at a position of a file was not there at the start.
func (m *merger) isLater(path string, pos uint64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	size, known := m.sizes[path]
	return known && pos >= uint64(size)
}

// arrived notes up to where a file was read; path is "" for other sources.
func (m *merger) arrived(path string, to uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last = time.Now()
	if uint64(m.sizes[path]) <= to {
		delete(m.unread, path)
	}
}

// add holds a record. It waits while too much is held.
func (m *merger) add(r *tailRecord) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held = append(m.held, r)
	if m.bytes += len(r.json); m.bytes > maxHeld {
		m.showHeld()
	}
}

// holds reports whether more of what was there at the start may come.
func (m *merger) holds() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	quiet := m.inputs <= 0 && now.Sub(m.last) >= quietTime
	m.merged = m.merged || quiet || now.Sub(m.began) >= longestHold
	return !m.merged
}

// isComplete reports whether all that was there has come.
func (m *merger) isComplete() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	quiet := time.Since(m.last)
	if m.inputs > 0 {
		return false
	}
	return len(m.unread) == 0 && (!m.endless || quiet >= endTime) || quiet >= goneTime
}

// flush shows what is held. The error is the first that there was.
func (m *merger) flush() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.showHeld()
	return m.failed
}

func (m *merger) showHeld() {
	slices.SortStableFunc(m.held, func(a, b *tailRecord) int { return cmp.Compare(a.nanos, b.nanos) })
	for _, r := range m.held {
		if m.failed == nil {
			m.failed = m.show(r)
		}
	}
	clear(m.held)
	m.held, m.bytes = m.held[:0], 0
}
