package text

import (
	"bytes"

	"github.com/longshore/longshore/parsers/recognize"
	"github.com/longshore/longshore/pipeline/event"
)

// A head is what a line starts with: a time, a level, or both, in any order, with
// brackets or without, and what stands between and behind them: a thread, a
// process id, a logger's name. Its parts become fields.
//
//	2006-01-02 15:04:05,000 [main] INFO  name - message  log4j, logback
//	2006-01-02 15:04:05,000 - name - INFO - message      Python
//	2006/01/02 15:04:05 [error] 31#31: message           nginx
//	[Mon Jan 02 15:04:05.000000 2006] [core:error] …     Apache
//	2006-01-02 15:04:05.000 UTC [1] LOG:  message        Postgres
//	2006-01-02T15:04:05.000000Z 0 [System] …             MySQL
//	[2006-01-02 15:04:05,000] INFO message (class)       Kafka
//	WARNING:name:message                                 Python
type head struct {
	*line
	at, end int // where reading goes on, and where the message ends
	ns      int64
	level   event.Level
	format  event.Format

	timed, dated bool // it starts with a time; that is more than a time of day
	clockOnly    bool // it is a time of day
	boxed        bool // the time is in brackets
	zulu         bool // the time is 2006-01-02T15:04:05Z
	boxedLevel   bool
	whole        bool // what follows is the message
	packaged     bool // a package's name follows, as etcd's head has it

	parts [maxParts]part
	n     int
}

// A part is a piece of the head that becomes a field. A name that the line has
// itself is the text from key to keyEnd.
type part struct {
	name        string
	key, keyEnd int32
	start, end  int32
}

const maxParts = 10

// longestPart bounds a thread's or logger's name.
const longestPart = 100

func (h *head) add(name string, start, end int) {
	for end > start && h.text[end-1] == ' ' {
		end--
	}
	for start < end && h.text[start] == ' ' {
		start++
	}
	if h.n < maxParts && start < end {
		h.parts[h.n] = part{name: name, start: int32(start), end: int32(end)}
		h.n++
	}
}

func (h *head) has(name string) bool {
	for _, p := range h.parts[:h.n] {
		if p.name == name {
			return true
		}
	}
	return false
}

// headed reads lines that start with a head.
func (l *line) headed() bool {
	h := head{line: l, end: len(l.text), format: event.FormatText}
	if h.readTime(0) {
		return h.behindTime()
	}
	return h.levelFirst()
}

// readTime reads a time at an index, perhaps in brackets. A time of day alone is
// no date: it is only skipped.
func (h *head) readTime(at int) bool {
	p := h.text
	h.boxed = at < len(p) && p[at] == '['
	if h.boxed {
		at++
	}
	start := at
	used := h.clock(p[at:])
	if used == 0 && h.boxed {
		used = h.boxedEpoch(p[at:])
	}
	if used == 0 {
		return false
	}
	at += used
	if h.clockOnly = !h.dated; h.clockOnly {
		h.add("time_of_day", start, at)
	}
	switch {
	case h.boxed && at < len(p) && p[at] == ']':
		at++
	case h.boxed:
		h.at = at
		return h.boxGoesOn()
	case at < len(p) && !isSign(p[at]) && p[at] != '[':
		return false
	}
	h.timed, h.at = true, at
	return true
}

// boxedEpoch reads the Unix seconds that Nagios and its kin have in brackets.
func (h *head) boxedEpoch(p []byte) int {
	end := 0
	for end < len(p) && end < 20 && (isDigit(p[end]) || p[end] == '.') {
		end++
	}
	if end < 10 || p[0] != '1' || end == len(p) || p[end] != ']' || end > 10 && p[10] != '.' {
		return 0
	}
	ns, ok := recognize.Epoch(p[:end])
	if !ok || !recognize.Believable(ns, h.rec.Time) {
		return 0
	}
	h.ns, h.dated = ns, true
	return end
}

// clock reads a time at the start of p and returns its length.
func (h *head) clock(p []byte) int {
	ns, used, ok := recognize.ISO(p, h.p.Zone)
	if ok {
		h.zulu = p[10] == 'T' && p[used-1] == 'Z'
	} else if ns, used, ok = h.layout(p); !ok {
		ns, used, ok = h.epoch(p)
	}
	if h.dated = ok; !ok {
		return recognize.TimeOfDay(p)
	}
	h.ns = ns
	return used
}

// layout reads a time in a layout other than ISO's; the clock is asked only for what needs it.
func (h *head) layout(p []byte) (ns int64, used int, ok bool) {
	ns, used, ok = recognize.Layout(p, h.p.Zone, h.rec.Time)
	if !ok && used > 0 && h.rec.Time == 0 {
		ns, used, ok = recognize.Layout(p, h.p.Zone, h.near())
	}
	return ns, used, ok
}

// epoch reads a Unix time that can hardly be another number: with a fraction, with a colon or tab
// behind, of ten digits in brackets, or, if it is within a day of the source's time, of 13, or of
// ten at the start of a line before the name of a host.
func (h *head) epoch(p []byte) (ns int64, used int, ok bool) {
	if len(p) < 12 || p[0] != '1' {
		return 0, 0, false
	}
	end := 0
	for end < len(p) && end < 24 && (isDigit(p[end]) || p[end] == '.' || p[end] == 'e' || p[end] == '+') {
		end++
	}
	if end == len(p) || bytes.IndexByte([]byte(" :\t]"), p[end]) < 0 ||
		p[end] == ' ' && end < 13 && !h.hostFollows(p, end) {
		return 0, 0, false
	}
	ns, ok = recognize.Epoch(p[:end])
	if ok && (p[end] == ']' || p[end] == ' ' && end < 14) {
		ok = h.likely(ns) || p[end] == ']' && end == 10 && ns > inBrackets
	}
	return ns, end, ok && recognize.Believable(ns, 0)
}

// hostFollows reports whether a line starts with ten digits, and goes on with a name that has
// letters and digits.
func (h *head) hostFollows(p []byte, end int) bool {
	if end != 10 || len(p) != len(h.text) || end+2 > len(p) || !isLetter(p[end+1]) {
		return false
	}
	name := p[end+1 : wordEnd(p, end+1)]
	return isMachine(name) && bytes.IndexAny(name, "0123456789") > 0
}

// inBrackets is the year 2008, from which on ten digits in brackets are a time rather than the id
// of a process or a thread.
const inBrackets = 1.2e18

// likely reports whether a time is within a day of the source's.
func (h *head) likely(ns int64) bool {
	const day = 24 * 3600e9
	return h.rec.Time != 0 && ns > h.rec.Time-day && ns < h.rec.Time+day
}

// boxGoesOn reads what else is in the brackets of the time:
//
//	[2006-01-02T15:04:05Z INFO  target] message    Rust
//	[2006-01-02 15:04:05,000: INFO/process] …      Celery
//	[15:04:05 INF] message                         Serilog
//	[02-Jan-2006 15:04:05 Europe/Berlin] message   PHP
func (h *head) boxGoesOn() bool {
	p := h.text
	size := bytes.IndexByte(p[h.at:min(len(p), h.at+longestPart)], ']')
	if size < 0 {
		return false
	}
	end := h.at + size
	at := skipSigns(p[:end], h.at)
	stop := at
	for stop < end && isAlnum(p[stop]) {
		stop++
	}
	level := recognize.Strong(p[at:stop])
	rest := bytes.TrimSpace(p[stop:end])
	if stop == at+1 && len(rest) > 0 && isDigit(rest[0]) { // [2006-01-02 15:04:05,000 I 91 91]
		level = capitalLetter(p[at])
		pid := skipBlanks(p, stop)
		h.add("pid", pid, wordEnd(p[:end], pid))
		h.add("thread_id", wordEnd(p[:end], pid), end)
		rest = nil
	}
	switch {
	case level == event.NoLevel:
		if stop-at < 3 || p[h.at] != ' ' || size > 32 {
			return false
		}
		h.dated = h.dated && h.zoneNamed(p[at:end])
	case len(rest) > 0 && p[stop] == '/':
		h.add("process", stop+1, end)
		h.format = event.FormatCelery
	case len(rest) > 0 && p[stop] != ' ':
		return false
	case len(rest) > 0:
		h.add("logger", stop+1, end)
		h.format = event.FormatRust
	}
	h.level, h.boxedLevel = level, true
	h.timed, h.at = true, end+1
	return true
}

// behindTime reads what follows a time.
func (h *head) behindTime() bool {
	if h.level == event.NoLevel && !h.findLevel() && !(h.dated && h.bareLevel()) {
		return h.dated && h.withoutLevel() || h.clockOnly && h.levelBehindClock()
	}
	switch {
	case h.whole:
	case h.format == event.FormatMongoDB: // all that follows is the message
		h.at = skipBlanks(h.text, h.at)
	case h.level != event.NoLevel:
		h.behindLevel()
	}
	return h.take()
}

// levelBehindClock looks for the level behind a time of day with a fraction, which is no prose.
func (h *head) levelBehindClock() bool {
	if h.boxed || len(h.text) < 20 || h.text[8] != '.' && h.text[8] != ',' {
		return false
	}
	h.level = h.seekLevel(h.at)
	h.at = 0
	return h.level != event.NoLevel && h.take()
}

// take returns the record what was found.
func (h *head) take() bool {
	l := h.line
	l.rec.Format = h.format
	if h.level != event.NoLevel {
		l.rec.Level = h.level
	}
	if h.dated && !l.setTime(h.ns) || h.timed && !h.dated && !h.clockOnly {
		return true // a time that is not understood stays in the message
	}
	for _, part := range h.parts[:h.n] {
		if part.name == "" {
			l.named(part)
		} else {
			l.field(part.name, int(part.start), int(part.end))
		}
	}
	for h.end > h.at && l.text[h.end-1] <= ' ' {
		h.end--
	}
	if h.at < h.end {
		l.rec.Message = event.Value{Span: l.span(h.at, h.end), Kind: event.Text}
	}
	return true
}

// withoutLevel reads a line that has a time only.
func (h *head) withoutLevel() bool {
	p := h.text
	if at := skipSigns(p, h.at); at < len(p) && p[at] == '%' && h.cisco(at) {
		h.setTime(h.ns)
		return true
	}
	if h.zulu || p[10] == 'T' || h.offsetBefore() {
		if h.journal() {
			return true
		}
	}
	if h.boxed && h.requestBehind() {
		return true
	}
	if h.statusColumn() {
		return h.take()
	}
	h.at = skipSigns(p, h.at)
	if end := wordEnd(p, h.at); isCaller(p[h.at:max(h.at, end-1)]) && p[end-1] == ':' && end+1 < len(p) {
		h.add("caller", h.at, end-1)
		h.at = skipBlanks(p, end)
	}
	if h.level = h.seekLevel(h.at); h.level == event.NoLevel {
		h.level = h.statusOfRequest()
	}
	return h.take()
}

// statusOfRequest returns the level of a request in quotes, whatever stands before it, and of the
// status behind it: [backend][2006-01-02 15:04:05] 10.0.0.1:0 - "GET /path HTTP/1.1" 401
func (h *head) statusOfRequest() event.Level {
	p := h.text[h.at:]
	version := bytes.Index(p, []byte(" HTTP/"))
	if version < 0 {
		return event.NoLevel
	}
	quote := bytes.LastIndexByte(p[:version], '"')
	end := wordEnd(p, version+1)
	if quote < 0 || !isRequest(p[quote+1:end]) || p[end-1] != '"' || len(p) < end+4 || !isNumber(p[end+1:end+4]) {
		return event.NoLevel
	}
	if behind := p[end+4:]; len(behind) > 1 && (behind[0] != ' ' || isLetter(behind[1])) { // 200 times
		return event.NoLevel
	}
	return statusLevel(p[end+1])
}

// statusColumn reads the level of a request whose columns bars separate, as those who shorten Gin's
// lines have it: | 200 |  1.2ms |  127.0.0.1 | GET  "/path". All but the time stays the message.
func (h *head) statusColumn() bool {
	p := h.text
	const column = " | 200 | "
	status := h.at + len(" | ")
	if len(p) < h.at+2*len(column) || p[status-2] != '|' || p[status+4] != '|' || !isNumber(p[status:status+3]) {
		return false
	}
	for at := status + 6; at < len(p); {
		bar := bytes.Index(p[at:min(len(p), at+longestPart)], []byte("| "))
		if bar < 0 {
			return false
		}
		at += bar + 2
		method := skipBlanks(p, at)
		if end := wordEnd(p, method); end > method+2 && allCapitals(p[method:end]) &&
			bytes.HasPrefix(p[skipBlanks(p, end):], []byte(`"/`)) {
			h.at, h.level = skipBlanks(p, h.at), statusLevel(p[status])
			return true
		}
	}
	return false
}

// offsetBefore reports whether the time ends with an offset behind its fraction, as macOS has it.
func (h *head) offsetBefore() bool {
	p := h.text
	return h.at > 26 && p[10] == ' ' && p[4] == '-' && (p[h.at-5] == '-' || p[h.at-5] == '+')
}

// findLevel looks for a level in the head, and notes the parts before it.
func (h *head) findLevel() bool {
	if h.letter() || h.facility() {
		return true
	}
	at, dated := h.at, h.dated
	for range maxParts {
		at = skipSigns(h.text, at)
		if level, end := levelAt(h.text, at, true); level != event.NoLevel {
			level, end = h.nextColumn(level, at, end)
			h.level, h.at = level, end
			h.boxedLevel = h.text[at] == '['
			if !h.boxedLevel && string(h.text[at:end]) == "LOG" || h.has("user") {
				h.format = event.FormatPostgres
			}
			return true
		}
		if h.postgresMore(at) {
			return true
		}
		next := h.before(at)
		if next == 0 {
			break
		}
		if at = next; h.level != event.NoLevel {
			h.at = at
			return true
		}
	}
	h.n, h.dated = 0, dated
	return false
}

// nextColumn prefers the level in the next column to a component that is called like one:
// "| TRACE | INFO |".
func (h *head) nextColumn(level event.Level, at, end int) (event.Level, int) {
	p := h.text
	next := skipBlanks(p, end)
	if next >= len(p) || p[next] != '|' || h.text[at] == '[' {
		return level, end
	}
	word := skipBlanks(p, next+1)
	stop := wordEnd(p, word)
	second := recognize.Strong(p[word:stop])
	if second == event.NoLevel || !allCapitals(p[word:stop]) || !barred(p, word, stop) {
		return level, end
	}
	h.add("component", at, end)
	return second, stop
}

// postgresMore reports whether a line goes on with what Postgres says of an error.
func (h *head) postgresMore(at int) bool {
	end := at
	for end < len(h.text) && 'A' <= h.text[end] && h.text[end] <= 'Z' {
		end++
	}
	if !bytes.HasPrefix(h.text[end:], []byte(":  ")) {
		return false
	}
	switch string(h.text[at:end]) {
	case "DETAIL", "HINT", "STATEMENT", "CONTEXT", "QUERY", "LOCATION":
		h.format, h.at = event.FormatPostgres, at
		return true
	}
	return false
}

// before reads one of the parts that may stand between a time and a level, and
// returns the index behind it, 0 if there is none.
func (h *head) before(at int) int {
	p := h.text
	if at >= len(p) {
		return 0
	}
	switch p[at] {
	case '[':
		return h.boxBefore(at)
	case '(':
		return h.enclosed("thread", at, ')')
	case '{':
		return h.curly(at)
	case '<':
		return h.angled(at)
	}
	return h.wordBefore(at)
}

// enclosed takes the text up to a closing bracket.
func (h *head) enclosed(name string, at int, close byte) int {
	size := bytes.IndexByte(h.text[at:min(len(h.text), at+longestPart)], close)
	if size < 0 {
		return 0
	}
	h.add(name, at+1, at+size)
	return at + size + 1
}

// curly reads Airflow's {file.py:12} and ClickHouse's {query id}.
func (h *head) curly(at int) int {
	end := bytes.IndexByte(h.text[at:min(len(h.text), at+longestPart)], '}')
	switch {
	case end < 0:
		return 0
	case end > 3 && h.text[at+1] == '{' && bytes.HasPrefix(h.text[at+end:], []byte("}}")): // Airflow 1's {{file.py:12}}
		return h.curly(at+1) + 1
	case isCaller(h.text[at+1 : at+end]):
		h.add("caller", at+1, at+end)
	default:
		h.add("query_id", at+1, at+end)
	}
	return at + end + 1
}

// angled reads ClickHouse's <Information>.
func (h *head) angled(at int) int {
	end := bytes.IndexByte(h.text[at:min(len(h.text), at+16)], '>')
	if end < 0 {
		return 0
	}
	h.level = recognize.Strong(h.text[at+1 : at+end])
	if h.level == event.NoLevel {
		return 0
	}
	h.format = event.FormatClickHouse
	return at + end + 1
}

// boxBefore reads [thread], [123], [module:level], [thread/LEVEL], [name:12], [id=12] and uuids.
func (h *head) boxBefore(at int) int {
	p := h.text
	size := bytes.IndexByte(p[at:min(len(p), at+longestPart)], ']')
	if size < 0 {
		return 0
	}
	start, end := at+1, at+size
	inside := bytes.TrimSpace(p[start:end])
	if level, sign := suffixLevel(inside); level != event.NoLevel {
		h.level, h.boxedLevel = level, true
		name := "module"
		if inside[sign] == '/' {
			name = "thread"
		} else {
			h.format = event.FormatApacheError
		}
		h.add(name, start, start+sign)
		if end+1 < len(p) && p[end+1] == ':' {
			end++
		}
		return end + 1
	}
	h.inBox(start, end, inside)
	return end + 1
}

// inBox names what stands in brackets.
func (h *head) inBox(start, end int, inside []byte) {
	colon := bytes.IndexByte(inside, '=')
	if colon < 0 {
		colon = bytes.IndexByte(inside, ':')
	}
	switch {
	case isNumber(inside) && !h.has("pid"):
		h.add("pid", start, end)
	case isCaller(inside):
		h.add("caller", start, end)
	case colon > 0 && colon < len(inside)-1 && isPlainName(inside[:colon]) &&
		(inside[colon] == '=' || isNumber(inside[colon+1:])):
		h.pair(start, start+colon, end)
	case len(inside) == 36 && inside[8] == '-':
		h.add("request_id", start, end)
	case h.has("thread"):
		h.add("logger", start, end)
	default:
		h.add("thread", start, end)
	}
}

// pair notes a field that the line itself names.
func (h *head) pair(start, sign, end int) {
	key := recognize.KeyOf(h.text[start:sign])
	if key.IsService() {
		h.service(sign+1, end)
		return
	}
	if h.n < maxParts && !key.IsID() {
		h.parts[h.n] = part{key: int32(start), keyEnd: int32(sign), start: int32(sign + 1), end: int32(end)}
		h.n++
	}
}

// suffixLevel reads Apache's module:level and Minecraft's thread/LEVEL.
func suffixLevel(p []byte) (event.Level, int) {
	for at := len(p) - 1; at >= 0; at-- {
		if p[at] == ':' || p[at] == '/' {
			return recognize.Strong(p[at+1:]), at
		}
	}
	return event.NoLevel, 0
}

// wordBefore reads a number, Python's "name -", key=value, Postgres's user@database, a
// logger's name, and Monolog's channel.LEVEL.
func (h *head) wordBefore(at int) int {
	p := h.text
	end := wordEnd(p[:min(len(p), at+longestPart)], at)
	word := p[at:end]
	sign := bytes.IndexByte(word, '=')
	if sign < 0 {
		sign = bytes.IndexByte(word, '@')
	}
	switch {
	case len(word) == 0:
		return 0
	case isNumber(word):
		name := "pid"
		if end+1 < len(p) && p[end+1] == '[' || h.has("pid") {
			name = "thread"
		}
		h.add(name, at, end)
	case bytes.HasPrefix(p[end:], []byte(" - ")):
		h.add("logger", at, end)
		end += 3
	case sign > 0 && word[sign] == '=' && isPlainName(word[:sign]):
		h.pair(at, at+sign, end)
	case sign > 0 && word[sign] == '@' && bytes.IndexByte(word, ':') < 0:
		h.add("user", at, at+sign)
		h.add("database", at+sign+1, end)
	case len(word) == 36 && word[8] == '-':
		h.add("request_id", at, end)
	case h.boxed && h.channel(at, word):
	case isLogger(word) && h.levelFollows(end):
		h.add("logger", at, end)
	case h.n == 0 && len(word) >= 3 && len(word) <= 5 && allCapitals(word):
		if at == h.at+1 && word[len(word)-1] == 'T' || h.zoneNamed(word) { // the abbreviation of a zone
			h.dated = h.dated && h.zoneNamed(word)
		} else {
			h.add("component", at, end)
		}
	default:
		return 0
	}
	return end
}

// channel reads Monolog's channel.LEVEL:
func (h *head) channel(at int, word []byte) bool {
	dot := bytes.LastIndexByte(word, '.')
	if dot < 1 || word[len(word)-1] != ':' || !allCapitals(word[dot+1:len(word)-1]) {
		return false
	}
	h.level = recognize.Strong(word[dot+1 : len(word)-1])
	h.add("logger", at, at+dot)
	h.format = event.FormatMonolog
	return h.level != event.NoLevel
}

// levelFollows reports whether a level in capitals stands behind a padded name,
// or behind that name's [pid]:
func (h *head) levelFollows(at int) bool {
	p := h.text
	at = skipBlanks(p, at)
	if at < len(p) && p[at] == '[' {
		return true // and if no level follows, nothing of this counts
	}
	end := wordEnd(p, at)
	return end > at+2 && allCapitals(p[at:end]) && recognize.Strong(p[at:end]) != event.NoLevel
}

func (h *head) zoneNamed(name []byte) bool {
	return recognize.IsZone(name, h.ns, h.p.Zone)
}

// letter reads the single letters that some write for a level, behind a time:
//
//	2006-01-02T15:04:05.000+0000 I NETWORK  [thread] message   MongoDB
//	2006-01-02 15:04:05.000000 I | package: message            etcd of old
func (h *head) letter() bool {
	p := h.text
	at := skipBlanks(p, h.at)
	if at+6 > len(p) || p[at+1] != ' ' {
		return false
	}
	level := recognize.Letter(p[at])
	if level == event.NoLevel || p[at] > 'Z' {
		return false
	}
	component := skipBlanks(p, at+1)
	end := wordEnd(p, component)
	if p[component] == '|' && end == component+1 {
		h.level, h.at, h.packaged = level, end, true
		return true
	}
	box := skipBlanks(p, end)
	if box >= len(p) || p[box] != '[' || box < component+9 && end < component+5 ||
		!allCapitals(p[component:end]) && !isDash(p[component:end]) {
		return false
	}
	h.format = event.FormatMongoDB
	h.level, h.at = level, h.enclosed("context", box, ']')
	if !isDash(p[component:end]) {
		h.add("component", component, end)
	}
	return h.at > 0
}
