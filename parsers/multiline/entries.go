package multiline

import "bytes"

// The entries that some programs spread over lines without indentation. Each is told by its
// first line, and ends where that program's entries end.

// opening reports what follows the record's first line.
func (r *record) opening() state {
	p := r.start[:r.length]
	switch {
	case r.quoted:
		return quote
	case isMessageQueue(p):
		return messageQueue
	}
	return opening(p)
}

// mayState reports whether the record can be a log line that ends with SQL.
func (r *record) mayState() bool {
	return r.lines == 1 && (isDigit(r.start[0]) || r.start[0] == '[' || r.start[1] == ',')
}

// states takes the second line of an SQL statement.
func (r *record) states(p []byte) bool {
	if r.state != text || isDigit(p[0]) || p[0] == '[' || !isStatement(r.start[:r.length]) || !r.headed() {
		return false
	}
	r.state = statement
	return r.entry(p)
}

// entry takes a line of an entry.
func (r *record) entry(p []byte) bool {
	if isHead(p) {
		return false
	}
	if r.state == slowQuery {
		return !r.beginsSlowQuery(p)
	}
	if r.state == statement && p[len(p)-1] == ';' || isRule(p) {
		r.state = ended
	}
	return true
}

// isStatement reports whether a log line ends with the beginning of an SQL statement: of Sequel,
// which Logstash uses, and of MySQL's general log.
//
//	(0.058950s) SELECT a
//	2006-01-02T15:04:05.000000Z	   12 Query	SELECT a
func isStatement(p []byte) bool {
	if at := bytes.IndexByte(p, ')'); at > 8 && p[at-1] == 's' && p[at-8] == '.' {
		open := bytes.LastIndexByte(p[:at], '(')
		return open >= 0 && isSeconds(p[open+1:at-1]) && at+2 < len(p) && isVerb(p[at+2:])
	}
	if !isDigit(p[0]) {
		return false
	}
	tab := bytes.LastIndexByte(p, '\t')
	return tab > 20 && bytes.HasSuffix(p[:tab], []byte(" Query")) && isVerb(p[tab+1:])
}

// isSeconds reports whether text is a number of seconds with microseconds.
func isSeconds(p []byte) bool {
	whole := digits(p)
	return whole > 0 && len(p) == whole+7 && p[whole] == '.' && digits(p[whole+1:]) == 6
}

// isVerb reports whether text starts with a word that starts a statement.
func isVerb(p []byte) bool {
	end := 0
	for end < len(p) && (isUpper(p[end]) || isLower(p[end])) {
		end++
	}
	for _, verb := range [...]string{"select", "insert", "update", "delete", "with", "merge", "replace", "create",
		"alter"} {
		if bytes.EqualFold(p[:end], []byte(verb)) {
			return true
		}
	}
	return false
}

// beginsSlowQuery reports whether a line is the first of an entry of MySQL's slow log, which leaves
// the time out where it is that of the entry before, or of what it writes when it is opened.
func (r *record) beginsSlowQuery(p []byte) bool {
	if bytes.HasPrefix(p, []byte("# User@Host: ")) {
		return r.lines > 1 || r.start[2] != 'T'
	}
	return bytes.HasPrefix(p, []byte("# Time: ")) || bytes.HasSuffix(p, []byte(". started with:"))
}

// isMySQLVersion reports whether a line is the one that MySQL writes below "ready for connections".
func isMySQLVersion(p []byte) bool {
	return bytes.HasPrefix(p, []byte("Version: '")) && bytes.Contains(p, []byte("  socket: '"))
}

// isMessageQueue reports whether a line is the first of an entry of IBM MQ:
//
//	11/23/26 19:21:00 - Process(26971.1) User(root) Program(setmqinst)
func isMessageQueue(p []byte) bool {
	return len(p) > 48 && isDigit(p[0]) && (p[1] == '/' || p[2] == '/') && bytes.Contains(p[:48], []byte(" - Process("))
}

// isRule reports whether a line is the one that ends an entry of IBM MQ: dashes, and perhaps a
// place in the program's source among them.
func isRule(p []byte) bool {
	const dashes = "-----"
	return len(p) > 40 && bytes.HasPrefix(p, []byte(dashes)) && bytes.HasSuffix(p, []byte(dashes))
}

// opensQuote reports whether a line ends within a quote that the next lines go on with: the
// errors of PHP in nginx's error log, and the columns of Postgres's csvlog.
//
//	2006/01/02 15:04:05 [error] 31#31: *5 FastCGI sent in stderr: "PHP message: …
//	2006-01-02 15:04:05.000 UTC,"anna","shop",71,…,"SELECT a
func opensQuote(p []byte) bool {
	if p[4] == '/' && p[7] == '/' {
		at := bytes.Index(p, []byte(`sent in stderr: "`))
		return at > 0 && !closesStderr(p[at+len(`sent in stderr: "`):])
	}
	return isCSVLog(p) && bytes.Count(p, []byte(`"`))%2 == 1
}

// mayOpenQuote is true of few lines that opensQuote is not true of.
func mayOpenQuote(p []byte) bool {
	return len(p) >= 40 && isDigit(p[0]) && p[16] == ':' && (p[19] == ' ' || p[19] == '.')
}

// isCSVLog reports whether a line starts as those of Postgres's csvlog do: with a time and its
// zone, and columns behind.
func isCSVLog(p []byte) bool {
	if len(p) < 40 || p[4] != '-' || p[7] != '-' || p[10] != ' ' || p[13] != ':' {
		return false
	}
	at := 19
	if p[at] == '.' {
		at += 1 + digits(p[at+1:30])
	}
	if p[at] != ' ' {
		return false
	}
	for at++; at < 38 && p[at] > ' ' && p[at] != ','; at++ {
	}
	return p[at] == ',' && (p[at+1] == '"' || p[at+1] == ',')
}

// closesStderr reports whether what FastCGI sent ends in a line: " while reading …
func closesStderr(p []byte) bool { return bytes.Contains(p, []byte(`" while `)) }

// unquoted takes a line that goes on within a quote, or closes it.
func (r *record) unquoted(p []byte) bool {
	if isHead(p) {
		return false
	}
	if r.start[4] == '/' && closesStderr(p) || r.start[4] == '-' && bytes.Count(p, []byte(`"`))%2 == 1 {
		r.state = ended
	}
	return true
}
