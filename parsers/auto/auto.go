// Package auto detects the format of every line and parses it.
//
// A line within a line is parsed too (CRI, Docker's json-file, syslog, JSON in a JSON string): the
// inner one wins, and the fields of both stay. JSON that is a message stays one unless it has a
// message itself. Records of several lines are parsed by their first; the rest belongs to the
// message. An exception becomes error_type and error_message: with dots they would clash with
// programs whose "error" is text.
package auto

import (
	"bytes"

	"github.com/longshore/longshore/parsers/json"
	"github.com/longshore/longshore/parsers/logfmt"
	"github.com/longshore/longshore/parsers/multiline"
	"github.com/longshore/longshore/parsers/recognize"
	"github.com/longshore/longshore/parsers/text"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// Spec describes the parser.
func Spec() pipeline.Spec {
	return pipeline.Spec{
		Kind:    pipeline.KindParser,
		Type:    "auto",
		Summary: "Finds the format of every line by itself: JSON, logfmt, access logs, syslog and other text.",
		New:     func() any { return new(Config) },
	}
}

// Config is the parser's config.
type Config struct {
	recognize.ZoneConfig
	Multiline bool `yaml:"multiline" doc:"Join stack traces, and other lines that are one record." default:"true"`
}

// Parser implements pipeline.ParserConfig.
func (c *Config) Parser() (pipeline.NewParser, error) {
	return c.NewParser("auto", func(zone recognize.Zone) pipeline.Parser { return New(zone) })
}

// Joiner implements pipeline.JoinerConfig.
func (c *Config) Joiner() (pipeline.NewJoiner, pipeline.JoinLimits, error) {
	if !c.Multiline {
		return nil, pipeline.JoinLimits{}, nil
	}
	return func(*event.Source) pipeline.Joiner { return multiline.NewAuto() }, multiline.DefaultLimits(), nil
}

// A Parser tries the formats that a line's first byte allows; the lines of a source may be of
// different ones. What is remembered of a source is with the parsers of each format.
type Parser struct {
	json   *json.Parser
	logfmt *logfmt.Parser
	text   text.Parser
	// wrapped parses what a container runtime wrote, which knows when it did.
	wrapped *recognize.Relocator
}

// New makes the parser of one source.
func New(zone recognize.Zone) *Parser {
	p := withoutWrapped(zone)
	p.wrapped = recognize.NewRelocator(zone, plainParser{p},
		func(zone recognize.Zone) pipeline.Parser { return plainParser{withoutWrapped(zone)} })
	return p
}

func withoutWrapped(zone recognize.Zone) *Parser {
	return &Parser{
		json:   json.New(zone),
		logfmt: logfmt.NewCautious(zone),
		text:   text.Parser{Zone: zone},
	}
}

// Parse implements pipeline.Parser. JSON comes first: of several lines or one, it is
// read as a whole, and has no bytes that colour it.
func (p *Parser) Parse(b *event.Batch, i int) bool {
	if at := visibleFrom(b.Line(i)); at > 0 && p.behind(b, i, at) {
		return true
	}
	understood := p.whole(b, i)
	rec := &b.Records[i]
	if rec.Level != 0 || rec.Flags&event.LineTime != 0 {
		return understood
	}
	at := shownFrom(b.Line(i))
	return at > 0 && p.behind(b, i, at) || understood
}

// whole parses a record as it is.
func (p *Parser) whole(b *event.Batch, i int) bool {
	if line := b.Line(i); len(line) > 0 && line[0] == '{' && p.json.Parse(b, i) {
		p.unwrapAll(b, i)
		return true
	}
	if bytes.IndexByte(b.Line(i), '\n') >= 0 {
		return p.joined(b, i)
	}
	return p.one(b, i)
}

// deepest bounds lines within lines within lines.
const deepest = 3

// one parses a record of one line, and then what that was wrapped around.
func (p *Parser) one(b *event.Batch, i int) bool {
	if !p.plain(b, i) {
		return false
	}
	p.unwrapAll(b, i)
	return true
}

func (p *Parser) unwrapAll(b *event.Batch, i int) {
	for range deepest {
		if !p.unwrap(b, i) {
			return
		}
	}
}

// line parses a line by what it starts with.
func (p *Parser) line(b *event.Batch, i int) bool {
	switch c := firstByte(b.Line(i)); {
	case c == '{':
		if p.json.Parse(b, i) {
			return true
		}
	case 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || c == '@':
		if p.logfmt.Parse(b, i) {
			if text.IsAudit(b.Line(i)) {
				p.text.Audit(b, i)
			}
			return true
		}
	}
	return p.text.Parse(b, i)
}

// firstByte returns the first byte that is no blank, 0 if there is none.
func firstByte(p []byte) byte {
	for _, c := range p {
		if c > ' ' {
			return c
		}
	}
	return 0
}
