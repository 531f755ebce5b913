package graph

// recent is the sources of which a worker had lines last. There may be thousands
// of sources, and lines of few at a time: so only these have what makes the next line quicker.
type recent struct {
	ring []*source
	next int
}

// recentSources is more than write at the same time on nearly every host.
const recentSources = 1024

func newRecent(sources int) recent { return recent{ring: make([]*source, sources)} }

// add notes that a source had lines, and has the one rest that was added longest ago.
func (r *recent) add(s *source) {
	if s.recent {
		return
	}
	s.recent = true
	last := r.ring[r.next]
	r.ring[r.next] = s
	r.next = (r.next + 1) % len(r.ring)
	if last != nil {
		last.recent = false
		last.rest()
	}
}

// rest gives up all of a source that comes back with its next line. While a record is held
// it does nothing.
func (s *source) rest() {
	if s.holding() {
		return
	}
	if s.src != nil {
		s.src.Rest()
	}
	s.now, s.state = nil, nil
	for _, p := range s.pipes {
		if p.join != nil && p.join.knowsNothing(s.to) {
			p.join = nil
		}
	}
	s.times.joins = nil
	s.rested = true
}

// rouse undoes rest, before lines are taken.
func (s *source) rouse() {
	if !s.rested {
		return
	}
	s.rested = false
	s.cut = 0 // whether the first line would have begun a record anyway is not known any more: it stays
	for _, p := range s.pipes {
		if p.join == nil && p.how.newJoiner != nil {
			p.join = newJoin(p.how, s.src, 0, nil)
		}
		if p.join != nil {
			s.times.joins = append(s.times.joins, p.join)
		}
	}
}

// knowsNothing says whether a join that holds nothing, and has had all lines up to a position,
// is as good as a new one for those that follow.
func (j *join) knowsNothing(at uint64) bool {
	return j.begin <= at && (len(j.bounds) == 0 || j.bounds[len(j.bounds)-1] <= at)
}
