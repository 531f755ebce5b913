// Package logfmt parses lines of key=value pairs.
package logfmt

import (
	"github.com/longshore/longshore/parsers/json"
	"github.com/longshore/longshore/parsers/recognize"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// Spec describes the parser.
func Spec() pipeline.Spec {
	return pipeline.Spec{
		Kind:    pipeline.KindParser,
		Type:    "logfmt",
		Summary: "Lines of key=value pairs.",
		New:     func() any { return new(Config) },
	}
}

// Config is the parser's config.
type Config struct {
	recognize.ZoneConfig
}

// Parser implements pipeline.ParserConfig.
func (c *Config) Parser() (pipeline.NewParser, error) {
	return c.NewParser("logfmt", func(zone recognize.Zone) pipeline.Parser { return New(zone) })
}

// maxFields bounds the fields of one line. A line with more is not taken apart.
const maxFields = 1000

// A Parser takes lines that consist of pairs, key=value or key="value", and words without a value,
// which count as true. Keys are of letters, digits and _ . - / @ : and do not start with a digit.
// Values without quotes that are numbers or booleans are kept as such.
type Parser struct {
	core recognize.Recognizer
	keys recognize.Memory
	// convinced asks for more than one pair, as prose may have one: the line starts with a pair,
	// and has a second one or a key that logging libraries use; and words do not outnumber pairs.
	convinced bool

	pairs, words, known int
}

// New makes the parser of one source whose lines are said to be logfmt.
func New(zone recognize.Zone) *Parser {
	return &Parser{core: recognize.Recognizer{Zone: zone}}
}

// NewCautious makes a parser that takes only lines that can hardly be anything else.
func NewCautious(zone recognize.Zone) *Parser {
	p := New(zone)
	p.convinced = true
	return p
}

// Parse implements pipeline.Parser.
func (p *Parser) Parse(b *event.Batch, i int) bool {
	size := len(b.Arena)
	p.core.Start()
	p.pairs, p.words, p.known = 0, 0, 0
	if !p.line(b, b.Records[i].Line) || !p.enough() {
		b.Arena = b.Arena[:size]
		return false
	}
	b.Records[i].Format = event.FormatLogfmt
	p.core.Fill(b, i)
	return true
}

func (p *Parser) enough() bool {
	if !p.convinced {
		return p.pairs > 0
	}
	if p.words > 0 && (p.known == 0 || p.words > p.pairs) {
		return false
	}
	return p.pairs > 1 || p.known > 0
}

// line reads all pairs and words of a line.
func (p *Parser) line(b *event.Batch, line event.Span) bool {
	src := b.Arena[:line.Off+line.Len]
	at := int(line.Off)
	for {
		for at < len(src) && src[at] <= ' ' {
			at++
		}
		if at == len(src) {
			return true
		}
		if p.core.Len() == maxFields {
			return false
		}
		if at = p.field(b, src, at); at < 0 {
			return false
		}
	}
}

// field reads a pair or a word, and returns the index behind it, or a negative one.
func (p *Parser) field(b *event.Batch, src []byte, at int) int {
	n := p.core.Len()
	if key, length := p.keys.Match(n, src[at:]); length > 0 {
		return p.pair(b, src, key, between(at, at+length-1), at+length)
	}
	end := keyEnd(src, at)
	if end == at {
		return -1
	}
	key := recognize.KeyOf(src[at:end])
	if end < len(src) && src[end] == '=' {
		p.keys.Note(n, src[at:end+1], key)
		return p.pair(b, src, key, between(at, end), end+1)
	}
	return p.word(b, src, key, between(at, end))
}

func between(start, end int) event.Span {
	return event.Span{Off: uint32(start), Len: uint32(end - start)}
}

// pair reads a value and returns the index behind it, or a negative one.
func (p *Parser) pair(b *event.Batch, src []byte, key recognize.Key, name event.Span, at int) int {
	var value event.Value
	if at < len(src) && src[at] == '"' {
		value, at = quoted(b, src, at+1)
		if at < 0 || at < len(src) && src[at] > ' ' {
			return -1
		}
	} else {
		value, at = bare(src, at)
		if value.Kind == event.Plain && !key.IsID() {
			if kind := recognize.KindOf(src[value.Off : value.Off+value.Len]); kind != event.Text {
				value.Kind = kind
			}
		}
	}
	p.pairs++
	if key.IsCore() {
		p.known++
	}
	p.core.Add(key, event.Value{Span: name, Kind: key.Kind()}, value)
	return at
}

// word takes a key without a value.
func (p *Parser) word(b *event.Batch, src []byte, key recognize.Key, name event.Span) int {
	end := int(name.Off + name.Len)
	if end < len(src) && src[end] > ' ' || p.convinced && p.pairs == 0 {
		return -1
	}
	p.words++
	p.core.Add(key, event.Value{Span: name, Kind: key.Kind()}, event.Value{Span: b.PutString("true"), Kind: event.Bool})
	return end
}

// keyEnd returns the index behind a key, which is at if there is none.
func keyEnd(p []byte, at int) int {
	if at < len(p) && '0' <= p[at] && p[at] <= '9' {
		return at
	}
	for at < len(p) && keyBytes[p[at]] {
		at++
	}
	return at
}

var keyBytes = func() (t [256]bool) {
	for c := range t {
		t[c] = 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
	}
	for _, c := range "_.-/@:" {
		t[c] = true
	}
	return t
}()

// quoted reads a value in quotes from behind the first one, and returns the index behind the last.
// Escapes are mostly those of JSON; all that Go's strconv.Quote writes are understood.
func quoted(b *event.Batch, src []byte, at int) (event.Value, int) {
	end, kind := json.String(src, at)
	if end >= 0 && kind != event.Text {
		return event.Value{Span: between(at, end), Kind: kind}, end + 1
	}
	end, escaped := quoteEnd(src, at)
	if end < 0 {
		return event.Value{}, -1
	}
	value := event.Value{Span: between(at, end), Kind: event.Text}
	if escaped {
		off := len(b.Arena)
		b.Arena = appendUnquoted(b.Arena, src[at:end])
		value.Span = between(off, len(b.Arena))
	}
	return value, end + 1
}

// quoteEnd finds the next quote that no backslash stands before.
func quoteEnd(p []byte, at int) (end int, escaped bool) {
	for ; at < len(p); at++ {
		switch p[at] {
		case '"':
			return at, escaped
		case '\\':
			escaped = true
			at++
		}
	}
	return -1, escaped
}
