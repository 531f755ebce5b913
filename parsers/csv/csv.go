// Package csv parses lines that are one row of a table each.
package csv

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"github.com/longshore/longshore/parsers/recognize"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// Spec describes the parser.
func Spec() pipeline.Spec {
	return pipeline.Spec{
		Kind:    pipeline.KindParser,
		Type:    "csv",
		Summary: "Lines of values with a comma or another character between them.",
		New:     func() any { return new(Config) },
	}
}

// Config is the parser's config.
type Config struct {
	Columns   []string `yaml:"columns" required:"true" doc:"Names of the columns, in their order; \"\" or _ for one that is not wanted. level, time, message, service and trace_id are recognised by name. A line with another number of columns is not understood." example:"[time, level, message]"`
	Delimiter string   `yaml:"delimiter" doc:"The character between two columns." default:"," example:"\"\\t\""`

	recognize.ZoneConfig
}

// Check implements pipeline.Checker.
func (c *Config) Check() []pipeline.Problem {
	problems := c.ZoneConfig.Check()
	if why := wrongDelimiter(c.Delimiter); why != "" {
		problems = append(problems, pipeline.Problem{Path: "delimiter", Message: why})
	}
	return problems
}

func wrongDelimiter(s string) string {
	if len(s) != 1 || s[0] >= utf8.RuneSelf {
		return "must be one ASCII character"
	}
	if s == `"` || s == "\n" || s == "\r" {
		return "cannot be a quote or a line end"
	}
	return ""
}

// Parser implements pipeline.ParserConfig.
func (c *Config) Parser() (pipeline.NewParser, error) {
	if why := wrongDelimiter(c.Delimiter); why != "" {
		return nil, fmt.Errorf("csv parser: the delimiter %q %s", c.Delimiter, why)
	}
	names := make([]string, len(c.Columns))
	for i, name := range c.Columns {
		if name != "_" {
			names[i] = name
		}
	}
	return c.NewParser("csv", func(zone recognize.Zone) pipeline.Parser {
		return &Parser{delimiter: c.Delimiter[0], count: len(names), columns: recognize.NewColumns(names, zone)}
	})
}

// A Parser takes rows as RFC 4180 has them: values may stand in quotes, with a
// doubled quote for one inside.
type Parser struct {
	delimiter byte
	count     int
	columns   *recognize.Columns
}

// Parse implements pipeline.Parser.
func (p *Parser) Parse(b *event.Batch, i int) bool {
	size := len(b.Arena)
	p.columns.Start()
	if !p.row(b, b.Records[i].Line) {
		b.Arena = b.Arena[:size]
		return false
	}
	p.columns.Fill(b, i)
	return true
}

func (p *Parser) row(b *event.Batch, rest event.Span) bool {
	for k := range p.count {
		value, size, ok := p.value(b, rest)
		if !ok {
			return false
		}
		p.columns.Add(b, k, value)
		rest.Off, rest.Len = rest.Off+size, rest.Len-size
		if last := k == p.count-1; last || rest.Len == 0 {
			return last && rest.Len == 0
		}
		rest.Off, rest.Len = rest.Off+1, rest.Len-1
	}
	return false
}

// value reads the value that rest begins with, and returns how many bytes it takes
// there, up to the delimiter or the end.
func (p *Parser) value(b *event.Batch, rest event.Span) (value event.Span, size uint32, ok bool) {
	text := b.Bytes(rest)
	if len(text) > 0 && text[0] == '"' {
		return p.quoted(b, rest)
	}
	n := bytes.IndexByte(text, p.delimiter)
	if n < 0 {
		n = len(text)
	}
	return event.Span{Off: rest.Off, Len: uint32(n)}, uint32(n), true
}

func (p *Parser) quoted(b *event.Batch, rest event.Span) (value event.Span, size uint32, ok bool) {
	text, at, doubled := b.Bytes(rest), 1, false
	for {
		n := bytes.IndexByte(text[at:], '"')
		if n < 0 {
			return value, 0, false
		}
		at += n + 1
		if at == len(text) || text[at] != '"' {
			break
		}
		at++
		doubled = true
	}
	if at < len(text) && text[at] != p.delimiter {
		return value, 0, false
	}
	value = event.Span{Off: rest.Off + 1, Len: uint32(at - 2)}
	if doubled {
		value = single(b, value)
	}
	return value, uint32(at), true
}

// single copies a value with one quote for two.
func single(b *event.Batch, v event.Span) event.Span {
	start := len(b.Arena)
	text := b.Bytes(v)
	for len(text) > 0 {
		n := bytes.IndexByte(text, '"') + 1
		if n == 0 {
			n = len(text)
		}
		b.Arena = append(b.Arena, text[:n]...)
		text = text[min(len(text), n+1):]
	}
	return event.Span{Off: uint32(start), Len: uint32(len(b.Arena) - start)}
}
