package text

import (
	"bytes"

	"github.com/longshore/longshore/parsers/recognize"
	"github.com/longshore/longshore/pipeline/event"
)

// securityEvent reads the events of security products, ArcSight's CEF and QRadar's LEEF, all of
// which stays the message:
//
//	CEF:0|vendor|product|version|signature|name|severity|rt=1136214245000 src=10.0.0.1 …
//	LEEF:2.0|vendor|product|version|event|^|devTime=Jan 02 2006 15:04:05^sev=5^src=10.0.0.1 …
func (l *line) securityEvent() bool {
	p := l.text
	level, pairs := eventLevel(p)
	if pairs == 0 {
		return false
	}
	l.rec.Format, l.rec.Level = event.FormatText, level
	for _, key := range [...]string{"rt", "devTime", "end", "start", "UNIFIutcTime"} {
		value := pairValue(p[pairs:], key)
		if value == nil {
			continue
		}
		if ns, ok := l.eventTime(value); ok {
			l.setTime(ns)
			break
		}
	}
	l.rec.Message = event.Value{Span: l.span(0, len(p)), Kind: event.Text}
	return true
}

// isSecurityEvent reports whether text starts as CEF and LEEF do.
func isSecurityEvent(p []byte) bool {
	colon := bytes.IndexByte(p[:min(len(p), len("LEEF:"))], ':')
	if colon < 0 || string(p[:colon]) != "CEF" && string(p[:colon]) != "LEEF" {
		return false
	}
	version := skipBlanks(p, colon+1) // Ubiquiti has a blank before it
	return version+1 < len(p) && isDigit(p[version]) && (p[version+1] == '|' || p[version+1] == '.')
}

// eventLevel returns the level of an event, if it has one, and where its pairs start; that is 0 if
// the text is no event.
func eventLevel(p []byte) (level event.Level, pairs int) {
	if !isSecurityEvent(p) {
		return event.NoLevel, 0
	}
	columns := 7
	if p[0] == 'L' {
		columns = 5
	}
	last := 0
	for ; columns > 0; columns-- {
		size := barBehind(p[pairs:])
		if size == 0 {
			return event.NoLevel, 0
		}
		last = pairs
		pairs += size
	}
	if p[0] == 'L' {
		if level = alertLevel(pairValue(p[pairs:], "sev")); level == event.NoLevel {
			level = alertLevel(pairValue(p[pairs:], "level"))
		}
		return level, pairs
	}
	return alertLevel(p[last : pairs-1]), pairs
}

// barBehind returns the index behind the next bar that no backslash stands before, 0 if there is
// none.
func barBehind(p []byte) int {
	for at := 0; at < len(p); at++ {
		size := bytes.IndexByte(p[at:], '|')
		if size < 0 {
			return 0
		}
		if at += size; at == 0 || p[at-1] != '\\' {
			return at + 1
		}
	}
	return 0
}

// alertLevel reads the severity of an event: 0 to 3 are low, 4 to 6 medium, 7 and 8 high, 9 and 10
// very high. Some write a word of these, or a level.
func alertLevel(p []byte) event.Level {
	end := 0
	for end < len(p) && isDigit(p[end]) {
		end++
	}
	if end > 0 && (end == len(p) || !isAlnum(p[end])) {
		switch {
		case end > 2 || end == 2 && string(p[:2]) != "10":
			return event.NoLevel
		case end == 2 || p[0] == '9':
			return event.Fatal
		case p[0] >= '7':
			return event.Error
		case p[0] >= '4':
			return event.Warn
		}
		return event.Info
	}
	for end < len(p) && (isLetter(p[end]) || p[end] == '-') {
		end++
	}
	switch word := p[:end]; string(word) {
	case "Low", "low", "LOW":
		return event.Info
	case "Medium", "medium", "MEDIUM":
		return event.Warn
	case "High", "high", "HIGH":
		return event.Error
	case "Very-High", "very-high":
		return event.Fatal
	default:
		return recognize.Strong(word)
	}
}

// farthestPair bounds where the time and severity stand in an event.
const farthestPair = 4 << 10

// pairValue returns what follows a key and its sign, up to the end of the text; nil if there is
// none. Pairs are separated by blanks, tabs, or a sign that an event itself names.
func pairValue(p []byte, key string) []byte {
	p = p[:min(len(p), farthestPair)]
	for at := 0; at < len(p); {
		equals := bytes.IndexByte(p[at:], '=')
		if equals < 0 {
			return nil
		}
		equals += at
		if start := equals - len(key); start >= 0 && string(p[start:equals]) == key &&
			(start == 0 || !isWordSign(p[start-1]) || bytes.HasSuffix(p[:start], []byte("#011"))) {
			return p[equals+1:]
		}
		at = equals + 1
	}
	return nil
}

// isWordSign reports whether a byte may stand in the name of a pair.
func isWordSign(c byte) bool { return isAlnum(c) || c == '_' || c == '.' }

// eventTime reads the time that a value starts with, of any layout or in milliseconds since 1970.
func (l *line) eventTime(p []byte) (int64, bool) {
	h := head{line: l}
	if ns, _, ok := recognize.ISO(p, l.p.Zone); ok {
		return ns, true
	}
	if ns, _, ok := h.layout(p); ok {
		return ns, true
	}
	end := 0
	for end < len(p) && end < 20 && (isDigit(p[end]) || p[end] == '.') {
		end++
	}
	if end < 10 || end < len(p) && isAlnum(p[end]) {
		return 0, false
	}
	return recognize.Epoch(p[:end])
}

// element reads a record that is an element of XML, by the attributes of its first tag, and an
// event of Windows by what it has inside. It stays the message:
//
//	<event time="2006-01-02T15:04:05Z" severity="error">failed</event>
//	<log4j:event logger="shop" timestamp="1136214245000" level="INFO" thread="main">
//	<Event xmlns="…"><System><Level>2</Level><TimeCreated SystemTime="2006-01-02T15:04:05.0Z"/> …
//
// Pages have times in tags, too (<time datetime="…">): here it is the first attribute, or a level
// stands beside it.
func (l *line) element() bool {
	p := l.text[:min(len(l.text), farthestPair)]
	at := 1
	for at < len(p) && (isWordSign(p[at]) || p[at] == ':' || p[at] == '-') {
		at++
	}
	if at < 2 || at >= len(p) || !isLetter(p[1]) {
		return false
	}
	if string(p[1:at]) == "Event" && (p[at] == '>' || p[at] == ' ') {
		return l.windowsEvent(p)
	}
	level, timed, count := event.NoLevel, 0, 0
	var ns int64
	for count < 24 && at < len(p) && p[at] == ' ' {
		at = skipBlanks(p, at)
		name := at
		for at < len(p) && (isWordSign(p[at]) || p[at] == ':' || p[at] == '-') {
			at++
		}
		if at == name || at+2 >= len(p) || p[at] != '=' || p[at+1] != '"' && p[at+1] != '\'' {
			break
		}
		count++
		value := at + 2
		size := bytes.IndexByte(p[value:], p[at+1])
		if size < 0 {
			break
		}
		key := recognize.KeyOf(p[name:at])
		at = value + size + 1
		switch text := p[value : value+size]; {
		case timed == 0 && (key.IsTime() && string(p[name:value-2]) != "datetime" || string(p[name:value-2]) == "date"):
			if found, ok := recognize.Time(text, l.p.Zone, l.rec.Time); ok && recognize.Believable(found, l.rec.Time) {
				ns, timed = found, count
			}
		case level == event.NoLevel && key.IsLevel(): // nobody knows of which scale a number is
			level = recognize.Word(text)
		}
	}
	if timed == 0 || timed > 1 && level == event.NoLevel {
		return false
	}
	l.rec.Format, l.rec.Level = event.FormatText, level
	l.setTime(ns)
	return true
}

// windowsEvent reads an event of Windows, whose levels are numbers.
func (l *line) windowsEvent(p []byte) bool {
	const moment = "<TimeCreated SystemTime="
	at := bytes.Index(p, []byte(moment))
	if at < 0 || at+len(moment)+20 > len(p) {
		return false
	}
	ns, _, ok := recognize.ISO(p[at+len(moment)+1:], l.p.Zone)
	if !ok || !l.setTime(ns) {
		return false
	}
	l.rec.Format = event.FormatText
	if level := behind(p, "<Level>", '<'); len(level) == 1 {
		switch level[0] {
		case '1':
			l.rec.Level = event.Fatal
		case '2':
			l.rec.Level = event.Error
		case '3':
			l.rec.Level = event.Warn
		case '0', '4':
			l.rec.Level = event.Info
		case '5':
			l.rec.Level = event.Debug
		}
	}
	return true
}
