package text

import (
	"bytes"

	"github.com/longshore/longshore/parsers/recognize"
	"github.com/longshore/longshore/pipeline/event"
)

// syslog reads RFC 5424 and RFC 3164, told apart by the version:
//
//	<34>1 2006-01-02T15:04:05.000Z host app 123 ID47 [sd@1 k="v"] message
//	<34>Jan  2 15:04:05 host app[123]: message
func (l *line) syslog() bool {
	p := l.text
	end := bytes.IndexByte(p[:min(len(p), 5)], '>')
	if end < 2 || !isNumber(p[1:end]) {
		return false
	}
	priority := 0
	for _, c := range p[1:end] {
		priority = priority*10 + int(c-'0')
	}
	if priority > 191 {
		return false
	}
	if !l.syslog5424(end+1) && !l.tagged(end+1) {
		l.rec.Flags &^= event.OddTime
		if (priority > 7 || !l.kernelLine(end+1)) && !l.untagged(end+1) {
			return false
		}
	}
	if l.rec.Format == event.FormatHAProxy {
		return true // its level is that of the status
	}
	if l.rec.Format == event.FormatNone {
		l.rec.Format = event.FormatSyslog
	}
	l.rec.Level = recognize.Syslog(priority % 8)
	if l.rec.Format != event.FormatKernel {
		l.facility(priority / 8)
	}
	return true
}

// facilities are the names that rsyslog and logger(1) have for those of RFC 5424.
var facilities = [24]string{
	"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
	"ntp", "security", "console", "solaris-cron",
	"local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
}

func (l *line) facility(n int) {
	key := event.Value{Span: l.b.PutString("facility"), Kind: event.Name}
	l.b.AddField(l.i, key, event.Value{Span: l.b.PutString(facilities[n]), Kind: event.Plain})
}

// kernelLine reads what the kernel's own log has behind its priority:
//
//	<6>[   12.345678] message
func (l *line) kernelLine(at int) bool {
	p := l.text[at:]
	end := bytes.IndexByte(p[:min(len(p), 18)], ']')
	if end < 8 || p[0] != '[' || end+2 >= len(p) {
		return false
	}
	l.rec.Format = event.FormatKernel
	l.trimmed("uptime", at+1, at+end)
	l.setMessage(at + end + 2)
	return true
}

// syslog5424 reads what follows <PRI> in RFC 5424, from the version on.
func (l *line) syslog5424(at int) bool {
	p := l.text
	if !bytes.HasPrefix(p[at:], []byte("1 ")) {
		return false
	}
	var starts, ends [5]int // time, host, app, process, message id
	at += 2
	for k := range starts {
		starts[k], ends[k] = at, wordEnd(p, at)
		if ends[k] == at || ends[k] >= len(p) || p[ends[k]] != ' ' {
			return false
		}
		at = ends[k] + 1
	}
	ns, timed := recognize.Time(p[starts[0]:ends[0]], l.p.Zone, 0)
	if !timed && !isDash(p[starts[0]:ends[0]]) {
		return false
	}
	data := structuredEnd(p, at)
	if data < 0 {
		return false
	}
	if timed {
		l.setTime(ns)
	}
	if !isDash(p[starts[2]:ends[2]]) {
		l.rec.Service = event.Value{Span: l.span(starts[2], ends[2]), Kind: event.Text}
	}
	l.unlessDash("hostname", starts[1], ends[1])
	l.unlessDash("procid", starts[3], ends[3])
	l.unlessDash("msgid", starts[4], ends[4])
	l.unlessDash("structured_data", at, data)
	recognize.FindTrace(l.rec, p[at:data])
	message := skipBlanks(p, data)
	if bytes.HasPrefix(p[message:], []byte("\xef\xbb\xbf")) {
		message += 3
	}
	l.setMessage(message)
	return true
}

func (l *line) unlessDash(name string, start, end int) {
	if !isDash(l.text[start:end]) {
		l.word(name, start, end)
	}
}

// structuredEnd returns the index behind "-" or any number of [id name="value"], or -1.
func structuredEnd(p []byte, at int) int {
	if at < len(p) && p[at] == '-' {
		return at + 1
	}
	start := at
	for at < len(p) && p[at] == '[' {
		quoted := false
		for at++; at < len(p) && (quoted || p[at] != ']'); at++ {
			switch p[at] {
			case '\\':
				at++
			case '"':
				quoted = !quoted
			}
		}
		if at >= len(p) {
			return -1
		}
		at++
	}
	if at == start {
		return -1
	}
	return at
}

// journal reads what rsyslog and journalctl write behind an ISO time:
//
//	2006-01-02T15:04:05.000000+00:00 host app[123]: message
//
// Without a process id there is only a word of prose to tell it from others.
func (h *head) journal() bool {
	p := h.text
	host := skipBlanks(p, h.at)
	hostEnd := wordEnd(p, host)
	tag := hostEnd + 1
	end := wordEnd(p, min(tag, len(p)))
	if hostEnd == host || end <= tag+2 || p[end-1] != ':' || bytes.IndexByte(p[host:hostEnd], ':') >= 0 {
		return false
	}
	if p[end-2] != ']' && string(p[tag:end]) != "kernel:" {
		return false
	}
	if !h.line.setTime(h.ns) {
		return true
	}
	tagged := h.tag(host)
	if level := severityLevel(bytes.TrimSuffix(p[host:hostEnd], []byte("[+]"))); tagged && level != event.NoLevel {
		h.rec.Level = level // ESXi has it there
	}
	return tagged
}

// bareSyslog reads the format that syslog daemons write to files: that of RFC
// 3164 without its priority.
func (l *line) bareSyslog() bool { return l.tagged(0) }

// namedMonth reads what the journal, AIX and java.util.logging write whose months have names of
// another language, or are in small letters.
func (l *line) namedMonth() bool {
	p := l.text
	end := 0
	for end < len(p) && end < 14 && (isLetter(p[end]) || p[end] >= 0x80 || p[end] == '.') {
		end++
	}
	return end > 2 && end+20 < len(p) && p[end] == ' ' && isDigit(p[end+2]) &&
		(p[end+6] == ':' && l.bareSyslog() || p[end+3] == ',' && l.julTwoLines())
}

// tagged reads "Jan  2 15:04:05 host app[123]: message", with any time that has a year, too.
func (l *line) tagged(at int) bool {
	ns, host, ok := l.syslogTime(at)
	if !ok {
		return false
	}
	before := l.rec.Flags
	if l.setTime(ns); !l.tag(host) {
		l.rec.Flags = before
		return false
	}
	return true
}

// syslogTime reads a time, and returns the index of what follows it.
func (l *line) syslogTime(at int) (ns int64, next int, ok bool) {
	p := l.text
	at = l.ciscoTime(at)
	var used int
	if at+4 < len(p) && isDigit(p[at]) && p[at+4] == '-' {
		ns, used, ok = recognize.ISO(p[at:], l.p.Zone)
	} else {
		ns, used, ok = recognize.Layout(p[at:], l.p.Zone, l.near())
	}
	next = at + used
	if !ok || used == 0 || next >= len(p) {
		return 0, 0, false
	}
	if p[next] == ':' {
		next++
	}
	if next >= len(p) || p[next] != ' ' {
		return 0, 0, false
	}
	return ns, skipBlanks(p, next), true
}

// untagged reads what has a priority and a time, and then something of its own.
func (l *line) untagged(at int) bool {
	ns, next, ok := l.syslogTime(at)
	if end := wordEnd(l.text, at); !ok && end < len(l.text) && l.text[end-1] == ':' { // NX-OS names its host first
		if ns, next, ok = l.syslogTime(end + 1); ok {
			l.word("hostname", at, end-1)
			if l.setTime(ns); l.cisco(next) {
				return true
			}
		}
	}
	if !ok {
		at = l.ciscoTime(at)
		return l.cisco(at)
	}
	l.setTime(ns)
	l.setMessage(next)
	return true
}

// tag reads "host app[123]: message"; the host may be missing.
func (l *line) tag(host int) bool {
	p := l.text
	if l.cisco(host) {
		return true
	}
	hostEnd := wordEnd(p, host)
	tag := skipBlanks(p, hostEnd)
	if hostEnd == host || tag >= len(p) || isLevelWord(p[host:hostEnd]) {
		return false
	}
	if p[tag] == ':' {
		tag = skipBlanks(p, tag+1)
	}
	switch {
	case p[hostEnd-1] == ':':
		tag = host
	case tag >= len(p):
		return false
	case l.cisco(tag):
		l.word("hostname", host, hostEnd)
		return true
	}
	end := tag
	for end < len(p) && p[end] > ' ' && p[end] != ':' && p[end] != '[' {
		end++
	}
	pid, pidEnd := end, end
	if end < len(p) && p[end] == '[' {
		pid = end + 1
		pidEnd = pid + max(0, bytes.IndexByte(p[pid:], ']'))
	}
	colon := pidEnd
	if pidEnd > pid {
		colon++
	}
	if end == tag || colon >= len(p) || p[colon] != ':' || isNumber(p[tag:end]) {
		return false
	}
	if isSecurityEvent(p[tag:]) { // it has no tag
		if tag > host {
			l.word("hostname", host, hostEnd)
		}
		l.rec.Format = event.FormatSyslog
		l.setMessage(tag)
		return true
	}
	if tag > host {
		l.word("hostname", host, hostEnd)
	} else if pidEnd == pid && recognize.Strong(p[tag:end]) != event.NoLevel {
		return false // a level
	}
	l.rec.Service = event.Value{Span: l.span(tag, end), Kind: event.Text}
	if pidEnd > pid {
		l.field("pid", pid, pidEnd)
	}
	l.rec.Format = event.FormatSyslog
	message := skipBlanks(p, colon+1)
	l.setMessage(message)
	if !l.haproxy(message) {
		l.levelBehind(message)
	}
	return true
}

// isLevelWord reports whether a word is a level rather than a host, behind a time that has a year.
func isLevelWord(p []byte) bool { return allCapitals(p) && recognize.Strong(p) != event.NoLevel }

// levelBehind looks for a level in what stands behind the head of another program.
func (l *line) levelBehind(at int) {
	h := head{line: l, end: len(l.text), at: at}
	if !h.bareLevel() {
		h.level = h.seekLevel(at)
	}
	if h.level != event.NoLevel {
		l.rec.Level = h.level
	}
}
