package multiline

import "bytes"

// isFrame reports whether a line, without its indentation, is one of a stack
// trace in the languages that indent them.
func isFrame(p []byte) bool {
	if len(p) < 4 {
		return false
	}
	switch p[0] {
	case 'a':
		return p[1] == 't' && p[2] == ' '
	case '.':
		return string(p[:4]) == "... " && len(p) > 4 && isDigit(p[4])
	case '#':
		return isDigit(p[1])
	case 'f':
		return bytes.HasPrefix(p, []byte("from ")) && bytes.Contains(p, []byte(":in "))
	case 'F':
		return bytes.HasPrefix(p, []byte(`File "`))
	case 'S':
		return bytes.HasPrefix(p, []byte("Suppressed: "))
	case '-':
		return bytes.HasPrefix(p, []byte("---> "))
	}
	return false
}

// isGoCall reports whether a line is that of a call in a goroutine:
//
//	net/http.(*conn).serve(0xc000118000, {0x6d4e98, 0xc000100f30})
func isGoCall(p []byte) bool {
	if p[len(p)-1] != ')' {
		return false
	}
	open := bytes.IndexByte(p, '(')
	name := p[:max(open, 0)]
	if bytes.IndexByte(name, ' ') >= 0 {
		return false
	}
	return bytes.IndexByte(name, '.') > 0 || string(name) == "panic"
}

// isGoName reports whether a line can be a function's name, as zap writes its stacks: without what
// the function was called with.
func isGoName(p []byte) bool {
	if !isLower(p[0]) && !isUpper(p[0]) || bytes.IndexByte(p, ' ') >= 0 { // which most lines have early
		return false
	}
	last := p[len(p)-1]
	return (isLower(last) || isUpper(last) || isDigit(last) || last == ')') &&
		bytes.IndexByte(p, '.') > 0 && bytes.IndexByte(p, ':') < 0
}

// isGoFunction reports whether a line can hardly be anything else than such a name:
//
//	sigs.k8s.io/controller-runtime/pkg/internal/controller.(*Controller).Start.func2
func isGoFunction(p []byte) bool {
	if !isGoName(p) {
		return false
	}
	switch string(p) {
	case "main.main", "runtime.main", "runtime.goexit":
		return true
	}
	name := p[bytes.LastIndexByte(p, '/')+1:]
	dot := bytes.IndexByte(name, '.')
	return len(name) < len(p) && dot > 0 && dot+1 < len(name) && (isUpper(name[dot+1]) || name[dot+1] == '(')
}

// isGoroutine reports whether a line is the first of a goroutine's:
//
//	goroutine 1 [running]:
func isGoroutine(p []byte) bool {
	return len(p) > 14 && p[len(p)-1] == ':' && bytes.HasPrefix(p, []byte("goroutine ")) && isDigit(p[10]) &&
		bytes.IndexByte(p, '[') > 0
}

// isRegister reports whether a line is one of the registers that Go writes last
// when a signal ends it: "rax    0x0".
func isRegister(p []byte) bool {
	at := 0
	for at < len(p) && at < 8 && (isLower(p[at]) || isDigit(p[at])) {
		at++
	}
	rest := bytes.TrimLeft(p[at:], " ")
	return at > 1 && len(rest) < len(p)-at && bytes.HasPrefix(rest, []byte("0x")) && bytes.IndexByte(rest, ' ') < 0
}

// isRustPanic reports whether a line is the first of a panic:
//
//	thread 'main' (123) panicked at src/main.rs:4:5:
func isRustPanic(p []byte) bool {
	return bytes.HasPrefix(p, []byte("thread '")) &&
		(bytes.Contains(p, []byte(" panicked at ")) || bytes.HasSuffix(p, []byte(" has overflowed its stack")))
}

// isSanitizer reports whether a line tells of what a sanitizer has found:
//
//	==12==ERROR: AddressSanitizer: heap-use-after-free on address …
func isSanitizer(p []byte) bool {
	return numbered(p) && bytes.Contains(p, []byte("Sanitizer: "))
}

// isAborting reports whether a line is a sanitizer's last: ==12==ABORTING.
func isAborting(p []byte) bool {
	return numbered(p) && bytes.HasSuffix(p, []byte("==ABORTING"))
}

func numbered(p []byte) bool {
	return len(p) > 6 && p[0] == '=' && p[1] == '=' && isDigit(p[2])
}

// isPlace reports whether a line is nothing but the place where Node met an
// exception: /app/index.js:12
func isPlace(p []byte) bool {
	if p[0] != '/' && !bytes.HasPrefix(p, []byte("node:")) && !bytes.HasPrefix(p, []byte("file://")) ||
		!isDigit(p[len(p)-1]) {
		return false
	}
	colon := bytes.LastIndexByte(p, ':')
	return colon > 0 && digits(p[colon+1:]) == len(p)-colon-1 && bytes.IndexByte(p, ' ') < 0
}

// isJUL reports whether a line is the first of the two that java.util.logging writes by default:
//
//	Nov 23, 2026 5:58:15 AM com.example.App main
func isJUL(p []byte) bool {
	if len(p) < 24 || p[3] != ' ' || !monthName(p) {
		return false
	}
	day := digits(p[4:])
	rest := p[4+day:]
	if day < 1 || day > 2 || len(rest) < 18 || rest[0] != ',' || rest[1] != ' ' || digits(rest[2:]) != 4 {
		return false
	}
	rest = rest[:min(len(rest), 24)]
	return bytes.Contains(rest, []byte("M ")) && bytes.IndexByte(rest, ':') > 0
}

// isBareFrame reports whether a line without indentation is a frame below others,
// or below an exception: at com.example.App.main(App.java:12), #12 /app/x.php(3)
func isBareFrame(p []byte) bool {
	if !isFrame(p) {
		return false
	}
	last := p[len(p)-1]
	return p[0] == '#' || p[0] == 'a' && (last == ')' || isDigit(last))
}

// isJavaFrame reports whether a line is a frame that has lost its indentation below the log line
// that names the exception: at com.example.App.main(App.java:12)
func isJavaFrame(p []byte) bool {
	open := bytes.IndexByte(p, '(')
	return open > 4 && isBareFrame(p) && bytes.IndexByte(p[3:open], '.') > 0 && bytes.IndexByte(p[3:open], ' ') < 0
}

// isRubyFrame reports whether a line is one of Ruby's backtrace, or begins it:
//
//	/app/shop.rb:3:in `order': boom (RuntimeError)
func isRubyFrame(p []byte) bool {
	at := bytes.Index(p[:min(len(p), 256)], []byte(":in "))
	if at < 3 || at+5 > len(p) || p[at+4] != '`' && p[at+4] != '\'' || !isDigit(p[at-1]) {
		return false
	}
	return bytes.IndexByte(p[behindGem(p):at], ' ') < 0
}

// behindGem returns the index behind the gem that Rails names before a frame's file:
//
//	actionpack (7.1.3) lib/action_dispatch/journey/router.rb:63:in `call'
func behindGem(p []byte) int {
	open := bytes.IndexByte(p[:min(len(p), 64)], ' ')
	if open < 1 || open+2 >= len(p) || p[open+1] != '(' || !isDigit(p[open+2]) {
		return 0
	}
	size := bytes.Index(p[open:min(len(p), open+32)], []byte(") "))
	if size < 0 || bytes.IndexByte(p[open+1:open+size], ' ') >= 0 {
		return 0
	}
	return open + size + 2
}

// A naming is how sure it is that a line names an exception.
type naming uint8

const (
	nameless  naming = iota
	simple           // TypeError: …
	qualified        // java.lang.IllegalStateException: …
)

// longestName bounds an exception's name.
const longestName = 200

// exceptionName reports whether a line starts with an exception's name, behind which
// its message stands, or nothing:
//
//	java.lang.IllegalStateException: closed
//	TypeError [ERR_INVALID_ARG_TYPE]: …
//	ActiveRecord::RecordNotFound (Couldn't find …):
func exceptionName(p []byte) naming {
	if !isUpper(p[0]) && !isLower(p[0]) {
		return nameless
	}
	return exceptionNamed(p, nameEnd(p))
}

// exceptionNamed is exceptionName for a line that begins with a letter, where its nameEnd is known.
func exceptionNamed(p []byte, end int) naming {
	if end+2 < len(p) {
		if next := p[end+1]; next == ':' {
			end = classEnd(p)
		} else if p[end] == ' ' && next != '[' && next != '(' { // which endsName is not true of
			return nameless
		}
	}
	if end < 5 || end > longestName {
		return nameless
	}
	if !endsName(p[end:]) || !namesException(p[:end]) && !isRailsName(p, end) {
		return nameless
	}
	if dot := bytes.IndexByte(p[:end], '.'); dot > 0 && dot+1 < end {
		return qualified
	}
	if !isUpper(p[0]) {
		return nameless
	}
	return simple
}

// isRailsName reports whether a line is a class's name with modules before and a message in
// brackets behind, as Rails writes what it has not caught, whatever that is called.
func isRailsName(p []byte, end int) bool {
	return end+1 < len(p) && p[end] == ' ' && p[end+1] == '(' && bytes.Contains(p[:end], []byte("::"))
}

// nameEnd returns the index behind a class's name.
func nameEnd(p []byte) int {
	for at, c := range p {
		if !nameBytes[c] {
			return at
		}
	}
	return len(p)
}

// classEnd is nameEnd for names that may have Ruby's and C++'s colons within.
func classEnd(p []byte) int {
	end := nameEnd(p)
	for end > 0 && end+2 < len(p) && p[end] == ':' && p[end+1] == ':' && isUpper(p[end+2]) {
		end += 2 + nameEnd(p[end+2:])
	}
	return end
}

var nameBytes = func() (t [256]bool) {
	for c := range t {
		c := byte(c)
		t[c] = isLower(c) || isUpper(c) || isDigit(c) || c == '.' || c == '_' || c == '$'
	}
	return t
}()

// endsName reports whether what stands behind a name can follow an exception's.
func endsName(p []byte) bool {
	switch {
	case len(p) == 0:
		return true
	case p[0] == ':':
		return len(p) == 1 || p[1] == ' ' || p[1] == 'o' && exceptionName(p[1:]) == qualified // Solr says it twice
	case len(p) < 3 || p[0] != ' ':
		return false
	case p[1] == '[':
		return bytes.Contains(p, []byte("]:"))
	}
	return p[1] == '(' && p[len(p)-1] == ':'
}

// namesException reports whether the last part of a name is that of an exception.
func namesException(name []byte) bool {
	name = name[bytes.LastIndexByte(name, '.')+1:]
	name = name[bytes.LastIndexByte(name, ':')+1:]
	for {
		inner := bytes.IndexByte(name, '$')
		part := name
		if inner >= 0 {
			part = name[:inner]
		}
		if len(part) > 0 && isUpper(part[0]) && errorWord(part) {
			return true
		}
		if inner < 0 {
			return false
		}
		name = name[inner+1:]
	}
}

func errorWord(p []byte) bool {
	for _, word := range [...]string{"Exception", "Error", "Throwable", "Rejection"} {
		if bytes.HasSuffix(p, []byte(word)) {
			return true
		}
	}
	return false
}

// isPythonError reports whether a line can be the exception that ends a traceback:
// a dotted name, alone or with a message.
func isPythonError(p []byte) bool {
	if isRubyFrame(p) { // Ruby had the same first line once
		return true
	}
	at := 0
	for at < len(p) && (nameBytes[p[at]] || p[at] == '<' || p[at] == '>' || p[at] >= 0x80) {
		at++
	}
	return at > 0 && !isDigit(p[0]) && (at == len(p) || p[at] == ':' && (at+1 == len(p) || p[at+1] == ' '))
}

// digits returns the number of digits that p starts with.
func digits(p []byte) int {
	for at, c := range p {
		if !isDigit(c) {
			return at
		}
	}
	return len(p)
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
func isLower(c byte) bool { return 'a' <= c && c <= 'z' }
func isUpper(c byte) bool { return 'A' <= c && c <= 'Z' }
