// Package colon is the example parser of docs/contributing/parser.md: it reads lines like "WARN:
// disk is full".
package colon

import (
	"bytes"

	"github.com/longshore/longshore/parsers/recognize"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// Config is the parser's config.
type Config struct{}

// Spec describes the parser.
func Spec() pipeline.Spec {
	return pipeline.Spec{
		Kind:    pipeline.KindParser,
		Type:    "colon",
		Summary: "Lines that begin with a level and a colon.",
		New:     func() any { return new(Config) },
	}
}

// Parser implements pipeline.ParserConfig.
func (*Config) Parser() (pipeline.NewParser, error) {
	return func(*event.Source) pipeline.Parser { return parser{} }, nil
}

type parser struct{}

// Parse implements pipeline.Parser.
func (parser) Parse(b *event.Batch, i int) bool {
	line := b.Line(i)
	colon := bytes.Index(line, []byte(": "))
	if colon < 0 {
		return false
	}
	level := recognize.Word(line[:colon])
	if level == event.NoLevel {
		return false
	}
	r := &b.Records[i]
	r.Flags |= event.Parsed
	r.Level = level
	message := event.Span{Off: r.Line.Off + uint32(colon) + 2, Len: r.Line.Len - uint32(colon) - 2}
	r.Message = event.Value{Span: message, Kind: event.Text}
	return true
}
