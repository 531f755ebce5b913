package graph

import "slices"

// A resumption is how a pipeline goes on with a source at a checkpoint.
type resumption struct {
	pipeline   string
	uniquifier uniquifier
	// begin is where the first record begins that is not done at the checkpoint, if that is beyond
	// it: the lines before it belong to a record that began earlier.
	begin uint64
}

// A checkpoint is kept back while a record is pending that began before it: only when that has
// passed is it known how its pipeline goes on. The cursor could not come there earlier in any case.
type checkpoint struct {
	pos         uint64
	cursor      []byte
	resumptions []resumption
	waits       []bool // for which of the pipelines
	left        int    // how many these are
}

// checkpoint notes that reading goes on at a position once all before it is done.
func (s *sourceState) checkpoint(pos uint64, cursor []byte) {
	s.storeKept()
	c := checkpoint{pos: pos, cursor: cursor, resumptions: s.resumptions[:0]}
	for _, p := range s.pipelines {
		c.resumptions = append(c.resumptions, p.resumption())
		if p.join.pending() {
			c.left++
		}
	}
	s.resumptions = c.resumptions
	if c.left == 0 {
		s.store(&c)
		return
	}
	// What the last one waits for is still pending: where no more is, this replaces it.
	if n := len(s.kept); n > 0 && s.kept[n-1].left == c.left {
		s.kept = s.kept[:n-1]
	}
	c.cursor, c.resumptions = slices.Clone(c.cursor), slices.Clone(c.resumptions)
	for _, p := range s.pipelines {
		c.waits = append(c.waits, p.join.pending())
	}
	s.kept = append(s.kept, c)
}

// resumption returns how the pipeline goes on behind the records it has had.
func (p *pipelineInstance) resumption() resumption {
	r := resumption{pipeline: p.shared.name, uniquifier: p.uniquifier}
	if p.join != nil {
		r.begin = p.join.begin
	}
	return r
}

// passed notes that the record has passed that was pending in a pipeline.
func (s *sourceState) passed(k int, after resumption) {
	for i := range s.kept {
		if c := &s.kept[i]; c.waits[k] {
			c.resumptions[k], c.waits[k] = after, false
			c.left--
		}
	}
}

// storeKept stores the checkpoints that wait no longer. One waits for all that those before it wait
// for.
func (s *sourceState) storeKept() {
	n := 0
	for n < len(s.kept) && s.kept[n].left == 0 {
		s.store(&s.kept[n])
		n++
	}
	s.kept = slices.Delete(s.kept, 0, n)
}

func (s *sourceState) store(c *checkpoint) {
	for i := range c.resumptions {
		if c.resumptions[i].begin <= c.pos {
			c.resumptions[i].begin = 0
		}
	}
	s.state = appendState(s.state[:0], c.resumptions, c.cursor)
	s.progress.Checkpoint(c.pos, s.state)
}
