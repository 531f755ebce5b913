package text

import (
	"github.com/longshore/longshore/parsers/recognize"
	"github.com/longshore/longshore/pipeline"
)

// A Form is a form of lines that a parser can be held to.
type Form uint8

// The forms that have a parser of their own.
const (
	AnyForm Form = iota
	AccessForm
	SyslogForm
)

// form reads the line as the form allows.
func (l *line) form(only Form) bool {
	switch only {
	case AccessForm:
		return l.access()
	case SyslogForm:
		return l.syslog() || l.bareSyslog()
	}
	return l.format()
}

// AccessSpec describes the parser of access logs.
func AccessSpec() pipeline.Spec {
	return pipeline.Spec{
		Kind:    pipeline.KindParser,
		Type:    "access",
		Summary: "Access logs of nginx, Apache and their like, common or combined.",
		New:     func() any { return new(AccessConfig) },
	}
}

// AccessConfig is the config of the access parser.
type AccessConfig struct {
	recognize.ZoneConfig
}

// Parser implements pipeline.ParserConfig.
func (c *AccessConfig) Parser() (pipeline.NewParser, error) {
	return c.NewParser("access", func(zone recognize.Zone) pipeline.Parser {
		return &Parser{Zone: zone, Only: AccessForm}
	})
}

// SyslogSpec describes the parser of syslog lines.
func SyslogSpec() pipeline.Spec {
	return pipeline.Spec{
		Kind:    pipeline.KindParser,
		Type:    "syslog",
		Summary: "Lines of RFC 5424 and RFC 3164, the latter also without a priority, as daemons write them to files.",
		New:     func() any { return new(SyslogConfig) },
	}
}

// SyslogConfig is the config of the syslog parser.
type SyslogConfig struct {
	recognize.ZoneConfig
}

// Parser implements pipeline.ParserConfig.
func (c *SyslogConfig) Parser() (pipeline.NewParser, error) {
	return c.NewParser("syslog", func(zone recognize.Zone) pipeline.Parser {
		return &Parser{Zone: zone, Only: SyslogForm}
	})
}
