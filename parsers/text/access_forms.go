package text

import (
	"bytes"

	"github.com/longshore/longshore/parsers/recognize"
	"github.com/longshore/longshore/pipeline/event"
)

// The access logs in which other things stand where the common format has three words.

// anyAccess reads access logs by the time in brackets and the request in quotes behind it:
//
//	shop.example.com:443 10.0.0.1 - anna [02/Jan/2006:15:04:05 -0700] "GET /path HTTP/1.1" 200 …
//	10.0.0.1 - [10.0.0.1] - - [02/Jan/2006:15:04:05 -0700] "GET /path HTTP/1.1" 200 123 …
//	10.0.0.1 - - [02/Jan/2006:15:04:05 -0700] "GET /path HTTP/1.1" - - …
//	[02/Jan/2006:15:04:05 -0700] shop.example.com 10.0.0.1 0.002 "GET /path HTTP/1.1" 200 123 …
//	owner bucket [02/Jan/2006:15:04:05 -0700] 10.0.0.1 … "GET /key HTTP/1.1" 200 …      S3
func (l *line) anyAccess() bool {
	p := l.text
	box := recognize.AccessTime(p)
	if box < 0 || box == 1 || box > 0 && p[box-1] != ' ' || bytes.IndexByte(p[:box], '"') >= 0 {
		return false
	}
	ns, used, ok := recognize.Layout(p[box+1:], l.p.Zone, 0)
	at := box + 1 + used
	if !ok || at+3 > len(p) || p[at] != ']' || p[at+1] != ' ' {
		return false
	}
	request, adjacent := at+3, p[at+2] == '"'
	if adjacent && box == 0 {
		return false // Django's
	}
	if !adjacent {
		quote := bytes.IndexByte(p[at:min(len(p), at+2*longestPart)], '"')
		if quote < 0 {
			return false
		}
		request = at + quote + 1
	}
	end, status, ok := l.statusOrDash(request)
	if !ok || !isRequest(p[request:end]) && (!adjacent || !isAddress(p[:wordEnd(p, 0)])) {
		return false
	}
	l.rec.Format = event.FormatAccess
	known := l.setTime(ns) && adjacent
	known = box > 0 && l.accessWords(box) && known
	if !adjacent && isAddress(p[at+2:wordEnd(p, at+2)]) {
		l.word("remote_addr", at+2, wordEnd(p, at+2))
	}
	pathEnd := l.request(request, end)
	l.accessStatus(status)
	if adjacent {
		l.accessTail(wordEnd(p, status))
	}
	if known {
		l.shortMessage(request, pathEnd, status)
	}
	return true
}

// isRequest reports whether text is the first line of a request: GET /path HTTP/1.1
func isRequest(p []byte) bool {
	method := wordEnd(p, 0)
	return method > 2 && method+1 < len(p) && allCapitals(p[:method]) && bytes.Contains(p[method:], []byte(" HTTP/"))
}

// statusOrDash is statusBehind for logs that have a dash where nothing was answered.
func (l *line) statusOrDash(request int) (end, status int, ok bool) {
	if end, status, ok = l.statusBehind(request); ok || end > 0 {
		return end, status, ok
	}
	p := l.text
	end = quoteEnd(p, request)
	status = end + 2
	ok = end > 0 && status < len(p) && p[end+1] == ' ' && p[status] == '-' && (status+1 == len(p) || p[status+1] == ' ')
	return end, status, ok
}

// accessStatus takes a status at an index, unless that is a dash.
func (l *line) accessStatus(at int) {
	if isDigit(l.text[at]) {
		l.rec.Level = statusLevel(l.text[at])
		l.field("status", at, at+3)
	}
}

// accessWords reads what stands before the time: an address, perhaps a host before it, and a user
// two words behind. It reports whether there is nothing else.
func (l *line) accessWords(box int) bool {
	p := l.text
	first := wordEnd(p, 0)
	addr, end := 0, first
	if !isAddress(p[:first]) {
		addr, end = first+1, wordEnd(p, min(first+1, box))
		if end >= box || !isAddress(p[addr:end]) {
			return false
		}
		l.unlessDash("vhost", 0, first)
	}
	l.word("remote_addr", addr, len(bytes.TrimRight(p[:end], ",")))
	ident := end + 1
	user := wordEnd(p, ident) + 1
	stop := wordEnd(p, min(user, box))
	if stop+1 != box || stop <= user {
		return false
	}
	if ident < user-1 {
		l.unlessDash("ident", ident, user-1)
	}
	l.unlessDash("user", user, stop)
	return p[end-1] != ','
}

// isAddress reports whether a word is an IP address, perhaps with a port or in a list.
func isAddress(p []byte) bool {
	dots, colons := 0, 0
	for _, c := range p {
		switch {
		case c == '.':
			dots++
		case c == ':':
			colons++
		case isDigit(c), 'a' <= c && c <= 'f', 'A' <= c && c <= 'F', c == ',', c == '%':
		default:
			return false
		}
	}
	return dots > 2 && isDigit(p[0]) || colons > 1
}

// uwsgi reads uWSGI's request log:
//
//	[pid: 12|app: 0|req: 1/1] 10.0.0.1 () {38 vars in 696 bytes} [Mon Jan  2 15:04:05 2006] GET /a
//	=> generated 47 bytes in 129 msecs (HTTP/1.1 500) 9 headers in 100 bytes
func (l *line) uwsgi() bool {
	p := l.text
	if !bytes.HasPrefix(p, []byte("[pid: ")) {
		return false
	}
	box := bytes.Index(p, []byte("} ["))
	if box < 0 {
		return false
	}
	ns, used, ok := recognize.Layout(p[box+3:], l.p.Zone, 0)
	at := box + 3 + used
	arrow := bytes.Index(p, []byte(" => "))
	if !ok || arrow < at+2 || p[at] != ']' {
		return false
	}
	l.rec.Format = event.FormatAccess
	l.setTime(ns)
	pid := 6
	for pid < box && isDigit(p[pid]) {
		pid++
	}
	l.field("pid", 6, pid)
	if close := bytes.IndexByte(p, ']'); close+2 < box {
		if end := wordEnd(p, close+2); isAddress(p[close+2 : end]) {
			l.word("remote_addr", close+2, end)
		}
	}
	l.request(at+2, arrow)
	if size := bytes.Index(p[arrow:], []byte("(HTTP/")); size > 0 {
		status := wordEnd(p, arrow+size) + 1
		if status+3 < len(p) && p[status+3] == ')' && isNumber(p[status:status+3]) {
			l.accessStatus(status)
		}
	}
	return true
}

// loadBalancer reads the access logs of AWS's load balancers, the application's and the classic:
//
//	https 2006-01-02T15:04:05.000000Z app/name/id client:port target 0.001 0.002 0.000 502 502
//	460 125 "GET https://shop.example.com:443/ HTTP/1.1" "curl/8.5" …
//	2006-01-02T15:04:05.000000Z name client:port target:port 0.001 0.002 0.000 200 200 0 29 "GET …
func (l *line) loadBalancer() bool {
	p := l.text
	at := 0
	if isLetter(p[0]) {
		at = wordEnd(p, 0)
		switch string(p[:at]) {
		case "http", "https", "h2", "grpcs", "ws", "wss":
		default:
			return false
		}
		at++
	}
	if len(p) < at+60 || p[at+10] != 'T' || p[at+26] != 'Z' {
		return false
	}
	moment := p[at : at+27]
	var starts, ends [10]int // name, client, target, three durations, two statuses, received, sent
	at += len(moment)
	for k := range starts {
		starts[k] = at + 1
		ends[k] = wordEnd(p, min(at+1, len(p)))
		at = ends[k]
		if k == 1 && (at >= len(p) || !isAddress(p[starts[1]:at])) { // as in most lines with such a time
			return false
		}
	}
	status := starts[6]
	if at+2 >= len(p) || p[at+1] != '"' || !isNumber(p[starts[9]:ends[9]]) ||
		!isDash(p[status:ends[6]]) && (ends[6]-status != 3 || !isNumber(p[status:ends[6]])) {
		return false
	}
	end := quoteEnd(p, at+2)
	ns, used, ok := recognize.ISO(moment, l.p.Zone)
	if end < 0 || !ok || used != len(moment) {
		return false
	}
	l.rec.Format = event.FormatAccess
	l.setTime(ns)
	l.word("load_balancer", starts[0], ends[0])
	l.word("remote_addr", starts[1], ends[1])
	l.request(at+2, end)
	l.accessStatus(status)
	l.field("bytes", starts[9], ends[9])
	return true
}
