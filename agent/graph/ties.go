package graph

import (
	"encoding/binary"

	"github.com/longshore/longshore/agent/disk/payload"
)

// ties makes the times of a source unique: of records of one instant, each
// after the first takes the next nanosecond that is free. Loki silently keeps one
// of several equal lines of one instant, and applications that write
// milliseconds have many such. It is deterministic, and its state is part of the
// source's cursor, so that a replay gives every record the time it had before.
//
// It remembers the last few stretches of taken nanoseconds that were used; a record that
// comes later than that many other instants may collide. So lines that take a time mark
// keep theirs among lines of many instants.
type ties struct {
	taken  [tieStretches]stretch
	count  int   // how many are in use
	newest int   // index of the one used last; the one behind it, round the end, is the oldest
	top    int64 // end of the highest
}

const tieStretches = 8

// stretch is [from, next).
type stretch struct{ from, next int64 }

// unique gives the time, or the next free one.
func (t *ties) unique(at int64) int64 {
	if t.count == 0 || at > t.top {
		t.begin(at)
		return at
	}
	hit := -1
	for again := true; again; {
		again = false
		for i := range t.taken[:t.count] {
			if s := t.taken[i]; s.from <= at && at < s.next {
				at, hit, again = s.next, i, true
			}
		}
	}
	if hit < 0 {
		t.begin(at)
		return at
	}
	t.taken[hit].next = at + 1
	t.top = max(t.top, at+1)
	t.use(hit)
	return at
}

// use makes a stretch the newest.
func (t *ties) use(i int) {
	for i != t.newest {
		next := (i + 1) % t.count
		t.taken[i], t.taken[next] = t.taken[next], t.taken[i]
		i = next
	}
}

// begin takes a first nanosecond, in the place of the oldest stretch. Until all are in
// use the newest is the last.
func (t *ties) begin(at int64) {
	if t.count < tieStretches {
		t.newest = t.count
		t.count++
	} else {
		t.newest = (t.newest + 1) % tieStretches
	}
	t.taken[t.newest] = stretch{at, at + 1}
	t.top = max(t.top, at+1)
}

// append appends the state, oldest stretch first.
func (t *ties) append(dst []byte) []byte {
	dst = append(dst, byte(t.count))
	for i := range t.count {
		s := t.taken[(t.newest+1+i)%t.count]
		dst = binary.AppendVarint(dst, s.from)
		dst = binary.AppendVarint(dst, s.next-s.from)
	}
	return dst
}

// readTies reads what append wrote.
func readTies(r *payload.Reader) (t ties) {
	n := int(r.Byte())
	if n > tieStretches {
		r.Fail()
	}
	for range n {
		from, length := r.Int(), r.Int()
		if r.Damaged || length <= 0 {
			r.Fail()
			return ties{}
		}
		t.begin(from)
		t.taken[t.newest].next = from + length
		t.top = max(t.top, from+length)
	}
	return t
}
