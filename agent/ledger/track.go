package ledger

// A Track is the progress of one source at one route. Its methods are safe for use by several
// goroutines.
type Track struct {
	source *Source
	route  string

	// All below but those of the earlier run is guarded by the ledger's mu.
	acked              Positions // from the cursor on
	requested          uint64    // highest position that was to be sent
	requestedLastFlush uint64
	reserved           uint64 // may have been sent up to here, as the next flush writes it
	writing            uint64 // the same, as the flush under way writes it
	stored             uint64 // the same, as it is on disk
	origin             origin

	// Of the earlier run; these do not change.
	doneEarlier    Positions // beyond the cursor
	uncertainBelow uint64    // what is below and not done may have been sent
}

// newTrack restores a track from the entry of an earlier run.
func newTrack(s *Source, route string, e trackEntry) *Track {
	t := &Track{source: s, route: route, acked: e.acked, uncertainBelow: e.reserved}
	t.reserved, t.stored = e.reserved, e.reserved
	t.acked.Add(0, s.resume.Pos)
	t.acked.trim(s.resume.Pos)
	t.doneEarlier = append(Positions(nil), t.acked...)
	return t
}

func (t *Track) entry() trackEntry {
	return trackEntry{route: t.route, acked: t.acked, reserved: t.reserved}
}

// Route returns the track's route.
func (t *Track) Route() string { return t.route }

// Done implements deliver.Track.
func (t *Track) Done(from, to uint64) {
	l := t.source.ledger
	l.mu.Lock()
	if t.source.released {
		l.mu.Unlock()
		return
	}
	t.acked.Add(from, to)
	t.source.markDirty()
	t.source.unlockAndCommit(t.source.advance())
}

// Skip implements deliver.Track.
func (t *Track) Skip(pos uint64) bool { return pos < t.doneEarlier.End() && t.doneEarlier.Has(pos) }

// Gone reports whether the source cannot be read again, or not for much longer.
func (t *Track) Gone() bool {
	l := t.source.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	return t.source.gone || t.source.leaving
}

// Bounds returns the positions at which what an earlier run has done begins or ends, ascending.
// Records begin there.
func (t *Track) Bounds() []uint64 {
	var bounds []uint64
	for _, done := range t.doneEarlier {
		bounds = append(bounds, done.from, done.to)
	}
	return bounds
}

// Uncertain implements deliver.Track.
func (t *Track) Uncertain(pos uint64) bool { return pos < t.uncertainBelow }

// Reserve implements deliver.Track. Only a source that is new, or has outrun its reservation,
// waits for the disk, and all who wait share one write.
func (t *Track) Reserve(to uint64) error {
	l, s := t.source.ledger, t.source
	l.mu.Lock()
	if s.released {
		l.mu.Unlock()
		return errReleased
	}
	t.requested = max(t.requested, to)
	s.durable = s.durable || s.changed <= l.stored
	if s.durable && to <= t.stored && s.anchorsStored(to) && s.boundariesStored(to) {
		l.mu.Unlock()
		return nil
	}
	s.markDirty()
	change := s.changed
	l.mu.Unlock()
	if err := l.flushTo(change); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s.durable = true
	return nil
}

// extendReservation reserves for what is likely to be sent until the next flush: twice what was
// since the last one. The caller holds the ledger's mu.
func (t *Track) extendReservation() {
	if t.reserved == 0 {
		t.reserved = t.source.read + t.source.reserveAhead // a new source writes once, not twice
	}
	if t.requested == t.requestedLastFlush {
		return
	}
	step := max(2*(t.requested-t.requestedLastFlush), t.source.reserveAhead)
	if t.requestedLastFlush == 0 {
		step = t.source.reserveAhead
	}
	t.requestedLastFlush = t.requested
	if to := t.requested + step; to > t.requested {
		t.reserved = max(t.reserved, to)
	}
}

// trimReservation takes back, on a clean stop, what was reserved and never requested: when all that
// was requested is done, nothing is left uncertain. The caller holds the ledger's mu.
func (t *Track) trimReservation() {
	needed := t.requested
	if t.acked.endOfSpan(t.source.resume.Pos) < t.uncertainBelow {
		needed = max(needed, t.uncertainBelow)
	}
	t.reserved = min(t.reserved, needed)
}
