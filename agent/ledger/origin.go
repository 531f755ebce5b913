package ledger

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/longshore/longshore/agent/disk/payload"
)

// An origin is where a route's part in a source begins: nothing before it was
// ever sent by that route to the place that its output names now, be it that reading
// began there, that the route is newer than the source, or that it went elsewhere.
type origin struct {
	pos    uint64
	place  []byte   // see pipeline.Targeted; nil for none
	former []former // places that may hold what is beyond the cursor

	known   bool // pos is
	writing bool // the flush under way writes it
	stored  bool
}

// A former place may hold records below a position.
type former struct {
	until uint64
	place []byte
}

func (o *origin) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, o.pos)
	dst = payload.AppendString(dst, o.place)
	dst = binary.AppendUvarint(dst, uint64(len(o.former)))
	for _, f := range o.former {
		dst = binary.AppendUvarint(dst, f.until)
		dst = payload.AppendString(dst, f.place)
	}
	return dst
}

func readOrigin(r *payload.Reader) origin {
	o := origin{pos: r.Uint(), known: true}
	if len(r.Rest) == 0 {
		return o
	}
	if place := r.Bytes(); len(place) > 0 {
		o.place = bytes.Clone(place)
	}
	for n := r.Count(); n > 0 && !r.Damaged; n-- {
		o.former = append(o.former, former{until: r.Uint(), place: bytes.Clone(r.Bytes())})
	}
	return o
}

// Begin says that the record at this position is the first to be handed out in this
// process. For the routes that never had one, it is where they begin.
func (s *Source) Begin(pos uint64) {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	for _, t := range s.tracks {
		if !t.origin.known {
			t.origin.pos, t.origin.known = pos, true
			t.originChanged()
		}
	}
}

// Settle says where the records of a route go, as its output describes it. If that is
// elsewhere than before, what may have been sent there is to be looked for there: see
// Track.AtTarget. It is on disk before a record is sent: see Track.Reserve. place is kept, and
// must not change.
func (s *Source) SetTarget(route string, place []byte) error {
	t, err := s.Track(route)
	if err != nil {
		return fmt.Errorf("noting where records go: %w", err)
	}
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	if bytes.Equal(place, t.origin.place) {
		return nil
	}
	if t.origin.known && len(t.origin.place) > 0 {
		t.origin.former = append(t.origin.former, former{until: t.unsure, place: t.origin.place})
		t.origin.pos = max(t.origin.pos, t.unsure, s.resume.Pos)
	}
	t.origin.place = place
	t.originChanged()
	return nil
}

// originChanged has it written. The caller holds the ledger's mu.
func (t *Track) originChanged() {
	t.origin.former = slices.DeleteFunc(t.origin.former, func(f former) bool { return f.until <= t.source.resume.Pos })
	t.origin.writing, t.origin.stored = false, false
	t.source.ledger.dirty[t.source] = struct{}{}
	t.source.ledger.touch(t.source)
}

// AtTarget gives the places where an earlier run may have sent the record at a
// position, other than the one of now.
func (t *Track) AtTarget(pos uint64) (places [][]byte) {
	t.source.ledger.mu.Lock()
	defer t.source.ledger.mu.Unlock()
	for _, f := range t.origin.former {
		if pos < f.until {
			places = append(places, f.place)
		}
	}
	return places
}

// appendOrigins appends those that are not on disk, or all. The caller holds the
// ledger's mu.
func (s *Source) appendOrigins(dst []byte, all bool) []byte {
	for _, t := range s.tracks {
		if t.origin.known && (all || !t.origin.stored) {
			t.origin.writing = true
			dst = s.appendOrigin(dst, t.route, t.origin)
		}
	}
	if s.tracks == nil && all {
		for _, route := range slices.Sorted(maps.Keys(s.origins)) {
			dst = s.appendOrigin(dst, route, s.origins[route])
		}
	}
	return dst
}

func (s *Source) appendOrigin(dst []byte, route string, o origin) []byte {
	return appendFrame(dst, &entry{kind: kindOrigin, id: s.id, route: route, origin: o})
}

func (s *Source) originsStored() {
	for _, t := range s.tracks {
		t.origin.stored = t.origin.stored || t.origin.writing
	}
}

// restoreOrigin takes one that was noted earlier.
func (s *Source) restoreOrigin(e entry) {
	if s.origins == nil {
		s.origins = map[string]origin{}
	}
	s.origins[e.route] = e.origin
}

// forgetOrigins lets go of those of routes that are no more: should one come back, it
// begins anew.
func (s *Source) forgetOrigins() {
	maps.DeleteFunc(s.origins, func(route string, _ origin) bool {
		_, there := s.routes[route]
		return !there
	})
}
