package pipeline

import "github.com/longshore/longshore/pipeline/event"

// A Parser understands lines. It is called from one goroutine at a time, with batches of
// several sources in turn. It may remember what worked for the lines before, so that it is
// quicker with the next one, but what it says of a line depends on nothing but that
// line: a line that is read again must become the record that it was.
type Parser interface {
	// Parse fills record i from its line, sets event.Parsed and reports true, or reports false and
	// leaves the record as it was (the arena may have grown). It sets what it finds of Time (with
	// LineTime), Level, Message, Service, TraceID, SpanID, and puts the rest into fields. Hostile
	// lines cost bounded time: a small constant times their length.
	Parse(b *event.Batch, i int) bool
}

// A NewParser makes a parser. src is the first of the sources it is for.
type NewParser func(src *event.Source) Parser

// ParserSettings are common to all parsers, beside their own. The parsers of a pipeline are tried
// one after the other; the first that understands a line is the last that is tried on it. One with
// Field has its turn with every record that has the field.
type ParserSettings struct {
	Field   string `yaml:"field" doc:"The field to understand, such as message, instead of the line. What is found in it is added to the record." example:"message"`
	OnError string `yaml:"on_error" doc:"What becomes of a line that this parser does not understand: keep it for the next parser, or as it is after the last; drop it; or make it a dead letter." default:"keep" enum:"keep|drop|dead_letter"`
}
