package multiline

import (
	"regexp"

	"github.com/longshore/longshore/pipeline"
)

// Patterns joins lines by regular expressions.
type Patterns struct {
	start, next *regexp.Regexp
	open        bool
}

// NewPatterns makes the joiner of one source. A line that matches start begins a
// record; one that matches next continues it. Either may be nil: without start, what
// does not match next begins a record, and without next, what does not match
// start continues one. With both, what matches neither begins one.
func NewPatterns(start, next *regexp.Regexp) *Patterns {
	return &Patterns{start: start, next: next}
}

// End implements pipeline.Joiner.
func (p *Patterns) End() { p.open = false }

// Line implements pipeline.Joiner.
func (p *Patterns) Line(line []byte) pipeline.JoinDecision {
	if !p.open || !p.continues(line) {
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
