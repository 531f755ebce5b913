package ledger

import "slices"

// span is a stretch of positions, [from, to).
type span struct{ from, to uint64 }

// ranges is a set of positions: spans in ascending order that neither overlap
// nor touch. The usual set is one span.
type ranges []span

// add puts [from, to) into the set.
func (r *ranges) add(from, to uint64) {
	if from >= to {
		return
	}
	s := *r
	if n := len(s); n > 0 && s[n-1].to == from {
		s[n-1].to = to
		return
	}
	first, _ := slices.BinarySearchFunc(s, from, func(e span, at uint64) int {
		if e.to < at {
			return -1
		}
		return 1
	})
	last := first
	for last < len(s) && s[last].from <= to {
		from, to = min(from, s[last].from), max(to, s[last].to)
		last++
	}
	*r = slices.Replace(s, first, last, span{from, to})
}

// reach gives the end of the span that holds or ends at a position, or the
// position itself where none does.
func (r ranges) reach(from uint64) uint64 {
	for _, s := range r {
		if s.from <= from && from <= s.to {
			return s.to
		}
		if s.from > from {
			break
		}
	}
	return from
}

// has says whether a position is in the set.
func (r ranges) has(pos uint64) bool {
	i, _ := slices.BinarySearchFunc(r, pos, func(e span, at uint64) int {
		if e.to <= at {
			return -1
		}
		return 1
	})
	return i < len(r) && r[i].from <= pos
}

// trim forgets all below a position.
func (r *ranges) trim(below uint64) {
	s := *r
	n := 0
	for n < len(s) && s[n].to <= below {
		n++
	}
	s = slices.Delete(s, 0, n)
	if len(s) > 0 && s[0].from < below {
		s[0].from = below
	}
	*r = s
}
