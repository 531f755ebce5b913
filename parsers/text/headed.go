package text

import (
	"bytes"

	"github.com/longshore/longshore/parsers/recognize"
	"github.com/longshore/longshore/pipeline/event"
)

// headed reads lines that start with a time, a level, or both, in any order, with brackets
// or without, and what may stand between them: a thread, a process id, a
// logger's name.
//
//	2006-01-02 15:04:05,000 [main] INFO  message        log4j, logback
//	2006-01-02 15:04:05,000 - name - INFO - message     Python
//	2006/01/02 15:04:05 [error] 31#31: message          nginx
//	[Mon Jan 02 15:04:05.000000 2006] [core:error] …    Apache
//	2006-01-02 15:04:05.000 UTC [1] LOG:  message       Postgres
//	2006-01-02T15:04:05.000000Z 0 [System] …            MySQL
//	[2006-01-02 15:04:05,000] INFO message (class)      Kafka
//	WARNING:name:message                                Python
func (l *line) headed() bool {
	ns, at, dated := l.time(0)
	if at == 0 {
		return l.levelFirst()
	}
	var between [4]part
	level, end, n := l.levelBehind(at, &between)
	if level != event.NoLevel {
		l.rec.Level = level
	}
	if !dated {
		return level != event.NoLevel
	}
	if !l.setTime(ns) {
		return level != event.NoLevel
	}
	if level == event.NoLevel {
		l.setMessage(skipSigns(l.text, at))
		return true
	}
	for _, part := range between[:n] {
		l.field(part.name, part.start, part.end)
	}
	l.setMessage(skipSigns(l.text, end))
	return true
}

// time reads a time at an index, perhaps in brackets, and gives the index
// behind it, 0 if there is none. A time of day alone is no date: it is only
// skipped.
func (l *line) time(at int) (ns int64, end int, dated bool) {
	open := at < len(l.text) && l.text[at] == '['
	if open {
		at++
	}
	p := l.text[at:]
	ns, used, ok := recognize.ISO(p, l.p.Zone)
	if !ok {
		ns, used, ok = recognize.Layout(p, l.p.Zone, l.rec.Time)
	}
	dated = ok
	if !ok {
		used = recognize.TimeOfDay(p)
	}
	if used == 0 {
		return 0, 0, false
	}
	end = at + used
	if open {
		close := bytes.IndexByte(l.text[end:], ']')
		if close < 0 || close > 8 { // room for the abbreviation of a zone
			return 0, 0, false
		}
		return ns, end + close + 1, dated && close == 0
	}
	if end < len(l.text) && !isSign(l.text[end]) {
		return 0, 0, false
	}
	return ns, end, dated
}

// A part is a piece of the line's head that becomes a field.
type part struct {
	name       string
	start, end int
}

// levelBehind looks for a level in the head of the line from an index on. It
// gives the index behind the level, and the parts before it.
func (l *line) levelBehind(at int, parts *[4]part) (level event.Level, end, n int) {
	for {
		at = skipSigns(l.text, at)
		if level, end = levelAt(l.text, at, true); level != event.NoLevel {
			return level, end, n
		}
		if n == len(parts) {
			return event.NoLevel, 0, n
		}
		part, next := partAt(l.text, at)
		if next == 0 {
			return event.NoLevel, 0, n
		}
		if lvl := moduleLevel(l.text[part.start:part.end]); lvl != event.NoLevel {
			return lvl, next, n
		}
		parts[n] = part
		n++
		at = next
	}
}

// moduleLevel reads Apache's module:level.
func moduleLevel(p []byte) event.Level {
	at := bytes.IndexByte(p, ':')
	if at < 0 {
		return event.NoLevel
	}
	return recognize.Strong(p[at+1:])
}

// longestPart bounds a thread's or logger's name.
const longestPart = 80

// partAt reads what may stand between a time and a level: [thread], a number,
// or Python's "name -".
func partAt(p []byte, at int) (piece part, next int) {
	if at >= len(p) {
		return part{}, 0
	}
	if p[at] == '[' {
		end := bytes.IndexByte(p[at:], ']')
		if end < 0 || end > longestPart {
			return part{}, 0
		}
		name := "thread"
		if isNumber(p[at+1 : at+end]) {
			name = "pid"
		}
		return part{name, at + 1, at + end}, at + end + 1
	}
	end := wordEnd(p, at)
	if isNumber(p[at:end]) {
		return part{"thread", at, end}, end
	}
	if end-at <= longestPart && bytes.HasPrefix(p[end:], []byte(" - ")) {
		return part{"logger", at, end}, end + 3
	}
	return part{}, 0
}

func isNumber(p []byte) bool {
	for _, c := range p {
		if !isDigit(c) {
			return false
		}
	}
	return len(p) > 0 && len(p) < 12
}

// levelFirst reads lines that start with their level.
func (l *line) levelFirst() bool {
	level, at := levelAt(l.text, 0, false)
	if level == event.NoLevel {
		return false
	}
	l.rec.Level = level
	if c := l.text[0]; 'a' <= c && c <= 'z' || 'a' <= l.text[1] && l.text[1] <= 'z' && c != '[' {
		return true // "error: …" is how many messages begin: it stays whole
	}
	if next := skipSigns(l.text, at); next < len(l.text) {
		if ns, end, dated := l.time(next); dated && l.setTime(ns) {
			at = end
		}
	}
	l.setMessage(skipSigns(l.text, at))
	return true
}

// levelAt reads a level that stands at an index, and gives the index behind it.
// In brackets it may have any case; without, it is in capitals, or followed by
// a colon, or between tabs. At the start of a line, without a time before it,
// fewer words will do.
func levelAt(p []byte, at int, timed bool) (event.Level, int) {
	if at >= len(p) {
		return event.NoLevel, 0
	}
	if p[at] == '[' {
		return levelInBrackets(p, at, timed)
	}
	end := at
	for end < len(p) && end-at < 12 && (isLetter(p[end]) || isDigit(p[end])) {
		end++
	}
	word := p[at:end]
	if len(word) < 3 {
		return event.NoLevel, 0
	}
	next := byte(' ')
	if end < len(p) {
		next = p[end]
	}
	if !isSign(next) && next != ']' {
		return event.NoLevel, 0
	}
	if timed && string(word) == "LOG" && bytes.HasPrefix(p[end:], []byte(":  ")) { // Postgres
		return event.Info, end
	}
	if !levelShaped(word, p, at, end, timed) {
		return event.NoLevel, 0
	}
	if string(word) == "fail" { // .NET
		return event.Error, end
	}
	return recognize.Strong(word), end
}

// levelShaped tells whether a word is written the way levels are.
func levelShaped(word, p []byte, at, end int, timed bool) bool {
	colon := end+1 < len(p) && p[end] == ':' && p[end+1] == ' '
	if allCapitals(word) {
		return timed || end < len(p) && p[end] == ':' || startsLine(word)
	}
	if at > 0 && p[at-1] == '\t' && end < len(p) && p[end] == '\t' {
		return true
	}
	return colon && (timed || startsMessage(word))
}

// startsMessage lists the words that are levels at the start of a line, with a
// colon behind them, also where they are not all in capitals. "Alert: …" and
// "Notice: …" are titles rather.
func startsMessage(word []byte) bool {
	switch string(word) {
	case "trce", "dbug", "fail", "crit", "panic", "dbg", "wrn", "err":
		return true
	}
	switch string(word[1:]) {
	case "ebug", "nfo", "arn", "arning", "rror", "atal", "ritical":
		return true
	}
	return false
}

// startsLine lists the words in capitals that are levels at the start of a line
// even without a colon; TRACE is a method of HTTP.
func startsLine(word []byte) bool {
	switch string(word) {
	case "DEBUG", "INFO", "WARN", "WARNING", "ERROR", "FATAL", "CRITICAL", "SEVERE":
		return true
	}
	return false
}

func allCapitals(p []byte) bool {
	for _, c := range p {
		if !('A' <= c && c <= 'Z') && !isDigit(c) {
			return false
		}
	}
	return 'A' <= p[0]
}

func levelInBrackets(p []byte, at int, timed bool) (event.Level, int) {
	end := bytes.IndexByte(p[at:], ']')
	if end < 0 || end > 16 {
		return event.NoLevel, 0
	}
	word := bytes.TrimSpace(p[at+1 : at+end])
	level := recognize.Strong(word)
	if timed && (string(word) == "Note" || string(word) == "System") { // MySQL
		level = event.Info
	}
	return level, at + end + 1
}

// skipSigns skips what separates the parts of a line's head.
func skipSigns(p []byte, at int) int {
	for at < len(p) && isSign(p[at]) {
		if p[at] == '-' && at+1 < len(p) && !isSign(p[at+1]) {
			break // a number below zero, an option
		}
		at++
	}
	return at
}

func isSign(c byte) bool {
	return c == ' ' || c == '\t' || c == ':' || c == '|' || c == '-' || c == ','
}
