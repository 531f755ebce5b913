package multiline

import (
	"regexp"

	"github.com/longshore/longshore/pipeline"
)

// Patterns joins lines by regular expressions. They are for what a program writes: the head that a
// container runtime puts before it is left out, and parts of a line go together.
type Patterns struct {
	start, next *regexp.Regexp
	open        bool
	stream      byte // of the lines' CRI heads, 0 where they have none
	part        bool // the last line goes on in the next one of its stream
}

// NewPatterns makes the joiner of one source. A line that matches start begins a
// record; one that matches next continues it. Either may be nil: without start, what
// does not match next begins a record, and without next, what does not match
// start continues one. With both, what matches neither begins one.
func NewPatterns(start, next *regexp.Regexp) *Patterns {
	return &Patterns{start: start, next: next}
}

// End implements pipeline.Joiner.
func (p *Patterns) End() { p.open, p.stream, p.part = false, 0, false }

// Line implements pipeline.Joiner.
func (p *Patterns) Line(line []byte) pipeline.JoinDecision {
	stream, part, inner := criHead(line)
	if stream == 0 {
		inner = line
	}
	goesOn, same := p.part && stream == p.stream, stream == p.stream
	p.stream, p.part = stream, part
	if goesOn && p.open {
		return pipeline.Continues
	}
	if !p.open || !same || !p.continues(inner) {
		p.open = true
		return 0
	}
	return pipeline.Continues
}

func (p *Patterns) continues(line []byte) bool {
	if p.start != nil && p.start.Match(line) {
		return false
	}
	return p.next == nil || p.next.Match(line)
}
