package auto

import (
	"bytes"

	"github.com/longshore/longshore/parsers/multiline"
	"github.com/longshore/longshore/parsers/recognize"
	"github.com/longshore/longshore/pipeline/event"
)

// joined parses a record of several lines. What a container runtime wrote before
// each of them is taken off first.
func (p *Parser) joined(b *event.Batch, i int) bool {
	rec := &b.Records[i]
	whole := rec.Line
	if p.dockerLine(b, i) {
		rec.Line = whole
		return true
	}
	runtime := p.offRuntime(b, i)
	understood := p.lines(b, i) || runtime
	if runtime && rec.Message.Kind == event.None {
		rec.Message = event.Value{Span: rec.Line, Kind: event.Text}
	}
	rec.Line = whole
	return understood
}

// Unwrap parses nothing but what a container runtime wrote before a line, or before each of
// several: the message is what the program had written.
func (p *Parser) Unwrap(b *event.Batch, i int) bool {
	rec := &b.Records[i]
	if bytes.IndexByte(b.Line(i), '\n') < 0 {
		return p.text.Parse(b, i)
	}
	whole := rec.Line
	ok := p.offRuntime(b, i)
	if ok {
		rec.Message = event.Value{Span: rec.Line, Kind: event.Text}
	}
	rec.Line = whole
	return ok
}

// offRuntime makes what a container runtime's lines hold the record's line, if they are that.
func (p *Parser) offRuntime(b *event.Batch, i int) bool {
	rec := &b.Records[i]
	before, size := *rec, len(b.Arena)
	arena, ok := multiline.AppendWithoutHeads(b.Arena, b.Line(i))
	if !ok {
		return false
	}
	b.Arena = arena
	all := event.Span{Off: uint32(size), Len: uint32(len(arena) - size)}
	rec.Line = event.Span{Off: all.Off, Len: uint32(multiline.Head(b.Bytes(all)))}
	if !p.text.Parse(b, i) || rec.Format != event.FormatCRI && rec.Format != event.FormatCompose {
		*rec = before
		return false
	}
	start := rec.Message.Off
	rec.Line = event.Span{Off: start, Len: all.Off + all.Len - start}
	rec.Message = event.Value{}
	return true
}

// dockerLine parses a record of lines of Docker's json-file as one of them.
func (p *Parser) dockerLine(b *event.Batch, i int) bool {
	rec, size := &b.Records[i], len(b.Arena)
	arena, ok := multiline.AppendDockerLine(b.Arena, b.Line(i))
	if !ok {
		return false
	}
	b.Arena = arena
	rec.Line = event.Span{Off: uint32(size), Len: uint32(len(arena) - size)}
	if !p.json.Parse(b, i) {
		return false
	}
	rec.RedundantText = event.Span{} // the parts' own times are only in the lines
	p.unwrapAll(b, i)
	return true
}

// lines parses a record by its first line, which has its head; the others belong
// to the message. Only JSON is read as a whole.
func (p *Parser) lines(b *event.Batch, i int) bool {
	rec := &b.Records[i]
	all := rec.Line
	head := multiline.Head(b.Line(i))
	if head == int(all.Len) || firstByte(b.Line(i)) == '{' && p.json.Parse(b, i) {
		return head < int(all.Len) || p.one(b, i)
	}
	rec.Line.Len = uint32(head)
	understood := p.one(b, i)
	if rec.Line = all; understood && rec.Message.Kind != event.None {
		extend(b, i, head)
	}
	if rec.Message.Kind == event.None && rec.Format == event.FormatDotNet {
		rec.Message = below(b, rec.Line, head)
	}
	rest := b.Bytes(event.Span{Off: all.Off + uint32(head), Len: all.Len - uint32(head)})
	if rec.Flags&event.HasTrace == 0 && recognize.FindTrace(rec, rest) {
		understood = true
	}
	if exception(b, i) {
		understood = true
	}
	if understood {
		rec.Flags |= event.Parsed
		rec.Format = max(rec.Format, event.FormatText)
	}
	return understood
}

// below returns the lines below the head without their indentation, where the head has no message.
func below(b *event.Batch, line event.Span, head int) event.Value {
	text := b.Bytes(line)[head:]
	trimmed := bytes.TrimSpace(text)
	line.Off += uint32(head + bytes.Index(text, trimmed))
	line.Len = uint32(len(trimmed))
	return event.Value{Span: line, Kind: event.Text}
}

// extend puts what stands below the head behind the message that was found there.
func extend(b *event.Batch, i, head int) {
	rec := &b.Records[i]
	below := event.Span{Off: rec.Line.Off + uint32(head), Len: rec.Line.Len - uint32(head)}
	below.Len = uint32(len(bytes.TrimRight(b.Bytes(below), "\n")))
	m := &rec.Message
	if m.Kind != event.Escaped && m.Off+m.Len == below.Off && bytes.IndexByte(b.Bytes(below), escape) < 0 {
		m.Len += below.Len
		m.Kind = event.Text
		return
	}
	start := len(b.Arena)
	b.Arena = b.AppendText(b.Arena, *m)
	b.Arena = appendPlain(b.Arena, b.Bytes(below))
	*m = event.Value{Span: event.Span{Off: uint32(start), Len: uint32(len(b.Arena) - start)}, Kind: event.Text}
}

// exception notes the type and message of the exception that a record tells of.
// Their names have no dots: others write an error that is text.
func exception(b *event.Batch, i int) bool {
	e, ok := multiline.FindException(b.Line(i))
	if !ok {
		return false
	}
	rec := &b.Records[i]
	if rec.Level == event.NoLevel {
		rec.Level = event.Error
	}
	addText(b, i, "error_type", e.Type)
	if len(e.Message) > 0 {
		addText(b, i, "error_message", e.Message)
	}
	return true
}

func addText(b *event.Batch, i int, name string, value []byte) {
	span := b.Put(value)
	key := event.Value{Span: b.PutString(name), Kind: event.Plain}
	b.AddField(i, key, event.Value{Span: span, Kind: event.Text})
}
