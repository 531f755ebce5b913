package text

import (
	"bytes"

	"github.com/longshore/longshore/parsers/recognize"
	"github.com/longshore/longshore/pipeline/event"
)

// A seeker goes through the start of a line, word by word, for what stands in no known place. A
// list of heads never ends, but most have one shape: a time, a level, and between them what
// programs write (numbers, names, hosts, groups in brackets) and people do not. So a level counts
// only until the words of a sentence begin, and what it must look like depends on what stands
// before it. What is passed over stays in the message.
type seeker struct {
	p     []byte
	at    int
	words int // that were passed
	prose int // of them, those that could be a sentence's
	caps  int // of them, those in capitals

	start, end    int  // of the word in hand
	kinds         kind // of its bytes; none where it is a group
	before, after byte // the signs at its sides, blanks left out; 0 for none
	number        int  // how many digits the word before has, if it is a number
}

// Bounds of the search.
const (
	mostWords = 14
	mostProse = 3
	farthest  = 200
)

// next goes to the next word, or to a group in brackets, and reports whether there is one.
func (s *seeker) next() bool {
	if s.words >= mostWords || s.prose > mostProse {
		return false
	}
	p := s.p
	s.before = 0
	for s.at < len(p) && (!isSeekByte(p[s.at]) || isDashAt(p, s.at)) {
		switch c := p[s.at]; c {
		case ' ', '\t':
		case '[', '(', '<', '{':
			if s.start, s.end = s.at, groupEnd(p, s.at); s.end > 0 {
				s.at, s.kinds = s.end, 0
				return true
			}
			s.before = c
		case '"', '`', '\\':
			return false // what is quoted is no head
		default:
			s.before = c
		}
		s.at++
	}
	if s.at >= len(p) {
		return false
	}
	s.start, s.kinds = s.at, 0
	for s.at < len(p) && isSeekByte(p[s.at]) {
		s.kinds |= seekKinds[p[s.at]]
		s.at++
	}
	s.end = s.at
	s.after = 0
	if next := skipBlanks(p, s.at); next < len(p) && (!isSeekByte(p[next]) || isDashAt(p, next)) {
		s.after = p[next]
	}
	return true
}

// isDashAt reports whether a dash stands alone, as a sign between words.
func isDashAt(p []byte, at int) bool {
	return p[at] == '-' && at+1 < len(p) && p[at+1] == ' ' && (at == 0 || p[at-1] == ' ')
}

// isGroup reports whether what is in hand stands in brackets.
func (s *seeker) isGroup() bool { return s.kinds == 0 }

func (s *seeker) word() []byte { return s.p[s.start:s.end] }

// groupEnd returns the index behind the bracket that closes a group, 0 if it is long or never
// closed.
func groupEnd(p []byte, at int) int {
	size := bytes.IndexByte(p[at:min(len(p), at+longestPart)], closingOf(p[at]))
	if size < 0 {
		return 0
	}
	return at + size + 1
}

func closingOf(open byte) byte {
	if open == '{' {
		return '}'
	}
	return closing(open)
}

// pass notes a word that is no level.
func (s *seeker) pass() {
	s.words++
	if s.isGroup() {
		s.number = 0
		return
	}
	word := s.word()
	s.number = 0
	switch {
	case s.kinds == digit && isNumber(word):
		s.number = len(word)
	case s.kinds&^(capital|digit) == 0 && allCapitals(word):
		s.caps++
	case s.kinds != small && isMachine(word):
	case joinsWords(word):
		s.prose = mostProse + 1
	case s.after == '|' || s.end < len(s.p) && s.after == s.p[s.end] && bytes.IndexByte([]byte(":[="), s.after) >= 0:
		// a name, as a sign follows it at once, or it has a column of its own
	default:
		s.prose++
	}
}

// isMachine reports whether a word is one that programs write rather than people: it has digits,
// dots, underscores or capitals inside, or is a single sign.
func isMachine(word []byte) bool {
	last := word[len(word)-1]
	if !isAlnum(word[0]) && !isAlnum(last) || len(word) == 1 {
		return !isLetter(last)
	}
	for i, c := range word {
		switch {
		case isDigit(c), c == '_', c == '/', c == '#', c == '@', c == '%', c == '$', c == '*', c == '+', c == '~':
			return true
		case c == '.':
			if i < len(word)-1 {
				return true
			}
		case 'A' <= c && c <= 'Z' && i > 0 && word[i-1] >= 'a':
			return true
		case c == '-' && i < len(word)-1 && len(word) > 4:
			return true
		}
	}
	return false
}

// joinsWords lists words that stand only in sentences.
func joinsWords(word []byte) bool {
	var lower [5]byte
	switch string(lowered(lower[:], word)) {
	case "a", "i", "an", "the", "is", "are", "was", "were", "be", "been", "has", "have", "had", "no", "not", "and",
		"or", "of", "to", "in", "on", "at", "by", "for", "from", "with", "as", "that", "this", "it", "its", "we", "you",
		"will", "when", "while", "after", "got", "see", "found":
		return true
	}
	return false
}

func isSeekByte(c byte) bool { return seekKinds[c] != 0 }

// A kind is what bytes of a word are, a bit for each.
type kind uint8

const (
	small kind = 1 << iota
	capital
	digit
	dot
	otherSign
)

// seekKinds are the kinds of the bytes of words; all else is between words.
var seekKinds = func() (kinds [256]kind) {
	for c := range kinds {
		switch {
		case 'a' <= c && c <= 'z':
			kinds[c] = small
		case 'A' <= c && c <= 'Z':
			kinds[c] = capital
		case isDigit(byte(c)):
			kinds[c] = digit
		case c >= 0x80:
			kinds[c] = otherSign
		}
	}
	for _, c := range "_-/$#@%*+~" {
		kinds[c] = otherSign
	}
	kinds['.'] = dot
	return kinds
}()

// level returns the level that is in hand, if it is one.
func (s *seeker) level() event.Level {
	word := s.word()
	if s.isGroup() {
		return s.groupLevel(word[0], bytes.TrimSpace(word[1:len(word)-1]))
	}
	if len(word) == 1 {
		return s.letterLevel(word[0])
	}
	if s.after == '=' || s.after == ':' && s.prose <= mostProse {
		if level := s.keyLevel(word); level != event.NoLevel {
			return level
		}
	}
	if s.start > 0 && word[0] == '.' && s.p[s.start-1] == ']' {
		word = word[1:] // pid].ERR
	}
	if s.kinds&dot != 0 && s.prose == 0 {
		if level := facilityLevel(word); level != event.NoLevel {
			return level
		}
	}
	if s.prose == 0 && s.after == ':' && s.p[s.end] == ':' {
		if level := channelLevel(word); level != event.NoLevel {
			return level
		}
	}
	if s.words == 0 && s.after == '[' && len(word) == 4 && string(word[:3]) == "LOG" && isDigit(word[3]) {
		return recognize.Syslog(int(word[3]-'0') % 8) // stunnel's LOG3[28228:7]
	}
	if s.words == 0 && len(word) == 2 && s.after == '(' {
		return severityLevel(s.p[s.start:max(s.end, groupEnd(s.p, s.end))])
	}
	level := recognize.Strong(word)
	if level == event.NoLevel && s.isNote(word) {
		return event.Info
	}
	if level == event.NoLevel || !s.placed(word) && !s.inList(word) && !s.titled() {
		return event.NoLevel
	}
	return level
}

// isNote reports whether a word is one of the levels that are words like others, but are none in
// capitals and before a colon.
func (s *seeker) isNote(word []byte) bool {
	return s.prose == 0 && s.after == ':' && s.p[s.end] == ':' && (string(word) == "NOTE" || string(word) == "LOG")
}

// channelLevel reads Monolog's channel.WARNING.
func channelLevel(word []byte) event.Level {
	dot := bytes.LastIndexByte(word, '.')
	if dot < 1 || !allCapitals(word[dot+1:]) {
		return event.NoLevel
	}
	return recognize.Strong(word[dot+1:])
}

// facilityLevel reads what syslog daemons write of a line's origin: user.warn, local0.info.
func facilityLevel(word []byte) event.Level {
	dot := bytes.IndexByte(word, '.')
	if dot < 3 {
		return event.NoLevel
	}
	switch string(word[:dot]) {
	case "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
		"local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7":
		return recognize.Strong(word[dot+1:])
	}
	return event.NoLevel
}

// severityLevel reads ESXi's In(14): two letters, and a priority of syslog, which some of its
// programs have wrong.
func severityLevel(word []byte) event.Level {
	if len(word) < 4 || len(word) > 7 || word[2] != '(' || !isNumber(word[3:len(word)-1]) {
		return event.NoLevel
	}
	const names = "EmAlCrErWaNoInDb"
	for at := 0; at < len(names); at += 2 {
		if string(word[:2]) == names[at:at+2] {
			return recognize.Syslog(at / 2)
		}
	}
	return event.NoLevel
}

// inList reports whether a word is the last of some that commas join, as MikroTik writes topics:
// firewall,info and system,error,critical.
func (s *seeker) inList(word []byte) bool {
	p := s.p
	if s.start < 2 || p[s.start-1] != ',' || !isAlnum(p[s.start-2]) || s.end >= len(p) || p[s.end] != ' ' {
		return false
	}
	if s.words < 3 && s.prose < 3 && isUnlikeWord(word) {
		return true
	}
	before := bytes.LastIndexByte(p[:s.start-1], ',')
	return s.words < 4 && before > 0 && isAlnum(p[before-1]) &&
		recognize.Strong(p[before+1:s.start-1]) != event.NoLevel
}

// titled reports whether a word and its colon have a column of their own: "Logon       Error:
// 18456".
func (s *seeker) titled() bool {
	p := s.p
	return s.after == ':' && p[s.end] == ':' && s.prose < 2 && s.words < 3 && s.start > 2 && p[s.start-1] == ' ' &&
		p[s.start-2] == ' '
}

// placed reports whether a word stands as levels do.
func (s *seeker) placed(word []byte) bool {
	p := s.p
	adjacent := byte(' ')
	if s.end < len(p) {
		adjacent = p[s.end]
	}
	switch {
	case s.before == '|' && s.after == '|', s.before == '-' && s.after == '-' && adjacent == ' ':
		return true
	case s.before == ':' && s.after == ':':
		return s.prose == 0
	case s.words > 0 && s.prose+s.caps == 0 && s.before != '\'' && s.startsMessage(word):
		return true
	case s.before == '\'':
		return false
	case s.words < 2 && (s.beforeTag() || s.padded(word)):
		return true
	case s.after == '\'' && s.words == 1 && s.prose == 0 && adjacent == ' ':
		return true // F5A5AB90 info 'vm:
	case !allCapitals(word) || s.prose > 0:
		return false
	case bytes.IndexByte([]byte(" \t:[|,(;"), adjacent) < 0:
		return false
	case s.words > 0 && s.words == s.caps: // HTTP ERROR 500
		return s.caps > 1 || level4(word) || s.after != 0 && !isTitle(word)
	case s.number > 0 && s.number < 4: // 3 ERROR lines
		return s.after != 0 || !s.proseBehind()
	}
	return true
}

// beforeTag reports whether a program and its process follow, as F5 has it: host notice apmd[1]: …
func (s *seeker) beforeTag() bool {
	p := s.p
	at := skipBlanks(p, s.end)
	end := at
	for end < len(p) && isSeekByte(p[end]) {
		end++
	}
	if end == at || at == s.end || end >= len(p) || p[end] != '[' {
		return false
	}
	size := bytes.Index(p[end:min(len(p), end+12)], []byte("]: "))
	return size > 1 && isNumber(p[end+1:end+size])
}

// padded reports whether a level that hardly begins a sentence is filled up to a column, behind the
// name of a program: slapd debug  conn=1008 …
func (s *seeker) padded(word []byte) bool {
	p := s.p
	return isUnlikeWord(word) && s.end+1 < len(p) && p[s.end] == ' ' && p[s.end+1] == ' '
}

// startsMessage reports whether a level in small letters has a colon, as at the start of a message.
func (s *seeker) startsMessage(word []byte) bool {
	p := s.p
	colon := s.end+1 < len(p) && p[s.end] == ':' && p[s.end+1] == ' '
	return colon && (startsMessage(word) || string(word) == "notice")
}

// level4 reports whether a level is one that is no word of a phrase.
func level4(word []byte) bool {
	switch string(word) {
	case "INFO", "WARN", "DEBUG", "NOTICE":
		return true
	}
	return false
}

// isTitle reports whether a level is a word of titles: SERVICE ALERT: web.
func isTitle(word []byte) bool {
	switch string(word) {
	case "ALERT", "PANIC", "TRACE", "EMERGENCY":
		return true
	}
	return false
}

// proseBehind reports whether a word of a sentence follows.
func (s *seeker) proseBehind() bool {
	at := skipBlanks(s.p, s.end)
	end := at
	for end < len(s.p) && isSeekByte(s.p[end]) {
		end++
	}
	return end > at && 'a' <= s.p[at] && s.p[at] <= 'z' && !isMachine(s.p[at:end])
}

// groupLevel reads [ERROR], <info>, (W) and [thread:ERROR:file.go].
func (s *seeker) groupLevel(open byte, inside []byte) event.Level {
	if len(inside) == 1 && s.prose == 0 && (open == '[' || s.words == 0) {
		return capitalLetter(inside[0])
	}
	if level := recognize.Strong(inside); level != event.NoLevel {
		if s.prose == 0 && open != '{' || allCapitals(inside) && open != '(' {
			return level
		}
		return event.NoLevel
	}
	if s.prose == 0 && open == '(' && s.p[0] == '(' && s.end < len(s.p) && s.p[s.end] == ':' {
		return maskLevel(inside)
	}
	if s.prose > 0 || open != '[' && open != '<' {
		return event.NoLevel
	}
	if open == '<' && string(inside) == "LOG" { // Vertica
		return event.Info
	}
	if bytes.HasPrefix(inside, []byte("ID ")) { // Solaris: [ID 702911 user.error]
		return facilityLevel(inside[bytes.LastIndexByte(inside, ' ')+1:])
	}
	if at := bytes.IndexByte(inside, ','); at > 2 && s.words == 0 { // [debug, scan]
		return recognize.Strong(inside[:at])
	}
	if s.words == 0 && bytes.HasSuffix(s.p[:s.start], []byte("Z ")) { // [7F03ECE76700 info 'Default' …]
		thread, words, _ := bytes.Cut(inside, []byte(" "))
		word, _, named := bytes.Cut(words, []byte(" '"))
		if named && len(thread) > 1 && isMachine(thread) {
			return recognize.Strong(word)
		}
	}
	for len(inside) > 0 {
		at := bytes.IndexAny(inside, ":| ,/")
		if at < 0 {
			at = len(inside)
		}
		if word := inside[:at]; len(word) > 2 && allCapitals(word) {
			if level := recognize.Strong(word); level != event.NoLevel {
				return level
			}
		}
		inside = inside[min(at+1, len(inside)):]
	}
	return event.NoLevel
}

// maskLevel reads the levels of SSSD: 0x0010 for fatal failures, up to 0x0080 for minor ones, and
// more bits for what is told.
func maskLevel(p []byte) event.Level {
	switch string(p) {
	case "0x0010", "0x0020":
		return event.Fatal
	case "0x0040":
		return event.Error
	case "0x0080":
		return event.Warn
	case "0x0100":
		return event.Info
	case "0x0200", "0x0400":
		return event.Debug
	case "0x1000", "0x2000", "0x4000", "0x10000", "0x20000":
		return event.Trace
	}
	return event.NoLevel
}

func capitalLetter(c byte) event.Level {
	if bytes.IndexByte([]byte("EWIDFCTV"), c) < 0 {
		return event.NoLevel
	}
	return recognize.Letter(c)
}

// letterLevel reads a single letter, which only a group or a name makes a level: "E [file.c:12]",
// "W pkg/file.cc:110]". It stands behind the time, or behind numbers.
func (s *seeker) letterLevel(c byte) event.Level {
	at := skipBlanks(s.p, s.end)
	if s.prose > 0 || s.caps > 0 || at >= len(s.p) || at == s.end && s.after != '|' && s.after != '/' {
		return event.NoLevel
	}
	switch {
	case s.words == 0 && s.inColumns(c, at):
		return recognize.Letter(c)
	case s.p[at] == '[', s.p[at] == '|' && s.before == '|':
		if c == 'N' {
			return event.Info
		}
		return capitalLetter(c)
	case c == 'C' || c == 'V' || c == 'T':
		return event.NoLevel
	}
	end := at
	for end < len(s.p) && isSeekByte(s.p[end]) {
		end++
	}
	if end == at || !isMachine(s.p[at:end]) || isNumber(s.p[at:end]) && s.words == 0 && c == 'I' {
		return event.NoLevel
	}
	return capitalLetter(c)
}

// inColumns reports whether a small letter is followed by a name that is padded to a column.
func (s *seeker) inColumns(c byte, name int) bool {
	end := wordEnd(s.p, name)
	return bytes.IndexByte([]byte("iwefd"), c) >= 0 && name == s.end+1 && skipBlanks(s.p, end) > end+1
}

// keyLevel reads level=error, severity="ERROR" and level: error.
func (s *seeker) keyLevel(key []byte) event.Level {
	switch string(key) {
	case "CEF", "LEEF":
		level, _ := eventLevel(s.p[s.start:])
		return level
	case "level", "lvl", "severity", "loglevel", "log_level", "levelname", "LEVEL", "Level", "Severity", "sev",
		"log.level":
	default:
		return event.NoLevel
	}
	if s.start > 0 && bytes.IndexByte([]byte(" \t[({,;|\""), s.p[s.start-1]) < 0 {
		return event.NoLevel // of a URL
	}
	at := s.end + 1
	if s.p[s.end] != '=' {
		if s.p[s.end] != ':' {
			return event.NoLevel
		}
		at = skipBlanks(s.p, at)
	}
	if at < len(s.p) && (s.p[at] == '"' || s.p[at] == '\'' || s.p[at] == '[') {
		at++
	}
	end := at
	for end < len(s.p) && isLetter(s.p[end]) {
		end++
	}
	return recognize.Word(s.p[at:end])
}

// seekLevel looks for a level behind a time.
func (h *head) seekLevel(at int) event.Level {
	s := seeker{p: h.text[:min(len(h.text), at+farthest)], at: at}
	for s.next() {
		if level := s.level(); level != event.NoLevel {
			return level
		}
		if s.isGroup() && s.p[s.start] == '{' && bytes.IndexByte(s.word(), '"') >= 0 {
			break
		}
		s.pass()
	}
	return h.keyedLevel(at)
}

// keyedLevel looks for level="INFO" further on, and for Severity="Error" among pairs that commas
// join, as Asterisk has it.
func (h *head) keyedLevel(at int) event.Level {
	p := h.text[at:min(len(h.text), at+2*farthest)]
	s := seeker{p: p}
	for s.end < len(p) {
		equals := bytes.IndexByte(p[s.end:], '=')
		if equals < 0 {
			break
		}
		s.end += equals
		if s.start = s.end - len("level"); s.start >= 0 && string(p[s.start+1:s.end]) == "evel" {
			if level := s.keyLevel(s.word()); level != event.NoLevel {
				return level
			}
		}
		const pair = `",Severity`
		if s.start = s.end - len("Severity"); s.start >= 2 && string(p[s.start-2:s.end]) == pair {
			if level := s.keyLevel(s.word()); level != event.NoLevel {
				return level
			}
		}
		s.end++
	}
	return event.NoLevel
}
