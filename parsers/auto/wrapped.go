package auto

import (
	"bytes"

	"github.com/longshore/longshore/pipeline/event"
)

// unwrap parses the message of a record as a line of its own, where it can be
// one: behind what a container runtime or a syslog daemon wrote before it, or
// as JSON in a JSON string. What the inner line says goes over what the outer
// one said; the fields of both stay. false means that there was none.
func (p *Parser) unwrap(b *event.Batch, i int) bool {
	rec := &b.Records[i]
	if !mayWrap(b, rec) {
		return false
	}
	outer := *rec
	rec.Line = inner(b, outer.Message)
	rec.Message, rec.RedundantText, rec.Format = event.Value{}, event.Span{}, 0
	if p.inside(b, i, &outer) && better(rec, &outer) {
		rec.Line = outer.Line
		finer(rec, &outer)
		return true
	}
	line := rec.Line
	if *rec = outer; outer.Format == event.FormatDocker {
		rec.Message = event.Value{Span: line, Kind: event.Text}
	}
	return false
}

// inside parses the line that was wrapped. Container runtimes name the zone of their times.
func (p *Parser) inside(b *event.Batch, i int, outer *event.Record) bool {
	switch outer.Format {
	case event.FormatCRI, event.FormatDocker:
		if outer.Flags&event.LineTime != 0 {
			return p.wrapped.ParseNear(b, i, outer.Time)
		}
	}
	return p.plain(b, i)
}

// A plainParser parses what a container runtime wrote without what it put around that.
type plainParser struct{ *Parser }

// Parse implements pipeline.Parser.
func (p plainParser) Parse(b *event.Batch, i int) bool {
	if bytes.IndexByte(b.Line(i), '\n') >= 0 {
		return p.lines(b, i)
	}
	return p.plain(b, i)
}

// mayWrap reports whether a record's message may be a line of its own.
func mayWrap(b *event.Batch, rec *event.Record) bool {
	if rec.Message.Kind == event.None || rec.Message.Len < 4 {
		return false
	}
	switch rec.Format {
	case event.FormatCRI, event.FormatDocker, event.FormatSyslog, event.FormatCompose, event.FormatSvlogd:
		return true
	case event.FormatJSON:
		return rec.Message.Kind == event.Escaped && isObject(b.Bytes(rec.Message.Span))
	}
	return isObject(b.Bytes(rec.Message.Span))
}

// isObject reports whether text can be a JSON object, perhaps with a line end.
func isObject(p []byte) bool {
	return p[0] == '{' && bytes.LastIndexByte(p[len(p)-min(len(p), 4):], '}') >= 0
}

// better reports whether an inner line was worth it: JSON in a message is the payload
// of some other thing, unless it has a message itself.
func better(rec, outer *event.Record) bool {
	switch outer.Format {
	case event.FormatCRI, event.FormatDocker, event.FormatSyslog, event.FormatCompose, event.FormatSvlogd:
	default:
		return rec.Message.Kind != event.None
	}
	if rec.Message.Kind == event.None {
		rec.Message = event.Value{Span: rec.Line, Kind: event.Text}
	}
	if rec.Format == event.FormatText && outer.Format == event.FormatSyslog {
		rec.Format = event.FormatSyslog
	}
	return true
}

// finer keeps the outer time where the inner one is the same to the second, and says no more.
func finer(rec, outer *event.Record) {
	const both = event.LineTime
	later := outer.Time - rec.Time
	if rec.Flags&outer.Flags&both != 0 && rec.Time%1e9 == 0 && 0 < later && later < 1e9 {
		rec.Time = outer.Time
	}
}

// inner returns the text of a message, without the line end that some wrappers keep.
func inner(b *event.Batch, v event.Value) event.Span {
	span := v.Span
	if v.Kind == event.Escaped {
		span.Off = uint32(len(b.Arena))
		b.Arena = event.AppendUnescaped(b.Arena, b.Bytes(v.Span))
		span.Len = uint32(len(b.Arena)) - span.Off
	}
	for span.Len > 0 && (b.Arena[span.Off+span.Len-1] == '\n' || b.Arena[span.Off+span.Len-1] == '\r') {
		span.Len--
	}
	return span
}

const escape = 0x1b

// plain parses a line without the escape codes that colour it on a terminal.
// They are no part of the message either.
func (p *Parser) plain(b *event.Batch, i int) bool {
	if bytes.IndexByte(b.Line(i), escape) < 0 {
		return p.line(b, i)
	}
	size := len(b.Arena)
	whole := b.Records[i].Line
	plain := event.Span{Off: uint32(size)}
	b.Arena = appendPlain(b.Arena, b.Bytes(whole))
	plain.Len = uint32(len(b.Arena) - size)
	rec := &b.Records[i]
	rec.Line = plain
	if understood := p.line(b, i); !understood && plain.Len == whole.Len {
		rec.Line = whole
		return false
	} else if !understood {
		rec.Flags |= event.Parsed
		rec.Format = event.FormatText
	}
	if rec.Line = whole; rec.Message.Kind == event.None {
		rec.Message = event.Value{Span: plain, Kind: event.Text}
	}
	return true
}

// appendPlain appends text without its control sequences (ECMA-48, 5.4): ESC [,
// parameters, and a final byte; nor the short ones that programs write beside those.
func appendPlain(dst, p []byte) []byte {
	for {
		at := bytes.IndexByte(p, escape)
		if at < 0 {
			return append(dst, p...)
		}
		dst = append(dst, p[:at]...)
		n := sequence(p[at:])
		if n == 0 {
			dst = append(dst, escape)
			n = 1
		}
		p = p[at+n:]
	}
}

// sequence returns the length of the control sequence at the start of p, or 0.
func sequence(p []byte) int {
	switch {
	case len(p) >= 2 && (p[1] == '=' || p[1] == '>'): // the keypad's modes, as .NET's console sets them
		return 2
	case len(p) >= 3 && (p[1] == '(' || p[1] == ')') && '0' <= p[2] && p[2] <= '~': // a character set: tput sgr0
		return 3
	case len(p) < 3 || p[1] != '[':
		return 0
	}
	for n := 2; n < len(p) && n < 32; n++ {
		switch c := p[n]; {
		case '@' <= c && c <= '~':
			return n + 1
		case c < ' ' || c > '?':
			return 0
		}
	}
	return 0
}
