package pipeline

import "github.com/longshore/longshore/pipeline/event"

// A Parser understands lines. Every source of every pipeline has its own, so a
// parser may remember what worked for its source; it is called from one
// goroutine at a time, with the records in the order of the source.
type Parser interface {
	// Parse fills record i from its line and reports true, or reports false and
	// leaves the record as it was (the arena may have grown). It sets what it
	// finds of Time (with LineTime), Level, Message, Service, TraceID, SpanID,
	// and puts the rest into fields. Hostile lines cost bounded time: a small
	// constant times their length.
	Parse(b *event.Batch, i int) bool
}

// A NewParser makes the parser of one source.
type NewParser func(src *event.Source) Parser
