package ledger

import "github.com/longshore/longshore/pipeline/event"

// SetNote has whatever note returns written with every progress that is stored, by the same write:
// it is what somebody who sees all records before they are acknowledged knows then. So what a note
// says is never behind the progress beside it. nil ends that; the last note stays.
func (l *Ledger) SetNote(note func() []byte) {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.note = note
}

// Note returns the last note; nil where there was none.
func (l *Ledger) Note() []byte {
	l.writing.Lock()
	defer l.writing.Unlock()
	return l.noted
}

// maxNote bounds a note; a larger one is not written.
const maxNote = maxFrame / 2

// newNote returns a frame with a new note, if somebody notes anything. It comes before the progress
// that it must not be behind, and behind the identities of the sources that it knows. The caller
// holds writing, but not mu.
func (l *Ledger) newNote() []byte {
	if l.note == nil {
		return nil
	}
	if note := l.note(); len(note) <= maxNote {
		l.noted = note
	}
	return l.lastNote()
}

// lastNote returns a frame with the last note. The caller holds writing.
func (l *Ledger) lastNote() []byte {
	if l.noted == nil {
		return nil
	}
	return appendFrame(nil, &entry{kind: kindNote, note: l.noted})
}

// Sources returns the ids of an input's sources, in no order.
func (l *Ledger) Sources(input string) (ids []event.SourceID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, s := range l.sources {
		if s.input == input {
			ids = append(ids, id)
		}
	}
	return ids
}

// Knows reports whether there is a source of this id.
func (l *Ledger) Knows(id event.SourceID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sources[id] != nil
}
