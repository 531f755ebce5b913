package graph

import "slices"

// A resumption is how a pipeline goes on with a source at a checkpoint.
type resumption struct {
	pipeline string
	ties     ties
	// begin is where the first record begins that is not done at the checkpoint, if that
	// is beyond it: the lines before it belong to a record that began earlier.
	begin uint64
}

// A checkpoint is kept back while a record is held that began before it: only when
// that has passed is it known how its pipeline goes on. The cursor could not come
// there earlier in any case.
type checkpoint struct {
	pos    uint64
	cursor []byte
	pipes  []resumption
	waits  []bool // for which of the pipes
	left   int    // how many these are
}

// checkpoint notes that reading goes on at a position once all before it is done.
func (s *source) checkpoint(pos uint64, cursor []byte) {
	s.storeKept()
	c := checkpoint{pos: pos, cursor: cursor, pipes: s.now[:0]}
	for _, p := range s.pipes {
		c.pipes = append(c.pipes, p.resumption())
		if p.join.holding() {
			c.left++
		}
	}
	s.now = c.pipes
	if c.left == 0 {
		s.store(&c)
		return
	}
	// What the last one waits for is still held: where no more is, this takes its place.
	if n := len(s.kept); n > 0 && s.kept[n-1].left == c.left {
		s.kept = s.kept[:n-1]
	}
	c.cursor, c.pipes = slices.Clone(c.cursor), slices.Clone(c.pipes)
	for _, p := range s.pipes {
		c.waits = append(c.waits, p.join.holding())
	}
	s.kept = append(s.kept, c)
}

// resumption is how the pipeline goes on behind the records it has had.
func (p *pipe) resumption() resumption {
	r := resumption{pipeline: p.pipeline.name, ties: p.ties}
	if p.join != nil {
		r.begin = p.join.begin
	}
	return r
}

// passed notes that the record has passed that a pipe had held.
func (s *source) passed(k int, after resumption) {
	for i := range s.kept {
		if c := &s.kept[i]; c.waits[k] {
			c.pipes[k], c.waits[k] = after, false
			c.left--
		}
	}
}

// storeKept hands the ledger those that wait no longer. One waits for all that the
// ones before it wait for.
func (s *source) storeKept() {
	n := 0
	for n < len(s.kept) && s.kept[n].left == 0 {
		s.store(&s.kept[n])
		n++
	}
	s.kept = slices.Delete(s.kept, 0, n)
}

func (s *source) store(c *checkpoint) {
	for i := range c.pipes {
		if c.pipes[i].begin <= c.pos {
			c.pipes[i].begin = 0
		}
	}
	s.state = appendState(s.state[:0], c.pipes, c.cursor)
	s.progress.Checkpoint(c.pos, s.state)
}
