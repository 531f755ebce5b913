package text

import (
	"bytes"

	"github.com/longshore/longshore/parsers/recognize"
	"github.com/longshore/longshore/pipeline/event"
)

// levelFirst reads lines that start with their level, or with a thread in
// brackets and the level behind.
func (h *head) levelFirst() bool {
	p := h.text
	if h.boxFirst() {
		return h.behindTime()
	}
	if h.threadFirst() {
		return h.take()
	}
	if h.terminal() || h.nameFirst() {
		return h.take()
	}
	level, at := levelAt(p, 0, false)
	if level == event.NoLevel {
		return h.levelThenTime()
	}
	h.level = level
	if p[0] == '[' && at < len(p) && p[at] == '[' {
		h.at, h.boxedLevel = at, true
		h.behindLevel()
		return h.take()
	}
	if h.category(at) {
		return h.take()
	}
	if c := p[0]; 'a' <= c && c <= 'z' || 'a' <= p[1] && p[1] <= 'z' && c != '[' {
		h.at = skipSigns(p, at)
		if h.timeBehind(); !h.dated {
			h.at = 0 // "error: …" is how many messages begin: it stays whole
		}
		h.at = skipBlanks(p, h.at)
		return h.take()
	}
	h.at = skipSigns(p, at)
	if h.timeBehind(); !h.dated && !(h.timeless && h.n == 0) {
		h.timeInColumns()
	}
	if !h.dated {
		h.timeBehindName()
	}
	if !h.dated && at < len(p) && p[at] == ':' && at+1 < len(p) && p[at+1] != ' ' {
		h.pythonBasic(at + 1)
		return h.take()
	}
	if h.dated {
		h.requestID()
		h.behindLevel()
	} else {
		h.request(h.at)
	}
	return h.take()
}

// levelThenTime reads a line that starts with a word which is a level only as a time follows: TRACE
// is a method of HTTP, too.
func (h *head) levelThenTime() bool {
	if h.timeless || h.text[0] == '[' {
		return false
	}
	level, at := levelAt(h.text, 0, true)
	if level == event.NoLevel {
		return false
	}
	h.at = skipSigns(h.text, at)
	if h.timeBehind(); !h.dated {
		return false
	}
	h.level = level
	h.behindLevel()
	return h.take()
}

// requestID reads what AWS Lambda has behind the time.
func (h *head) requestID() {
	at := skipBlanks(h.text, h.at)
	if end := wordEnd(h.text, at); end == at+36 && h.text[at+8] == '-' {
		h.add("request_id", at, end)
		h.at = skipBlanks(h.text, end)
	}
}

// request reads uvicorn's: addr - "GET / HTTP/1.1" 200 OK. It stays the message.
func (h *head) request(at int) {
	p := h.text
	addr := wordEnd(p, at)
	if addr+5 > len(p) || string(p[addr:addr+4]) != ` - "` {
		return
	}
	if end, status, ok := h.statusBehind(addr + 4); ok {
		h.word("remote_addr", at, addr)
		h.line.request(addr+4, end)
		h.field("status", status, status+3)
		h.format = event.FormatAccess
	}
}

// boxFirst reads a name or number in brackets before the time: [shop] of Go's log, [1] of NATS.
func (h *head) boxFirst() bool {
	if h.text[0] != '[' {
		return false
	}
	next := h.enclosed("logger", 0, ']')
	if next > 0 && recognize.Strong(h.text[1:next-1]) == event.NoLevel && next < len(h.text) && h.text[next] == ' ' &&
		h.readTime(next+1) && h.dated {
		first := &h.parts[0]
		switch {
		case h.n > 0 && isNumber(h.text[first.start:first.end]):
			first.name = "pid"
		case next == 3:
			if h.level = capitalLetter(h.text[1]); h.level != event.NoLevel {
				h.n = 0
			}
		}
		h.redisSign()
		return true
	}
	h.n, h.timed, h.dated, h.boxed = 0, false, false, false
	return false
}

// redisSign reads the level of Redis before 3: [1] 02 Jan 15:04:05.000 # message.
func (h *head) redisSign() {
	at := h.at + 1
	if !h.has("pid") && !isRedisRole(h.text[:h.at]) || at+1 >= len(h.text) || h.text[at+1] != ' ' {
		return
	}
	if h.text[at] == '#' || h.text[at] == '*' {
		h.level, h.at = redisLevel(h.text[at]), at+2
	}
}

// isRedisRole reports whether a line starts with what some have made of Redis's 1:M: [1:M].
func isRedisRole(p []byte) bool {
	end := 1
	for end < len(p) && isDigit(p[end]) {
		end++
	}
	return end > 1 && end+2 < len(p) && p[end] == ':' && p[end+2] == ']' &&
		bytes.IndexByte([]byte("MSCX"), p[end+1]) >= 0
}

// timeBehind reads a time behind the level, perhaps with a thread between:
//
//	INFO  [main] 2006-01-02 15:04:05,000 file:12 - message    Cassandra
func (h *head) timeBehind() {
	p := h.text
	at := h.at
	if h.timeless && at < len(p) && p[at] != '[' && !isDigit(p[at]) {
		return
	}
	if h.readTime(at) && h.dated {
		return
	}
	h.timed, h.dated = false, false
	if at < len(p) && p[at] == '[' {
		next := h.enclosed("thread", at, ']')
		if next > 0 && h.readTime(skipBlanks(p, next)) && h.dated {
			return
		}
		h.n = 0
	}
	h.timed, h.dated, h.at = false, false, at
}

// timeInColumns reads the time of "INFO   | jvm 1    | 2006/01/02 15:04:05 | message", as the
// wrapper of Java services has it. The columns between stay in the message.
func (h *head) timeInColumns() {
	p := h.text
	for at, columns := h.at, 0; columns < 2; columns++ {
		bar := bytes.IndexByte(p[at:min(len(p), at+32)], '|')
		if bar < 0 || p[at+max(bar-1, 0)] != ' ' {
			return
		}
		at = skipBlanks(p, at+bar+1)
		if used := h.clock(p[at:]); used > 0 && h.dated {
			h.n = 0
			return
		}
		h.n = 0
	}
	h.dated = false
}

// timeBehindName reads the time of "DEBUG: plugin: 2006/01/02 15:04:05 message".
func (h *head) timeBehindName() {
	p, at := h.text, h.at
	end := wordEnd(p[:min(len(p), at+longestPart)], at)
	if end-at < 3 || p[end-1] != ':' || end+20 > len(p) || !isDigit(p[end+1]) {
		return
	}
	used := h.clock(p[end+1:])
	if h.n = 0; used == 0 || !h.dated {
		h.dated = false
		return
	}
	h.at = end + 1 + used
	h.add("logger", at, end-1)
}

// pythonBasic reads LEVEL:name:message.
func (h *head) pythonBasic(at int) {
	end := at
	for end < len(h.text) && end-at < longestPart && isNameByte(h.text[end]) {
		end++
	}
	if end > at && end+1 < len(h.text) && h.text[end] == ':' {
		h.add("logger", at, end)
		h.at = end + 1
	}
}

// threadFirst reads "[main] INFO name - message", as slf4j-simple writes it.
func (h *head) threadFirst() bool {
	p := h.text
	if p[0] != '[' {
		return false
	}
	next := h.enclosed("thread", 0, ']')
	if next > 0 && next < len(p) && p[next] == ' ' {
		level, end := levelAt(p, next+1, true)
		word := skipBlanks(p, end)
		stop := wordEnd(p, word)
		if level != event.NoLevel && p[next+1] != '[' && isLogger(p[word:stop]) &&
			bytes.HasPrefix(p[stop:], []byte(" - ")) {
			h.level, h.at = level, stop+3
			h.add("logger", word, stop)
			return true
		}
	}
	h.n = 0
	return false
}

// nameFirst reads a level behind the name of a program, "oscap: ERROR: message", behind its process
// and thread, "[3483:15] error: message", or behind Consul's arrow. It stays in the message.
func (h *head) nameFirst() bool {
	p := h.text
	at := nameBefore(p)
	if at == 0 || at >= len(p) {
		return false
	}
	colon := at + bytes.IndexByte(p[at:min(len(p), at+9)], ':')
	if colon < at+3 || colon+1 >= len(p) || p[colon+1] != ' ' {
		return false
	}
	word := p[at:colon]
	if allCapitals(word) || p[0] == '[' && startsMessage(word) {
		h.level = recognize.Strong(word)
	}
	return h.level != event.NoLevel
}

// nameBefore returns the length of what may stand before a level at the start of a line, or 0.
func nameBefore(p []byte) int {
	const arrow = "==> "
	end := 0
	switch {
	case bytes.HasPrefix(p, []byte(arrow)):
		return len(arrow)
	case p[0] == '[':
		for end++; end < len(p) && (isDigit(p[end]) || p[end] == ':'); end++ {
		}
		colon := bytes.IndexByte(p[:end], ':')
		if colon < 2 || end == len(p) || p[end] != ']' || colon < 4 && end == colon+3 { // [12:30]
			return 0
		}
	case 'a' <= p[0] && p[0] <= 'z':
		for end < len(p) && end < 32 && (isAlnum(p[end]) || p[end] == '-' || p[end] == '_' || p[end] == '.') {
			end++
		}
		if end < 2 || end == len(p) || p[end] != ':' {
			return 0
		}
	default:
		return 0
	}
	if end+1 >= len(p) || p[end+1] != ' ' {
		return 0
	}
	return end + 2
}

// category reads what .NET's console writes: "info: Some.Category[14] message".
func (h *head) category(at int) bool {
	p := h.text
	if at+1 >= len(p) || p[at] != ':' || p[at+1] != ' ' || 'A' <= p[0] && p[0] <= 'Z' {
		return false
	}
	start := at + 2
	end := start
	for end < len(p) && end-start < longestPart && isNameByte(p[end]) {
		end++
	}
	if end == start || end >= len(p) || p[end] != '[' {
		return false
	}
	size := bytes.IndexByte(p[end:min(len(p), end+12)], ']')
	if size < 0 || !isNumber(p[end+1:end+size]) {
		return false
	}
	h.format = event.FormatDotNet
	h.add("logger", start, end)
	h.add("event_id", end+1, end+size)
	h.at = end + size + 1
	for h.at < len(p) && p[h.at] <= ' ' {
		h.at++
	}
	return true
}

// terminal reads what Go's libraries write to a terminal: INFO[0012] message,
// INFO[01-02|15:04:05] message, INFO[2006-01-02T15:04:05Z] message.
func (h *head) terminal() bool {
	p := h.text
	start := skipBlanks(p, 0)
	open := start
	for open < len(p) && open < start+5 && 'A' <= p[open] && p[open] <= 'Z' {
		open++
	}
	if open-start < 4 || open+5 >= len(p) {
		return false
	}
	level := recognize.Strong(p[start:open])
	if level == event.NoLevel {
		return false
	}
	box := skipBlanks(p, open)
	if box+5 >= len(p) || p[box] != '[' || !isDigit(p[box+1]) {
		return false
	}
	size := bytes.IndexByte(p[box:min(len(p), box+40)], ']')
	if size < 0 {
		return false
	}
	inside := p[box+1 : box+size]
	ns, dated := recognize.MonthDay(inside, h.p.Zone, h.near())
	if !dated && box > open {
		return false
	}
	if !dated {
		ns, dated = recognize.Time(inside, h.p.Zone, 0)
	}
	h.level, h.ns, h.dated = level, ns, dated
	h.at = skipBlanks(p, box+size+1)
	return true
}

// levelAt reads a level that stands at an index, and returns the index behind it. In brackets it
// may have any case; without, it is in capitals, or followed by a colon, or between tabs or bars.
// At the start of a line, without a time before it, fewer words will do.
func levelAt(p []byte, at int, timed bool) (event.Level, int) {
	if at >= len(p) {
		return event.NoLevel, 0
	}
	if p[at] == '[' {
		return levelInBrackets(p, at, timed)
	}
	end := at
	for end < len(p) && end-at < 14 && isAlnum(p[end]) {
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
	level := recognize.Strong(word)
	switch {
	case timed && string(word) == "PHP" && next == ' ':
		return phpLevel(p, end+1)
	case timed && next == '+' && allCapitals(word): // slog's INF+2
		stop := wordEnd(p, end)
		return recognize.LevelText(p[at:stop]), stop
	case !isSign(next) && next != ']', level == event.NoLevel && recognize.Word(word) == event.NoLevel:
		return event.NoLevel, 0
	case timed && string(word) == "LOG" && bytes.HasPrefix(p[end:], []byte(":  ")): // Postgres
		return event.Info, end
	case timed && string(word) == "LOG" && next == ' ' && at > 1 && p[at-2] == ']': // PgBouncer
		return event.Info, end
	case timed && barred(p, at, end):
		return recognize.Word(word), end
	case timed && next == ':' && titleWord(word) && end+1 < len(p) && p[end+1] == ' ': // MarkLogic
		return recognize.Word(word), end
	case timed && next == ' ' && julWord(word) && bytes.HasPrefix(p[skipBlanks(p, end):], []byte("[")):
		return recognize.Word(word), end
	case !levelShaped(word, p, at, end, timed):
		return event.NoLevel, 0
	case string(word) == "fail": // .NET
		return event.Error, end
	}
	return level, end
}

// julWord lists the levels of java.util.logging that are words like others.
func julWord(word []byte) bool {
	switch string(word) {
	case "FINE", "FINER", "FINEST", "CONFIG":
		return true
	}
	return false
}

// titleWord lists them as MarkLogic writes them, before a colon.
func titleWord(word []byte) bool {
	switch string(word) {
	case "Fine", "Finer", "Finest", "Config":
		return true
	}
	return false
}

// barred reports whether a word stands between two bars.
func barred(p []byte, at, end int) bool {
	before := at
	for before > 0 && p[before-1] == ' ' {
		before--
	}
	end = skipBlanks(p, end)
	return before > 0 && p[before-1] == '|' && end < len(p) && p[end] == '|'
}

// phpLevel reads the words of PHP's own messages, "PHP Warning:  ".
func phpLevel(p []byte, at int) (event.Level, int) {
	colon := bytes.IndexByte(p[at:min(len(p), at+32)], ':')
	if colon < 0 {
		return event.NoLevel, 0
	}
	level := event.NoLevel
	switch string(p[at : at+colon]) {
	case "Fatal error", "Parse error", "Recoverable fatal error", "Core error", "Compile error":
		level = event.Error
	case "Warning", "Core Warning", "Compile Warning", "Deprecated":
		level = event.Warn
	case "Notice", "Strict Standards":
		level = event.Info
	}
	return level, at + colon
}

// levelShaped reports whether a word is written the way levels are.
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

// startsMessage lists the words that are levels at the start of a line, with a colon behind them,
// also where they are not all in capitals. "Alert: …" and "Notice: …" are titles rather.
func startsMessage(word []byte) bool {
	switch string(word) {
	case "trce", "dbug", "fail", "crit", "panic", "dbg", "wrn", "err", "debug1", "debug2", "debug3":
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
	return len(p) > 0 && 'A' <= p[0]
}

func levelInBrackets(p []byte, at int, timed bool) (event.Level, int) {
	end := bytes.IndexByte(p[at:min(len(p), at+18)], ']')
	if end < 0 {
		return event.NoLevel, 0
	}
	word := bytes.TrimSpace(p[at+1 : at+end])
	level := recognize.Strong(word)
	if timed && isNotice(word) {
		level = event.Info
	}
	return level, at + end + 1
}

// isNotice reports whether a word is one of those by which MySQL and Kyoto Tycoon name a level of
// their own.
func isNotice(word []byte) bool {
	switch string(word) {
	case "Note", "System", "SYSTEM":
		return true
	}
	return false
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
