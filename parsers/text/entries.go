package text

import (
	"bytes"

	"github.com/longshore/longshore/parsers/recognize"
	"github.com/longshore/longshore/pipeline/event"
)

// slowQuery reads an entry of MySQL's and MariaDB's slow log, all of which stays the message:
//
//	# Time: 2006-01-02T15:04:05.000000Z
//	# User@Host: anna[anna] @ localhost [10.0.0.1]  Id:    35
//	# Query_time: 2.2  Lock_time: 0.0 Rows_sent: 8  Rows_examined: 72
//	SET timestamp=1136214245;
//	SELECT 1;
func (l *line) slowQuery() bool {
	p := l.text
	const moment, user, query, set = "# Time: ", "# User@Host: ", "# Query_time: ", "\nSET timestamp="
	if !bytes.HasPrefix(p, []byte(moment)) && !bytes.HasPrefix(p, []byte(user)) {
		return false
	}
	l.rec.Format = event.FormatMySQL
	ns, ok := l.wholeTime(behind(p, moment, '\n'))
	if !ok {
		ns, ok = recognize.Epoch(behind(p, set, ';'))
	}
	if ok {
		l.setTime(ns)
	}
	if at := bytes.Index(p, []byte(user)); at >= 0 {
		at += len(user)
		if size := bytes.IndexByte(p[at:], '['); size > 0 && size < longestPart {
			l.word("user", at, at+size)
		}
	}
	if at := bytes.Index(p, []byte(query)); at >= 0 {
		l.queryCosts(at + 2)
	}
	return true
}

// queryCosts reads "Query_time: 2.2  Lock_time: 0.0 Rows_sent: 8  Rows_examined: 72".
func (l *line) queryCosts(at int) {
	p := l.text
	for _, name := range [...]string{"query_time", "lock_time", "rows_sent", "rows_examined"} {
		at = skipBlanks(p, at)
		end := wordEnd(p, at)
		if end == at || p[end-1] != ':' || !bytes.EqualFold(p[at:end-1], []byte(name)) {
			return
		}
		at = skipBlanks(p, end)
		end = wordEnd(p, at)
		l.field(name, at, end)
		at = end
	}
}

// behind returns the text behind a mark up to the end of its line, or another sign before.
func behind(p []byte, mark string, sign byte) []byte {
	at := bytes.Index(p, []byte(mark))
	if at < 0 {
		return nil
	}
	rest := p[at+len(mark):]
	for n, c := range rest {
		if c == sign || c == '\n' {
			return rest[:n]
		}
	}
	return rest
}

// wholeTime reads text that is a time.
func (l *line) wholeTime(p []byte) (int64, bool) {
	if len(p) == 15 && p[6] == ' ' { // 060102 15:04:05
		ns, used, ok := recognize.Layout(p, l.p.Zone, 0)
		return ns, ok && used == len(p)
	}
	return recognize.Time(p, l.p.Zone, 0)
}

// messageQueue reads an entry of IBM MQ's error log, all of which stays the message:
//
//	01/02/06 15:04:05 - Process(26971.1) User(root) Program(setmqinst)
//	                    Host(h) Installation(Installation1)
//	                    Time(2006-01-02T15:04:05.000Z)
//	AMQ6287I: IBM MQ V9.0.0.0 started.
//
// The date of the first line is written as the machine's locale has it, so that nobody can tell
// the day from the month, or the year.
func (l *line) messageQueue() bool {
	p := l.text
	if at := bytes.Index(p[:min(len(p), 48)], []byte(" - Process(")); at < 0 || p[2] != '/' && p[1] != '/' {
		return false
	}
	if ns, _, ok := recognize.ISO(behind(p, " Time(", ')'), l.p.Zone); ok {
		l.setTime(ns)
	}
	l.rec.Level = messageQueueLevel(behind(p, "\nAMQ", ' '))
	l.rec.Flags |= event.Parsed
	return true
}

// messageQueueLevel reads the letter of 6287I.
func messageQueueLevel(code []byte) event.Level {
	if len(code) != 6 || code[5] != ':' || !isNumber(code[:4]) {
		return event.NoLevel
	}
	switch code[4] {
	case 'I':
		return event.Info
	case 'W':
		return event.Warn
	case 'E':
		return event.Error
	case 'S', 'T':
		return event.Fatal
	}
	return event.NoLevel
}
