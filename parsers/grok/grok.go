// Package grok parses lines by grok patterns, as Logstash has them.
package grok

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/longshore/longshore/parsers/recognize"
	"github.com/longshore/longshore/pipeline"
)

// Spec describes the parser.
func Spec() pipeline.Spec {
	return pipeline.Spec{
		Kind: pipeline.KindParser,
		Type: "grok",
		Summary: "Lines that match a grok pattern, as Logstash has them: %{IP:client} %{WORD:method}. The pattern " +
			"parser is faster.",
		New: func() any { return new(Config) },
	}
}

// Config is the parser's config.
type Config struct {
	Pattern     string            `yaml:"pattern" required:"true" doc:"Grok pattern. Logstash's patterns are known by their names; what is named becomes a field, and level, time, message, service and trace_id are recognised by name. Numbers become numbers by themselves." example:"'%{TIMESTAMP_ISO8601:time} %{LOGLEVEL:level} %{GREEDYDATA:message}'"`
	Definitions map[string]string `yaml:"definitions" doc:"Patterns of your own, by name." example:"{ORDER: 'ord-[0-9]+'}"`

	recognize.ZoneConfig
}

// Check implements pipeline.Checker.
func (c *Config) Check() []pipeline.Problem {
	problems := c.ZoneConfig.Check()
	if c.Pattern == "" {
		return problems // "required" says so
	}
	if _, _, err := compile(c.Pattern, c.Definitions); err != nil {
		problems = append(problems, pipeline.Problem{Path: "pattern", Message: err.Error()})
	}
	return problems
}

// Parser implements pipeline.ParserConfig.
func (c *Config) Parser() (pipeline.NewParser, error) {
	re, names, err := compile(c.Pattern, c.Definitions)
	if err != nil {
		return nil, fmt.Errorf("grok parser: %w", err)
	}
	return c.NewParser("grok", func(zone recognize.Zone) pipeline.Parser {
		return recognize.NewExpression(re, names, zone)
	})
}

// compile returns the regular expression that a pattern stands for, and the names of its groups.
func compile(pattern string, own map[string]string) (*regexp.Regexp, []string, error) {
	if err := checkReferences(pattern); err != nil {
		return nil, nil, err
	}
	e := expansion{own: own}
	text, err := e.expand(pattern, 0)
	if err != nil {
		return nil, nil, err
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, nil, fmt.Errorf("the pattern makes no regular expression: %w", err)
	}
	names := slices.Clone(re.SubexpNames())
	wanted := false
	for i, group := range names {
		if field, ok := e.fields[group]; ok {
			names[i] = field
		}
		wanted = wanted || names[i] != ""
	}
	if !wanted {
		return nil, nil, fmt.Errorf("the pattern names nothing, so nothing would become a field; name something " +
			"like %%{GREEDYDATA:message}")
	}
	return re, names, nil
}
