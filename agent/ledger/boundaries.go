package ledger

import "slices"

// AddTimeoutBoundary notes that a timeout has ended a record at a position: the next one begins
// there, also when it is read again. The boundary is kept until the cursor has reached it, and is
// on disk before a record that ends at it is sent: see Track.Reserve. It reports whether the
// boundary is new.
func (s *Source) AddTimeoutBoundary(pos uint64) bool {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	i, known := slices.BinarySearch(s.boundaries, pos)
	if known || pos <= s.resume.Pos {
		return false
	}
	s.boundaries = slices.Insert(s.boundaries, i, pos)
	s.boundariesOnDisk.invalidate(pos)
	s.markDirty()
	return true
}

// RemoveTimeoutBoundary drops a boundary where a record begins in any case, as what was read since
// has shown. On disk it may stay for a while, as it does no harm.
func (s *Source) RemoveTimeoutBoundary(pos uint64) {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	if i, known := slices.BinarySearch(s.boundaries, pos); known {
		s.boundaries = slices.Delete(s.boundaries, i, i+1)
	}
}

// TimeoutBoundaries returns the boundaries beyond the cursor, ascending.
func (s *Source) TimeoutBoundaries() []uint64 {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	return slices.Clone(s.boundaries)
}

// dropBoundaries drops those that the cursor has reached. The caller holds the ledger's mu.
func (s *Source) dropBoundaries() {
	n, found := slices.BinarySearch(s.boundaries, s.resume.Pos)
	if found {
		n++
	}
	s.boundaries = slices.Delete(s.boundaries, 0, n)
}

// restoreBoundaries adds those of an entry.
func (s *Source) restoreBoundaries(boundaries []uint64) {
	s.boundaries = append(s.boundaries, boundaries...)
	slices.Sort(s.boundaries)
	s.boundaries = slices.Compact(s.boundaries)
	s.dropBoundaries()
	if n := len(s.boundaries); n > 0 {
		s.boundariesOnDisk = onDisk{below: s.boundaries[n-1] + 1}
	}
}

// newBoundaries returns those that are not on disk, and marks them as being written. The caller
// holds the ledger's mu.
func (s *Source) newBoundaries() []uint64 {
	if n := len(s.boundaries); n > 0 {
		s.boundariesOnDisk.writing = s.boundaries[n-1] + 1
	}
	return s.unstoredBoundaries()
}

func (s *Source) unstoredBoundaries() []uint64 {
	i, _ := slices.BinarySearch(s.boundaries, s.boundariesOnDisk.below)
	return s.boundaries[i:]
}

// boundariesStored reports whether the boundaries up to a position are on disk. The caller holds
// the ledger's mu.
func (s *Source) boundariesStored(upTo uint64) bool {
	unstored := s.unstoredBoundaries()
	return len(unstored) == 0 || unstored[0] > upTo
}

// onDisk is how much of a list that ascends by position is on disk.
type onDisk struct {
	below   uint64 // what is below this position is on disk
	writing uint64 // the same once the flush under way has ended
}

// invalidate notes a change of the list from a position on.
func (o *onDisk) invalidate(from uint64) {
	o.below, o.writing = min(o.below, from), min(o.writing, from)
}

func (o *onDisk) flushed() { o.below = max(o.below, o.writing) }
