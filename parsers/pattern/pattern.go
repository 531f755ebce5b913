// Package pattern parses lines by a pattern of the user's own, which looks like
// the lines themselves.
package pattern

import (
	"fmt"

	"github.com/longshore/longshore/parsers/recognize"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// Spec describes the parser.
func Spec() pipeline.Spec {
	return pipeline.Spec{
		Kind:    pipeline.KindParser,
		Type:    "pattern",
		Summary: "Lines of one shape, written as they look: <ip> - <user> [<time>] \"<method> <path> <_>\" <status>.",
		New:     func() any { return new(Config) },
	}
}

// Config is the parser's config.
type Config struct {
	Pattern string `yaml:"pattern" required:"true" doc:"The line, with <name> where a field stands and <_> for what is not wanted. A field reaches to the next text of the pattern, the last one to the end of the line. level, time, message, service and trace_id are recognised by name. For a < of the line itself write <<." example:"'<ip> - <user> [<time>] \"<method> <path> <_>\" <status> <size>'"`

	recognize.ZoneConfig
}

// Check implements pipeline.Checker.
func (c *Config) Check() []pipeline.Problem {
	problems := c.ZoneConfig.Check()
	if c.Pattern == "" {
		return problems // "required" says so
	}
	if _, err := read(c.Pattern); err != nil {
		problems = append(problems, pipeline.Problem{Path: "pattern", Message: err.Error()})
	}
	return problems
}

// Parser implements pipeline.ParserConfig.
func (c *Config) Parser() (pipeline.NewParser, error) {
	s, err := read(c.Pattern)
	if err != nil {
		return nil, fmt.Errorf("pattern parser: %w", err)
	}
	return c.NewParser("pattern", func(zone recognize.Zone) pipeline.Parser {
		return &Parser{shape: s, columns: recognize.NewColumns(s.names(), zone)}
	})
}

// A Parser takes lines of its shape, in one pass over each.
type Parser struct {
	shape   *shape
	columns *recognize.Columns
	spans   []event.Span
}

// Parse implements pipeline.Parser.
func (p *Parser) Parse(b *event.Batch, i int) bool {
	var ok bool
	if p.spans, ok = p.shape.match(p.spans[:0], b.Line(i)); !ok {
		return false
	}
	off := b.Records[i].Line.Off
	p.columns.Start()
	for k, s := range p.spans {
		s.Off += off
		p.columns.Add(b, k, s)
	}
	p.columns.Fill(b, i)
	return true
}
