package text

import "bytes"

// nameBytes may stand in the name of a logger, a module, a class, a caller.
var nameBytes = func() (t [256]bool) {
	for c := range t {
		t[c] = isAlnum(byte(c))
	}
	for _, c := range "._$:/-@#<>*" {
		t[c] = true
	}
	return t
}()

func isNameByte(c byte) bool { return nameBytes[c] }

func isAlnum(c byte) bool { return isLetter(c) || isDigit(c) }

// isPlainName reports whether text is a name of letters, digits and . _ - /.
func isPlainName(p []byte) bool {
	if len(p) == 0 || !isLetter(p[0]) && p[0] != '_' {
		return false
	}
	for _, c := range p {
		if !isAlnum(c) && c != '.' && c != '_' && c != '-' && c != '/' {
			return false
		}
	}
	return true
}

// isLogger reports whether a word looks like the name of a logger and not like
// one of a sentence: it has dots, colons, underscores or capitals inside.
func isLogger(p []byte) bool {
	end, signs := scanName(p, 0)
	return end == len(p) && signs && len(p) <= longestPart && endsName(p)
}

// scanName returns the index behind the bytes of a name, and reports whether they are
// what the names of loggers have.
func scanName(p []byte, at int) (end int, signs bool) {
	if at >= len(p) || !isLetter(p[at]) && p[at] != '_' {
		return at, false
	}
	before := byte('A')
	for ; at < len(p); at++ {
		c := p[at]
		if !nameBytes[c] || c == '/' && before == ':' { // a URL
			break
		}
		signs = signs || nameSigns[c] || before == ':' && c != ':' || 'A' <= c && c <= 'Z' && before >= 'a'
		before = c
	}
	return at, signs
}

// endsName reports whether a word ends as names do, and is long enough for one.
func endsName(p []byte) bool {
	last := p[len(p)-1]
	return len(p) > 2 && (isAlnum(last) || last == '_' || last == '$')
}

// nameSigns are those that words of a sentence do not have. So is a colon, where
// the name goes on behind it.
var nameSigns = [256]bool{'.': true, '_': true, '$': true, '#': true, '@': true}

// isCaller reports whether text is a file and line: server.go:12.
func isCaller(p []byte) bool {
	if len(p) == 0 || !isDigit(p[len(p)-1]) {
		return false
	}
	colon := bytes.LastIndexByte(p, ':')
	if colon < 3 || !isNumber(p[colon+1:]) || len(p) > longestPart {
		return false
	}
	dot := bytes.LastIndexByte(p[:colon], '.')
	if dot < 1 || dot == colon-1 || colon-dot > 7 || !isLetter(p[dot+1]) {
		return bytes.IndexByte(p[:colon], ':') > 0 && bytes.IndexByte(p, ' ') < 0 // module:function:12
	}
	return bytes.IndexByte(p, ' ') < 0
}

// isThread reports whether a name is one that threads have.
func isThread(p []byte) bool {
	switch string(p) {
	case "main", "MainThread", "scheduler":
		return true
	}
	for _, word := range [...]string{"thread", "Thread", "exec-", "pool-", "worker-", "-worker", "nio-", "task-",
		"eventloop", "dispatcher"} {
		if bytes.Contains(p, []byte(word)) {
			return true
		}
	}
	return false
}

// isPid reports whether text is an Erlang process, 0.123.0.
func isPid(p []byte) bool {
	for _, c := range p {
		if !isDigit(c) && c != '.' {
			return false
		}
	}
	return bytes.Count(p, []byte(".")) == 2
}

func isNumber(p []byte) bool {
	for _, c := range p {
		if !isDigit(c) {
			return false
		}
	}
	return len(p) > 0 && len(p) < 19
}
