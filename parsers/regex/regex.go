// Package regex parses lines by a regular expression of the user's own.
package regex

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"

	"github.com/longshore/longshore/parsers/recognize"
	"github.com/longshore/longshore/pipeline"
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
	Pattern string `yaml:"pattern" required:"true" doc:"Regular expression in Go's (RE2) syntax. Named groups become fields; level, time, message, service and trace_id are recognised by name." example:"^(?P<time>\\S+) (?P<level>\\w+) (?P<message>.*)$"`

	recognize.ZoneConfig
}

// Check implements pipeline.Checker.
func (c *Config) Check() []pipeline.Problem {
	problems := c.ZoneConfig.Check()
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
	return c.NewParser("regex", func(zone recognize.Zone) pipeline.Parser {
		return recognize.NewExpression(re, re.SubexpNames(), zone)
	})
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
	return nil, errors.New("the pattern has no named group, so nothing would become a field; name one like " +
		"(?P<message>.*)")
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
		return fmt.Errorf("%s: %q (there are no back-references in RE2 syntax; in double quotes YAML needs \\\\ "+
			"for a backslash)", bad.Code, bad.Expr)
	}
	return fmt.Errorf("%s: %q", bad.Code, bad.Expr)
}
