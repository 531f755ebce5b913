package text

import (
	"bytes"

	"github.com/longshore/longshore/parsers/recognize"
	"github.com/longshore/longshore/pipeline/event"
)

// prefixed reads the times that the loggers of runit, s6 and daemontools write before a line:
//
//	2006-01-02_15:04:05.00000 line
//	@4000000043b940c01a2b3c4d line     TAI64N
func (l *line) prefixed() bool {
	p := l.text
	var ns int64
	var used int
	var ok bool
	switch {
	case len(p) < 27:
		return false
	case p[0] == '@':
		ns, ok = tai64n(p[1:25])
		used = 25
	case p[10] == '_':
		ns, used, ok = recognize.ISO(p, l.p.Zone)
	}
	if !ok || used+1 >= len(p) || p[used] != ' ' || !l.setTime(ns) {
		return false
	}
	l.rec.Format = event.FormatSvlogd
	l.setMessage(used + 1)
	return true
}

// tai64n reads a label of 24 hex digits: seconds since 1970 in TAI, of which these programs think
// that it is ten seconds ahead, and nanoseconds.
func tai64n(p []byte) (ns int64, ok bool) {
	const origin = 1<<62 + 10
	seconds, ok1 := hexNumber(p[:16])
	nanos, ok2 := hexNumber(p[16:])
	if !ok1 || !ok2 || nanos >= 1e9 || seconds < origin || seconds > origin+9e9 {
		return 0, false
	}
	return (seconds-origin)*1e9 + nanos, true
}

// hexNumber reads small hex digits.
func hexNumber(p []byte) (n int64, ok bool) {
	for _, c := range p {
		switch {
		case isDigit(c):
			n = n<<4 | int64(c-'0')
		case 'a' <= c && c <= 'f':
			n = n<<4 | int64(c-'a'+10)
		default:
			return 0, false
		}
	}
	return n, n >= 0
}

// sinceStart reads log4j's TTCC layout, which begins with the milliseconds since the start:
//
//	54 [main] ERROR com.example.Shop - message
//	54 [main] ERROR com.example.Shop context - message
func (l *line) sinceStart() bool {
	p := l.text
	end := wordEnd(p, 0)
	box := skipBlanks(p, end)
	if !isNumber(p[:end]) || box+2 >= len(p) || p[box] != '[' {
		return false
	}
	size := bytes.Index(p[box:min(len(p), box+longestPart)], []byte("] "))
	if size < 0 {
		return false
	}
	word := box + size + 2
	wordStop := wordEnd(p, word)
	level := recognize.Strong(p[word:wordStop])
	logger := skipBlanks(p, wordStop)
	loggerEnd := wordEnd(p, logger)
	dash := bytes.Index(p[loggerEnd:min(len(p), loggerEnd+longestPart)], []byte(" - "))
	if level == event.NoLevel || !allCapitals(p[word:wordStop]) || logger == loggerEnd || dash < 0 {
		return false
	}
	l.rec.Format, l.rec.Level = event.FormatText, level
	l.field("uptime_ms", 0, end)
	l.word("thread", box+1, box+size)
	l.word("logger", logger, loggerEnd)
	if dash > 1 {
		l.word("context", loggerEnd+1, loggerEnd+dash)
	}
	l.setMessage(loggerEnd + dash + 3)
	return true
}

// facility reads Icinga's level and facility behind a time in brackets:
//
//	[2006-01-02 15:04:05 -0700] critical/TcpSocket: message
func (h *head) facility() bool {
	p := h.text
	at := skipBlanks(p, h.at)
	end := wordEnd(p, at)
	if h.boxed && end == at+8 && h.webSphere(at) {
		return true
	}
	if end == at || p[end-1] != ':' {
		return false
	}
	if h.numberedDebug(end) {
		return true
	}
	if !h.boxed {
		return false
	}
	slash := bytes.IndexByte(p[at:end], '/')
	if slash < 4 || !isPlainName(p[at+slash+1:end-1]) {
		return false
	}
	level := recognize.Strong(p[at : at+slash])
	if level == event.NoLevel {
		return false
	}
	h.level = level
	h.add("logger", at+slash+1, end-1)
	h.at = skipBlanks(p, end)
	return true
}

// numberedDebug reads BIND's "category: debug 3: message"; all but the time stays the message.
func (h *head) numberedDebug(end int) bool {
	p := h.text
	const debug = " debug "
	if end < 1 || p[end-1] != ':' || !bytes.HasPrefix(p[end:], []byte(debug)) {
		return false
	}
	number := end + len(debug)
	stop := wordEnd(p, number)
	if stop < number+2 || p[stop-1] != ':' || !isNumber(p[number:stop-1]) {
		return false
	}
	h.level, h.at = event.Debug, skipBlanks(p, h.at)
	h.whole = true
	return true
}

// webSphere reads what WebSphere and Liberty have behind a time in brackets: a thread, a short name
// and a letter.
//
//	[1/2/06 15:04:05:000 UTC] 00000001 WsServerImpl  A   WSVR0001I: message
func (h *head) webSphere(at int) bool {
	p := h.text
	if _, ok := hexNumber(p[at : at+8]); !ok {
		return false
	}
	name := skipBlanks(p, at+8)
	nameEnd := wordEnd(p, name)
	letter := skipBlanks(p, nameEnd)
	if letter+2 >= len(p) || letter < name+3 || p[letter+1] != ' ' {
		return false
	}
	switch p[letter] {
	case 'F':
		h.level = event.Fatal
	case 'E':
		h.level = event.Error
	case 'W':
		h.level = event.Warn
	case 'A', 'I', 'C':
		h.level = event.Info
	case 'D':
		h.level = event.Debug
	case '1', '2', '3', '<', '>':
		h.level = event.Trace
	default: // O and R are what the program printed
		return false
	}
	h.add("thread", at, at+8)
	h.add("logger", name, nameEnd)
	h.at, h.whole = skipBlanks(p, letter+1), true
	return true
}

// webLogic reads WebLogic's server log and what it prints, groups in angle brackets:
//
//	####<Jan 2, 2006 3:04:05 PM UTC> <Warning> <Security> <host> <server> <thread> <<user>> <> <>
//	<1136214245000> <BEA-090152> <message>
//	<Jan 2, 2006 3:04:05 PM UTC> <Notice> <Security> <BEA-090152> <message>
func (l *line) webLogic() bool {
	p := l.text
	at := len(p) - len(bytes.TrimLeft(p, "#")) + 1
	if at != 1 && at != 5 || at >= len(p) || p[at-1] != '<' || p[len(p)-1] != '>' {
		return false
	}
	ns, used, ok := recognize.Layout(p[at:], l.p.Zone, 0)
	var starts, ends [14]int
	n := 0
	for start := at; n < len(starts) && start < len(p); n++ {
		size := bytes.Index(p[start:], []byte("> <"))
		if size < 0 {
			size = len(p) - 1 - start
		}
		starts[n], ends[n] = start, start+size
		start += size + 3
	}
	if n < 5 || used == 0 {
		return false
	}
	level := recognize.Strong(p[starts[1]:ends[1]])
	if level == event.NoLevel {
		return false
	}
	ok = ok && (at+used == ends[0] || string(p[at+used:ends[0]]) == " Coordinated Universal Time")
	for k := 9; !ok && at == 5 && k < min(n, 11); k++ { // the same in milliseconds, where nobody knows the zone
		ns, ok = recognize.Epoch(p[starts[k]:ends[k]])
	}
	if !ok {
		return false
	}
	l.rec.Format, l.rec.Level = event.FormatText, level
	l.setTime(ns)
	names := [...]string{
		2: "logger", 3: "hostname", 4: "server", 5: "thread", 6: "user", 7: "transaction", 8: "context",
	}
	for k := 2; k < len(names) && (k == 2 || at == 5) && k < n-2; k++ {
		if starts[k] < ends[k] {
			l.word(names[k], starts[k], ends[k])
		}
	}
	if code := n - 2; bytes.HasPrefix(p[starts[code]:], []byte("BEA-")) {
		l.word("message_id", starts[code], ends[code])
	}
	l.rec.Message = event.Value{Span: l.span(starts[n-1], ends[n-1]), Kind: event.Text}
	return true
}

// IsAudit reports whether a line starts as those of the kernel's audit log do.
func IsAudit(p []byte) bool {
	return len(p) > 24 && p[4] == '=' && (p[0] == 't' && p[1] == 'y' || p[0] == 'n')
}

// Audit reads the time of a line of the kernel's audit log, and makes the whole line its message:
// of its pairs msg is the time and a number. It is false for other lines.
//
//	type=SYSCALL msg=audit(1136214245.123:70): arch=c000003e …
func (p *Parser) Audit(b *event.Batch, i int) bool {
	l := line{p: p, b: b, i: i, rec: &b.Records[i], text: b.Line(i)}
	const mark = "msg=audit("
	at := bytes.Index(l.text[:min(len(l.text), 200)], []byte(mark))
	if at < 0 {
		return false
	}
	id := l.text[at+len(mark):]
	colon := bytes.IndexByte(id[:min(len(id), 24)], ':')
	if colon < 0 {
		return false
	}
	ns, ok := recognize.Epoch(id[:colon])
	if !ok {
		return false
	}
	l.setTime(ns)
	l.rec.Message = event.Value{Span: l.rec.Line, Kind: event.Text}
	return true
}
