// Package access parses access logs and nothing else.
package access

import (
	"github.com/longshore/longshore/parsers/recognize"
	"github.com/longshore/longshore/parsers/text"
	"github.com/longshore/longshore/pipeline"
)

// Spec describes the parser.
func Spec() pipeline.Spec {
	return pipeline.Spec{
		Kind:    pipeline.KindParser,
		Type:    "access",
		Summary: "Access logs of nginx, Apache and their like, common or combined.",
		New:     func() any { return new(Config) },
	}
}

// Config is the parser's config.
type Config struct {
	recognize.ZoneConfig
}

// Parser implements pipeline.ParserConfig.
func (c *Config) Parser() (pipeline.NewParser, error) {
	return c.NewParser("access", func(zone recognize.Zone) pipeline.Parser {
		return &text.Parser{Zone: zone, Only: text.AccessForm}
	})
}
