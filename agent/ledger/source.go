package ledger

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// A Source is the progress of one source. Its methods are safe for use by several goroutines.
type Source struct {
	ledger *Ledger
	id     event.SourceID
	input  string
	key    string

	// All below is guarded by ledger.mu.
	written     bool // its identity is in the file, or on the way there
	opened      bool
	gone        bool
	leaving     bool   // it cannot be read for much longer
	releasing   bool   // see Ledger.Release
	released    bool   // it is another Source's by now
	changed     uint64 // number of its last change
	durable     bool   // on disk since it was opened: its identity, and how its input finds it again
	resume      pipeline.Cursor
	read        uint64            // position of the last checkpoint
	checkpoints []pipeline.Cursor // not yet reached, ascending
	keepAt      uint64            // the last checkpoint that is not beyond it is kept
	tracks      []*Track
	routes      []trackEntry // of earlier runs, not in use now, by name
	origins     []routeOrigin

	onCommit func(pipeline.Cursor) // nil for none

	reserveAhead     uint64       // at the least
	anchors          []TimeAnchor // that records beyond the cursor take
	anchorsOnDisk    onDisk
	boundaries       []uint64 // beyond the cursor, ascending
	boundariesOnDisk onDisk
}

// ID returns the source's identity.
func (s *Source) ID() event.SourceID { return s.id }

// apply restores what an entry says.
func (s *Source) apply(e entry) {
	switch e.kind {
	case kindProgress:
		s.restore(e)
	case kindBoundaries:
		s.restoreBoundaries(e.boundaries)
	case kindOrigin:
		s.restoreOrigin(e)
	}
}

func (s *Source) restore(e entry) {
	s.resume = e.resume
	s.anchors = e.anchors
	if n := len(s.anchors); n > 0 {
		s.anchorsOnDisk = onDisk{below: s.anchors[n-1].Pos + 1}
	}
	s.dropBoundaries()
	s.routes = e.tracks
	slices.SortStableFunc(s.routes, func(a, b trackEntry) int { return cmp.Compare(a.route, b.route) })
	// A route that was away begins anew if it comes back.
	s.origins = slices.DeleteFunc(s.origins, func(o routeOrigin) bool { return s.knownRoute(o.route) == nil })
}

// knownRoute returns what an earlier run has noted of a route, or nil.
func (s *Source) knownRoute(route string) *trackEntry {
	for i := range s.routes {
		if s.routes[i].route == route {
			return &s.routes[i]
		}
	}
	return nil
}

// open makes the tracks for these routes. The caller holds the ledger's mu.
func (s *Source) open(routes []string, reserveAhead uint64) {
	if !s.opened && s.resume.State == nil {
		s.ledger.countWithoutCursor(s, 1)
	}
	s.opened, s.gone, s.leaving, s.durable = true, false, false, false
	if s.tracks != nil {
		return // opened before in this process: nothing of it was lost
	}
	s.read, s.reserveAhead = s.resume.Pos, reserveAhead
	for _, route := range routes {
		known := s.knownRoute(route)
		if known == nil {
			known = &trackEntry{}
		}
		t := newTrack(s, route, *known)
		if from, known := s.originOf(route); known {
			t.origin = from
			if t.origin.stored = !from.unwritten; from.unwritten {
				s.markDirty()
			}
		}
		s.tracks = append(s.tracks, t)
	}
	if s.tracks != nil {
		s.routes, s.origins = nil, nil
	}
}

// Track returns the track of a route that Open was called with.
func (s *Source) Track(route string) (*Track, error) {
	for _, t := range s.tracks {
		if t.route == route {
			return t, nil
		}
	}
	return nil, fmt.Errorf("source %s has no route %s", s.id, route)
}

// Checkpoint notes that reading goes on with state at position to, once all before it is done.
// Calls come in the order of the source, each before any record below to is sent. state is copied.
func (s *Source) Checkpoint(to uint64, state []byte) {
	s.ledger.mu.Lock()
	if s.released {
		s.ledger.mu.Unlock()
		return
	}
	s.read = to
	s.checkpoints = append(s.checkpoints, pipeline.Cursor{Pos: to, State: append([]byte(nil), state...)})
	moved := s.advance()
	s.thinCheckpoints()
	s.unlockAndCommit(moved)
}

// OnCommit has a function called whenever the cursor has moved, from any goroutine, without a lock
// held. It is set before anything is sent.
func (s *Source) OnCommit(commit func(at pipeline.Cursor)) {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	s.onCommit = commit
}

// unlockAndCommit unlocks the ledger's mu and tells of the cursor, if it has moved.
func (s *Source) unlockAndCommit(moved bool) {
	commit, at := s.onCommit, s.resume
	s.ledger.mu.Unlock()
	if moved && commit != nil {
		commit(at)
	}
}

// CheckpointAt returns the last checkpoint that is not beyond a position; it is at or beyond the
// cursor.
func (s *Source) CheckpointAt(pos uint64) pipeline.Cursor {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	at := s.resume
	for _, c := range s.checkpoints {
		if c.Pos <= pos {
			at = c
		}
	}
	return pipeline.Cursor{Pos: at.Pos, State: slices.Clone(at.State)}
}

// KeepCheckpoint returns the position of CheckpointAt, which stays at least that for all positions
// that are not before pos.
func (s *Source) KeepCheckpoint(pos uint64) uint64 {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	s.keepAt = pos
	at := s.resume.Pos
	for _, c := range s.checkpoints {
		if c.Pos <= pos {
			at = c.Pos
		}
	}
	return at
}

// DoneTo reports whether reading stands at a position and all before it is done, so that State and
// the rest of what the ledger holds to go on from are those of that position.
func (s *Source) DoneTo(pos uint64) bool {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	return len(s.checkpoints) == 0 && s.resume.Pos == pos
}

// maxCheckpoints bounds what a source keeps in memory while one of its routes is held up.
const maxCheckpoints = 128

// thinCheckpoints drops every other checkpoint when there are too many, but not the last. The
// cursor moves in longer steps then, and what was done beyond it is skipped after a restart. The
// caller holds the ledger's mu.
func (s *Source) thinCheckpoints() {
	if len(s.checkpoints) <= maxCheckpoints {
		return
	}
	n, last := 0, len(s.checkpoints)-1
	for i, c := range s.checkpoints {
		kept := i < last && c.Pos <= s.keepAt && s.keepAt < s.checkpoints[i+1].Pos
		if i%2 == last%2 || kept {
			s.checkpoints[n] = c
			n++
		}
	}
	clear(s.checkpoints[n:])
	s.checkpoints = s.checkpoints[:n]
}

// Leave notes that the source cannot be read for much longer.
func (s *Source) Leave() {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	s.leaving = true
}

// Close notes that no more is read of the source; see pipeline.Feed.
func (s *Source) Close(gone bool) {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	if s.released {
		return
	}
	if s.opened && s.resume.State == nil {
		s.ledger.countWithoutCursor(s, -1)
	}
	s.opened, s.gone = false, gone
	s.removeIfDone()
	s.ledger.removeDone()
}

// advance moves the cursor to the last checkpoint that all tracks have reached, and reports whether
// there was one. The caller holds the ledger's mu.
func (s *Source) advance() (moved bool) {
	low := s.read
	for _, t := range s.tracks {
		low = min(low, t.acked.endOfSpan(s.resume.Pos))
	}
	n := 0
	for n < len(s.checkpoints) && s.checkpoints[n].Pos <= low {
		n++
	}
	if n == 0 {
		return false
	}
	first := s.resume.State == nil
	s.resume = s.checkpoints[n-1]
	s.checkpoints = append(s.checkpoints[:0], s.checkpoints[n:]...)
	if len(s.checkpoints) == 0 && cap(s.checkpoints) == 1 {
		s.checkpoints = nil // of a source that has a line now and then
	}
	for _, t := range s.tracks {
		t.acked.trim(s.resume.Pos)
	}
	s.dropAnchors()
	s.dropBoundaries()
	s.markDirty()
	s.removeIfDone()
	if !first || s.resume.State == nil {
		return true
	}
	if s.opened {
		s.ledger.countWithoutCursor(s, -1)
	}
	s.ledger.removeDone()
	return true
}

// markDirty has the source written by the next flush. The caller holds the ledger's mu.
func (s *Source) markDirty() {
	if s.released {
		return
	}
	s.ledger.dirty[s] = struct{}{}
	s.ledger.countChange(s)
}

func (s *Source) removeIfDone() {
	if !s.done() {
		return
	}
	if !slices.Contains(s.ledger.pendingRemoval, s) {
		s.ledger.pendingRemoval = append(s.ledger.pendingRemoval, s)
	}
	s.ledger.removeDone()
}

// done reports whether the source is gone and all of it acknowledged.
func (s *Source) done() bool { return s.gone && !s.opened && len(s.checkpoints) == 0 }

// At returns the name that the input gave the source, up to where it has sent it, and up to where
// that is done.
func (s *Source) At() (key string, read, done uint64) {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	return s.key, s.read, s.resume.Pos
}

func (s *Source) cursor() pipeline.Cursor {
	return pipeline.Cursor{Pos: s.resume.Pos, State: append([]byte(nil), s.resume.State...)}
}

func (s *Source) identity() *entry {
	return &entry{kind: kindSource, id: s.id, input: s.input, key: s.key}
}

// beginFlush appends what a flush writes of the source; last is the flush of a clean stop. The
// caller holds the ledger's mu, and calls endFlush when it is on disk.
func (s *Source) beginFlush(dst []byte, last bool) []byte {
	for _, t := range s.tracks {
		if last || s.releasing {
			t.trimReservation()
		} else {
			t.extendReservation()
		}
		t.writing = t.reserved
	}
	if n := len(s.anchors); n > 0 {
		s.anchorsOnDisk.writing = s.anchors[n-1].Pos + 1
	}
	dst = appendFrame(dst, s.progress())
	dst = s.appendBoundaries(dst, s.newBoundaries())
	return s.appendOrigins(dst, false)
}

func (s *Source) appendBoundaries(dst []byte, boundaries []uint64) []byte {
	if len(boundaries) == 0 {
		return dst
	}
	return appendFrame(dst, &entry{kind: kindBoundaries, id: s.id, boundaries: boundaries})
}

func (s *Source) endFlush() {
	for _, t := range s.tracks {
		t.stored = t.writing
		t.origin.stored = t.origin.stored || t.origin.writing
	}
	s.anchorsOnDisk.flushed()
	s.boundariesOnDisk.flushed()
}

func (s *Source) progress() *entry {
	e := &entry{kind: kindProgress, id: s.id, resume: s.resume, anchors: s.anchors}
	for _, t := range s.tracks {
		e.tracks = append(e.tracks, t.entry())
	}
	if s.tracks == nil {
		e.tracks = s.routes
	}
	return e
}

// State returns a copy of the state at the source's cursor.
func (s *Source) State() []byte {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	return s.cursor().State
}
