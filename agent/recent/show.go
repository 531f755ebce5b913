package recent

import (
	"github.com/longshore/longshore/pipeline/event"
)

// A Record is a record as it is taken off. It is valid until the visit of Show returns.
type Record struct {
	// Source is whose it is, and End up to where that was read with the batch of the record.
	Source *event.Source
	End    uint64
	frame  frame
}

// Show returns a store that keeps nothing: visit is called with each record at once, one at a time,
// and their pipeline waits for it; and with none (IsNone) at the end of each batch.
func Show(visit func(*Record)) *Store {
	return &Store{visit: visit}
}

// IsNone reports whether there is no record, but only the end of a batch.
func (r *Record) IsNone() bool { return r.frame.json == nil }

// Position returns where the record begins in its source.
func (r *Record) Position() uint64 { return r.frame.pos }

// Append appends the record as the API shows it, but whole.
func (r *Record) Append(dst []byte) []byte { return r.frame.appendRecord(dst) }

// Matches reports whether a filter takes the record.
func (f *Filter) Matches(r *Record) bool { return f.matches(&r.frame) }

// showDirectly shows a batch to visit.
func (s *Store) showDirectly(t taken) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer t.release()
	b := t.redacted(&s.encoder)
	for i := range b.Records {
		if b.Records[i].Flags&event.Dropped != 0 {
			continue
		}
		r := &Record{Source: b.Source, End: b.To}
		r.frame = s.encoder.frame(s.next, t.tap.pipeline, b, i, false)
		s.next++
		s.visit(r)
	}
	s.visit(&Record{Source: b.Source, End: b.To})
	s.encoder.trim()
}
