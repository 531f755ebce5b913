package graph

import (
	"time"

	"github.com/longshore/longshore/pipeline/event"
)

// A passage is a batch that a pipeline has gone through, on its way to the outputs.
type passage struct {
	pipe  *pipe
	batch *event.Batch
	// Of the account, in lines: taken, become part of another's record, and held more
	// than before.
	lines, joined, held int
}

// account counts the passage, and its records as the outputs'.
func (t *passage) account() {
	p := t.pipe.pipeline
	p.read.Add(uint64(t.lines))
	p.joined.Add(uint64(t.joined))
	p.inFlight.Add(int64(t.held))
	for _, o := range p.outputs {
		o.deliverer.Expect(len(t.batch.Records))
	}
}

// pass takes a batch through pipeline k.
func (s *source) pass(k int, b *event.Batch, now func() time.Time) passage {
	p := s.pipes[k]
	lines := len(b.Records)
	if p.join == nil {
		p.understand(b, &s.times, now)
		return passage{pipe: p, batch: b, lines: lines}
	}
	before := p.join.open.lines
	p.join.take(b)
	s.times.dateHeld(p.join)
	return s.joined(k, b, lines, before, now)
}

// release takes the record through pipeline k that it has held, in an empty batch.
func (s *source) release(k int, b *event.Batch, now func() time.Time) passage {
	j := s.pipes[k].join
	before := j.open.lines
	j.release(b, s.to)
	return s.joined(k, b, 0, before, now)
}

// joined goes on with a batch whose lines are joined.
func (s *source) joined(k int, b *event.Batch, lines, before int, now func() time.Time) passage {
	p := s.pipes[k]
	p.understand(b, &s.times, now)
	if p.join.passed {
		p.join.passed = false
		s.passed(k, p.join.after)
	}
	after := p.join.open.lines
	return passage{pipe: p, batch: b, lines: lines, joined: lines + before - after - len(b.Records), held: after - before}
}

// holding says whether a pipeline holds a record of the source.
func (s *source) holding() bool {
	for _, p := range s.pipes {
		if p.join.holding() {
			return true
		}
	}
	return false
}

// replayWait is how many times longer a record is held of what an earlier run may
// have sent: what it had in one must not be cut in two because reading it again is
// slow. When nothing has come for so long, nothing more of that run comes.
const replayWait = 10

// hold begins to wait for the lines that may belong to what is held.
func (s *source) hold() {
	s.wait = 0
	for _, p := range s.pipes {
		if wait := p.join.wait(); p.join.holding() && (s.wait == 0 || wait < s.wait) {
			s.wait = wait
		}
	}
	if s.to < s.unsure {
		s.wait *= replayWait
	}
	s.due = time.Now().Add(s.wait)
}

// cutHere notes that time ends all records at the end of what has come.
func (s *source) cutHere() (fresh bool) {
	fresh = s.progress.AddTimeoutBoundary(s.to)
	for _, p := range s.pipes {
		if p.join != nil {
			p.join.bound(s.to)
			p.join.needed = false
		}
	}
	return fresh
}

// uncut lets go of the cut that waiting has made, when the first line since would
// have begun a record anyway.
func (s *source) uncut() {
	if s.cut == 0 {
		return
	}
	needed := false
	for _, p := range s.pipes {
		needed = needed || p.join != nil && p.join.needed
	}
	if !needed {
		s.progress.RemoveTimeoutBoundary(s.cut)
	}
	s.cut = 0
}
