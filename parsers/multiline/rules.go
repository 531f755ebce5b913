package multiline

import "bytes"

// A state is what the open record has been found to be, as far as it decides
// about the next line. States are bits, so that rules can name several.
type state uint32

const (
	text         state = 1 << iota // nothing special
	exception                      // the name of one was the last: its frames are to come
	frames                         // below an exception
	python                         // in a traceback, before its exception
	pythonEnd                      // behind that exception
	chained                        // between two tracebacks
	group                          // a Python exception group, drawn with | and +
	goPanic                        // before the goroutines
	goStack                        // in one of them
	panicked                       // Rust: the message is to come
	rust                           // behind the message
	source                         // Node: the place of an uncaught exception
	elixir                         // the reason why a process ended
	jul                            // java.util.logging: time and place, the level is to come
	report                         // all lines until its end
	reported                       // a report's summary, which is mostly its end
	ruled                          // a line of =, which may begin a report
	object                         // in brackets that are not closed yet
	quote                          // in a quote that is not closed yet
	statement                      // SQL over several lines
	slowQuery                      // of MySQL's slow log
	messageQueue                   // of IBM MQ's error log
	ended                          // nothing more belongs to it

	unknown state = 0

	anyText = text | exception | frames | python | pythonEnd | group | rust | elixir
	// traces are the states in which any indentation continues.
	traces = exception | frames | python | pythonEnd | chained | group | goPanic | goStack |
		panicked | rust | source | elixir | report | reported | statement | slowQuery | messageQueue
	// spaced are the states in which an empty line belongs to the record, even as its second line.
	spaced = exception | goPanic | source | pythonEnd | chained | report | reported | messageQueue | ended
)

// A rule says how a line that starts with a prefix stands to a record.
type rule struct {
	prefix string
	in     state // the record's state
	to     state // the state behind the line; 0: as before
}

// openings are the first lines by which what follows them is known.
var openings = byFirst([]rule{
	{prefix: "Traceback (most recent call last):", to: python},
	{prefix: "+ Exception Group Traceback (most recent", to: group},
	{prefix: "panic: ", to: goPanic},
	{prefix: "fatal error: ", to: goPanic},
	{prefix: "runtime: ", to: goPanic},
	{prefix: "unexpected fault address ", to: goPanic},
	{prefix: "SIGABRT: abort", to: goPanic},
	{prefix: "SIGQUIT: quit", to: goPanic},
	{prefix: "SIGSEGV: seg", to: goPanic},
	{prefix: "Exception in thread ", to: exception},
	{prefix: "Unhandled exception", to: exception},
	{prefix: "Unhandled Exception", to: exception},
	{prefix: "PHP Fatal error: ", to: exception},
	{prefix: "Fatal error: ", to: exception},           // PHP, Swift
	{prefix: "Internal Server Error: ", to: exception}, // Django
	{prefix: "Task exception was never retrieved", to: exception},
	{prefix: "Exception in callback ", to: exception},
	{prefix: "Exception ignored in: ", to: exception},
	{prefix: "During handling of the above exception,", to: chained},
	{prefix: "The above exception was the direct caus", to: chained},
	{prefix: "*** Program crashed: ", to: report},
	{prefix: "*** Signal ", to: report},
	{prefix: "══╡ EXCEPTION CAUGHT BY ", to: report},
	{prefix: "══╡ UNHANDLED EXCEPTION", to: report},
	{prefix: "Full thread dump ", to: report},
	{prefix: "** (", to: elixir},
	{prefix: "=ERROR REPORT====", to: elixir},
	{prefix: "=CRASH REPORT====", to: elixir},
	{prefix: "=SUPERVISOR REPORT====", to: elixir},
	{prefix: "==================", to: ruled},
	{prefix: "# Time: ", to: slowQuery},
	{prefix: "# User@Host: ", to: slowQuery},
})

// continuations are the lines that continue a record, by how they start.
var continuations = byFirst([]rule{
	// Java, Kotlin, .NET, Node
	{"Caused by:", anyText, exception},
	{"Wrapped by:", anyText, exception},
	{"... ", frames, 0},
	{"--- End of ", exception | frames, frames},
	{"Error has been observed at the foll", exception | frames, frames},
	{"Original Stack Trace:", exception | frames, frames},
	{"Require stack:", exception, 0},
	{"- /", exception, 0},
	{"Node.js v", frames | source | exception, ended},
	{"(Use `node ", text, ended},

	// Python
	{"Traceback (most recent call last):", chained | exception, python},
	{"During handling of the above exception,", pythonEnd, chained},
	{"The above exception was the direct caus", pythonEnd, chained},
	{"future: <", text | exception, exception},
	{"handle: <", text | exception, exception},
	{"[SQL: ", pythonEnd, 0},
	{"[parameters: ", pythonEnd, 0},
	{"(Background on this error at:", pythonEnd, 0},
	{"LINE ", pythonEnd, 0},
	{"DETAIL: ", pythonEnd, 0},
	{"HINT: ", pythonEnd, 0},
	{"CONTEXT: ", pythonEnd, 0},

	// Go
	{"runtime stack:", goPanic | goStack, goStack},
	{"[signal ", goPanic, 0},
	{"fatal error: ", goPanic, 0},
	{"runtime: ", goPanic, 0},
	{"PC=", goPanic, 0},
	{"signal arrived during ", goPanic, 0},
	{"created by ", goStack, 0},
	{"...", goStack, 0},
	{"exit status ", goPanic | goStack, ended},

	// Rust
	{"note: ", rust, 0},
	{"fatal runtime error: ", rust, ended},
	{"stack backtrace:", rust | text | exception, rust},
	{"Stack backtrace:", anyText, rust},

	// PHP, Dart
	{"Stack trace:", anyText, frames},
	{"[stacktrace]", anyText, frames},
	{"[previous exception]", frames, 0},
	{"#0 ", anyText, frames},
	{`"}`, frames, ended},
	{"<asynchronous suspension>", frames, 0},

	// Elixir, Erlang
	{"Last message", elixir, 0},
	{"State: ", elixir, 0},
	{"Client ", elixir, 0},
	{"Message: ", elixir, 0},
	{"Function: ", elixir, 0},
	{"Initial Call: ", elixir, 0},
	{"Ancestors: ", elixir, 0},
	{"Pid: ", elixir, 0},
	{"Start Call: ", elixir, 0},
	{"Restart: ", elixir, 0},
	{"Shutdown: ", elixir, 0},
	{"Type: ", elixir, 0},

	// Reports: of sanitizers, of Flutter, of Swift
	{"*** Program crashed: ", exception, report},
	{"*** Signal ", exception, report},
	{"Current stack trace:", exception, report},
	{"==================", report | reported, ended},
	{"════════", report, ended},
	{"SUMMARY: ", report, reported},
	{"Shadow byte", reported, 0},
	{"=>0x", reported, 0},
	{"WARNING: DATA RACE", ruled, report},
	{"WARNING: ThreadSanitizer", ruled, report},
})

func byFirst(rules []rule) (table [256][]rule) {
	for _, r := range rules {
		table[r.prefix[0]] = append(table[r.prefix[0]], r)
	}
	return table
}

// opening reports what follows a first line.
func opening(p []byte) state {
	if len(p) == 0 || p[0] == '[' || isDigit(p[0]) {
		return text
	}
	for _, rule := range openings[p[0]] {
		if bytes.HasPrefix(p, []byte(rule.prefix)) {
			return rule.to
		}
	}
	return openingShape(p)
}

// openingShape is opening for the lines that are told by more than a prefix.
func openingShape(p []byte) state {
	switch c := p[0]; {
	case c == 't' && isRustPanic(p):
		if p[len(p)-1] == ':' {
			return panicked
		}
		return rust
	case c == '=' && isSanitizer(p):
		return report
	case c == 'g' && isGoroutine(p):
		return goStack
	case (c == '/' || c == 'n' || c == 'f') && isPlace(p):
		return source
	case isUpper(c) && isJUL(p):
		return jul
	case exceptionName(p) != nameless:
		return exception
	case isFrame(p):
		return frames
	}
	if last := p[len(p)-1]; (last == ')' || last == '\'') && isRubyFrame(p) {
		return exception
	}
	return text
}

// follows takes a line that a rule knows.
func (r *record) follows(p []byte) bool {
	for _, rule := range continuations[p[0]] {
		if rule.in&r.state != 0 && bytes.HasPrefix(p, []byte(rule.prefix)) {
			if rule.to != 0 {
				r.caused = rule.to == exception && r.state == frames
				r.state = rule.to
			}
			return true
		}
	}
	return r.begun(p)
}

// begun takes the lines that start a trace by themselves, or below the log line that tells of it.
func (r *record) begun(p []byte) bool {
	if r.state != text {
		return r.goesOn(p)
	}
	switch p[0] {
	case 'g':
		return isGoroutine(p) && r.turn(goStack, r.headed())
	case '*':
		return bytes.HasPrefix(p, []byte("** (")) && r.turn(elixir, r.headed())
	case 'T':
		return bytes.HasPrefix(p, []byte("Traceback (most recent call last):")) &&
			r.turn(python, r.headed() && !r.calm())
	case 'V':
		return isMySQLVersion(p) && r.turn(ended, r.headed())
	}
	return false
}

// goesOn takes the lines of what has begun that are told by more than a prefix.
func (r *record) goesOn(p []byte) bool {
	switch {
	case r.state == jul && isJULLevel(p):
		r.state = text
		return true
	case r.state == ruled && isSanitizer(p):
		r.state = report
		return true
	case (r.state == report || r.state == reported) && isAborting(p):
		r.state = ended
		return true
	}
	return false
}

// turn makes the open record one of another kind, if it can be.
func (r *record) turn(to state, can bool) bool {
	if can {
		r.state = to
	}
	return can
}
