package ledger

import "slices"

// AddTimeoutBoundary notes that time, and not the source, has ended a record at a position: the
// next one begins there, also when it is read again. It is kept until the cursor is
// there, and is on disk before a record that ends at it is sent: see
// Track.Reserve. false says that it is known already, from an earlier run, or of no
// use any more.
func (s *Source) AddTimeoutBoundary(pos uint64) bool {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	i, known := slices.BinarySearch(s.cuts, pos)
	if known || pos <= s.resume.Pos {
		return false
	}
	s.cuts = slices.Insert(s.cuts, i, pos)
	s.cutsOnDisk.void(pos)
	s.ledger.dirty[s] = struct{}{}
	s.ledger.touch(s)
	return true
}

// RemoveTimeoutBoundary lets go of a cut where a record begins in any case, as what has come
// since has shown. So a slow source whose destination is away for weeks has few.
// On disk it may stay for a while, as it does no harm.
func (s *Source) RemoveTimeoutBoundary(pos uint64) {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	if i, known := slices.BinarySearch(s.cuts, pos); known {
		s.cuts = slices.Delete(s.cuts, i, i+1)
	}
}

// TimeoutBoundaries returns the cuts beyond the cursor, ascending.
func (s *Source) TimeoutBoundaries() []uint64 {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	return slices.Clone(s.cuts)
}

// forgetCuts lets go of those that the cursor has reached. The caller holds the
// ledger's mu.
func (s *Source) forgetCuts() {
	n, found := slices.BinarySearch(s.cuts, s.resume.Pos)
	if found {
		n++
	}
	s.cuts = slices.Delete(s.cuts, 0, n)
}

// restoreCuts takes those that an entry adds.
func (s *Source) restoreCuts(cuts []uint64) {
	s.cuts = append(s.cuts, cuts...)
	slices.Sort(s.cuts)
	s.cuts = slices.Compact(s.cuts)
	s.forgetCuts()
	if n := len(s.cuts); n > 0 {
		s.cutsOnDisk = onDisk{below: s.cuts[n-1] + 1}
	}
}

// newCuts gives those that are not on disk, and notes that they are on the way
// there. The caller holds the ledger's mu.
func (s *Source) newCuts() []uint64 {
	i, _ := slices.BinarySearch(s.cuts, s.cutsOnDisk.below)
	if n := len(s.cuts); n > 0 {
		s.cutsOnDisk.writing = s.cuts[n-1] + 1
	}
	return s.cuts[i:]
}

// cutsStored says whether the cuts up to a position are on disk. The caller holds
// the ledger's mu.
func (s *Source) cutsStored(upTo uint64) bool {
	i, _ := slices.BinarySearch(s.cuts, s.cutsOnDisk.below)
	return i == len(s.cuts) || s.cuts[i] > upTo
}

// onDisk tells what of a list that ascends by position is on disk.
type onDisk struct {
	below   uint64 // what stands below this position is
	writing uint64 // and so will be what stands below this one, when the flush under way has ended
}

// void says that what stands from a position on has changed.
func (o *onDisk) void(from uint64) { o.below, o.writing = min(o.below, from), min(o.writing, from) }

// written says that the flush has ended.
func (o *onDisk) written() { o.below = max(o.below, o.writing) }
