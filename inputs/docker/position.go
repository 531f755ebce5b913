package docker

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"time"
)

// A position is how far one stream of a container's log is read. It holds for the API and for the
// engine's files.
//
// It is anchored to a message: the first one, of either stream, whose time is anchor or later;
// count lines of this stream follow from there. A time alone is not enough: the two streams race
// each other, clocks are set back, many lines share an instant, parts of a line keep its first
// time, and engines before 23.0 filter every message by since, newer ones only until the first
// match. From the anchor on, the order of messages never changes.
type position struct {
	anchor   int64  // time of the anchor, Unix nanoseconds
	earliest int64  // the earliest time since the anchor; at most anchor
	count    uint64 // lines of this stream that ended since the anchor
	last     int64  // time of the last line
	sum      uint64 // its checksum, if count > 0
	next     uint64 // one above the last line's Pos
	anchored bool   // the anchor is a message that was read, not just a time

	// latest is the latest time since the anchor. The next anchor must be later, to be the first
	// message of its time. The cursor does not hold it, as those messages are read again.
	latest int64
}

const (
	cursorVersion = 1
	cursorLen     = 2 + 6*8
)

// appendCursor appends the position as event.Batch.Cursor: a version, flags and the numbers, little
// endian.
func (p *position) appendCursor(dst []byte) []byte {
	flags := byte(0)
	if p.anchored {
		flags = 1
	}
	dst = append(dst, cursorVersion, flags)
	for _, n := range [...]uint64{uint64(p.anchor), uint64(p.earliest), p.count, uint64(p.last), p.sum, p.next} {
		dst = binary.LittleEndian.AppendUint64(dst, n)
	}
	return dst
}

// parseCursor reads what appendCursor wrote for the source's position pos.
func parseCursor(state []byte, pos uint64) (position, bool) {
	if len(state) != cursorLen || state[0] != cursorVersion || state[1] > 1 {
		return position{}, false
	}
	n := func(i int) uint64 { return binary.LittleEndian.Uint64(state[2+8*i:]) }
	p := position{
		anchor: int64(n(0)), earliest: int64(n(1)), count: n(2), last: int64(n(3)), sum: n(4), next: n(5),
		anchored: state[1] == 1,
	}
	if p.next != pos || p.earliest > p.anchor || p.earliest < 0 {
		return position{}, false
	}
	return p, true
}

// positionAt returns a position known by time alone: what is before ts is done.
func positionAt(ts int64, next uint64) position {
	return position{anchor: ts, earliest: ts, next: next}
}

// sinceMargin is how much earlier than the position the log is requested, as the two streams' times
// run a little out of order.
const sinceMargin = int64(2 * time.Second)

// stepMargin is how much earlier than the anchor a later message may be without the clock having
// been set back: a slow line is logged with the time of its first part.
const stepMargin = int64(time.Minute)

// since returns the time from which the log must be requested to find the position; 0 for the
// beginning.
func (p *position) since() int64 { return max(0, p.earliest-sinceMargin) }

// assign returns the Pos of the next line: its time, made strictly ascending.
func (p *position) assign(ts int64) uint64 {
	pos := max(uint64(max(ts, 0)), p.next)
	p.next = pos + 1
	return pos
}

// observe notes a message of either stream before it is read. While this stream is in a line the
// anchor must not move, as the line begins before it.
func (p *position) observe(ts int64, inLine bool) {
	if ts > max(p.latest, p.anchor) && !inLine {
		*p = position{anchor: ts, earliest: ts, anchored: true, last: p.last, next: p.next}
		return
	}
	p.earliest = min(p.earliest, ts)
	p.latest = max(p.latest, ts)
}

// observeAgain notes a message that was read before.
func (p *position) observeAgain(ts int64, afterAnchor bool) {
	if afterAnchor {
		p.latest = max(p.latest, ts)
	}
}

// idlePosition returns up to where a stream without lines is done, such that its next line still
// gets the Pos that it would get otherwise.
func (p *position) idlePosition() uint64 {
	if p.anchor <= sinceMargin || p.anchor == math.MaxInt64 {
		return p.next
	}
	return max(p.next, uint64(p.anchor-sinceMargin))
}

// checksum returns the FNV-1a hash of a line.
func checksum(line []byte) uint64 {
	h := fnv.New64a()
	h.Write(line)
	return h.Sum64()
}

// A search finds a position in a log that is read from somewhere before it, and decides which lines
// are done.
type search struct {
	want        position
	active      bool // not found yet
	anchorFound bool
	lines       uint64 // of this stream since the anchor
	matched     uint64 // lines up to the last one that equals the position's
}

// start begins to search a position. In a log that was never read there is nothing to find.
func (s *search) start(p position) {
	*s = search{want: p, active: p.anchor > 0}
}

// observe notes a message of either stream before it is read. It reports whether the engine has
// rotated away the anchor, so that lines before this message may be lost.
func (s *search) observe(ts int64) (gone bool) {
	if !s.active || s.anchorFound || ts < s.want.anchor {
		return false
	}
	s.anchorFound = true
	gone = s.want.anchored && ts > s.want.anchor
	s.active = s.want.count > 0 && !gone
	return gone
}

// matchLine notes a complete line of this stream. It reports false if the log turns out to be
// another one.
func (s *search) matchLine(ts int64, line []byte) (ok bool) {
	same := ts == s.want.last && s.want.count > 0 && checksum(line) == s.want.sum
	if !s.anchorFound {
		// The clock was set back after the anchor, which is rotated away.
		if same && s.want.last < s.want.anchor-stepMargin {
			s.active = false
		}
		return true
	}
	s.lines++
	if same {
		s.matched = s.lines
	}
	if s.lines < s.want.count {
		return true
	}
	s.active = false
	return same
}
