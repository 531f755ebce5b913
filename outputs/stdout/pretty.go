package stdout

import (
	"bytes"
	"path"
	"time"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// pretty writes a record for people:
//
//	22:13:20.123 WARN  checkout     slow query  ms=1500 user=ann trace=4bf92f35
//	    further lines are indented
type pretty struct {
	color    bool
	location *time.Location
	text     []byte // of the value being written
}

const (
	// The least and the greatest width of the name.
	nameWidth = 12
	nameMax   = 24
	indent    = "    "
)

// Encode implements pipeline.Encoder.
func (p *pretty) Encode(dst *pipeline.Body, b *event.Batch, i int) (uint32, error) {
	r := &b.Records[i]
	buf := p.paint(dst.Bytes, dim)
	buf = time.Unix(0, r.Time).In(p.location).AppendFormat(buf, "15:04:05.000")
	buf = p.plain(buf)
	buf = p.appendLevel(append(buf, ' '), r.Level)
	buf = p.appendName(append(buf, ' '), b, i)
	p.text = b.AppendText(p.text[:0], b.MessageOf(i))
	buf = appendBlock(append(buf, "  "...), bytes.TrimRight(p.text, "\r\n"))
	buf = p.appendFields(buf, b, i)
	dst.Bytes = append(buf, '\n')
	return 0, nil
}

// The colours, as SGR parameters (ECMA-48, 8.3.117).
const dim = "2"

func (p *pretty) paint(dst []byte, sgr string) []byte {
	if !p.color || sgr == "" {
		return dst
	}
	dst = append(dst, "\x1b["...)
	dst = append(dst, sgr...)
	return append(dst, 'm')
}

func (p *pretty) plain(dst []byte) []byte {
	if !p.color {
		return dst
	}
	return append(dst, "\x1b[0m"...)
}

func (p *pretty) appendLevel(dst []byte, l event.Level) []byte {
	name, sgr := "     ", ""
	switch l {
	case event.Trace:
		name, sgr = "TRACE", dim
	case event.Debug:
		name, sgr = "DEBUG", "34"
	case event.Info:
		name, sgr = "INFO ", "32"
	case event.Warn:
		name, sgr = "WARN ", "33"
	case event.Error:
		name, sgr = "ERROR", "31"
	case event.Fatal:
		name, sgr = "FATAL", "1;97;41"
	}
	if sgr == "" {
		return append(dst, name...)
	}
	dst = p.paint(dst, sgr)
	dst = append(dst, name...)
	return p.plain(dst)
}

// nameColors leave out those of warnings and errors.
var nameColors = [...]string{"36", "35", "34", "32", "96", "95", "94", "92"}

// appendName appends the service's name, or what else identifies the source best, in a colour of
// its own.
func (p *pretty) appendName(dst []byte, b *event.Batch, i int) []byte {
	name := p.nameOf(b, i)
	if len(name) > nameMax {
		name = append(bytes.ToValidUTF8(name[:nameMax-1], nil), "…"...)
	}
	dst = p.paint(dst, nameColors[hash(name)%uint32(len(nameColors))])
	start := len(dst)
	dst = appendSafe(dst, name)
	for width := len(dst) - start; width < nameWidth; width++ {
		dst = append(dst, ' ')
	}
	return p.plain(dst)
}

func (p *pretty) nameOf(b *event.Batch, i int) []byte {
	if s := b.Records[i].Service; s.Kind != event.None {
		p.text = b.AppendText(p.text[:0], s)
		return p.text
	}
	for _, label := range []string{event.LabelService, event.LabelContainerName} {
		if s := b.Source.Label(label); s != "" {
			p.text = append(p.text[:0], s...)
			return p.text
		}
	}
	if file := b.Source.Label(event.LabelFile); file != "" {
		p.text = append(p.text[:0], path.Base(file)...)
		return p.text
	}
	p.text = append(p.text[:0], b.Source.Input...)
	return p.text
}

// hash is FNV-1a.
func hash(s []byte) uint32 {
	h := uint32(2166136261)
	for _, c := range s {
		h = (h ^ uint32(c)) * 16777619
	}
	return h
}

// appendFields appends the fields as key=value, and below them those of several lines, such as
// stack traces.
func (p *pretty) appendFields(dst []byte, b *event.Batch, i int) []byte {
	r := &b.Records[i]
	dst = p.paint(dst, dim)
	start := len(dst)
	blocks := false
	for _, f := range b.Fields(i) {
		p.text = b.AppendText(p.text[:0], f.Value)
		if f.Value.Kind.IsString() && bytes.IndexByte(p.text, '\n') >= 0 {
			blocks = true
			continue
		}
		dst = p.appendField(separate(dst, start), b, f)
	}
	if r.Flags&event.HasTrace != 0 {
		dst = append(separate(dst, start), "trace="...)
		dst = event.AppendHex(dst, r.TraceID[:4])
	}
	if r.Flags&event.Truncated != 0 {
		dst = append(separate(dst, start), "(truncated)"...)
	}
	if blocks {
		dst = p.appendBlocks(dst, b, i)
	}
	return p.plain(dst)
}

func separate(dst []byte, start int) []byte {
	if len(dst) == start {
		dst = append(dst, ' ')
	}
	return append(dst, ' ')
}

// appendField appends a field whose text is in p.text.
func (p *pretty) appendField(dst []byte, b *event.Batch, f event.Field) []byte {
	value := p.text
	p.text = b.AppendText(value, f.Key)
	key := p.text[len(value):]
	dst = appendInline(dst, key, false)
	dst = append(dst, '=')
	quote := f.Value.Kind.IsString() && (len(value) == 0 || bytes.ContainsAny(value, " \t\r\"="))
	return appendInline(dst, p.text[:len(value)], quote)
}

func (p *pretty) appendBlocks(dst []byte, b *event.Batch, i int) []byte {
	for _, f := range b.Fields(i) {
		p.text = b.AppendText(p.text[:0], f.Value)
		if !f.Value.Kind.IsString() || bytes.IndexByte(p.text, '\n') < 0 {
			continue
		}
		length := len(p.text)
		p.text = b.AppendText(p.text, f.Key)
		dst = append(dst, "\n"+indent...)
		dst = appendInline(dst, p.text[length:], false)
		dst = append(dst, ":\n"+indent...)
		dst = appendBlock(dst, bytes.TrimRight(p.text[:length], "\r\n"))
	}
	return dst
}
