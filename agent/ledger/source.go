package ledger

import (
	"fmt"
	"slices"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// A Source is the progress of one source. Its methods are safe for use by
// several goroutines.
type Source struct {
	ledger *Ledger
	id     event.SourceID
	input  string
	key    string

	// All below is guarded by ledger.mu.
	written     bool // its minting is in the file, or on the way there
	opened      bool
	gone        bool
	changed     uint64 // number of its last change
	rooted      bool   // on disk since it was opened: its identity, and by what its input finds it again
	resume      pipeline.Cursor
	read        uint64            // end of what was checkpointed
	checkpoints []pipeline.Cursor // not yet reached, ascending
	tracks      []*Track
	routes      map[string]trackEntry // of earlier runs, not in use now
	stride      uint64                // how far ahead to reserve at the least
	times       []TimeAnchor          // that records beyond the cursor take
	timesOnDisk onDisk
	cuts        []uint64 // beyond the cursor, ascending
	cutsOnDisk  onDisk
	origins     map[string]origin // by route, of earlier runs
}

func newSource(l *Ledger, id event.SourceID, input, key string) *Source {
	return &Source{ledger: l, id: id, input: input, key: key}
}

// ID gives the source's identity.
func (s *Source) ID() event.SourceID { return s.id }

func (s *Source) restore(e entry) {
	s.resume = e.resume
	s.times = e.times
	if n := len(s.times); n > 0 {
		s.timesOnDisk = onDisk{below: s.times[n-1].Pos + 1}
	}
	s.forgetCuts()
	s.routes = make(map[string]trackEntry, len(e.tracks))
	for _, t := range e.tracks {
		s.routes[t.route] = t
	}
	s.forgetOrigins()
}

// open makes the tracks for these routes. The caller holds the ledger's mu.
func (s *Source) open(routes []string, stride uint64) {
	s.opened, s.gone, s.rooted = true, false, false
	if s.tracks != nil {
		return // opened before in this process: nothing of it was lost
	}
	s.read, s.stride = s.resume.Pos, stride
	for _, route := range routes {
		t := newTrack(s, route, s.routes[route])
		if from, known := s.origins[route]; known {
			t.origin = from
			t.origin.stored = true
		}
		s.tracks = append(s.tracks, t)
	}
}

// Track gives the track of a route that Open was told of.
func (s *Source) Track(route string) (*Track, error) {
	for _, t := range s.tracks {
		if t.route == route {
			return t, nil
		}
	}
	return nil, fmt.Errorf("source %s has no route %s", s.id, route)
}

// Checkpoint notes that reading goes on with state at position to, once all
// before it is done. Calls come in the order of the source, each before any
// record of its stretch is sent. state is copied.
func (s *Source) Checkpoint(to uint64, state []byte) {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	s.read = to
	s.checkpoints = append(s.checkpoints, pipeline.Cursor{Pos: to, State: append([]byte(nil), state...)})
	s.advance()
	s.thin()
}

// DoneTo says whether reading stands at a position, and all before it is done, so that
// State and the rest of what the ledger gives to go on from are those of that position.
func (s *Source) DoneTo(pos uint64) bool {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	return len(s.checkpoints) == 0 && s.resume.Pos == pos
}

// maxCheckpoints bounds what a source keeps in memory while one of its routes
// is held up.
const maxCheckpoints = 128

// thin lets go of every other checkpoint when there are too many, but not of
// the last. The cursor moves in longer steps then, and what was done beyond it
// is skipped after a restart. The caller holds the ledger's mu.
func (s *Source) thin() {
	if len(s.checkpoints) <= maxCheckpoints {
		return
	}
	n := 0
	for i := (len(s.checkpoints) - 1) % 2; i < len(s.checkpoints); i += 2 {
		s.checkpoints[n] = s.checkpoints[i]
		n++
	}
	clear(s.checkpoints[n:])
	s.checkpoints = s.checkpoints[:n]
}

// Close notes that no more is read of the source; see pipeline.Feed.
func (s *Source) Close(gone bool) {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	s.opened, s.gone = false, gone
	s.forgetIfDone()
	s.ledger.letLeave()
}

// advance moves the cursor to the last checkpoint that all tracks have
// reached. The caller holds the ledger's mu.
func (s *Source) advance() {
	low := s.read
	for _, t := range s.tracks {
		low = min(low, t.acked.reach(s.resume.Pos))
	}
	n := 0
	for n < len(s.checkpoints) && s.checkpoints[n].Pos <= low {
		n++
	}
	if n == 0 {
		return
	}
	first := s.resume.State == nil
	s.resume = s.checkpoints[n-1]
	if s.checkpoints = append(s.checkpoints[:0], s.checkpoints[n:]...); len(s.checkpoints) == 0 && cap(s.checkpoints) == 1 {
		s.checkpoints = nil // as of a source that has a line now and then
	}
	for _, t := range s.tracks {
		t.acked.trim(s.resume.Pos)
	}
	s.forgetTimes()
	s.forgetCuts()
	s.ledger.dirty[s] = struct{}{}
	s.ledger.touch(s)
	s.forgetIfDone()
	if first {
		s.ledger.letLeave()
	}
}

func (s *Source) forgetIfDone() {
	if !s.left() {
		return
	}
	if !slices.Contains(s.ledger.leaving, s) {
		s.ledger.leaving = append(s.ledger.leaving, s)
	}
	s.ledger.letLeave()
}

// left tells whether the source is gone and done.
func (s *Source) left() bool { return s.gone && !s.opened && len(s.checkpoints) == 0 }

func (s *Source) resumeCopy() pipeline.Cursor {
	return pipeline.Cursor{Pos: s.resume.Pos, State: append([]byte(nil), s.resume.State...)}
}

func (s *Source) minted() *entry {
	return &entry{kind: kindSource, id: s.id, input: s.input, key: s.key}
}

// begin appends what a flush writes of the source. The caller holds the ledger's
// mu, and calls end when it is on disk.
func (s *Source) begin(dst []byte, last bool) []byte {
	for _, t := range s.tracks {
		if last {
			t.settle()
		} else {
			t.ahead()
		}
		t.writing = t.reserved
	}
	if n := len(s.times); n > 0 {
		s.timesOnDisk.writing = s.times[n-1].Pos + 1
	}
	dst = appendFrame(dst, s.progress())
	dst = s.appendCuts(dst, s.newCuts())
	return s.appendOrigins(dst, false)
}

func (s *Source) appendCuts(dst []byte, cuts []uint64) []byte {
	if len(cuts) == 0 {
		return dst
	}
	return appendFrame(dst, &entry{kind: kindCuts, id: s.id, cuts: cuts})
}

// end notes that what begin gave is on disk. The caller holds the ledger's mu.
func (s *Source) end() {
	for _, t := range s.tracks {
		t.stored = t.writing
	}
	s.timesOnDisk.written()
	s.cutsOnDisk.written()
	s.originsStored()
}

func (s *Source) progress() *entry {
	e := &entry{kind: kindProgress, id: s.id, resume: s.resume, times: s.times}
	for _, t := range s.tracks {
		e.tracks = append(e.tracks, t.entry())
	}
	if s.tracks == nil {
		for _, t := range s.routes {
			e.tracks = append(e.tracks, t)
		}
	}
	return e
}

// State gives a copy of the state at the source's cursor.
func (s *Source) State() []byte {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	return append([]byte(nil), s.resume.State...)
}
