package ledger

import (
	"fmt"
	"slices"

	"github.com/longshore/longshore/pipeline"
)

// Adopt is Open for a source whose progress others have kept, by an ID that follows from what it
// is. It goes on at the higher of their cursor and the ledger's own, which is returned. What is
// below uncertainTo and not known to be done may have been sent by them.
func (l *Ledger) Adopt(
	at pipeline.Known, input string, uncertainTo uint64, routes []string, reserveAhead uint64,
) (*Source, pipeline.Cursor, error) {
	if at.ID == 0 {
		return nil, pipeline.Cursor{}, fmt.Errorf("adopting %s: it has no ID", at.Key)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.sources[at.ID]
	if s != nil && s.input != input {
		return nil, pipeline.Cursor{}, fmt.Errorf("adopting %s: it is a source of the input %s already", at.Key,
			s.input)
	}
	if s != nil && s.tracks != nil { // it was read before in this process, and perhaps by others since
		s = s.again()
		l.sources[at.ID] = s
	}
	if s == nil {
		s = &Source{ledger: l, id: at.ID, input: input, key: at.Key}
		l.sources[at.ID] = s
		l.created = append(l.created, s)
	}
	s.goOnAt(at.Cursor)
	s.open(routes, reserveAhead)
	for _, t := range s.tracks {
		t.uncertainBelow = max(t.uncertainBelow, uncertainTo)
	}
	s.markDirty()
	return s, s.cursor(), nil
}

// again returns the source as a start would read it, in its place. Whoever had it open can say
// nothing of it any more. The caller holds the ledger's mu.
func (s *Source) again() *Source {
	if s.opened && s.resume.State == nil {
		s.ledger.countWithoutCursor(s, -1)
	}
	s.opened = false
	for _, t := range s.tracks {
		t.trimReservation()
	}
	r := s.replacement(shared{texts: map[string]string{}, targets: map[string][]byte{}}, true)
	s.released = true
	return r
}

// goOnAt moves the cursor of a source that is not open, if the other one is further on. The caller
// holds the ledger's mu.
func (s *Source) goOnAt(at pipeline.Cursor) {
	if at.Pos <= s.resume.Pos {
		return
	}
	s.resume = pipeline.Cursor{Pos: at.Pos, State: slices.Clone(at.State)}
	s.dropAnchors()
	s.dropBoundaries()
}
