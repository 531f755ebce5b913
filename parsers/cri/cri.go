// Package cri parses what Kubernetes' container runtimes write to files.
package cri

import (
	"github.com/longshore/longshore/parsers/auto"
	"github.com/longshore/longshore/parsers/recognize"
	"github.com/longshore/longshore/parsers/text"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// Spec describes the parser.
func Spec() pipeline.Spec {
	return pipeline.Spec{
		Kind:    pipeline.KindParser,
		Type:    "cri",
		Summary: "Lines as container runtimes write them for Kubernetes; what is in them is understood as auto does.",
		New:     func() any { return new(Config) },
	}
}

// Config is the config of the parser.
type Config struct {
	auto.Config `yaml:",inline"`
	Inner       bool `yaml:"inner" doc:"Understand what is in the lines, too. If not, it is the message as it was written, for the next parser with field: message." default:"true"`
}

// Parser implements pipeline.ParserConfig.
func (c *Config) Parser() (pipeline.NewParser, error) {
	return c.NewParser("cri", func(zone recognize.Zone) pipeline.Parser { return Parser{auto.New(zone), c.Inner} })
}

// A Parser takes nothing but a container runtime's lines.
type Parser struct {
	*auto.Parser
	inner bool
}

// Parse implements pipeline.Parser.
func (p Parser) Parse(b *event.Batch, i int) bool {
	if !text.IsCRI(b.Line(i)) {
		return false
	}
	if !p.inner {
		return p.Unwrap(b, i)
	}
	return p.Parser.Parse(b, i)
}
