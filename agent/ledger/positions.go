package ledger

import "slices"

// span is an interval of positions, [from, to).
type span struct{ from, to uint64 }

// Positions is a set of positions of one source: spans in ascending order that neither overlap nor
// touch. The usual set is one span.
type Positions []span

// Add adds [from, to).
func (p *Positions) Add(from, to uint64) {
	if from >= to {
		return
	}
	s := *p
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
	*p = slices.Replace(s, first, last, span{from, to})
}

// Has reports whether a position is in the set.
func (p Positions) Has(pos uint64) bool {
	i, _ := slices.BinarySearchFunc(p, pos, func(e span, at uint64) int {
		if e.to <= at {
			return -1
		}
		return 1
	})
	return i < len(p) && p[i].from <= pos
}

// Empty reports whether the set has no position.
func (p Positions) Empty() bool { return len(p) == 0 }

// End returns the position after the last one; 0 if there is none.
func (p Positions) End() uint64 {
	if p.Empty() {
		return 0
	}
	return p[len(p)-1].to
}

// Complement returns all positions that are not in the set.
func (p Positions) Complement() Positions {
	var others Positions
	from := uint64(0)
	for _, s := range p {
		others.Add(from, s.from)
		from = s.to
	}
	others.Add(from, 1<<64-1)
	return others
}

// endOfSpan returns the end of the span that contains or ends at a position, or the position itself
// if none does.
func (p Positions) endOfSpan(from uint64) uint64 {
	for _, s := range p {
		if s.from <= from && from <= s.to {
			return s.to
		}
		if s.from > from {
			break
		}
	}
	return from
}

// trim removes all below a position.
func (p *Positions) trim(below uint64) {
	s := *p
	n := 0
	for n < len(s) && s[n].to <= below {
		n++
	}
	s = slices.Delete(s, 0, n)
	if len(s) > 0 && s[0].from < below {
		s[0].from = below
	}
	*p = s
}
