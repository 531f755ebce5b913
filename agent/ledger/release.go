package ledger

import (
	"errors"
	"slices"
)

// errReleased is what becomes of a reservation by someone whose source was released.
var errReleased = errors.New("the source was released")

// Release ends the use of some inputs' sources, as a clean stop of the program does for all: what
// changed is written, reservations shrink to what was sent, and the sources are as a start would
// read them. Others that use the ledger notice nothing of it.
//
// Each source is cut where it is then. Whoever had it open reserves, acknowledges and moves nothing
// of it any more, so that an answer that comes late cannot say anything about what the next user
// does. An error is that of the disk. The sources are released all the same, and what could not be
// written is on disk before anything of them is sent again: see Track.Reserve.
func (l *Ledger) Release(inputs []string) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	released := l.beginRelease(inputs)
	err := l.flush(false)
	l.mu.Lock()
	defer l.mu.Unlock()
	texts := shared{texts: map[string]string{}, targets: map[string][]byte{}}
	for _, s := range released {
		if l.sources[s.id] == s { // it may be gone and done by now
			l.sources[s.id] = s.replacement(texts, err != nil)
		}
		s.released = true
	}
	l.removeDone()
	return err
}

// beginRelease returns the sources of some inputs, to be written for the last time.
func (l *Ledger) beginRelease(inputs []string) (released []*Source) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.sources {
		if !slices.Contains(inputs, s.input) {
			continue
		}
		released = append(released, s)
		s.releasing = true
		if s.tracks != nil {
			s.markDirty()
		}
		if s.opened && s.resume.State == nil {
			l.countWithoutCursor(s, -1)
		}
		s.opened = false
	}
	return released
}

// replacement returns the source as a start would read it. unwritten says that the disk may not
// have all of it. The caller holds the ledger's mu.
func (s *Source) replacement(texts shared, unwritten bool) *Source {
	l := s.ledger
	r := &Source{ledger: l, id: s.id, input: s.input, key: s.key, written: s.written}
	apply := func(e entry) {
		texts.share(&e)
		r.apply(e)
	}
	p := appendFrame([]byte(header), s.progress())
	p = s.appendBoundaries(p, s.boundaries)
	p = s.appendOrigins(p, true)
	_, _ = replay(p, apply) // what was encoded just now is not damaged
	delete(l.dirty, s)
	if unwritten {
		if i := slices.Index(l.created, s); i >= 0 {
			l.created[i] = r
		}
		r.boundariesOnDisk, r.anchorsOnDisk = onDisk{}, onDisk{}
		for i := range r.origins {
			r.origins[i].unwritten = true
		}
		r.markDirty()
	}
	return r
}
