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
// The level is that of the status: 5xx is an error, 4xx a warning. All parts become fields, the
// text behind those that are known the field rest; so the message is short: GET /path 200.
func (l *line) access() bool {
	p := l.text
	addr := wordEnd(p, 0)
	ident := wordEnd(p, addr+1)
	user := wordEnd(p, ident+1)
	if user+2 >= len(p) {
		return false
	}
	boxed := 0 // PHP-FPM's time is not
	if p[user+1] == '[' {
		boxed = 1
	}
	ns, used, ok := recognize.Layout(p[user+1+boxed:], l.p.Zone, 0)
	at := user + 1 + boxed + used
	if !ok || at+3 > len(p) || boxed > 0 && p[at] != ']' {
		return false
	}
	at += boxed - 1
	if p[at+1] != ' ' || p[at+2] != '"' {
		return false
	}
	requestEnd, status, ok := l.statusBehind(at + 3)
	if !ok {
		return false
	}
	l.rec.Format = event.FormatAccess
	timed := l.setTime(ns)
	l.rec.Level = statusLevel(p[status])
	l.word("remote_addr", 0, addr)
	if addr+1 < ident {
		l.unlessDash("ident", addr+1, ident)
	}
	if ident+1 < user {
		l.unlessDash("user", ident+1, user)
	}
	pathEnd := l.request(at+3, requestEnd)
	l.field("status", status, status+3)
	l.accessTail(status + 3)
	if timed {
		l.shortMessage(at+3, pathEnd, status)
	}
	return true
}

// shortMessage makes a message of a request and its status, for lines of which all else is in the
// record: its time, and in fields.
func (l *line) shortMessage(request, requestEnd, status int) {
	p := l.text
	off, statusEnd := len(l.b.Arena), status+1 // a dash
	if p[status] != '-' {
		statusEnd = status + 3
	}
	arena := append(l.b.Arena, p[request:requestEnd]...)
	arena = append(arena, ' ')
	l.b.Arena = append(arena, p[status:statusEnd]...)
	span := event.Span{Off: uint32(off), Len: uint32(len(l.b.Arena) - off)}
	l.rec.Message = event.Value{Span: span, Kind: event.Text}
}

// statusBehind finds the end of a request in quotes that starts at an index, and the
// status behind it.
func (l *line) statusBehind(request int) (end, status int, ok bool) {
	p := l.text
	end = quoteEnd(p, request)
	status = end + 2
	if end < 0 || status+3 > len(p) || p[end+1] != ' ' || !isNumber(p[status:status+3]) {
		return 0, 0, false
	}
	return end, status, status+3 == len(p) || p[status+3] == ' '
}

// quoteEnd finds the next quote that no backslash stands before, or -1.
func quoteEnd(p []byte, at int) int {
	for start := at; at < len(p); at++ {
		size := bytes.IndexByte(p[at:], '"')
		if size < 0 {
			return -1
		}
		at += size
		if at == start || p[at-1] != '\\' || escaped(p[start:at]) {
			return at
		}
	}
	return -1
}

// escaped reports whether the backslashes at the end of p stand for themselves.
func escaped(p []byte) bool {
	n := len(p) - len(bytes.TrimRight(p, `\`))
	return n%2 == 0
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

// request takes "GET /path HTTP/1.1" apart, or keeps what is something else, and returns the index
// behind the path, or behind all of it.
func (l *line) request(start, end int) int {
	method := wordEnd(l.text[:end], start)
	path := wordEnd(l.text[:end], min(method+1, end))
	if method == start || method+1 >= path {
		l.word("request", start, end)
		return end
	}
	l.word("method", start, method)
	l.word("path", method+1, path)
	if path+1 < end {
		l.word("protocol", path+1, end)
	}
	return path
}

// accessTail reads the bytes sent and what the combined format adds, and keeps what follows that.
func (l *line) accessTail(at int) {
	p := l.text
	bytesAt := skipBlanks(p, at)
	bytesEnd := wordEnd(p, bytesAt)
	switch {
	case isNumber(p[bytesAt:bytesEnd]):
		l.field("bytes", bytesAt, bytesEnd)
		at = bytesEnd
	case isDash(p[bytesAt:bytesEnd]):
		at = bytesEnd
	default:
		l.rest(at)
		return
	}
	for _, name := range [...]string{"referer", "user_agent"} {
		if at+2 > len(p) || p[at] != ' ' || p[at+1] != '"' {
			break
		}
		end := quoteEnd(p, at+2)
		if end < 0 {
			break
		}
		l.unlessDash(name, at+2, end)
		at = end + 1
	}
	if at < len(p) {
		l.rest(at)
	}
}

// rest keeps the text from an index on, of which nobody knows what it is, in one field.
func (l *line) rest(at int) {
	if at = skipBlanks(l.text, at); at < len(l.text) {
		l.word("rest", at, len(l.text))
	}
}

// requestBehind reads what stands behind a time in brackets: Django's request, and Envoy's:
//
//	[02/Jan/2006 15:04:05] "GET / HTTP/1.1" 200 123
//	[2006-01-02T15:04:05.000Z] "GET / HTTP/1.1" 200 - 0 15 3 2 "-" "agent" "id" "host" "upstream"
func (h *head) requestBehind() bool {
	l, p := h.line, h.text
	at := skipBlanks(p, h.at)
	if at >= len(p) || p[at] != '"' {
		return false
	}
	end, status, ok := l.statusBehind(at + 1)
	if !ok {
		return false
	}
	l.rec.Format = event.FormatAccess
	known := l.setTime(h.ns)
	l.rec.Level = statusLevel(p[status])
	pathEnd := l.request(at+1, end)
	l.field("status", status, status+3)
	if h.zulu {
		l.rec.Format = event.FormatEnvoyAccess
		known = l.columns(status+3) && known
	} else {
		l.accessTail(status + 3)
	}
	if known {
		l.shortMessage(at+1, pathEnd, status)
	}
	return true
}

// columns reads Envoy's flags and numbers; Istio writes a few words between. It reports whether all
// of the text is in fields now.
func (l *line) columns(at int) bool {
	p := l.text
	names := [...]string{"bytes_received", "bytes", "duration_ms", "upstream_ms"}
	skipped := false
	for words, k := 0, 0; words < 12 && k < len(names) && at < len(p) && p[at] == ' '; words++ {
		at++
		end := wordEnd(p, at)
		if at < len(p) && p[at] == '"' {
			if end = quoteEnd(p, at+1) + 1; end == 0 {
				return false
			}
		}
		switch {
		case isNumber(p[at:end]):
			l.field(names[k], at, end)
			k++
		case words == 0:
			l.unlessDash("response_flags", at, end)
		default:
			skipped = true
		}
		at = end
	}
	if !skipped {
		l.rest(at)
	}
	return !skipped
}

// haproxy reads the log lines of HAProxy's HTTP and TCP modes, from an index on:
//
//	10.0.0.1:5000 [02/Jan/2006:15:04:05.000] front back/server 0/0/0/1/1 200 1 … "GET / HTTP/1.1"
//	10.0.0.1:5000 [02/Jan/2006:15:04:05.000] front back/server 1/0/12 123 -- 1/1/0/0/0 0/0
func (l *line) haproxy(at int) bool {
	p := l.text
	addr := wordEnd(p, at)
	if addr+30 > len(p) || p[addr+1] != '[' {
		return false
	}
	ns, used, ok := recognize.Layout(p[addr+2:], l.p.Zone, 0)
	next := addr + 2 + used
	if !ok || next+1 >= len(p) || p[next] != ']' || p[next+1] != ' ' {
		return false
	}
	var starts, ends [5]int // frontend, backend/server, timers, status or bytes, bytes
	next++
	for k := range starts {
		starts[k] = skipBlanks(p, next)
		ends[k] = wordEnd(p, starts[k])
		next = ends[k]
	}
	timers := bytes.Count(p[starts[2]:ends[2]], []byte("/"))
	slash := bytes.IndexByte(p[starts[1]:ends[1]], '/')
	if slash < 0 || timers != 4 && timers != 2 || !isNumber(bytes.TrimLeft(p[starts[3]:ends[3]], "-+")) {
		return false
	}
	l.rec.Format = event.FormatHAProxy
	l.setTime(ns)
	l.word("remote_addr", at, addr)
	l.word("frontend", starts[0], ends[0])
	l.word("backend", starts[1], starts[1]+slash)
	l.word("server", starts[1]+slash+1, ends[1])
	l.word("timers", starts[2], ends[2])
	if timers == 2 {
		l.rec.Level = event.Info
		l.field("bytes", starts[3], ends[3])
		return true
	}
	l.rec.Level = statusLevel(p[starts[3]])
	l.field("status", starts[3], ends[3])
	l.field("bytes", starts[4], ends[4])
	if quote := bytes.IndexByte(p[next:], '"'); quote >= 0 {
		if end := quoteEnd(p, next+quote+1); end > 0 {
			l.request(next+quote+1, end)
		}
	}
	return true
}
