package multiline

import (
	"bytes"

	"github.com/longshore/longshore/pipeline"
)

// A record is the open one, as far as it matters for what may follow.
type record struct {
	open  bool
	state state
	lines int
	// indent is the width of the blanks that the first line starts with.
	indent int
	blank  bool // the last line was empty
	inside bool // the last line was indented below the first
	wraps  int  // lines that were taken for more of an exception's message
	quoted bool // the first line ends within a quote
	caused bool // an exception was named below the frames of another: its own are sure to come
	last   byte // the last line ends with it
	braces braces

	// start is how the first line starts. What it says is found out when a
	// line comes for which it matters.
	start  [160]byte
	length int
	head   head
}

// line is Joiner.Line.
func (r *record) line(line []byte) pipeline.JoinDecision {
	p, indent := line, 0
	if len(p) == 0 || p[0] <= ' ' { // which few lines start with
		p, indent = skipIndent(p)
	}
	if !r.open || !r.continues(indent, p) {
		return r.begin(indent, p)
	}
	r.lines++
	r.inside = indent > r.indent
	r.note(p)
	if r.state == object {
		r.braces.scan(p)
	}
	if r.state == ended || r.state == object && r.braces.depth == 0 {
		return pipeline.Continues | pipeline.Complete
	}
	return pipeline.Continues
}

func (r *record) begin(indent int, p []byte) pipeline.JoinDecision {
	r.open = true
	r.state, r.head = unknown, 0
	r.lines, r.wraps, r.indent = 1, 0, indent
	r.blank, r.inside, r.caused = false, false, false
	r.length = copy(r.start[:], p)
	r.braces.depth = 0
	if len(p) == 0 {
		return pipeline.Complete
	}
	r.quoted = false
	switch c := p[0]; {
	case c == '{' || c == '[':
		return r.beginObject(p)
	case isLogfmt(p) || isAccess(p):
		return pipeline.Complete
	}
	r.note(p)
	r.quoted = mayOpenQuote(p) && opensQuote(p)
	return 0
}

// note notes how a line ends.
func (r *record) note(p []byte) {
	if n := len(p); n > 0 && p[n-1] > ' ' {
		r.last = p[n-1]
	} else if p = bytes.TrimRight(p, " \t"); len(p) > 0 {
		r.last = p[len(p)-1]
	}
}

// beginObject begins a record whose first line may be that of an object or
// array which goes on in the next ones.
func (r *record) beginObject(p []byte) pipeline.JoinDecision {
	r.note(p)
	if p[0] == '[' && !startsArray(p) {
		if isAccess(p) {
			return pipeline.Complete
		}
		return 0
	}
	r.braces.scan(p)
	last := r.last
	switch {
	case r.braces.depth > 0 && (last == '{' || last == '[' || last == ','):
		r.state = object
	case r.braces.depth == 0 && (last == '}' || last == ']'):
		return pipeline.Complete
	}
	return 0
}

// continues reports whether a line belongs to the open record, and notes what it says about those
// that follow. p is the line without the blanks and colours that it starts with.
func (r *record) continues(indent int, p []byte) bool {
	if r.state == unknown {
		r.state = r.opening()
	}
	if r.state == quote {
		return r.unquoted(p)
	}
	if len(p) == 0 {
		return r.empty()
	}
	before := r.blank
	r.blank = false
	if indent > 0 && r.indented(indent, p) {
		return true
	}
	if r.state == object {
		return isClosing(p) || r.length == 1 && isMember(p) || r.last == ',' && p[0] == '"'
	}
	if indent > r.indent {
		return false
	}
	return r.follows(p) || r.shaped(p, before) || r.postgres(p) || r.mayState() && r.states(p)
}

// empty takes an empty line. It belongs to what is more than one line already, to what is known to
// have some within, and to a line that tells of trouble: Spring Boot has one before the exception.
func (r *record) empty() bool {
	switch {
	case r.state == object, r.blank && r.state&(report|pythonEnd) == 0:
		return false
	case r.lines == 1 && r.state&spaced == 0 && !(r.headed() && r.alarmed()):
		return false
	}
	r.blank = true
	return true
}

// leastIndent is how much further than the first line others are indented that
// belong to it. A single blank is what some programs start all their lines with.
const leastIndent = 2

// indented takes a line that starts with blanks.
func (r *record) indented(indent int, p []byte) bool {
	deep := indent >= r.indent+leastIndent || r.state&traces != 0 && indent > r.indent
	switch {
	case r.state == object:
		return true
	case r.state == group && (p[0] == '|' || p[0] == '+'):
		return true
	case isFrame(p):
		// Frames are told by themselves, so that what is left of a trace that was cut
		// stays in one piece.
		if !deep && !isFrame(r.start[:r.length]) {
			return false
		}
		r.enter(frames)
		return true
	}
	return deep && (!isHead(p) || isLower(p[0])) && !(r.state == text && opening(p) == group && r.calm())
}

// enter notes that a trace has got to its frames, where that says more than is known.
func (r *record) enter(s state) {
	if r.state&(text|exception|source) != 0 {
		r.state = s
	}
}

// shaped takes a line without indentation that is told by its shape.
func (r *record) shaped(p []byte, behindBlank bool) bool {
	switch {
	case isClosing(p):
		return r.inside
	case r.state == report:
		return !isHead(p)
	case r.state&(statement|slowQuery|messageQueue) != 0:
		return r.entry(p)
	case r.state&(goPanic|goStack) != 0:
		return r.goes(p, behindBlank)
	case r.state == python:
		return r.pythonEnds(p)
	case r.state == panicked:
		r.state = rust
		return !isHead(p)
	case r.state == source:
		return r.uncaught(p, behindBlank)
	case p[len(p)-1] == '\'' && isRubyFrame(p), r.state&(exception|frames) != 0 && !behindBlank && isBareFrame(p):
		r.enter(frames)
		return true
	case r.state == text && r.lines == 1 && p[0] == 'a' && isJavaFrame(p) && r.headed() && r.alarmed():
		r.state = frames
		return true
	case r.state == frames && behindBlank && bytes.HasPrefix(p, []byte("Next ")): // PHP
		r.state = exception
		return exceptionName(p[len("Next "):]) != nameless
	case r.state == elixir && bytes.HasPrefix(p, []byte("** ")): // Erlang's; Elixir's "** (…)" begins a record
		return len(p) < 4 || p[3] != '('
	case r.state == text && (!behindBlank || r.lines == 2):
		return r.exceptionBelow(p)
	case r.state == exception && (r.last == ':' || r.last == ';') && exceptionName(p) == qualified: // JavaMail
		return true
	case r.state == exception && r.lines == 1 && string(r.start[:r.length]) == "Unhandled exception:": // Dart
		return !isHead(p)
	}
	return r.wrapped(p, behindBlank)
}

// goes takes the lines of goroutines, and the registers behind all.
func (r *record) goes(p []byte, behindBlank bool) bool {
	switch {
	case isGoroutine(p), !behindBlank && (isGoCall(p) || r.inside && isGoName(p)):
		r.state = goStack
		return true
	}
	return r.state == goStack && isRegister(p)
}

// pythonEnds takes the exception behind a traceback.
func (r *record) pythonEnds(p []byte) bool {
	if r.lines == 1 || !isPythonError(p) || isHead(p) {
		return false
	}
	r.state = pythonEnd
	return true
}

// uncaught takes what Node writes below the place of an uncaught exception: the
// line of source, a mark below, and the exception behind an empty line.
func (r *record) uncaught(p []byte, behindBlank bool) bool {
	if r.lines < 3 && !behindBlank {
		return !isHead(p)
	}
	if behindBlank && exceptionName(p) != nameless {
		r.state = exception
		return true
	}
	return false
}

// exceptionBelow takes an exception below the log line that tells of it. A bare Error: belongs only
// to a line whose level tells of trouble: a program that dies writes to the same stream.
func (r *record) exceptionBelow(p []byte) bool {
	if r.lines > 1 && r.inside {
		return false
	}
	if !isUpper(p[0]) && !isLower(p[0]) {
		return false
	}
	end := nameEnd(p)
	name := exceptionNamed(p, end)
	if name == nameless && (end == len(p) || p[end] != ' ') && isGoFunction(p) && r.headed() && r.alarmed() { // zap
		r.state = goStack
		return true
	}
	if name == nameless || !r.headed() || name == simple && !r.alarmed() {
		return false
	}
	r.state = exception
	return true
}

// Bounds of the lines of an exception's message beyond its first: where its frames come
// behind them, and of Python's, where they came before.
const (
	mostWraps = 16
	mostNotes = 3
)

// wrapped takes a line as more of an exception's message, in a record that can hardly be anything
// else: frames are sure to come, the line before it is unfinished, or the record has a head and
// this line has none. Plain lines behind an error are others' mostly, also where a log line tells
// of an exception by its name: loggers leave frames out more often than messages have line ends.
func (r *record) wrapped(p []byte, behindBlank bool) bool {
	most := 0
	switch {
	case r.state == exception && (r.caused || r.inThread() || isUnfinished(r.last) && r.mayGoOn()):
		most = mostWraps
	case r.state == pythonEnd && r.headed():
		most = mostNotes
	}
	if behindBlank || r.wraps >= most || isHead(p) || opening(p) != text {
		return false
	}
	r.wraps++
	return true
}

// mayGoOn reports whether an exception's message may go on in the next line: below another line, or
// where the name has its package. What is called Error alone may be a heading.
func (r *record) mayGoOn() bool {
	return r.lines > 1 || exceptionName(r.start[:r.length]) == qualified
}

// isUnfinished reports whether text that ends with a sign goes on behind it.
func isUnfinished(last byte) bool {
	switch last {
	case ':', ';', ',', '(', '[', '{', '=':
		return true
	}
	return false
}

func (r *record) inThread() bool {
	return bytes.HasPrefix(r.start[:r.length], []byte(`Exception in thread "`))
}

// skipIndent skips the blanks and colour codes at the start of a line, and returns
// the width of the blanks.
func skipIndent(p []byte) ([]byte, int) {
	p = skipColor(p)
	width, at := indentation(p)
	return skipColor(p[at:]), width
}

// indentation returns the width of the blanks at the start of a line and their number.
func indentation(p []byte) (width, at int) {
	for at < len(p) {
		switch p[at] {
		case ' ':
			width++
		case '\t':
			width += 8
		default:
			return width, at
		}
		at++
	}
	return width, at
}

// skipColor skips the terminal's colour codes at the start of a line.
func skipColor(p []byte) []byte {
	for len(p) > 2 && p[0] == 0x1b && p[1] == '[' {
		end := colorEnd(p)
		if end == 0 {
			break
		}
		p = p[end:]
	}
	return p
}

// colorEnd returns the length of the code at the start of p, 0 if it is none.
func colorEnd(p []byte) int {
	for at := 2; at < len(p) && at < 24; at++ {
		switch c := p[at]; {
		case c == 'm' || c == 'K':
			return at + 1
		case c != ';' && (c < '0' || c > '9'):
			return 0
		}
	}
	return 0
}
