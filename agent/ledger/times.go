package ledger

import "slices"

// A TimeAnchor says that records without a time of their own take this one, in
// Unix nanoseconds, from a position on, until the next mark.
type TimeAnchor struct {
	Pos  uint64
	Time int64
}

// AddTimeAnchor notes a time mark, and gives how many are held until the cursor is
// beyond them. Marks come with ascending positions, and each is on disk before a
// record that takes it is sent: see Track.Reserve. Marks of an earlier run from this
// position on are void: no record that would have taken them was sent.
func (s *Source) AddTimeAnchor(m TimeAnchor) (held int) {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	n := len(s.times)
	for n > 0 && s.times[n-1].Pos >= m.Pos {
		n--
	}
	s.times = append(s.times[:n], m)
	s.timesOnDisk.void(m.Pos)
	s.ledger.dirty[s] = struct{}{}
	s.ledger.touch(s)
	return len(s.times)
}

// EarlierTimeAnchors gives the marks that records of an earlier run took, ascending, and
// the position before which they hold: nothing beyond it was sent.
func (s *Source) EarlierTimeAnchors() (marks []TimeAnchor, until uint64) {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	for _, t := range s.tracks {
		until = max(until, t.unsure)
	}
	return slices.Clone(s.times), until
}

// forgetTimes lets go of the marks that no record beyond the cursor takes. The
// caller holds the ledger's mu.
func (s *Source) forgetTimes() {
	n := 0
	for n+1 < len(s.times) && s.times[n+1].Pos <= s.resume.Pos {
		n++
	}
	s.times = slices.Delete(s.times, 0, n)
}

// timesStored says whether the marks of all records below a position are on
// disk. The caller holds the ledger's mu.
func (s *Source) timesStored(below uint64) bool {
	n := len(s.times)
	for n > 0 && s.times[n-1].Pos >= s.timesOnDisk.below {
		n--
	}
	return n == len(s.times) || s.times[n].Pos >= below
}
