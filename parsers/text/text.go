// Package text takes the time, level and trace out of lines of plain text, in the forms that have a
// name: access logs, klog, syslog, Redis, Ruby, and the "time level message" of most other
// programs. It asks for little and is wary: a level is one only where levels stand.
//
// A head is read part by part (time, level, thread, logger, pid, caller, each where programs write
// it), not by a list of expressions, so a hundred formats cost what one does, about 400 ns a line.
// What is not certainly part of the head stays in the message: "INFO Failed - retrying" has no
// logger. Colour codes are no part of a message.
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
	// Now completes times without a year where the source knows no time; nil is time.Now.
	Now func() time.Time
	// Only is the one form that lines may have; the zero value allows all.
	Only Form
}

// Parse implements pipeline.Parser. It reports true if it found anything: a
// time, a level, a trace, or one of the formats it knows.
func (p *Parser) Parse(b *event.Batch, i int) bool {
	l := line{p: p, b: b, i: i, rec: &b.Records[i], text: b.Line(i)}
	before := *l.rec
	l.skipIndent()
	understood := l.form(p.Only)
	if !understood {
		*l.rec = before
	}
	if (understood || p.Only == AnyForm) && l.rec.Flags&event.HasTrace == 0 && recognize.FindTrace(l.rec, l.text) {
		understood = true
	}
	if understood {
		l.rec.Flags |= event.Parsed
		if l.rec.Format == event.FormatNone {
			l.rec.Format = event.FormatText
		}
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
	off  uint32 // of text in the record's line

	timeless bool // it has no time, as mayHaveTime knows
}

// skipIndent skips the blanks that some write before a time.
func (l *line) skipIndent() {
	at := skipBlanks(l.text[:min(len(l.text), 16)], 0)
	if at > 0 && at < len(l.text) && (isDigit(l.text[at]) || l.text[at] == '[' || l.text[at] == '"') {
		l.text, l.off = l.text[at:], uint32(at)
	}
}

// format tries the formats that the line's start allows.
func (l *line) format() bool {
	p := l.text
	if len(p) < 4 {
		return false
	}
	switch c := p[0]; {
	case c == '<':
		return l.syslog() || l.webLogic() || l.element()
	case c == '[':
		return l.tornado() || l.nest() || l.gin() || l.console() || l.javaGC() || l.uwsgi() || l.redis() ||
			l.postgres() || len(p) > 30 && p[3] == '/' && p[7] == '/' && l.anyAccess() || l.headed()
	case c == '=':
		return l.erlang() || l.headed()
	case c == '#':
		return l.slowQuery() || l.webLogic() || l.headed()
	case c == '*':
		return l.tagged(0) || l.headed()
	case c == '@':
		return l.prefixed() || l.cee() || l.headed()
	case c == '%':
		return l.cisco(0)
	case isDigit(c):
		return l.number()
	case isLetter(c) && p[1] == ',' && p[2] == ' ' && p[3] == '[':
		return l.ruby()
	case isLetter(c) && isDigit(p[1]) && isDigit(p[2]) && isDigit(p[3]):
		return l.klog() || l.headed() || l.access()
	case isLetter(c) && p[1] == '/':
		return l.logcat()
	case (c == 'C' || c == 'L') && isSecurityEvent(p):
		return l.securityEvent()
	case 'A' <= c && c <= 'S' && p[3] == ' ':
		return l.bareSyslog() || l.julTwoLines() || l.headed() || l.access()
	}
	if l.timeless = !mayHaveTime(p); l.timeless {
		return l.compose() || l.postgres() || l.headed()
	}
	return l.namedMonth() || l.compose() || l.loadBalancer() || l.anyAccess() || l.postgres() || l.headed() ||
		l.access() || l.haproxy(0)
}

// number reads lines that start with a digit: of a date, of an address, of a process id.
func (l *line) number() bool {
	p := l.text
	if p[1] == '.' || p[2] == '.' || p[3] == '.' { // an address, or 02.01.2006
		return l.access() || l.anyAccess() || l.haproxy(0) || l.postgres() || l.headed()
	}
	if len(p) > 26 && p[4] == '-' && p[7] == '-' { // an ISO date
		return l.cri() || l.csvlog() || p[26] == 'Z' && l.loadBalancer() || p[10] == '_' && l.prefixed() ||
			p[19] != ',' && l.postgres() || l.headed() // Postgres has a dot before milliseconds
	}
	return l.messageQueue() || l.logcat() || l.anyAccess() || l.postgres() || l.headed() || l.redis() || l.access() ||
		l.haproxy(0) || l.sinceStart()
}

// near returns a time to complete one without a year.
func (l *line) near() int64 {
	switch {
	case l.rec.Time != 0:
		return l.rec.Time
	case l.p.Now != nil:
		return l.p.Now().UnixNano()
	}
	return time.Now().UnixNano()
}

// setTime takes a time if it can be right, and marks the record otherwise.
func (l *line) setTime(ns int64) bool {
	if !recognize.Believable(ns, l.rec.Time) {
		l.rec.Flags |= event.OddTime
		return false
	}
	l.rec.Time = ns
	l.rec.Flags |= event.LineTime
	return true
}

// setMessage makes what starts at an index the message; if nothing is left, that is the whole line.
func (l *line) setMessage(at int) {
	if at >= len(l.text) {
		return
	}
	l.rec.Message = event.Value{Span: l.span(at, len(l.text)), Kind: event.Text}
}

func (l *line) span(start, end int) event.Span {
	return event.Span{Off: l.rec.Line.Off + l.off + uint32(start), Len: uint32(end - start)}
}

// field adds a part of the line as a field, a number where it is one.
func (l *line) field(name string, start, end int) {
	span := l.span(start, end)
	key := event.Value{Span: l.b.PutString(name), Kind: event.Name}
	l.b.AddField(l.i, key, event.Value{Span: span, Kind: recognize.KindOf(l.b.Bytes(span))})
}

// trimmed adds a part of the line without the blanks around it.
func (l *line) trimmed(name string, start, end int) {
	for end > start && l.text[end-1] == ' ' {
		end--
	}
	l.field(name, skipBlanks(l.text[:end], start), end)
}

// named adds a field whose name the line has itself.
func (l *line) named(p part) {
	key := event.Value{Span: l.span(int(p.key), int(p.keyEnd)), Kind: event.Text}
	span := l.span(int(p.start), int(p.end))
	l.b.AddField(l.i, key, event.Value{Span: span, Kind: recognize.KindOf(l.b.Bytes(span))})
}

// word adds a part of the line as a field that is always a string.
func (l *line) word(name string, start, end int) {
	key := event.Value{Span: l.b.PutString(name), Kind: event.Name}
	l.b.AddField(l.i, key, event.Value{Span: l.span(start, end), Kind: event.Text})
}

func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
func isLetter(c byte) bool { return 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' }

// skipBlanks returns the index of the first byte from at on that is no blank.
func skipBlanks(p []byte, at int) int {
	for at < len(p) && (p[at] == ' ' || p[at] == '\t') {
		at++
	}
	return at
}

// wordEnd returns the index of the next blank, or the end.
func wordEnd(p []byte, at int) int {
	for at < len(p) && p[at] > ' ' {
		at++
	}
	return at
}
