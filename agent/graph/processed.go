package graph

import (
	"time"

	"github.com/longshore/longshore/pipeline/event"
)

// processed is a batch that has gone through a pipeline, on its way to the outputs.
type processed struct {
	pipeline *pipelineInstance
	batch    *event.Batch
	// Lines that were taken, that became part of another's record, and that are pending more than
	// before.
	lines, joined, pending int
}

// account counts the lines, and the records as the outputs'.
func (p *processed) account() {
	shared := p.pipeline.shared
	shared.read.Add(uint64(p.lines))
	shared.joined.Add(uint64(p.joined))
	shared.pending.Add(int64(p.pending))
	for _, o := range shared.outputs {
		o.deliverer.Expect(len(p.batch.Records))
	}
}

// process takes a batch through pipeline k.
func (s *sourceState) process(k int, b *event.Batch, now func() time.Time) processed {
	p := s.pipelines[k]
	lines := len(b.Records)
	if p.join == nil {
		p.apply(b, &s.timestamps, now)
		return processed{pipeline: p, batch: b, lines: lines}
	}
	before := p.join.open.lines
	p.join.joinLines(b)
	s.timestamps.datePending(p.join)
	return s.processJoined(k, b, lines, before, now)
}

// release takes the pending record of pipeline k through it, in an empty batch.
func (s *sourceState) release(k int, b *event.Batch, now func() time.Time) processed {
	j := s.pipelines[k].join
	before := j.open.lines
	j.release(b, s.to)
	return s.processJoined(k, b, 0, before, now)
}

func (s *sourceState) processJoined(k int, b *event.Batch, lines, before int, now func() time.Time) processed {
	p := s.pipelines[k]
	p.apply(b, &s.timestamps, now)
	if p.join.passed {
		p.join.passed = false
		s.passed(k, p.join.after)
	}
	after := p.join.open.lines
	joined := lines + before - after - len(b.Records)
	return processed{pipeline: p, batch: b, lines: lines, joined: joined, pending: after - before}
}

// pending reports whether a record of the source is pending in a pipeline.
func (s *sourceState) pending() bool {
	for _, p := range s.pipelines {
		if p.join.pending() {
			return true
		}
	}
	return false
}

// replayWait is how many times longer a record is pending of what an earlier run may have sent:
// what it had in one must not be split because reading it again is slow. When nothing has come for
// so long, nothing more of that run comes.
const replayWait = 10

// startWait begins to wait for the lines that may belong to what is pending.
func (s *sourceState) startWait() {
	s.wait = 0
	for _, p := range s.pipelines {
		if wait := p.join.wait(); p.join.pending() && (s.wait == 0 || wait < s.wait) {
			s.wait = wait
		}
	}
	if s.to < s.uncertainBelow {
		s.wait *= replayWait
	}
	s.due = time.Now().Add(s.wait)
}

// addTimeoutBoundary notes that a timeout ends all records at the end of what has come.
func (s *sourceState) addTimeoutBoundary() (added bool) {
	added = s.progress.AddTimeoutBoundary(s.to)
	for _, p := range s.pipelines {
		if p.join != nil {
			p.join.addBounds(s.to)
			p.join.boundNeeded = false
		}
	}
	return added
}

// reviewBoundary removes the boundary that a timeout has made, when the first line since would have
// begun a record anyway.
func (s *sourceState) reviewBoundary() {
	if s.boundary == 0 {
		return
	}
	needed := false
	for _, p := range s.pipelines {
		needed = needed || p.join != nil && p.join.boundNeeded
	}
	if !needed {
		s.progress.RemoveTimeoutBoundary(s.boundary)
	}
	s.boundary = 0
}
