package graph

import (
	"encoding/binary"

	"github.com/longshore/longshore/agent/disk/payload"
)

// A uniquifier makes the times of a source unique: of records of one instant, each after the first
// gets the next free nanosecond. Loki silently keeps one of several equal lines of one instant, and
// applications that write milliseconds have many such. It is deterministic, and its state is part
// of the source's cursor, so that a replay gives every record the same time.
//
// It remembers the intervals of taken nanoseconds that were used last. A record that comes later
// than that many other instants may collide. So lines that take an assigned timestamp keep theirs
// among lines of many instants.
type uniquifier struct {
	taken  [maxIntervals]interval
	count  int   // how many are in use
	newest int   // index of the one used last; the one behind it, round the end, is the oldest
	top    int64 // end of the highest
}

const maxIntervals = 8

// interval is [from, next).
type interval struct{ from, next int64 }

// unique returns the time, or the next free one.
func (u *uniquifier) unique(at int64) int64 {
	if u.count == 0 || at > u.top {
		u.begin(at)
		return at
	}
	hit := -1
	for again := true; again; {
		again = false
		for i := range u.taken[:u.count] {
			if s := u.taken[i]; s.from <= at && at < s.next {
				at, hit, again = s.next, i, true
			}
		}
	}
	if hit < 0 {
		u.begin(at)
		return at
	}
	u.taken[hit].next = at + 1
	u.top = max(u.top, at+1)
	u.makeNewest(hit)
	return at
}

func (u *uniquifier) makeNewest(i int) {
	for i != u.newest {
		next := (i + 1) % u.count
		u.taken[i], u.taken[next] = u.taken[next], u.taken[i]
		i = next
	}
}

// begin begins an interval, in place of the oldest. Until all are in use the newest is the last.
func (u *uniquifier) begin(at int64) {
	if u.count < maxIntervals {
		u.newest = u.count
		u.count++
	} else {
		u.newest = (u.newest + 1) % maxIntervals
	}
	u.taken[u.newest] = interval{at, at + 1}
	u.top = max(u.top, at+1)
}

// append appends the state, oldest interval first.
func (u *uniquifier) append(dst []byte) []byte {
	dst = append(dst, byte(u.count))
	for i := range u.count {
		s := u.taken[(u.newest+1+i)%u.count]
		dst = binary.AppendVarint(dst, s.from)
		dst = binary.AppendVarint(dst, s.next-s.from)
	}
	return dst
}

// readUniquifier reads what append wrote.
func readUniquifier(r *payload.Reader) (u uniquifier) {
	n := int(r.Byte())
	if n > maxIntervals {
		r.Fail()
	}
	for range n {
		from, length := r.Int(), r.Int()
		if r.Damaged || length <= 0 {
			r.Fail()
			return uniquifier{}
		}
		u.begin(from)
		u.taken[u.newest].next = from + length
		u.top = max(u.top, from+length)
	}
	return u
}
