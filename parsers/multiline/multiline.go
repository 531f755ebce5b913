// Package multiline decides which lines of a source are one record: by itself, or by patterns of
// the user's own.
//
// A joiner knows the open record and nothing else, so lines are joined again in the same way from
// whichever record reading resumes. It cannot look ahead: the next line decides whether a record
// goes on. Precision comes first. A line with the head of a log line begins a record, whatever
// precedes it, and lines without one are joined only by a rule for what they are: an indented line
// belongs to the one above if it is indented by two more; "Error: …" and a traceback belong only to
// a line whose level says that something failed, since a program that dies writes to the same
// stream. What is complete does not wait: JSON, logfmt and access lines are sent at once.
package multiline

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// Spec describes the parser.
func Spec() pipeline.Spec {
	return pipeline.Spec{
		Kind:    pipeline.KindParser,
		Type:    "multiline",
		Summary: "Joins lines to records; the parsers after it see them as one line.",
		New:     func() any { return new(Config) },
	}
}

// Config is the parser's config.
type Config struct {
	Mode     string            `yaml:"mode" doc:"auto joins stack traces and indented lines by itself; leave it out to use patterns." enum:"auto" example:"auto"`
	Start    string            `yaml:"start_pattern" formerly:"start" doc:"Regular expression, in Go's (RE2) syntax, of a line that begins a record. Alone, every other line continues the record before it." example:"^\\d{4}-\\d\\d-\\d\\d "`
	Continue string            `yaml:"continue_pattern" formerly:"continue" doc:"Regular expression of a line that continues the record before it. Alone, every other line begins a record." example:"^(\\s|Caused by:)"`
	Lines    int               `yaml:"max_lines" doc:"Longest record in lines; it ends there." default:"500" min:"1"`
	Bytes    pipeline.Size     `yaml:"max_bytes" doc:"Longest record in bytes, all lines together; it ends there." default:"256KiB" min:"1KiB" max:"16MiB"`
	Wait     pipeline.Duration `yaml:"timeout" formerly:"wait" doc:"How long to wait for the next line." default:"300ms" min:"10ms" max:"1m"`
}

// DefaultLimits bound the records that are joined without a multiline parser.
func DefaultLimits() pipeline.JoinLimits {
	wait, _ := pipeline.ParseDuration("300ms")
	return pipeline.JoinLimits{Lines: 500, Bytes: 256 << 10, Wait: wait}
}

// Check implements pipeline.Checker.
func (c *Config) Check() []pipeline.Problem {
	var problems []pipeline.Problem
	switch {
	case c.Mode == "" && c.Start == "" && c.Continue == "":
		problems = append(problems, pipeline.Problem{Path: "start_pattern",
			Message: "nothing says which lines belong together; set start_pattern, continue_pattern or mode: auto"})
	case c.Mode != "" && (c.Start != "" || c.Continue != ""):
		problems = append(problems, pipeline.Problem{Path: "mode",
			Message: "mode: auto needs no patterns; remove it, or start_pattern and continue_pattern"})
	}
	for _, p := range []struct{ path, pattern string }{{"start_pattern", c.Start}, {"continue_pattern", c.Continue}} {
		if err := checkPattern(p.pattern); err != nil {
			problems = append(problems, pipeline.Problem{Path: p.path, Message: err.Error()})
		}
	}
	return problems
}

func checkPattern(pattern string) error {
	if pattern == "" {
		return nil
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return err
	}
	if re.MatchString("") {
		return errors.New("the pattern matches every line, as it also matches nothing; anchor it with ^ and say " +
			"what must stand there")
	}
	return nil
}

// Parser implements pipeline.ParserConfig. The parser only joins: it leaves
// the record to the parsers after it.
func (c *Config) Parser() (pipeline.NewParser, error) {
	return func(*event.Source) pipeline.Parser { return Parser{} }, nil
}

// A Parser understands no line.
type Parser struct{}

// Parse implements pipeline.Parser.
func (Parser) Parse(*event.Batch, int) bool { return false }

// Joiner implements pipeline.JoinerConfig.
func (c *Config) Joiner() (pipeline.NewJoiner, pipeline.JoinLimits, error) {
	limits := pipeline.JoinLimits{Lines: c.Lines, Bytes: int(c.Bytes), Wait: c.Wait}
	if c.Mode == "auto" {
		return func(*event.Source) pipeline.Joiner { return NewAuto() }, limits, nil
	}
	start, err := compile(c.Start)
	if err != nil {
		return nil, limits, fmt.Errorf("multiline parser: start_pattern: %w", err)
	}
	next, err := compile(c.Continue)
	if err != nil {
		return nil, limits, fmt.Errorf("multiline parser: continue_pattern: %w", err)
	}
	return func(*event.Source) pipeline.Joiner { return NewPatterns(start, next) }, limits, nil
}

// compile returns nil for no pattern.
func compile(pattern string) (*regexp.Regexp, error) {
	if pattern == "" {
		return nil, nil
	}
	return regexp.Compile(pattern)
}
