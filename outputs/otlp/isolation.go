package otlp

import "sync"

// An isolation keeps requests small while the receiver rejects records without saying which: all
// of such a request become dead letters.
type isolation struct {
	mu   sync.Mutex
	size int // records that a request may have; 0: as many as there are
}

// isolationEnds is how many records a request may have when it need not be bounded any more.
const isolationEnds = 4096

// next returns how many of the records that are left go with the next request.
func (s *isolation) next(left int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.size == 0 {
		return left
	}
	return min(s.size, left)
}

// rejected notes that of n records that went together some were rejected.
func (s *isolation) rejected(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.size = max(1, n/8)
}

// accepted notes that all of n records were taken.
func (s *isolation) accepted(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.size == 0 || n < s.size {
		return
	}
	if s.size += max(1, s.size/4); s.size > isolationEnds {
		s.size = 0
	}
}
