package text

import (
	"bytes"

	"github.com/longshore/longshore/parsers/recognize"
	"github.com/longshore/longshore/pipeline/event"
)

// longestPrefix bounds what Postgres writes before a message's severity.
const longestPrefix = 256

// postgres reads Postgres's lines whatever its log_line_prefix is: a word with a colon and two
// blanks behind ends it.
//
//	2006-01-02 15:04:05 UTC:10.0.0.1(5432):anna@shop:[127]:FATAL:  message
//	10.0.0.1 2006-01-02 15:04:05.000 UTC [127] anna@shop ERROR:  message
//	[7-1] LOG:  message                                                      behind syslog
func (l *line) postgres() bool {
	p := l.text
	from := 0
	if len(p) > 19 && p[16] == ':' {
		from = 17 // in a time
	}
	mark := from + bytes.Index(p[from:min(len(p), longestPrefix)], []byte(":  "))
	if mark < from+3 {
		return false
	}
	start := mark
	for start > 0 && ('A' <= p[start-1] && p[start-1] <= 'Z' || start == mark && isDigit(p[start-1])) {
		start--
	}
	level, more := postgresLevel(p[start:mark])
	if start == 0 || level == event.NoLevel && !more || isAlnum(p[start-1]) || isLetter(p[0]) && p[1] != '=' &&
		bytes.IndexByte(p[:start], '=') < 0 && bytes.IndexByte(p[:start], '@') < 0 {
		return false
	}
	prefix := postgresPrefix{line: l, end: start}
	prefix.read()
	if prefix.lost || !prefix.timed && prefix.odd || prefix.timed && !l.setTime(prefix.ns) {
		return false
	}
	l.rec.Format, l.rec.Level = event.FormatPostgres, level
	prefix.fields()
	if more {
		l.setMessage(start)
	} else {
		l.setMessage(skipBlanks(p, mark+1))
	}
	return true
}

// postgresLevel returns the level of a severity, or whether the word is one of those by which a
// message goes on.
func postgresLevel(word []byte) (level event.Level, more bool) {
	switch string(word) {
	case "LOG", "INFO", "NOTICE":
		return event.Info, false
	case "WARNING":
		return event.Warn, false
	case "ERROR":
		return event.Error, false
	case "FATAL", "PANIC":
		return event.Fatal, false
	case "DEBUG", "DEBUG1", "DEBUG2", "DEBUG3", "DEBUG4", "DEBUG5":
		return event.Debug, false
	case "DETAIL", "HINT", "STATEMENT", "CONTEXT", "QUERY", "LOCATION", "BACKTRACE":
		return event.NoLevel, true
	}
	return event.NoLevel, false
}

// A postgresPrefix is what stands before the severity of a line.
type postgresPrefix struct {
	*line
	end   int
	ns    int64
	timed bool
	lost  bool // nobody knows the zone of its time
	odd   bool // it has pieces that are none of those known

	pid, user, database, addr, app [2]int
}

// read goes through the pieces of the prefix.
func (x *postgresPrefix) read() {
	p := x.text[:x.end]
	for at := 0; at < len(p); {
		if !x.timed {
			if n := x.time(at); n > 0 {
				at += n
				continue
			}
		}
		end := at
		for end < len(p) && !isPrefixSign(p[end]) {
			end++
		}
		if end > at {
			x.piece(at, end)
		}
		at = end + 1
	}
}

func isPrefixSign(c byte) bool { return c == ' ' || c == ':' || c == ',' || c == ';' || c == '|' }

// time reads the prefix's time at an index: a date, or Unix seconds with a fraction.
func (x *postgresPrefix) time(at int) int {
	p := x.text[at:x.end]
	if len(p) < 14 || !isDigit(p[0]) {
		return 0
	}
	ns, used, ok := recognize.ISO(p, x.p.Zone)
	if !ok && p[10] == '.' {
		used = 11
		for used < len(p) && isDigit(p[used]) {
			used++
		}
		ns, ok = recognize.Epoch(p[:used])
	}
	if !ok {
		return 0
	}
	x.ns, x.timed = ns, true
	if zone := wordEnd(p, min(used+1, len(p))); used < len(p) && p[used] == ' ' && zone-used > 3 && zone-used < 7 {
		x.lost = allCapitals(p[used+1 : zone])
	}
	return used
}

// piece notes a piece of the prefix.
func (x *postgresPrefix) piece(start, end int) {
	p := x.text[start:end]
	inside := bytes.Trim(p, "[]()")
	equals := bytes.IndexByte(p, '=')
	at := bytes.IndexByte(p, '@')
	switch {
	case isNumber(inside):
		if x.pid[1] == 0 {
			x.pid[0] = start + bytes.Index(p, inside)
			x.pid[1] = x.pid[0] + len(inside)
		}
	case isSequence(inside):
		if x.timed && x.pid[1] == 0 { // behind syslog it is only a counter
			x.pid = [2]int{start + 1, start + 1 + bytes.IndexByte(inside, '-')}
		}
	case len(p) == 1 && !isAlnum(p[0]): // a dash
	case equals > 0:
		x.pair(start, equals, end)
	case at >= 0:
		x.user, x.database = [2]int{start, start + at}, [2]int{start + at + 1, end}
	case x.host(start, p):
	default:
		x.odd = true
	}
}

// isSequence reports whether text is a process id and the number of a line: 71-1.
func isSequence(p []byte) bool {
	dash := bytes.IndexByte(p, '-')
	return dash > 0 && isNumber(p[:dash]) && isNumber(p[dash+1:])
}

// host reads 10.0.0.1 and 10.0.0.1(5432).
func (x *postgresPrefix) host(start int, p []byte) bool {
	size := len(p)
	if open := bytes.IndexByte(p, '('); open > 0 && p[size-1] == ')' && isNumber(p[open+1:size-1]) {
		size = open
	} else if !isDigit(p[0]) || bytes.Count(p, []byte(".")) != 3 {
		return false
	}
	x.addr = [2]int{start, start + size}
	return true
}

// pair reads user=anna, db=shop, app=psql, client=10.0.0.1.
func (x *postgresPrefix) pair(start, equals, end int) {
	value := [2]int{start + equals + 1, end}
	switch string(x.text[start : start+equals]) {
	case "user", "u", "usr":
		x.user = value
	case "db", "database", "d", "dbname":
		x.database = value
	case "app", "application", "a", "application_name":
		x.app = value
	case "client", "host", "h", "remote", "c", "r":
		x.addr = value
	case "pid", "p":
		x.pid = value
	default:
		x.odd = true
	}
}

// fields adds what was found to the record, and the prefix itself where it says more.
func (x *postgresPrefix) fields() {
	for _, f := range [...]struct {
		name string
		at   [2]int
	}{
		{"pid", x.pid}, {"user", x.user}, {"database", x.database}, {"remote_addr", x.addr},
		{"application_name", x.app},
	} {
		if f.at[1] > f.at[0] && string(x.text[f.at[0]:f.at[1]]) != "[unknown]" {
			x.field(f.name, f.at[0], f.at[1])
		}
	}
	if x.odd {
		x.trimmed("log_line_prefix", 0, x.end)
	}
}

// csvColumns are the columns of csvlog beside the time, the severity and the message, as jsonlog
// calls them, but for the database.
var csvColumns = [...]string{
	1: "user", 2: "database", 3: "pid", 4: "remote_addr", 5: "session_id", 6: "line_num", 7: "ps",
	8: "session_start", 9: "vxid", 10: "txid", 12: "state_code", 14: "detail", 15: "hint", 16: "internal_query",
	17: "internal_position", 18: "context", 19: "statement", 20: "cursor_position", 21: "location",
	22: "application_name", 23: "backend_type", 24: "leader_pid", 25: "query_id",
}

const (
	csvSeverity = 11
	csvMessage  = 13
)

// csvlog reads a line, or several within quotes, of Postgres's csvlog:
//
//	2006-01-02 15:04:05.000 UTC,"anna","shop",71,"10.0.0.1:42304",…,ERROR,42P01,"message",…
func (l *line) csvlog() bool {
	p := l.text
	if p[19] != ' ' && p[19] != '.' || bytes.IndexByte(p[19:min(len(p), 48)], ',') < 0 {
		return false
	}
	ns, at, ok := recognize.ISO(p, l.p.Zone)
	if !ok || at+12 > len(p) || p[at] != ',' || p[at+1] != '"' && p[at+1] != ',' {
		return false
	}
	var columns [len(csvColumns)][2]int
	n := 1
	for ; n < len(columns) && at < len(p) && p[at] == ','; n++ {
		columns[n][0] = at + 1
		at = csvEnd(p, at+1)
		columns[n][1] = at
	}
	if n <= csvMessage {
		return false
	}
	level, _ := postgresLevel(p[columns[csvSeverity][0]:columns[csvSeverity][1]])
	if level == event.NoLevel || !l.setTime(ns) {
		return false
	}
	l.rec.Format, l.rec.Level = event.FormatPostgres, level
	l.rec.Message = l.csvText(columns[csvMessage])
	for k, name := range csvColumns {
		if value := l.csvText(columns[k]); name != "" && value.Len > 0 {
			if k == 3 || k == 6 {
				value.Kind = recognize.KindOf(l.b.Bytes(value.Span))
			}
			l.b.AddField(l.i, event.Value{Span: l.b.PutString(name), Kind: event.Name}, value)
		}
	}
	return true
}

// csvEnd returns the index of the comma behind a column.
func csvEnd(p []byte, at int) int {
	quoted := false
	for ; at < len(p) && (quoted || p[at] != ','); at++ {
		if p[at] == '"' {
			quoted = !quoted
		}
	}
	return at
}

// csvText returns the text of a column.
func (l *line) csvText(column [2]int) event.Value {
	start, end := column[0], column[1]
	if end-start < 2 || l.text[start] != '"' {
		return event.Value{Span: l.span(start, end), Kind: event.Text}
	}
	start, end = start+1, end-1
	if bytes.IndexByte(l.text[start:end], '"') < 0 {
		return event.Value{Span: l.span(start, end), Kind: event.Text}
	}
	off := len(l.b.Arena)
	for at := start; at < end; at++ {
		l.b.Arena = append(l.b.Arena, l.text[at])
		if l.text[at] == '"' {
			at++
		}
	}
	return event.Value{Span: event.Span{Off: uint32(off), Len: uint32(len(l.b.Arena) - off)}, Kind: event.Text}
}
