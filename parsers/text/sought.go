package text

import (
	"bytes"

	"github.com/longshore/longshore/parsers/recognize"
	"github.com/longshore/longshore/pipeline/event"
)

// sought reads lines whose time, and mostly their level, stand behind a few words that programs
// write: a file, a host, a thread, a level.
func (l *line) sought() bool {
	if len(l.text) < 20 || l.text[0] == '|' { // a row of a table
		return false
	}
	if l.timeless || !mayHaveTime(l.text[:min(len(l.text), farthest+longestTime)]) {
		return false
	}
	h := head{line: l, end: len(l.text), format: event.FormatText}
	s := seeker{p: l.text[:min(len(l.text), farthest)]}
	s.at = skipBlanks(s.p, 0)
	if s.p[0] == '"' { // the first of columns in quotes
		if at := h.timeFrom(0, 1); at > 0 && h.at < len(s.p) && s.p[h.at] == '"' {
			h.at = 0
			return h.take()
		}
		return false
	}
	if h.keyedTime() {
		h.level = h.seekLevel(h.at)
		h.at = 0
		return h.take()
	}
	level, inGroup := event.NoLevel, false
	for first := s.at; s.words < 8; {
		from := s.at
		if !s.next() {
			return false
		}
		at := h.timeFrom(from, s.start)
		if at == 0 && s.isGroup() && level == event.NoLevel {
			level, at = h.timeInGroup(&s)
			inGroup = at > 0
		}
		if at == 0 && s.words < 2 {
			at = h.epochWithDate(&s)
		}
		if at > 0 {
			return h.found(&s, level, at, !inGroup)
		}
		if found := h.levelBeforeTime(&s, first); level == event.NoLevel && found != event.NoLevel {
			level, s.number = found, 0
			continue
		}
		if s.isGroup() && s.p[s.start] == '{' && bytes.IndexByte(s.word(), '"') >= 0 {
			return false
		}
		s.pass()
	}
	return false
}

// keyedTime reads the time of pairs that are no logfmt, as commas join them or a time has a blank:
//
//	Timestamp="2006-01-02 15:04:05",NodeId="7",…
//	id=firewall time=2006-01-02 15:04:05 fw=…
func (h *head) keyedTime() bool {
	p := h.text
	for at, pairs := 0, 0; pairs < 3; pairs++ {
		name := at
		for at < len(p) && (isAlnum(p[at]) || p[at] == '_') {
			at++
		}
		if at == name || at+20 > len(p) || p[at] != '=' {
			return false
		}
		value := at + 1
		if p[value] == '"' {
			value++
		}
		if recognize.KeyOf(p[name:at]).IsTime() {
			ns, used, ok := recognize.ISO(p[value:], h.p.Zone)
			h.at = value + used
			if !ok || h.at >= len(p) || isWord(p, h.at) || value > at+1 && p[h.at] != '"' {
				return false
			}
			h.ns, h.dated = ns, true
			return true
		}
		if at = wordEnd(p, value); at == value || at == len(p) || p[at] != ' ' {
			return false
		}
		at++
	}
	return false
}

// longestTime is how far a time reaches as far as mayHaveTime looks at it.
const longestTime = 48

// mayHaveTime reports whether text has what every time has that clock dates: minutes and a colon
// behind them, or six digits in a row, or four and a dash, or the e of a Unix time. Most prose has
// none of these.
func mayHaveTime(p []byte) bool {
	for at := 2; at < len(p); at++ {
		colon := bytes.IndexByte(p[at:], ':')
		if colon < 0 {
			break
		}
		if at += colon; isDigit(p[at-1]) && isDigit(p[at-2]) {
			return true
		}
	}
	for at := 3; at < len(p); at += 4 { // no four digits in a row stand between two of these
		if isDigit(p[at]) {
			start, end := at, at+1
			for start > 0 && isDigit(p[start-1]) {
				start--
			}
			for end < len(p) && isDigit(p[end]) {
				end++
			}
			if end-start >= 6 || end-start >= 4 && end < len(p) && (p[end] == '-' || p[end] == 'e') {
				return true
			}
			at = end
		}
	}
	return false
}

// levelBeforeTime reads a level that stands before the time: at the start also a letter.
func (h *head) levelBeforeTime(s *seeker, first int) event.Level {
	word := s.word()
	if len(word) == 1 && s.start == first {
		at := skipBlanks(s.p, s.end)
		if at < len(s.p) && (s.p[at] == '[' || isDigit(s.p[at])) {
			return capitalLetter(word[0])
		}
		return event.NoLevel
	}
	return s.level()
}

// timeFrom reads a time at a word or inside a group, and returns its start, or 0. It is never at
// the very start.
func (h *head) timeFrom(from, start int) int {
	p := h.text
	if isOpening(p[start]) {
		start++
	}
	if start == 0 || start+14 > len(p) || !isDigit(p[start]) && !('A' <= p[start] && p[start] <= 'W') {
		return 0
	}
	used := h.clock(p[start:])
	h.n = 0
	if used == 0 || !h.dated || isWord(p, start+used) {
		h.dated = false
		return 0
	}
	h.at = start + used
	return start
}

// timeInGroup reads what has the time within brackets, behind a name or the level: [INFO 2006-01-02
// 15:04:05 main], [server:info,2006-01-02T15:04:05.000Z,node:web], [agent 2006-01-02 15:04:05
// +0700].
func (h *head) timeInGroup(s *seeker) (event.Level, int) {
	p := s.p
	if p[s.start] != '[' {
		return event.NoLevel, 0
	}
	level := event.NoLevel
	for at, pieces := s.start+1, 0; at < s.end && pieces < 4; pieces++ {
		end := at
		for end < s.end-1 && bytes.IndexByte([]byte(" ,:|"), p[end]) < 0 {
			end++
		}
		if time := h.timeFrom(at, at); time > 0 {
			if level != event.NoLevel || pieces == 1 && s.words == 0 && h.at == s.end-1 {
				h.zoneBefore(p[s.start+1 : time])
				return level, time
			}
			break
		}
		if found := recognize.Strong(p[at:end]); found != event.NoLevel {
			level = found
		}
		at = skipBlanks(p, end+1)
	}
	h.dated = false
	return event.NoLevel, 0
}

// zoneBefore reads a time again with the zone that Monit has in front of it: [PDT Jan _2 15:04:05].
func (h *head) zoneBefore(word []byte) {
	var zoned [40]byte
	if len(word) < 4 || len(word) > 6 || h.at >= len(zoned) || !allCapitals(word[:len(word)-1]) {
		return
	}
	p := append(append(append(zoned[:0], h.text[len(word)+1:h.at]...), ' '), word[:len(word)-1]...)
	if ns, used, ok := h.layout(p); ok && used == len(p) {
		h.ns = ns
	}
}

// epochWithDate reads a Unix time that the date behind it confirms: 1714564800 2024.05.01.
func (h *head) epochWithDate(s *seeker) int {
	p := h.text
	if s.end-s.start != 10 || !isNumber(s.word()) || len(p) < s.end+12 || p[s.end] != ' ' {
		return 0
	}
	var day [19]byte
	copy(day[:], p[s.end+1:s.end+11])
	copy(day[10:], " 12:00:00")
	noon, _, dated := recognize.ISO(day[:], nil)
	ns, ok := recognize.Epoch(s.word())
	const inAnyZone = int64(27 * 3600e9)
	if !dated || !ok || ns < noon-inAnyZone || ns > noon+inAnyZone {
		return 0
	}
	h.ns, h.dated, h.at = ns, true, s.end+11
	return s.start
}

// zonedBehind reports whether a time has an offset or Z, and only a few words that programs write
// before it: "http 2006-01-02T15:04:05Z app/…".
func (h *head) zonedBehind(s *seeker, at, behind int) bool {
	last := h.text[behind-1]
	if s.words == 1 && s.before == ':' && h.text[at+4] == '/' && s.prose+s.caps == 0 {
		return true // the prefix of Go's log: "redis: 2006/01/02 15:04:05 …"
	}
	if s.words == 1 && s.before == ':' && h.text[at-1] == ':' && h.text[at+2] == '/' && isName(s.p[:at-1]) {
		return true // OpenAM's: amAuth:01/02/2006 03:04:05:123 PM UTC: …
	}
	if s.words == 1 && at == 2 && s.p[0] == 'L' && h.text[at+2] == '/' {
		return true // a game server's line: L 01/02/2006 - 15:04:05: …
	}
	if s.words == 1 && s.number == 10 && h.confirms(h.text[:min(len(h.text), 10)]) {
		return true // 1714564800 - 05/01/2024 12:00:00 Host: …
	}
	if s.before == '|' && isDigit(s.p[0]) && at > 4 && string(h.text[at-3:at]) == " | " &&
		(s.words == 2 || s.words == 5 && recognize.TimeOfDay(s.p) > 0) {
		return true // PM2: 0|shop  | 2006-01-02 15:04:05: …, also with the time of day in front
	}
	zoned := last == 'Z' || isDigit(last) && bytes.IndexAny(h.text[at+10:behind], "+-") > 0
	return zoned && s.before == 0 && s.prose+s.caps == 0 && s.words < 4 && s.p[0] != '-'
}

// confirms reports whether a Unix time is that which was read, in whichever zone.
func (h *head) confirms(epoch []byte) bool {
	const inAnyZone = int64(27 * 3600e9)
	ns, ok := recognize.Epoch(epoch)
	return ok && isNumber(epoch) && h.ns-inAnyZone < ns && ns < h.ns+inAnyZone
}

// isDigits10 reports whether a Unix time stands at an index.
func isDigits10(p []byte, at int) bool { return isNumber(p[at:min(len(p), at+10)]) }

func isOpening(c byte) bool { return c == '[' || c == '(' || c == '<' }

// isWord reports whether a word goes on at an index.
func isWord(p []byte, at int) bool { return at < len(p) && (isAlnum(p[at]) || p[at] == '_') }

// found decides whether the time that starts at an index is that of the line, and looks for the
// level. Where only the level stands before it, both are taken off the message, if they may be.
func (h *head) found(s *seeker, level event.Level, at int, mayCut bool) bool {
	p := h.text
	boxed := at > 0 && isOpening(p[at-1]) && h.at < len(p) && p[h.at] == closing(p[at-1])
	opened := !mayCut || at == 1 && isOpening(p[0]) // the line starts with a bracket and the time
	onlyLevel := mayCut && level != event.NoLevel && s.words == 0
	if boxed || !mayCut && h.at < len(p) && p[h.at] == ']' {
		h.at++
	}
	behind := h.at
	h.level = level
	numbered := s.number > 0 && s.words == 1 // as rows of tables are
	if h.level == event.NoLevel && s.prose <= 2 && (numbered || !h.bareLevel()) {
		if h.level = h.seekLevel(h.at); h.level == event.NoLevel && s.prose == 0 {
			h.level = h.statusOfRequest()
		}
		if h.level != event.NoLevel {
			h.at = 0
		}
	}
	switch {
	case behind >= len(p), s.words > 0 && p[at-1] == ',' && p[behind] == ',':
		return false
	case h.level == event.NoLevel && s.auditBehind(p, at, behind):
	case s.prose > 2 || s.prose > 0 && (level == event.NoLevel && h.level == event.NoLevel && !boxed || p[at-1] == '='):
		return false
	case h.level == event.NoLevel && !isDigits10(p, at) && !boxed && !opened && !h.zonedBehind(s, at, behind):
		return false
	case h.level == event.NoLevel && (s.words > 3 && s.before != '|' || s.before == '='):
		return false
	}
	if onlyLevel && (boxed || !isOpening(p[at-1])) {
		h.at = behind
		h.timed = true
		h.behindLevel()
		return h.take()
	}
	h.at = 0
	return h.take()
}

// auditBehind reports whether a time is that of an event of AIX's audit, whose name, user and
// outcome stand before it: FILE_Open root OK 02 jan 2006 15:04:05.123456 …
func (s *seeker) auditBehind(p []byte, at, behind int) bool {
	if s.prose > mostProse || at < 8 || p[0] < 'A' || p[0] > 'Z' || bytes.IndexByte(p[:wordEnd(p, 0)], '_') < 2 {
		return false
	}
	before := p[:at]
	return p[behind-7] == '.' && (bytes.HasSuffix(before, []byte(" OK ")) || bytes.HasSuffix(before, []byte(" FAIL ")))
}

// isName reports whether text is of letters and digits, with a capital inside.
func isName(p []byte) bool {
	for _, c := range p {
		if !isAlnum(c) {
			return false
		}
	}
	return len(p) > 2 && isMachine(p)
}
