// Package syslog parses syslog lines and nothing else.
package syslog

import (
	"github.com/longshore/longshore/parsers/recognize"
	"github.com/longshore/longshore/parsers/text"
	"github.com/longshore/longshore/pipeline"
)

// Spec describes the parser.
func Spec() pipeline.Spec {
	return pipeline.Spec{
		Kind:    pipeline.KindParser,
		Type:    "syslog",
		Summary: "Lines of RFC 5424 and RFC 3164, the latter also without a priority, as daemons write them to files.",
		New:     func() any { return new(Config) },
	}
}

// Config is the parser's config.
type Config struct {
	recognize.ZoneConfig
}

// Parser implements pipeline.ParserConfig.
func (c *Config) Parser() (pipeline.NewParser, error) {
	return c.NewParser("syslog", func(zone recognize.Zone) pipeline.Parser {
		return &text.Parser{Zone: zone, Only: text.SyslogForm}
	})
}
