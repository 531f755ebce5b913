// Package json parses lines that are one JSON object each.
//
// The last of equal keys counts, inside objects too; arrays of integers and fractions are written
// with fractions throughout; objects deeper than 18 or of more than 900 fields are kept as text.
// Elasticsearch rejects a document for each of these.
package json

import (
	"unicode/utf8"

	"github.com/longshore/longshore/parsers/recognize"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// Spec describes the parser.
func Spec() pipeline.Spec {
	return pipeline.Spec{
		Kind:    pipeline.KindParser,
		Type:    "json",
		Summary: "Lines that are one JSON object each.",
		New:     func() any { return new(Config) },
	}
}

// Config is the parser's config.
type Config struct {
	recognize.ZoneConfig
}

// Parser implements pipeline.ParserConfig.
func (c *Config) Parser() (pipeline.NewParser, error) {
	return c.NewParser("json", func(zone recognize.Zone) pipeline.Parser { return New(zone) })
}

// maxFields bounds the fields of one line. A line with more is not taken apart:
// Elasticsearch rejects them too, at 1000 a document by default.
const maxFields = 1000

// A Parser takes lines that are valid JSON objects as a whole, and no others: the bytes of numbers,
// objects and arrays go to the outputs as they are. Objects and arrays are kept whole; bytes that
// are not UTF-8 become U+FFFD. Of equal keys of one object the last one counts.
type Parser struct {
	core   recognize.Recognizer
	keys   recognize.Memory
	mender mender
}

// New makes the parser of one source.
func New(zone recognize.Zone) *Parser {
	return &Parser{core: recognize.Recognizer{Zone: zone}}
}

// Parse implements pipeline.Parser.
func (p *Parser) Parse(b *event.Batch, i int) bool {
	size := len(b.Arena)
	p.core.Start()
	if !p.object(b, b.Records[i].Line) {
		b.Arena = b.Arena[:size]
		return false
	}
	b.Records[i].Format = event.FormatJSON
	asItIs := len(b.Arena) == size // nothing in it had to be mended
	p.core.Fill(b, i)
	if asItIs && !p.core.Repeated() {
		b.Records[i].RedundantText = b.Records[i].Line
	}
	return true
}

// object reads a line that is one object.
func (p *Parser) object(b *event.Batch, line event.Span) bool {
	src := b.Arena[:line.Off+line.Len]
	at := skipSpace(src, int(line.Off))
	if byteAt(src, at) != '{' {
		return false
	}
	at = skipSpace(src, at+1)
	if byteAt(src, at) == '}' {
		return skipSpace(src, at+1) == len(src)
	}
	for at = p.member(b, src, at); at >= 0 && src[at] == ','; {
		at = p.member(b, src, skipSpace(src, at+1))
	}
	return at >= 0 && skipSpace(src, at+1) == len(src)
}

// member reads a key and its value, and returns the index of the comma or brace
// behind them, or a negative one.
func (p *Parser) member(b *event.Batch, src []byte, at int) int {
	if p.core.Len() == maxFields {
		return -1
	}
	name, key, at := p.key(b, src, at)
	if at < 0 {
		return -1
	}
	start := at
	at, kind, odd := scanValue(src, at)
	if at < 0 {
		return -1
	}
	value := event.Value{Span: between(start, at), Kind: kind}
	if kind.IsString() {
		value.Off++
		value.Len -= 2
	}
	if odd != 0 {
		value = p.mend(b, value, odd)
	}
	p.core.Add(key, name, value)
	if c := byteAt(src, at); c == ',' || c == '}' {
		return at
	}
	at = skipSpace(src, at)
	if c := byteAt(src, at); c != ',' && c != '}' {
		return -1
	}
	return at
}

// key reads a key and its colon, and returns the index of the value, or a negative one.
func (p *Parser) key(b *event.Batch, src []byte, at int) (name event.Value, key recognize.Key, value int) {
	n := p.core.Len()
	if key, length := p.keys.Match(n, src[at:]); length > 0 {
		name = event.Value{Span: event.Span{Off: uint32(at + 1), Len: uint32(length - 3)}, Kind: key.Kind()}
		return name, key, skipSpace(src, at+length)
	}
	if byteAt(src, at) != '"' {
		return name, key, -1
	}
	end, kind := String(src, at+1)
	if end < 0 {
		return name, key, -1
	}
	name = event.Value{Span: between(at+1, end), Kind: kind}
	value = skipSpace(src, end+1)
	if byteAt(src, value) != ':' {
		return name, key, -1
	}
	if kind != event.Plain {
		name = cleanKey(b, name)
	}
	key = recognize.KeyOf(b.Bytes(name.Span))
	if kind == event.Plain {
		name.Kind = key.Kind()
		if value == end+1 {
			p.keys.Note(n, src[at:value+1], key)
		}
	}
	return name, key, skipSpace(src, value+1)
}

func between(start, end int) event.Span {
	return event.Span{Off: uint32(start), Len: uint32(end - start)}
}

// cleanKey takes the escapes out of a key, so that equal keys are equal bytes.
func cleanKey(b *event.Batch, key event.Value) event.Value {
	off := len(b.Arena)
	b.Arena = event.AppendUnescaped(b.Arena, b.Bytes(key.Span))
	return clean(b, event.Value{Span: between(off, len(b.Arena)), Kind: event.Text})
}

// clean copies a value to the arena with U+FFFD for bytes that are not UTF-8.
// Only strings can hold any, so what was valid JSON stays so.
func clean(b *event.Batch, v event.Value) event.Value {
	p := b.Bytes(v.Span)
	off := len(b.Arena)
	for len(p) > 0 {
		r, size := utf8.DecodeRune(p)
		b.Arena = utf8.AppendRune(b.Arena, r)
		p = p[size:]
	}
	v.Span = between(off, len(b.Arena))
	return v
}
