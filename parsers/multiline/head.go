package multiline

import (
	"bytes"

	"github.com/longshore/longshore/parsers/recognize"
	"github.com/longshore/longshore/pipeline/event"
)

// A head is what is known of the start of a record's first line; the zero
// value says that it was not looked at.
type head uint8

const (
	looked  head = 1 << iota
	isLog        // it starts as log lines do
	isCalm       // its level tells of no trouble
	isAlarm      // its level tells of some
)

// headed reports whether the record's first line starts as log lines do.
func (r *record) headed() bool { return r.look()&isLog != 0 }

// calm reports whether it has a level below a warning, and alarmed whether it has one
// from there up; it may have none.
func (r *record) calm() bool    { return r.look()&isCalm != 0 }
func (r *record) alarmed() bool { return r.look()&isAlarm != 0 }

func (r *record) look() head {
	if r.head == 0 {
		var plain [len(r.start)]byte
		p := plain[:dropColors(plain[:], r.start[:r.length])]
		r.head = looked
		if isHead(p) || isJUL(p) {
			r.head |= isLog
		}
		switch level := levelOf(p); {
		case level >= event.Warn:
			r.head |= isAlarm
		case level != event.NoLevel:
			r.head |= isCalm
		}
	}
	return r.head
}

// dropColors copies p without colour codes to dst, and returns the length.
func dropColors(dst, p []byte) int {
	n := 0
	for {
		esc := bytes.IndexByte(p, 0x1b)
		if esc < 0 {
			return n + copy(dst[n:], p)
		}
		n += copy(dst[n:], p[:esc])
		p = p[esc:]
		end := colorEnd(p)
		if end == 0 { // a sign like others
			end = 1
			n += copy(dst[n:], p[:1])
		}
		p = p[end:]
	}
}

// levelOf finds the level among the first words of a line: in capitals, in
// brackets, or with a colon behind.
func levelOf(p []byte) event.Level {
	if isKlog(p) {
		return recognize.Letter(p[0])
	}
	for at := 0; at < len(p); {
		if !isLower(p[at]) && !isUpper(p[at]) {
			at++
			continue
		}
		start := at
		for at < len(p) && (isLower(p[at]) || isUpper(p[at]) || isDigit(p[at])) {
			at++
		}
		if level := levelWord(p, start, at); level != event.NoLevel {
			return level
		}
	}
	return event.NoLevel
}

func levelWord(p []byte, start, end int) event.Level {
	word := p[start:end]
	if len(word) < 3 || len(word) > 11 {
		return event.NoLevel
	}
	capital := isUpper(word[0]) && isUpper(word[1])
	closed := end < len(p) && (p[end] == ']' || p[end] == ':' || p[end] == '\t')
	if !capital && !closed {
		return event.NoLevel
	}
	return recognize.Strong(word)
}

// isHead reports whether a line, without its indentation, starts as log lines do: with a time, with
// a level in its place, or in one of the formats that have a name.
func isHead(p []byte) bool {
	if len(p) < 4 {
		return false
	}
	switch c := p[0]; {
	case isDigit(c):
		return isTime(p) || isRedis(p) || isAccess(p) || isPostgres(p)
	case c == '[':
		return inBrackets(p)
	case c == '<':
		end := 1 + digits(p[1:])
		return end > 1 && end < 5 && end < len(p) && p[end] == '>'
	case c == '{':
		p = bytes.TrimRight(p, " \t")
		return p[len(p)-1] == '}' && (p[1] == '"' || p[1] == ' ' && p[2] == '"')
	case isUpper(c):
		return isDated(p) || isKlog(p) || isRuby(p) || isLevel(p) || isAccess(p)
	case isLower(c):
		return isLogfmt(p) || isLevel(p) || isAccess(p) || isPostgres(p)
	}
	return false
}

// isTime reports whether a line starts with a date and time, a time of day, or a day of a month.
func isTime(p []byte) bool {
	if len(p) >= 16 && (p[4] == '-' || p[4] == '/' || p[4] == '.') && p[7] == p[4] && p[13] == ':' && digits(p) == 4 {
		return true
	}
	if n := recognize.TimeOfDay(p); n > 0 {
		return n == len(p) || !isDigit(p[n]) && p[n] != ':'
	}
	_, used, _ := recognize.Layout(p, nil, someTime)
	return used > 0
}

// someTime completes times without a year, where only their form matters.
const someTime = 1714564800e9

// isDated reports whether a line starts with the name of a month or weekday and a time.
func isDated(p []byte) bool {
	if p[3] != ' ' && p[3] != ',' && p[3] != '-' {
		return false
	}
	_, used, _ := recognize.Layout(p, nil, someTime)
	return used > 0
}

// isJULLevel reports whether a line is the second of the two: SEVERE: message.
func isJULLevel(p []byte) bool {
	end := bytes.IndexByte(p[:min(len(p), 12)], ':')
	return end > 3 && len(p) > end+2 && p[end+1] == ' ' && p[end+2] != ' ' && isUpper(p[1]) &&
		recognize.Word(p[:end]) != event.NoLevel
}

func monthName(p []byte) bool {
	switch string(p[:3]) {
	case "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec":
		return true
	}
	return false
}

// isKlog reports whether a line starts as those of glog do: I0102 15:04:05.
func isKlog(p []byte) bool {
	return len(p) > 14 && bytes.IndexByte([]byte("IWEF"), p[0]) >= 0 && digits(p[1:]) == 4 && p[5] == ' ' &&
		recognize.TimeOfDay(p[6:]) > 0
}

// isRuby reports whether a line starts as those of Ruby's Logger do: I, [2006-.
func isRuby(p []byte) bool {
	return len(p) > 8 && p[1] == ',' && p[2] == ' ' && p[3] == '[' && isDigit(p[4])
}

// isRedis reports whether a line starts as those of Redis do: 1:M 02 Jan 2006.
func isRedis(p []byte) bool {
	at := digits(p)
	return at > 0 && at < 11 && len(p) > at+6 && p[at] == ':' && isUpper(p[at+1]) && p[at+2] == ' ' && isDigit(p[at+3])
}

// isLevel reports whether a line starts with its level: in capitals with a blank,
// a colon or a tab behind, or in small letters with a colon.
func isLevel(p []byte) bool {
	end := 0
	for end < len(p) && end < 9 && (isLower(p[end]) || isUpper(p[end])) {
		end++
	}
	if end < 3 || end == len(p) {
		return false
	}
	next := p[end]
	switch {
	case isUpper(p[1]):
		if bytes.IndexByte([]byte(" :\t|[\x1b"), next) < 0 ||
			string(p[:end]) == "TRACE" && bytes.HasPrefix(p[end:], []byte(" /")) {
			return false
		}
	case isUpper(p[0]) || next != ':' || end+1 < len(p) && p[end+1] != ' ':
		return false
	}
	word := p[:end]
	if string(word) == "panic" { // Go's
		return false
	}
	return recognize.Strong(word) != event.NoLevel || string(word) == "fail"
}

// inBrackets reports whether a line starts with a time or level in brackets, or
// has one behind a name in brackets.
func inBrackets(p []byte) bool {
	end := bytes.IndexByte(p[:min(len(p), 80)], ']')
	if end < 2 {
		return false
	}
	inner := bytes.TrimSpace(p[1:end])
	if len(inner) > 2 && (recognize.Strong(inner) != event.NoLevel ||
		isDigit(inner[0]) && len(inner) > 7 && isTime(p[1:]) ||
		isUpper(inner[0]) && len(inner) > 14 && isDated(inner)) {
		return true
	}
	rest := bytes.TrimLeft(p[end+1:], " :-\t")
	if len(rest) < 4 || rest[0] == '[' && len(rest) == len(p) {
		return false
	}
	return isDigit(rest[0]) && isTime(rest) || isUpper(rest[0]) && isUpper(rest[1]) && isLevel(rest) ||
		rest[0] == '[' && inBrackets(rest)
}

// isLogfmt reports whether a line is of key=value pairs: it starts with two, or
// with one under a name that loggers use.
func isLogfmt(p []byte) bool {
	at := 0
	for at < len(p) && at < 48 && (nameBytes[p[at]] || p[at] == '-') {
		at++
	}
	if at == 0 || at+1 >= len(p) || p[at] != '=' || isDigit(p[0]) {
		return false
	}
	switch string(p[:at]) {
	case "time", "ts", "t", "level", "lvl", "msg", "severity", "timestamp", "at":
		return true
	}
	end := at + 1
	if p[end] == '"' {
		end = min(event.StringEnd(p, end+1)+1, len(p))
	}
	for end < len(p) && p[end] > ' ' {
		end++
	}
	if end+1 >= len(p) || p[end] != ' ' {
		return false
	}
	next := nameEnd(p[end+1:])
	return next > 0 && end+1+next < len(p) && p[end+1+next] == '='
}

// isAccess reports whether a line is one of an access log: Apache's and nginx's
// formats, Envoy's, or uvicorn's.
//
//	addr ident user [02/Jan/2006:15:04:05 -0700] "GET / HTTP/1.1" 200 …
//	[2006-01-02T15:04:05.000Z] "GET / HTTP/1.1" 200 …
//	INFO:     127.0.0.1:5000 - "GET / HTTP/1.1" 200 OK
func isAccess(p []byte) bool {
	if len(p) < 32 {
		return false
	}
	switch {
	case p[0] == '[':
		end := bytes.IndexByte(p[:min(len(p), 40)], ']')
		return end > 18 && isDigit(p[1]) && bytes.HasPrefix(p[end:], []byte(`] "`))
	case p[0] == 'I' && bytes.HasPrefix(p, []byte("INFO:     ")):
		return bytes.Contains(p[:min(len(p), 80)], []byte(` - "`))
	}
	at := bytes.IndexByte(p[:min(len(p), 120)], '[')
	if at < 0 || p[4] == '-' && p[7] == '-' { // no time, or an ISO date
		return false
	}
	if len(p) < at+13 || p[at+3] != '/' || p[at+7] != '/' || !isDigit(p[at+1]) {
		at = recognize.AccessTime(p)
	}
	return at > 5 && between(bytes.Count(p[:at], []byte(" ")), 2, 6) && bytes.IndexByte(p[:at], '"') < 0
}

func between(n, least, most int) bool { return least <= n && n <= most }
