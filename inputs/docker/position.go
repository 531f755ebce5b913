package docker

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"time"
)

// A position is how far one stream of a container's log is read. It holds for
// every way to read that log: by the API, or from the engine's file.
//
// It is anchored to one message of the log, the first one whose time is mark
// or later, whichever stream that message is of; count lines of this stream follow
// from there on. Time alone would not do: the engine writes times down in an
// order of its own (the two streams race each other, clocks are set back, many
// lines share an instant), and gives the log from the first message at or
// after a time on. From the anchor on, its order is the file's, always the
// same.
type position struct {
	anchor   int64  // time of the anchor, Unix nanoseconds
	earliest int64  // the earliest time seen since the anchor; at most mark
	count    uint64 // lines of this stream that ended since the anchor
	last     int64  // time of the last of all lines
	sum      uint64 // its checksum, if count > 0
	next     uint64 // one above the last line's Pos; where the source is at
	anchored bool   // the anchor is a message that was read, not just a time

	// top is the latest time seen since the anchor. The next anchor must be
	// later, or it would not be the first message of its time or later. It is
	// not kept in the cursor: what was seen is seen again.
	latest int64
}

const (
	cursorVersion = 1
	cursorLen     = 2 + 6*8
)

// appendCursor appends the position as event.Batch.Cursor holds it: a version,
// a byte of flags and the numbers, little endian.
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

// parseCursor reads what appendCursor wrote for the source's position pos. It reports false for
// anything else.
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

// positionAt is a position known by time alone: what is before ts is done.
func positionAt(ts int64, next uint64) position {
	return position{anchor: ts, earliest: ts, next: next}
}

// sinceMargin is how much earlier than the position the log is asked for.
// Engines before 23.0 filter every message by its time, not only up to the
// first match, and the two streams' times run a little out of order.
const sinceMargin = int64(2 * time.Second)

// stepMargin is how much earlier than the anchor a later message may be without the clock
// having been set back: a line that took its time is logged with its first part's.
const stepMargin = int64(time.Minute)

// since is the time from which the log must be asked for, to find the
// position in it; 0 for the beginning.
func (p *position) since() int64 { return max(0, p.earliest-sinceMargin) }

// claim gives the Pos of the next line: its time, made to ascend strictly.
func (p *position) assign(ts int64) uint64 {
	pos := max(uint64(max(ts, 0)), p.next)
	p.next = pos + 1
	return pos
}

// see notes a message of either stream before it is read. inside tells that
// this stream is in the middle of a line: then the anchor must not move on,
// because that line's beginning lies before it.
func (p *position) observe(ts int64, inside bool) {
	if ts > max(p.latest, p.anchor) && !inside {
		*p = position{anchor: ts, earliest: ts, anchored: true, last: p.last, next: p.next}
		return
	}
	p.earliest = min(p.earliest, ts)
	p.latest = max(p.latest, ts)
}

// seeAgain notes a message that was seen before, if it comes behind the anchor.
func (p *position) observeAgain(ts int64, passed bool) {
	if passed {
		p.latest = max(p.latest, ts)
	}
}

// quiet gives the position up to which a stream without lines may be declared
// done, such that its next line still gets the Pos it would get without.
func (p *position) idlePosition() uint64 {
	if p.anchor <= sinceMargin || p.anchor == math.MaxInt64 {
		return p.next
	}
	return max(p.next, uint64(p.anchor-sinceMargin))
}

// checksum is FNV-1a of a line.
func checksum(line []byte) uint64 {
	h := fnv.New64a()
	h.Write(line)
	return h.Sum64()
}

// A resume finds a position again in a log that is read from somewhere before
// it, and tells which lines are done.
type search struct {
	want        position
	active      bool   // still looking
	anchorFound bool   // the anchor was seen
	lines       uint64 // lines of this stream since then
	matched     uint64 // how many of those there were at the last one with the wanted checksum
}

// find starts looking for a position. There is nothing to find in a log that
// was never read.
func (r *search) start(p position) {
	*r = search{want: p, active: p.anchor > 0}
}

// see notes a message of either stream, before it is read. It reports
// true if the anchor is gone, so that lines between it and this message may be
// lost: the engine has rotated them away.
func (r *search) observe(ts int64) (gone bool) {
	if !r.active || r.anchorFound || ts < r.want.anchor {
		return false
	}
	r.anchorFound = true
	gone = r.want.anchored && ts > r.want.anchor
	r.active = r.want.count > 0 && !gone
	return gone
}

// line notes a line of this stream that ended, while active. It reports false
// when the lines that should end with the position's own did not: the log is not the
// one that was read.
func (r *search) matchLine(ts int64, line []byte) (ok bool) {
	same := ts == r.want.last && r.want.count > 0 && checksum(line) == r.want.sum
	if !r.anchorFound {
		// Only behind a clock that was set back, with the anchor rotated away.
		if same && r.want.last < r.want.anchor-stepMargin {
			r.active = false
		}
		return true
	}
	r.lines++
	if same {
		r.matched = r.lines
	}
	if r.lines < r.want.count {
		return true
	}
	r.active = false
	return same
}
