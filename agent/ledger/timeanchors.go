package ledger

import "slices"

// A TimeAnchor is the time, in Unix nanoseconds, that is assigned to records without a timestamp
// from a position on, until the next anchor.
type TimeAnchor struct {
	Pos  uint64
	Time int64
}

// AddTimeAnchor adds an anchor and returns how many are kept until the cursor is beyond them.
// Anchors have ascending positions, and each is on disk before a record that takes its time is
// sent: see Track.Reserve. Anchors of an earlier run from this position on are dropped: no record
// that would have taken their time was sent.
func (s *Source) AddTimeAnchor(a TimeAnchor) (kept int) {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	n := len(s.anchors)
	for n > 0 && s.anchors[n-1].Pos >= a.Pos {
		n--
	}
	s.anchors = append(s.anchors[:n], a)
	s.anchorsOnDisk.invalidate(a.Pos)
	s.markDirty()
	return len(s.anchors)
}

// EarlierTimeAnchors returns the anchors of an earlier run, ascending, and the position below which
// they hold: nothing beyond it was sent. What a route has done counts, too, while another lags.
func (s *Source) EarlierTimeAnchors() (anchors []TimeAnchor, until uint64) {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	for _, t := range s.tracks {
		until = max(until, t.uncertainBelow, t.doneEarlier.End())
	}
	return slices.Clone(s.anchors), until
}

// TimeAnchors returns all anchors that records beyond the cursor take, ascending.
func (s *Source) TimeAnchors() []TimeAnchor {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	return slices.Clone(s.anchors)
}

// dropAnchors drops those that no record beyond the cursor takes. The caller holds the ledger's mu.
func (s *Source) dropAnchors() {
	n := 0
	for n+1 < len(s.anchors) && s.anchors[n+1].Pos <= s.resume.Pos {
		n++
	}
	s.anchors = slices.Delete(s.anchors, 0, n)
}

// anchorsStored reports whether the anchors of all records below a position are on disk. The caller
// holds the ledger's mu.
func (s *Source) anchorsStored(below uint64) bool {
	n := len(s.anchors)
	for n > 0 && s.anchors[n-1].Pos >= s.anchorsOnDisk.below {
		n--
	}
	return n == len(s.anchors) || s.anchors[n].Pos >= below
}
