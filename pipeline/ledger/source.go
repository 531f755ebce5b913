package ledger

import (
	"fmt"

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
	written bool   // its minting is in the file, or on the way there
	changed uint64 // number of its last change
	opened  bool
	gone    bool
	resume  pipeline.Cursor
	read    uint64 // end of what was checkpointed
	marks   []pipeline.Cursor
	tracks  []*Track
	routes  map[string]ranges // of earlier runs, not in use now
}

func newSource(l *Ledger, id event.SourceID, input, key string) *Source {
	return &Source{ledger: l, id: id, input: input, key: key}
}

// ID gives the source's identity.
func (s *Source) ID() event.SourceID { return s.id }

func (s *Source) restore(e entry) {
	s.resume = e.resume
	s.routes = make(map[string]ranges, len(e.tracks))
	for _, t := range e.tracks {
		s.routes[t.route] = t.acked
	}
}

// open makes the tracks for these routes. The caller holds the ledger's mu.
func (s *Source) open(routes []string) {
	s.opened, s.gone = true, false
	if s.tracks != nil {
		return // opened before in this process: nothing of it was lost
	}
	s.read = s.resume.Pos
	for _, route := range routes {
		t := &Track{source: s, route: route, acked: s.routes[route]}
		t.acked.add(0, s.resume.Pos)
		t.skip = append(ranges(nil), t.acked...)
		t.skip.trim(s.resume.Pos)
		if n := len(t.skip); n > 0 {
			t.skipUntil = t.skip[n-1].to
		}
		t.acked.trim(s.resume.Pos)
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

// Durable returns when all that the ledger knows of the source is on disk: its
// identity, and by what its input would find it again. Nothing of it may be
// sent before.
func (s *Source) Durable() error {
	s.ledger.mu.Lock()
	durable := s.changed <= s.ledger.stored
	s.ledger.mu.Unlock()
	if durable {
		return nil
	}
	return s.ledger.Flush()
}

// Checkpoint notes that reading goes on with state at position to, once all
// before it is done. Calls come in the order of the source, each before any
// record of its stretch is sent. state is copied.
func (s *Source) Checkpoint(to uint64, state []byte) {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	s.read = to
	s.marks = append(s.marks, pipeline.Cursor{Pos: to, State: append([]byte(nil), state...)})
	s.advance()
}

// Close notes that no more is read of the source; see pipeline.Feed.
func (s *Source) Close(gone bool) {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	s.opened, s.gone = false, gone
	s.forgetIfDone()
}

// advance moves the cursor to the last checkpoint that all tracks have
// reached. The caller holds the ledger's mu.
func (s *Source) advance() {
	low := s.read
	for _, t := range s.tracks {
		low = min(low, t.acked.reach(s.resume.Pos))
	}
	n := 0
	for n < len(s.marks) && s.marks[n].Pos <= low {
		n++
	}
	if n == 0 {
		return
	}
	s.resume = s.marks[n-1]
	s.marks = append(s.marks[:0], s.marks[n:]...)
	for _, t := range s.tracks {
		t.acked.trim(s.resume.Pos)
	}
	s.ledger.dirty[s] = struct{}{}
	s.ledger.touch(s)
	s.forgetIfDone()
}

func (s *Source) forgetIfDone() {
	if s.gone && !s.opened && len(s.marks) == 0 {
		s.ledger.forget(s)
	}
}

func (s *Source) resumeCopy() pipeline.Cursor {
	return pipeline.Cursor{Pos: s.resume.Pos, State: append([]byte(nil), s.resume.State...)}
}

func (s *Source) minted() *entry {
	return &entry{kind: kindSource, id: s.id, input: s.input, key: s.key}
}

func (s *Source) progress() *entry {
	e := &entry{kind: kindProgress, id: s.id, resume: s.resume}
	for _, t := range s.tracks {
		e.tracks = append(e.tracks, trackEntry{t.route, t.acked})
	}
	if s.tracks == nil {
		for route, acked := range s.routes {
			e.tracks = append(e.tracks, trackEntry{route, acked})
		}
	}
	return e
}

// A Track is what one route, a pipeline's output, has done of one source.
type Track struct {
	source *Source
	route  string
	acked  ranges // guarded by ledger.mu; from the cursor on

	skip      ranges // what was done in an earlier run beyond the cursor
	skipUntil uint64
}

var _ pipeline.Track = (*Track)(nil)

// Done implements pipeline.Track.
func (t *Track) Done(from, to uint64) {
	l := t.source.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	t.acked.add(from, to)
	l.dirty[t.source] = struct{}{}
	l.touch(t.source)
	t.source.advance()
}

// Skip says whether the record at a position was done in an earlier run: this
// route was ahead of the others then.
func (t *Track) Skip(pos uint64) bool {
	return pos < t.skipUntil && t.skip.has(pos)
}

// State gives a copy of the state at the source's cursor.
func (s *Source) State() []byte {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	return append([]byte(nil), s.resume.State...)
}
