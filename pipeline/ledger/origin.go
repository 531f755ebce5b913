package ledger

import (
	"maps"
	"slices"
)

// An origin is where a route's part in a source begins: nothing before it was
// ever sent by that route, be it that reading began there or that the route is newer
// than the source. It is noted once.
type origin struct {
	pos     uint64
	known   bool
	writing bool // the flush under way writes it
	stored  bool
}

// Begin says that the record at this position is the first to be handed out in this
// process. For the routes that never had one, it is where they begin.
func (s *Source) Begin(pos uint64) {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	for _, t := range s.tracks {
		if t.origin.known {
			continue
		}
		t.origin = origin{pos: pos, known: true}
		s.ledger.dirty[s] = struct{}{}
		s.ledger.touch(s)
	}
}

// appendOrigins appends those that are not on disk, or all. The caller holds the
// ledger's mu.
func (s *Source) appendOrigins(dst []byte, all bool) []byte {
	for _, t := range s.tracks {
		if t.origin.known && (all || !t.origin.stored) {
			t.origin.writing = true
			dst = s.appendOrigin(dst, t.route, t.origin.pos)
		}
	}
	if s.tracks == nil && all {
		for _, route := range slices.Sorted(maps.Keys(s.origins)) {
			dst = s.appendOrigin(dst, route, s.origins[route])
		}
	}
	return dst
}

func (s *Source) appendOrigin(dst []byte, route string, pos uint64) []byte {
	return appendFrame(dst, &entry{kind: kindOrigin, id: s.id, route: route, origin: pos})
}

func (s *Source) originsStored() {
	for _, t := range s.tracks {
		t.origin.stored = t.origin.stored || t.origin.writing
	}
}

// restoreOrigin takes one that was noted earlier.
func (s *Source) restoreOrigin(e entry) {
	if s.origins == nil {
		s.origins = map[string]uint64{}
	}
	s.origins[e.route] = e.origin
}

// forgetOrigins lets go of those of routes that are no more: should one come back, it
// begins anew.
func (s *Source) forgetOrigins() {
	maps.DeleteFunc(s.origins, func(route string, _ uint64) bool {
		_, there := s.routes[route]
		return !there
	})
}
