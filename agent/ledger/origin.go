package ledger

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/longshore/longshore/agent/disk/payload"
)

// An origin is where a route begins in a source: nothing before it was ever sent by that route to
// its present target, because reading began there, the route is newer than the source, or it had
// another target.
type origin struct {
	pos      uint64
	target   []byte           // see pipeline.Targeted; nil for none
	previous []previousTarget // that may hold records beyond the cursor

	known     bool // pos is
	writing   bool // the flush under way writes it
	stored    bool
	unwritten bool // of a route that is not in use now: see Ledger.Release
}

// A routeOrigin is the origin of a route that is not in use now.
type routeOrigin struct {
	route string
	origin
}

// A previousTarget may hold records below a position.
type previousTarget struct {
	until  uint64
	target []byte
}

func (o *origin) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, o.pos)
	dst = payload.AppendString(dst, o.target)
	dst = binary.AppendUvarint(dst, uint64(len(o.previous)))
	for _, p := range o.previous {
		dst = binary.AppendUvarint(dst, p.until)
		dst = payload.AppendString(dst, p.target)
	}
	return dst
}

func readOrigin(r *payload.Reader) origin {
	o := origin{pos: r.Uint(), known: true}
	if len(r.Rest) == 0 {
		return o
	}
	if target := r.Bytes(); len(target) > 0 {
		o.target = bytes.Clone(target)
	}
	for n := r.Count(); n > 0 && !r.Damaged; n-- {
		o.previous = append(o.previous, previousTarget{until: r.Uint(), target: bytes.Clone(r.Bytes())})
	}
	return o
}

// Begin notes the position of the first record of this process. Routes that never had one begin
// there.
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

// SetTarget notes where a route's records go, as its output describes it. If that has changed, what
// may have been sent is to be looked up at the previous target: see Track.AtTarget. It is on disk
// before a record is sent: see Track.Reserve. target is kept, and must not change.
func (s *Source) SetTarget(route string, target []byte) error {
	t, err := s.Track(route)
	if err != nil {
		return fmt.Errorf("storing the target: %w", err)
	}
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	o := &t.origin
	if bytes.Equal(target, o.target) {
		return nil
	}
	if o.known && len(o.target) > 0 {
		o.previous = append(o.previous, previousTarget{until: t.uncertainBelow, target: o.target})
		o.pos = max(o.pos, t.uncertainBelow, s.resume.Pos)
	}
	o.target = target
	t.originChanged()
	return nil
}

// originChanged has the origin written. The caller holds the ledger's mu.
func (t *Track) originChanged() {
	o := &t.origin
	o.previous = slices.DeleteFunc(o.previous, func(p previousTarget) bool { return p.until <= t.source.resume.Pos })
	o.writing, o.stored = false, false
	t.source.markDirty()
}

// AtTarget returns the targets, other than the present one, to which an earlier run may have sent
// the record at a position.
func (t *Track) AtTarget(pos uint64) (targets [][]byte) {
	t.source.ledger.mu.Lock()
	defer t.source.ledger.mu.Unlock()
	for _, p := range t.origin.previous {
		if pos < p.until {
			targets = append(targets, p.target)
		}
	}
	return targets
}

// appendOrigins appends those that are not on disk, or all. The caller holds the ledger's mu.
func (s *Source) appendOrigins(dst []byte, all bool) []byte {
	for _, t := range s.tracks {
		if t.origin.known && (all || !t.origin.stored) {
			t.origin.writing = true
			dst = s.appendOrigin(dst, t.route, t.origin)
		}
	}
	if s.tracks == nil && all {
		for _, o := range s.origins {
			dst = s.appendOrigin(dst, o.route, o.origin)
		}
	}
	return dst
}

func (s *Source) appendOrigin(dst []byte, route string, o origin) []byte {
	return appendFrame(dst, &entry{kind: kindOrigin, id: s.id, route: route, origin: o})
}

func (s *Source) restoreOrigin(e entry) {
	s.origins = slices.DeleteFunc(s.origins, func(o routeOrigin) bool { return o.route == e.route })
	s.origins = append(s.origins, routeOrigin{e.route, e.origin})
}

// originOf returns the origin that an earlier run has noted of a route.
func (s *Source) originOf(route string) (o origin, known bool) {
	for i := range s.origins {
		if s.origins[i].route == route {
			return s.origins[i].origin, true
		}
	}
	return origin{}, false
}
