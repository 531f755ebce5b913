package text

import (
	"bytes"

	"github.com/longshore/longshore/parsers/recognize"
	"github.com/longshore/longshore/pipeline/event"
)

// access reads the common and combined access logs of Apache and nginx:
//
//	addr ident user [02/Jan/2006:15:04:05 -0700] "GET /path HTTP/1.1" 200 123 "referer" "agent" …
//
// The whole line stays the message. The level is that of the status: 5xx is an
// error, 4xx a warning.
func (l *line) access() bool {
	p := l.text
	addr := wordEnd(p, 0)
	ident := wordEnd(p, addr+1)
	user := wordEnd(p, ident+1)
	if user+2 >= len(p) || p[user+1] != '[' {
		return false
	}
	ns, used, ok := recognize.Layout(p[user+2:], l.p.Zone, 0)
	at := user + 2 + used
	if !ok || !bytes.HasPrefix(p[at:], []byte(`] "`)) {
		return false
	}
	request := at + 3
	requestEnd := quoteEnd(p, request)
	status := requestEnd + 2
	if requestEnd < 0 || status+3 > len(p) || !isNumber(p[status:status+3]) || p[status-1] != ' ' {
		return false
	}
	l.setTime(ns)
	l.rec.Level = statusLevel(p[status])
	l.word("remote_addr", 0, addr)
	if !isDash(p[ident+1 : user]) {
		l.word("user", ident+1, user)
	}
	l.request(request, requestEnd)
	l.field("status", status, status+3)
	l.accessTail(status + 3)
	return true
}

// quoteEnd finds the next quote that no backslash stands before, or -1.
func quoteEnd(p []byte, at int) int {
	for ; at < len(p); at++ {
		switch p[at] {
		case '"':
			return at
		case '\\':
			at++
		}
	}
	return -1
}

func statusLevel(first byte) event.Level {
	switch first {
	case '5':
		return event.Error
	case '4':
		return event.Warn
	}
	return event.Info
}

func isDash(p []byte) bool { return len(p) == 1 && p[0] == '-' }

// request takes "GET /path HTTP/1.1" apart, or keeps what is something else.
func (l *line) request(start, end int) {
	method := wordEnd(l.text[:end], start)
	path := wordEnd(l.text[:end], min(method+1, end))
	if path+1 >= end {
		l.word("request", start, end)
		return
	}
	l.word("method", start, method)
	l.word("path", method+1, path)
	l.word("protocol", path+1, end)
}

// accessTail reads the bytes sent and what the combined format adds.
func (l *line) accessTail(at int) {
	p := l.text
	bytesAt := skipBlanks(p, at)
	bytesEnd := wordEnd(p, bytesAt)
	if !isNumber(p[bytesAt:bytesEnd]) && !isDash(p[bytesAt:bytesEnd]) {
		return
	}
	if isNumber(p[bytesAt:bytesEnd]) {
		l.field("bytes", bytesAt, bytesEnd)
	}
	at = bytesEnd
	for _, name := range [...]string{"referer", "user_agent"} {
		if !bytes.HasPrefix(p[at:], []byte(` "`)) {
			return
		}
		end := quoteEnd(p, at+2)
		if end < 0 {
			return
		}
		if !isDash(p[at+2 : end]) {
			l.word(name, at+2, end)
		}
		at = end + 1
	}
}
