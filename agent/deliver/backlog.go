package deliver

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	// markEvery is how exact a backlog is.
	markEvery = time.Second
	// maxMarks bounds what it remembers: of a long backlog every second mark is forgotten.
	maxMarks = 256
)

// A backlog tells for how long the oldest record has waited of those that have not ended. It
// remembers now and then how many had been taken, and relies on it that records end in about the
// order in which they are taken.
type backlog struct {
	noted atomic.Int64 // when the last mark was made, in Unix nanoseconds

	mu    sync.Mutex
	marks []mark // in order; the first is that of the oldest record that waits
}

// A mark says that so many records had been taken at a time.
type mark struct {
	at    time.Time
	taken uint64
}

// note is called before records are taken, with how many were taken before.
func (b *backlog) note(now time.Time, taken uint64) {
	last := b.noted.Load()
	if now.UnixNano()-last < int64(markEvery) || !b.noted.CompareAndSwap(last, now.UnixNano()) {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.marks) == maxMarks {
		b.thin()
	}
	b.marks = append(b.marks, mark{now, taken})
}

// thin forgets every second mark, but never the first.
func (b *backlog) thin() {
	kept := b.marks[:0]
	for i := 0; i < len(b.marks); i += 2 {
		kept = append(kept, b.marks[i])
	}
	b.marks = kept
}

// age returns for how long the oldest record has waited, when so many have ended.
func (b *backlog) age(now time.Time, ended uint64) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.marks) > 1 && b.marks[1].taken <= ended {
		b.marks = b.marks[1:]
	}
	if len(b.marks) == 0 {
		return 0
	}
	return max(0, now.Sub(b.marks[0].at))
}
