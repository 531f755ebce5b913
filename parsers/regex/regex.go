// Package regex parses lines by a regular expression of the user's own.
package regex

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"

	"github.com/longshore/longshore/parsers/recognize"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// Spec describes the parser.
func Spec() pipeline.Spec {
	return pipeline.Spec{
		Kind:    pipeline.KindParser,
		Type:    "regex",
		Summary: "Lines that match a regular expression; its named groups become fields.",
		New:     func() any { return new(Config) },
	}
}

// Config is the parser's config.
type Config struct {
	Pattern  string `yaml:"pattern" required:"true" doc:"Regular expression in Go's (RE2) syntax. Named groups become fields; level, time, message, service and trace_id are recognised by name." example:"^(?P<time>\\S+) (?P<level>\\w+) (?P<message>.*)$"`
	Timezone string `yaml:"timezone" doc:"Zone of times that do not name one." default:"UTC" example:"Europe/Berlin"`
}

// Check implements pipeline.Checker.
func (c *Config) Check() []pipeline.Problem {
	problems := recognize.CheckZone(c.Timezone)
	if c.Pattern == "" {
		return problems // "required" says so
	}
	if _, err := compile(c.Pattern); err != nil {
		problems = append(problems, pipeline.Problem{Path: "pattern", Message: err.Error()})
	}
	return problems
}

// Parser implements pipeline.ParserConfig.
func (c *Config) Parser() (pipeline.NewParser, error) {
	re, err := compile(c.Pattern)
	if err != nil {
		return nil, fmt.Errorf("regex parser: %w", err)
	}
	zone, err := recognize.LoadZone(c.Timezone)
	if err != nil {
		return nil, fmt.Errorf("regex parser: %w", err)
	}
	return func(*event.Source) pipeline.Parser { return New(re, zone) }, nil
}

// compile compiles a pattern and asks for at least one named group.
func compile(pattern string) (*regexp.Regexp, error) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, explain(err)
	}
	for _, name := range re.SubexpNames() {
		if name != "" {
			return re, nil
		}
	}
	return nil, errors.New("the pattern has no named group, so nothing would become a field; name one like (?P<message>.*)")
}

// explain adds to Go's words what people expect who know other engines.
func explain(err error) error {
	var bad *syntax.Error
	if !errors.As(err, &bad) {
		return err
	}
	switch bad.Code {
	case syntax.ErrInvalidPerlOp:
		return fmt.Errorf("%s: %q (there is no look-ahead or look-behind in RE2 syntax)", bad.Code, bad.Expr)
	case syntax.ErrInvalidEscape:
		return fmt.Errorf("%s: %q (there are no back-references in RE2 syntax; in double quotes YAML needs \\\\ for a backslash)", bad.Code, bad.Expr)
	}
	return fmt.Errorf("%s: %q", bad.Code, bad.Expr)
}

// A Parser takes lines that match. The time it takes is linear in the line's
// length, but far more than that of the other parsers, and matching allocates.
type Parser struct {
	re      *regexp.Regexp
	columns *recognize.Columns
}

// New makes the parser of one source. Group names are fields' names.
func New(re *regexp.Regexp, zone recognize.Zone) *Parser {
	return &Parser{re: re, columns: recognize.NewColumns(re.SubexpNames(), zone)}
}

// Parse implements pipeline.Parser.
func (p *Parser) Parse(b *event.Batch, i int) bool {
	groups := p.re.FindSubmatchIndex(b.Line(i))
	if groups == nil {
		return false
	}
	line := b.Records[i].Line
	p.columns.Start()
	for g := 1; 2*g < len(groups); g++ {
		if start, end := groups[2*g], groups[2*g+1]; start >= 0 {
			p.columns.Add(b, g, event.Span{Off: line.Off + uint32(start), Len: uint32(end - start)})
		}
	}
	p.columns.Fill(b, i)
	return true
}
