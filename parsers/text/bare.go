package text

import (
	"bytes"

	"github.com/longshore/longshore/parsers/recognize"
	"github.com/longshore/longshore/pipeline/event"
)

// bareLevel reads a level that stands behind a time without any sign: "error wcp [util.go:148]
// failed", "Info   CBS   started". As many sentences begin with such a word, what follows must show
// that this is none.
func (h *head) bareLevel() bool {
	p := h.text
	at := skipSigns(p, h.at)
	end := at
	for end < len(p) && end-at < 14 && isLetter(p[end]) {
		end++
	}
	level := recognize.Strong(p[at:end])
	if level == event.NoLevel || end >= len(p) || allCapitals(p[at:end]) || !h.bare(at, end) {
		return false
	}
	h.level, h.at = level, end
	return true
}

// bare reports whether a level, and no sentence, stands between two indexes.
func (h *head) bare(at, end int) bool {
	p := h.text
	next := skipBlanks(p, end)
	if next >= len(p) {
		return false
	}
	if next == end {
		return p[end] == '[' || p[end] == '|' || p[end] == ','
	}
	unlike := isUnlikeWord(p[at:end])
	switch c := p[next]; {
	case next > end+1, p[end] == '\t', c == '[', c == '<', c == '{', c == '|', c == '*':
		return true
	case c == '-' || c == ':' || c == '=':
		return next+1 < len(p) && (p[next+1] == ' ' || p[next+1] == '[')
	case c == '(':
		return unlike
	case !isSeekByte(c):
		return false
	}
	stop := next
	for stop < len(p) && isSeekByte(p[stop]) {
		stop++
	}
	word := p[next:stop]
	box := skipBlanks(p, stop)
	switch {
	case isAbout(word):
		return false
	case isNumber(word):
		return unlike
	case isMachine(word), box < len(p) && p[box] == '[':
		return true
	case stop+1 < len(p) && p[stop] == ':' && (p[stop+1] == ' ' || p[stop+1] == ':'):
		return true
	case 'A' <= p[next] && p[next] <= 'Z':
		return unlike || p[at] >= 'a'
	}
	if unlike {
		return !joinsWords(word)
	}
	return h.millis() && !continues(word)
}

// isUnlikeWord lists the levels that hardly begin a sentence.
func isUnlikeWord(word []byte) bool {
	switch string(word) {
	case "info", "Info", "warn", "Warn", "debug", "Debug", "inf", "dbg", "wrn", "err":
		return true
	}
	return false
}

// millis reports whether the time is 2006-01-02T15:04:05.000Z, as logging libraries write it.
// Container runtimes, which put a time before any line, write more digits.
func (h *head) millis() bool {
	return h.zulu && len(h.text) > 24 && h.text[23] == 'Z' && h.text[19] == '.'
}

// lowered returns a word in small letters, in memory that is lent; nothing if it is longer.
func lowered(memory, word []byte) []byte {
	if len(word) > len(memory) {
		return nil
	}
	for i, c := range word {
		memory[i] = c | 0x20
	}
	return memory[:len(word)]
}

// isAbout lists the words with which a level makes a phrase.
func isAbout(word []byte) bool {
	var lower [11]byte
	switch string(lowered(lower[:], word)) {
	case "code", "codes", "message", "messages", "reason", "status", "type", "count", "number", "rate",
		"rates", "detail", "details", "description", "text", "mode", "level", "levels", "log", "logs",
		"logging", "output", "page", "pages", "report", "handler", "handling", "command", "updated",
		"about", "budget", "response", "responses":
		return true
	}
	return false
}

// continues reports whether a word goes on with a sentence that a level's name began.
func continues(word []byte) bool {
	switch string(word) {
	case "during", "lights":
		return true
	case "failed":
		return false
	}
	return joinsWords(word) || bytes.HasSuffix(word, []byte("ing")) || bytes.HasSuffix(word, []byte("ed"))
}
