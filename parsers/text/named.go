package text

import (
	"bytes"

	"github.com/longshore/longshore/parsers/recognize"
	"github.com/longshore/longshore/pipeline/event"
)

// klog reads the format of glog and klog:
//
//	I0102 15:04:05.000000    1234 file.go:12] message
func (l *line) klog() bool {
	p := l.text
	if len(p) < 22 || bytes.IndexByte([]byte("IWEF"), p[0]) < 0 {
		return false
	}
	ns, used, ok := recognize.Klog(p[1:], l.p.Zone, l.near())
	at := 1 + used
	if !ok || at >= len(p) || p[at] != ' ' {
		return false
	}
	thread := skipBlanks(p, at)
	threadEnd := wordEnd(p, thread)
	caller := skipBlanks(p, threadEnd)
	end := bytes.Index(p[caller:], []byte("] "))
	if !isNumber(p[thread:threadEnd]) || end < 0 || bytes.IndexByte(p[caller:caller+end], ':') < 0 {
		return false
	}
	l.setTime(ns)
	l.rec.Level = recognize.Letter(p[0])
	l.field("thread", thread, threadEnd)
	l.word("caller", caller, caller+end)
	l.setMessage(caller + end + 2)
	return true
}

// ruby reads the format of Ruby's Logger:
//
//	I, [2006-01-02T15:04:05.000000 #123]  INFO -- prog: message
func (l *line) ruby() bool {
	p := l.text
	ns, used, ok := recognize.ISO(p[4:], l.p.Zone)
	at := 4 + used
	if !ok || !bytes.HasPrefix(p[at:], []byte(" #")) {
		return false
	}
	pid := at + 2
	end := bytes.IndexByte(p[pid:], ']')
	dashes := bytes.Index(p[pid:], []byte(" -- "))
	if end < 0 || dashes < end {
		return false
	}
	prog := pid + dashes + len(" -- ")
	colon := bytes.IndexByte(p[prog:], ':')
	if colon < 0 {
		return false
	}
	l.setTime(ns)
	l.rec.Level = recognize.Letter(p[0])
	if p[0] == 'A' { // ANY, Ruby's unknown
		l.rec.Level = event.NoLevel
	}
	l.field("pid", pid, pid+end)
	if colon > 0 {
		l.word("progname", prog, prog+colon)
	}
	l.setMessage(skipBlanks(p, prog+colon+1))
	return true
}

// redis reads the format of Redis:
//
//	1:M 02 Jan 2006 15:04:05.000 * message
func (l *line) redis() bool {
	p := l.text
	colon := bytes.IndexByte(p[:min(len(p), 12)], ':')
	if colon < 1 || !isNumber(p[:colon]) || len(p) < colon+26 || !isLetter(p[colon+1]) || p[colon+2] != ' ' {
		return false
	}
	ns, used, ok := recognize.Layout(p[colon+3:], l.p.Zone, 0)
	at := colon + 3 + used
	if !ok || len(p) < at+3 || p[at] != ' ' || p[at+2] != ' ' {
		return false
	}
	level := redisLevel(p[at+1])
	if level == event.NoLevel {
		return false
	}
	l.setTime(ns)
	l.rec.Level = level
	l.field("pid", 0, colon)
	l.word("role", colon+1, colon+2)
	l.setMessage(at + 3)
	return true
}

func redisLevel(c byte) event.Level {
	switch c {
	case '.', '-':
		return event.Debug
	case '*':
		return event.Info
	case '#':
		return event.Warn
	}
	return event.NoLevel
}
