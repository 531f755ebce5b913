package text

import (
	"bytes"

	"github.com/longshore/longshore/parsers/recognize"
	"github.com/longshore/longshore/pipeline/event"
)

// klog reads the format of glog and klog, and CockroachDB's, whose date has a year:
//
//	I0102 15:04:05.000000    1234 file.go:12] message
//	I060102 15:04:05.000000 1 file.go:12 ⋮ [n1] 42 message
func (l *line) klog() bool {
	p := l.text
	if len(p) < 22 || bytes.IndexByte([]byte("IWEF"), p[0]) < 0 {
		return false
	}
	ns, used, ok := recognize.Klog(p[1:], l.p.Zone, l.near())
	at := 1 + used
	if !ok || at >= len(p) || p[at] != ' ' {
		return false
	}
	thread := skipBlanks(p, at)
	threadEnd := wordEnd(p, thread)
	if !isNumber(p[thread:threadEnd]) {
		return false
	}
	caller := skipBlanks(p, threadEnd)
	end, message, format := wordEnd(p, caller), 0, event.FormatKlog
	if end > caller && p[end-1] == ']' {
		end, message = end-1, end+1
	} else if p[7] == ' ' {
		message, format = end, event.FormatCockroach
	}
	if message == 0 || bytes.IndexByte(p[caller:end], ':') < 0 {
		return false
	}
	l.rec.Format = format
	l.rec.Level = recognize.Letter(p[0])
	if !l.setTime(ns) {
		return true
	}
	l.field("thread", thread, threadEnd)
	l.word("caller", caller, end)
	l.setMessage(l.skipMarker(skipBlanks(p, message)))
	return true
}

// skipMarker skips CockroachDB's sign for lines that can be redacted.
func (l *line) skipMarker(at int) int {
	if bytes.HasPrefix(l.text[min(at, len(l.text)):], []byte("⋮ ")) {
		return at + len("⋮ ")
	}
	return at
}

// ruby reads the format of Ruby's Logger:
//
//	I, [2006-01-02T15:04:05.000000 #123]  INFO -- prog: message
func (l *line) ruby() bool {
	p := l.text
	ns, used, ok := recognize.ISO(p[4:], l.p.Zone)
	at := 4 + used
	if !ok || !bytes.HasPrefix(p[at:], []byte(" #")) {
		return false
	}
	pid := at + 2
	end := bytes.IndexByte(p[pid:], ']')
	dashes := bytes.Index(p[pid:], []byte(" -- "))
	if end < 0 || dashes < end {
		return false
	}
	prog := pid + dashes + len(" -- ")
	colon := bytes.IndexByte(p[prog:], ':')
	if colon < 0 {
		return false
	}
	l.rec.Format = event.FormatRuby
	l.rec.Level = recognize.Letter(p[0])
	if p[0] == 'A' { // ANY, Ruby's unknown
		l.rec.Level = event.NoLevel
	}
	if !l.setTime(ns) {
		return true
	}
	l.field("pid", pid, pid+end)
	if colon > 0 {
		l.word("progname", prog, prog+colon)
	}
	l.setMessage(skipBlanks(p, prog+colon+1))
	return true
}

// redis reads the format of Redis:
//
//	1:M 02 Jan 2006 15:04:05.000 * message
func (l *line) redis() bool {
	p := l.text
	pid := 0
	if p[0] == '[' {
		pid = 1
	}
	end := pid
	for end < len(p) && end < 12 && isDigit(p[end]) {
		end++
	}
	at := end + 3
	if pid > 0 {
		at = end + 2 // of version 2: [1] 02 Jan 15:04:05.000 * message
	}
	if end == pid || len(p) < at+20 || p[at-1] != ' ' ||
		pid == 0 && (p[end] != ':' || !isLetter(p[end+1])) || pid > 0 && p[end] != ']' {
		return false
	}
	ns, used, ok := recognize.Layout(p[at:], l.p.Zone, l.near())
	at += used
	if !ok || len(p) < at+3 || p[at] != ' ' || p[at+2] != ' ' {
		return false
	}
	level := redisLevel(p[at+1])
	if level == event.NoLevel {
		return false
	}
	l.rec.Format, l.rec.Level = event.FormatRedis, level
	if !l.setTime(ns) {
		return true
	}
	l.field("pid", pid, end)
	if pid == 0 {
		l.word("role", end+1, end+2)
	}
	l.setMessage(at + 3)
	return true
}

func redisLevel(c byte) event.Level {
	switch c {
	case '.', '-':
		return event.Debug
	case '*':
		return event.Info
	case '#':
		return event.Warn
	}
	return event.NoLevel
}

// logcat reads Android's threadtime and brief formats:
//
//	01-02 15:04:05.000  1234  5678 I Tag     : message
//	01-02 15:04:05.000  1000  1234  5678 I Tag     : message   with the user's id
//	I/Tag     ( 1234): message
func (l *line) logcat() bool {
	p := l.text
	if isLetter(p[0]) {
		return l.logcatBrief(0)
	}
	if len(p) < 30 || p[2] != '-' || p[5] != ' ' {
		return false
	}
	ns, used, ok := recognize.MonthDayTime(p, l.p.Zone, l.near())
	if !ok {
		return false
	}
	uid, uidEnd := 0, 0
	pid := skipBlanks(p, used)
	pidEnd := wordEnd(p, pid)
	thread := skipBlanks(p, pidEnd)
	threadEnd := wordEnd(p, thread)
	at := skipBlanks(p, threadEnd)
	if next := wordEnd(p, at); isNumber(p[at:next]) { // a user's id before these
		uid, uidEnd, pid, pidEnd = pid, pidEnd, thread, threadEnd
		thread, threadEnd, at = at, next, skipBlanks(p, next)
	}
	if isLetter(p[pid]) && l.logcatBrief(pid) {
		l.setTime(ns)
		return true
	}
	if !isNumber(p[pid:pidEnd]) || !isNumber(p[thread:threadEnd]) || at+3 > len(p) || p[at+1] != ' ' {
		return false
	}
	level := recognize.Letter(p[at])
	colon := bytes.Index(p[at:], []byte(": "))
	if level == event.NoLevel || colon < 0 || colon > longestPart {
		return false
	}
	l.rec.Format, l.rec.Level = event.FormatAndroid, level
	if !l.setTime(ns) {
		return true
	}
	if uidEnd > uid {
		l.field("uid", uid, uidEnd)
	}
	l.field("pid", pid, pidEnd)
	l.field("thread", thread, threadEnd)
	l.trimmed("logger", at+2, at+colon)
	l.setMessage(at + colon + 2)
	return true
}

// logcatBrief reads "E/name( 123): message" at an index.
func (l *line) logcatBrief(at int) bool {
	p := l.text
	open := at + bytes.IndexByte(p[at:min(len(p), at+longestPart)], '(')
	if len(p) < at+8 || p[at+1] != '/' || open < at+3 || bytes.IndexByte([]byte("VDIWEF"), p[at]) < 0 {
		return false
	}
	size := bytes.Index(p[open:min(len(p), open+12)], []byte("): "))
	if size < 0 || bytes.IndexByte(bytes.TrimSpace(p[at+2:open]), ' ') >= 0 ||
		!isNumber(bytes.TrimSpace(p[open+1:open+size])) {
		return false
	}
	l.rec.Format, l.rec.Level = event.FormatAndroid, recognize.Letter(p[at])
	l.trimmed("pid", open+1, open+size)
	l.trimmed("logger", at+2, open)
	l.setMessage(open + size + 3)
	return true
}

// tornado reads Tornado's format:
//
//	[I 060102 15:04:05 file:12] message
func (l *line) tornado() bool {
	p := l.text
	if len(p) < 24 || p[0] != '[' || p[2] != ' ' {
		return false
	}
	level := recognize.Letter(p[1])
	ns, used, ok := recognize.ShortDate(p[3:], l.p.Zone)
	at := 3 + used
	if level == event.NoLevel || !ok || p[at] != ' ' {
		return false
	}
	end := bytes.Index(p[at:], []byte("] "))
	if end < 0 || end > longestPart {
		return false
	}
	l.rec.Format, l.rec.Level = event.FormatTornado, level
	if !l.setTime(ns) {
		return true
	}
	l.trimmed("caller", at+1, at+end)
	l.setMessage(at + end + 2)
	return true
}

// nest reads NestJS's format:
//
//	[Nest] 123  - 01/02/2006, 3:04:05 PM     LOG [Context] message
func (l *line) nest() bool {
	p := l.text
	if !bytes.HasPrefix(p, []byte("[Nest] ")) {
		return false
	}
	pid := skipBlanks(p, len("[Nest] "))
	pidEnd := wordEnd(p, pid)
	at := skipSigns(p, pidEnd)
	ns, used, ok := recognize.Layout(p[at:], l.p.Zone, 0)
	word := skipBlanks(p, at+used)
	end := wordEnd(p, word)
	if !ok || !isNumber(p[pid:pidEnd]) || !allCapitals(p[word:end]) {
		return false
	}
	l.rec.Format, l.rec.Level = event.FormatNest, recognize.Word(p[word:end])
	if !l.setTime(ns) {
		return true
	}
	l.field("pid", pid, pidEnd)
	at = skipBlanks(p, end)
	if at < len(p) && p[at] == '[' {
		if size := bytes.Index(p[at:], []byte("] ")); size > 0 && size < longestPart {
			l.word("logger", at+1, at+size)
			at += size + 2
		}
	}
	l.setMessage(at)
	return true
}

// erlang reads the first line of Erlang's reports:
//
//	=INFO REPORT==== 2-Jan-2006::15:04:05.000000 ===
func (l *line) erlang() bool {
	p := l.text
	mark := bytes.Index(p[:min(len(p), 40)], []byte(" REPORT==== "))
	if p[0] != '=' || mark < 0 {
		return false
	}
	level := recognize.Strong(p[1:mark])
	if level == event.NoLevel && string(p[1:mark]) != "PROGRESS" && string(p[1:mark]) != "SUPERVISOR" {
		return false
	}
	l.rec.Format, l.rec.Level = event.FormatErlang, max(level, event.Info)
	at := mark + len(" REPORT==== ")
	ns, used, ok := recognize.Layout(p[at:], l.p.Zone, 0)
	if !ok {
		ns, used, ok = recognize.ISO(p[at:], l.p.Zone)
	}
	if ok && l.setTime(ns) {
		at += used
		if end := bytes.IndexByte(p[at:], '\n'); end >= 0 {
			l.setMessage(at + end + 1)
		}
	}
	return true
}

// julTwoLines reads java.util.logging's two lines as one record, and the first alone:
//
//	Jan 02, 2006 3:04:05 PM com.example.Class method
//	INFO: message
func (l *line) julTwoLines() bool {
	p := l.text
	ns, used, ok := recognize.Layout(p, l.p.Zone, 0)
	if !ok || used < 20 || used >= len(p) || p[used] != ' ' || p[used-1] != 'M' {
		return false
	}
	class := used + 1
	classEnd := wordEnd(p, class)
	end := bytes.IndexByte(p, '\n')
	if end < 0 {
		end = len(p)
	}
	level, at := levelAt(p, min(end+1, len(p)), false)
	if level == event.NoLevel && !isLogger(p[class:classEnd]) {
		return false
	}
	l.rec.Format = event.FormatJUL
	if !l.setTime(ns) {
		return true
	}
	l.word("logger", class, classEnd)
	if classEnd+1 < end {
		l.trimmed("method", classEnd+1, end)
	}
	if level != event.NoLevel {
		l.rec.Level = level
		l.setMessage(skipSigns(p, at))
	}
	return true
}

// gin reads the access lines of Go's Gin:
//
//	[GIN] 2006/01/02 - 15:04:05 | 200 |  1.2ms |  127.0.0.1 | GET  "/path"
func (l *line) gin() bool {
	p := l.text
	const head = "[GIN] "
	if len(p) < 40 || !bytes.HasPrefix(p, []byte(head)) || string(p[16:19]) != " - " {
		return false
	}
	var both [19]byte
	copy(both[:], p[6:16])
	both[10] = ' '
	copy(both[11:], p[19:27])
	ns, _, ok := recognize.ISO(both[:], l.p.Zone)
	if !ok || !l.setTime(ns) {
		return false
	}
	l.rec.Format = event.FormatGin
	at, status := 27, 0
	for _, name := range [...]string{"status", "duration", "remote_addr"} {
		at = skipSigns(p, at)
		end := at
		for end < len(p) && p[end] > ' ' && p[end] != '|' {
			end++
		}
		if name == "status" && end == at+3 {
			l.rec.Level = statusLevel(p[at])
			status = at
		}
		l.field(name, at, end)
		at = end
	}
	at = skipSigns(p, at)
	end := wordEnd(p, at)
	l.word("method", at, end)
	path := skipBlanks(p, end)
	if path+2 < len(p) && p[path] == '"' {
		if quote := quoteEnd(p, path+1); quote > 0 {
			l.word("path", path+1, quote)
			if quote+1 == len(p) && status > 0 {
				l.ginMessage(at, end, path+1, quote, status)
			}
		}
	}
	return true
}

// ginMessage makes the message of a line of Gin's of its method, path and status.
func (l *line) ginMessage(method, methodEnd, path, pathEnd, status int) {
	p := l.text
	off := len(l.b.Arena)
	for _, part := range [...][]byte{p[method:methodEnd], p[path:pathEnd]} {
		l.b.Arena = append(append(l.b.Arena, part...), ' ')
	}
	l.b.Arena = append(l.b.Arena, p[status:status+3]...)
	span := event.Span{Off: uint32(off), Len: uint32(len(l.b.Arena) - off)}
	l.rec.Message = event.Value{Span: span, Kind: event.Text}
}

// javaGC reads the unified logging of the JVM, by the time since its start:
//
//	[0.012s][info][gc] message
func (l *line) javaGC() bool {
	p := l.text
	end := bytes.IndexByte(p[:min(len(p), 18)], ']')
	if end < 6 || end+1 >= len(p) || p[end-1] != 's' || p[end+1] != '[' || !isDigit(p[1]) {
		return false
	}
	level, next := levelInBrackets(p, end+1, true)
	if level == event.NoLevel {
		return false
	}
	h := head{line: l, end: len(p), format: event.FormatText, level: level, at: next, boxedLevel: true}
	h.add("uptime", 1, end)
	h.behindLevel()
	return h.take()
}

// console reads what the kernel and systemd write to a console:
//
//	[   12.345678] message
//	[  OK  ] Started something.
func (l *line) console() bool {
	p := l.text
	end := bytes.IndexByte(p[:min(len(p), 18)], ']')
	if p[0] != '[' || end < 5 || end+2 >= len(p) || p[end+1] != ' ' {
		return false
	}
	inside := bytes.TrimSpace(p[1:end])
	switch string(inside) {
	case "OK", "INFO":
		if p[1] != ' ' || p[2] != ' ' {
			return false
		}
		l.rec.Level = event.Info
	case "FAILED", "DEPEND", "TIME":
		l.rec.Level = event.Error
	default:
		dot := bytes.IndexByte(inside, '.')
		if dot < 1 || !isNumber(inside[:dot]) || len(inside)-dot != 7 || !isNumber(inside[dot+1:]) {
			return false
		}
		l.rec.Format = event.FormatKernel
		l.trimmed("uptime", 1, end)
		l.setMessage(end + 2)
		return true
	}
	l.rec.Format = event.FormatSystemd
	l.setMessage(end + 2)
	return true
}
