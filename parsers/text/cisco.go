package text

import (
	"bytes"

	"github.com/longshore/longshore/parsers/recognize"
	"github.com/longshore/longshore/pipeline/event"
)

// cisco reads the mnemonic with which Cisco's devices begin their messages; its number is a
// severity of syslog's:
//
//	%ASA-3-106100: message
//	%SYS-5-CONFIG_I: message
func (l *line) cisco(at int) bool {
	p := l.text
	if at >= len(p) || p[at] != '%' {
		return false
	}
	end := at + 1
	for end < len(p) && end-at < longestPart && (isAlnum(p[end]) || p[end] == '_' || p[end] == '-') {
		end++
	}
	mnemonic := p[at+1 : end]
	dash := bytes.IndexByte(mnemonic, '-')
	for dash > 0 && dash+2 < len(mnemonic) && (!isDigit(mnemonic[dash+1]) || mnemonic[dash+2] != '-') {
		next := bytes.IndexByte(mnemonic[dash+1:], '-') // %ASA-session-6-302013
		if next < 0 {
			return false
		}
		dash += 1 + next
	}
	if dash < 2 || dash+3 >= len(mnemonic) || end >= len(p) || p[end] != ':' {
		return false
	}
	l.rec.Format = event.FormatSyslog
	l.rec.Level = recognize.Syslog(int(mnemonic[dash+1] - '0'))
	l.word("mnemonic", at+1, end)
	l.setMessage(skipBlanks(p, end+1))
	return true
}

// cee takes the mark off with which syslog daemons tell of JSON: @cee: {…}
func (l *line) cee() bool {
	rest, ok := bytes.CutPrefix(l.text, []byte("@cee:"))
	if rest = bytes.TrimLeft(rest, " "); !ok || len(rest) == 0 || rest[0] != '{' {
		return false
	}
	l.rec.Format = event.FormatSyslog
	l.setMessage(len(l.text) - len(rest))
	return true
}

// ciscoTime skips what IOS writes before a time: a number, and a sign for a clock that is not set.
func (l *line) ciscoTime(at int) int {
	p := l.text
	end := at
	for end < len(p) && isDigit(p[end]) {
		end++
	}
	if end > at && end+2 < len(p) && p[end] == ':' && p[end+1] == ' ' {
		at = end + 2
	} else if at < len(p) && at > 0 && p[at] == ':' {
		at = skipBlanks(p, at+1)
	}
	if at+1 < len(p) && (p[at] == '*' || p[at] == '.') {
		at++
	}
	return at
}
