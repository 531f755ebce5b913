package ledger

// A Track is what one route, a pipeline's output, has done of one source: what
// is acknowledged, and up to where something may have been sent. What lies
// between after a crash is uncertain. Its methods are safe for use by several
// goroutines.
type Track struct {
	source *Source
	route  string

	// All below but skip is guarded by the ledger's mu.
	acked    ranges // from the cursor on
	asked    uint64 // highest position that was to be sent
	before   uint64 // asked at the last flush
	reserved uint64 // may have been sent up to here, as the next flush writes it
	writing  uint64 // as the flush under way writes it
	stored   uint64 // as it is on disk
	origin   origin

	// skip and unsure are of the run before, and do not change.
	skip      ranges // what was done beyond the cursor
	skipUntil uint64
	unsure    uint64 // what is below and not done may have been sent
}

// newTrack goes on with what an earlier run left.
func newTrack(s *Source, route string, e trackEntry) *Track {
	t := &Track{source: s, route: route, acked: e.acked, unsure: e.reserved}
	t.reserved, t.stored = e.reserved, e.reserved
	t.acked.add(0, s.resume.Pos)
	t.skip = append(ranges(nil), t.acked...)
	t.skip.trim(s.resume.Pos)
	if n := len(t.skip); n > 0 {
		t.skipUntil = t.skip[n-1].to
	}
	t.acked.trim(s.resume.Pos)
	return t
}

func (t *Track) entry() trackEntry {
	return trackEntry{route: t.route, acked: t.acked, reserved: t.reserved}
}

// Route gives the track's route.
func (t *Track) Route() string { return t.route }

// Done implements deliver.Track.
func (t *Track) Done(from, to uint64) {
	l := t.source.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	t.acked.add(from, to)
	l.dirty[t.source] = struct{}{}
	l.touch(t.source)
	t.source.advance()
}

// Skip implements deliver.Track.
func (t *Track) Skip(pos uint64) bool {
	return pos < t.skipUntil && t.skip.has(pos)
}

// Bounds gives the positions at which a stretch begins or ends that was done in an
// earlier run, ascending. Records begin there.
func (t *Track) Bounds() []uint64 {
	var bounds []uint64
	for _, done := range t.skip {
		bounds = append(bounds, done.from, done.to)
	}
	return bounds
}

// Uncertain implements deliver.Track.
func (t *Track) Uncertain(pos uint64) bool { return pos < t.unsure }

// Reserve implements deliver.Track. Only a source that is new, or has outrun what was
// reserved ahead, waits for the disk, and all who wait share one write.
func (t *Track) Reserve(to uint64) error {
	l := t.source.ledger
	l.mu.Lock()
	t.asked = max(t.asked, to)
	t.source.rooted = t.source.rooted || t.source.changed <= l.stored
	if t.source.rooted && to <= t.stored && t.source.timesStored(to) && t.source.cutsStored(to) {
		l.mu.Unlock()
		return nil
	}
	l.dirty[t.source] = struct{}{}
	l.touch(t.source)
	change := t.source.changed
	l.mu.Unlock()
	if err := l.flushTo(change); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	t.source.rooted = true
	return nil
}

// ahead raises the reservation for what is likely to be sent until the next
// flush: twice what was since the last one. The caller holds the ledger's mu.
func (t *Track) ahead() {
	if t.reserved == 0 {
		t.reserved = t.source.read + t.source.stride // a new source writes once, not twice
	}
	if t.asked == t.before {
		return
	}
	step := max(2*(t.asked-t.before), t.source.stride)
	if t.before == 0 {
		step = t.source.stride
	}
	t.before = t.asked
	if to := t.asked + step; to > t.asked {
		t.reserved = max(t.reserved, to)
	}
}

// settle takes back what was reserved but never asked for, at an orderly end:
// when all that was asked for is done, nothing is left uncertain. The caller
// holds the ledger's mu.
func (t *Track) settle() {
	left := t.asked
	if t.acked.reach(t.source.resume.Pos) < t.unsure {
		left = max(left, t.unsure)
	}
	t.reserved = min(t.reserved, left)
}
