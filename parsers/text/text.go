// Package text takes the time, level and trace out of lines of plain text, in
// the forms that have a name: access logs, klog, syslog, Redis, Ruby, and the
// "time level message" of most other programs. It asks for little and is wary:
// a level is one only where levels stand.
package text

import (
	"time"

	"github.com/longshore/longshore/parsers/recognize"
	"github.com/longshore/longshore/pipeline/event"
)

// A Parser takes lines of text. It belongs to one goroutine.
type Parser struct {
	// Zone is where times that do not name one are at home.
	Zone recognize.Zone
	// Now completes times without a year where the source knows no time; nil
	// is time.Now.
	Now func() time.Time
}

// Parse implements pipeline.Parser. It reports true if it found anything: a
// time, a level, a trace, or one of the formats it knows.
func (p *Parser) Parse(b *event.Batch, i int) bool {
	l := line{p: p, b: b, i: i, rec: &b.Records[i], text: b.Line(i)}
	understood := l.format()
	rest := l.text
	if rec := l.rec; rec.Message.Kind != event.None {
		rest = b.Bytes(rec.Message.Span)
	}
	if l.rec.Flags&event.HasTrace == 0 && recognize.FindTrace(l.rec, rest) {
		understood = true
	}
	if understood {
		l.rec.Flags |= event.Parsed
	}
	return understood
}

// A line is one that is being read.
type line struct {
	p    *Parser
	b    *event.Batch
	i    int
	rec  *event.Record
	text []byte
}

// format tries the formats that the line's start allows.
func (l *line) format() bool {
	p := l.text
	if len(p) < 4 {
		return false
	}
	switch c := p[0]; {
	case c == '<':
		return l.syslog()
	case isLetter(c) && p[1] == ',' && p[2] == ' ' && p[3] == '[':
		return l.ruby()
	case isLetter(c) && isDigit(p[1]) && isDigit(p[2]) && isDigit(p[3]):
		return l.klog() || l.headed() || l.access()
	case 'A' <= c && c <= 'S' && p[3] == ' ':
		return l.bareSyslog() || l.headed()
	case isDigit(c):
		return l.headed() || l.redis() || l.access()
	}
	return l.headed() || l.access()
}

// near gives a time to complete one without a year.
func (l *line) near() int64 {
	switch {
	case l.rec.Time != 0:
		return l.rec.Time
	case l.p.Now != nil:
		return l.p.Now().UnixNano()
	}
	return time.Now().UnixNano()
}

// setTime takes a time if it can be right.
func (l *line) setTime(ns int64) bool {
	if !recognize.Believable(ns, l.rec.Time) {
		return false
	}
	l.rec.Time = ns
	l.rec.Flags |= event.LineTime
	return true
}

// setMessage makes what starts at an index the message; if nothing is left,
// that is the whole line.
func (l *line) setMessage(at int) {
	if at >= len(l.text) {
		return
	}
	l.rec.Message = event.Value{Span: l.span(at, len(l.text)), Kind: event.Text}
}

func (l *line) span(start, end int) event.Span {
	return event.Span{Off: l.rec.Line.Off + uint32(start), Len: uint32(end - start)}
}

// field adds a part of the line as a field, a number where it is one.
func (l *line) field(name string, start, end int) {
	span := l.span(start, end)
	key := event.Value{Span: l.b.PutString(name), Kind: event.Plain}
	l.b.AddField(l.i, key, event.Value{Span: span, Kind: recognize.KindOf(l.b.Bytes(span))})
}

// word adds a part of the line as a field that is always a string.
func (l *line) word(name string, start, end int) {
	key := event.Value{Span: l.b.PutString(name), Kind: event.Plain}
	l.b.AddField(l.i, key, event.Value{Span: l.span(start, end), Kind: event.Text})
}

func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
func isLetter(c byte) bool { return 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' }

// skipBlanks gives the index of the first byte from at on that is no blank.
func skipBlanks(p []byte, at int) int {
	for at < len(p) && (p[at] == ' ' || p[at] == '\t') {
		at++
	}
	return at
}

// wordEnd gives the index of the next blank, or the end.
func wordEnd(p []byte, at int) int {
	for at < len(p) && p[at] > ' ' {
		at++
	}
	return at
}
