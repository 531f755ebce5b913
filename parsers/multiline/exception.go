package multiline

import "bytes"

// An Exception is what a record of several lines tells of. Its parts point into the record.
type Exception struct {
	Type    []byte // java.lang.IllegalStateException, ValueError, panic
	Message []byte // may be empty
}

// FindException finds the exception of a record, of several that caused each other the outermost.
func FindException(record []byte) (found Exception, ok bool) {
	python, traceback := false, false
	for line, rest := cutLine(record); line != nil; line, rest = cutLine(rest) {
		p := bytes.TrimLeft(line, " \t|+")
		switch {
		case bytes.HasPrefix(p, []byte("Traceback (most recent call last):")):
			python, traceback = true, true
		case len(p) < len(line) && bytes.Contains(p, []byte(" sub-exception")) && isPythonError(p) && nameEnd(p) > 0:
			return named(p), true
		case traceback && len(p) == len(line) && isPythonError(p) && nameEnd(p) > 0:
			found, ok, traceback = named(p), true, false
		case python:
		default:
			if e, is := exceptionOf(p, rest); is {
				return e, true
			}
		}
	}
	return found, ok
}

// exceptionOf reads the exception that a line names, if it does.
func exceptionOf(p, rest []byte) (e Exception, ok bool) {
	if message, is := bytes.CutPrefix(p, []byte("panic: ")); is {
		return Exception{p[:len("panic")], message}, true
	}
	if at := bytes.Index(p, []byte("panicked at ")); at > 0 && isRustPanic(p) {
		message, _ := cutLine(rest)
		return Exception{p[at : at+len("panic")], message}, true
	}
	if at := bytes.Index(p, []byte("http: panic serving ")); at >= 0 {
		e.Type = p[at+len("http: "):][:len("panic")]
		_, e.Message, _ = bytes.Cut(p[at+len("http: panic serving "):], []byte(": "))
		return e, true
	}
	p = behindPrefix(p)
	if len(p) < 4 || exceptionName(p) == nameless {
		return e, false
	}
	return named(p), true
}

// named reads an exception's name and message.
func named(p []byte) (e Exception) {
	e.Type = p[:classEnd(p)]
	if at := bytes.Index(p, []byte(": ")); at >= 0 {
		e.Message = p[at+2:]
	}
	return e
}

// behindPrefix skips what stands before an exception that nobody has caught.
func behindPrefix(p []byte) []byte {
	if rest, ok := bytes.CutPrefix(p, []byte(`Exception in thread "`)); ok {
		if at := bytes.Index(rest, []byte(`" `)); at >= 0 {
			return rest[at+2:]
		}
	}
	for _, prefix := range [...]string{"Unhandled exception. ", "Unhandled Exception: ",
		"PHP Fatal error:  Uncaught ", "Fatal error: Uncaught "} {
		if rest, ok := bytes.CutPrefix(p, []byte(prefix)); ok {
			return rest
		}
	}
	return p
}

// cutLine returns the first line of p, and what follows; nil if there is none.
func cutLine(p []byte) (line, rest []byte) {
	if len(p) == 0 {
		return nil, nil
	}
	if at := bytes.IndexByte(p, '\n'); at >= 0 {
		return p[: at : at+1], p[at+1:]
	}
	return p, nil
}

// AppendWithoutHeads appends a record whose lines have heads of the Container Runtime Interface, or
// prefixes of docker compose, with only the first of them, and puts the parts of a line together.
// It is false, and appends nothing, if the first line has neither.
func AppendWithoutHeads(dst, record []byte) ([]byte, bool) {
	line, rest := cutLine(record)
	stream, part, inner := criHead(line)
	if stream == 0 {
		return appendWithoutPrefix(dst, record)
	}
	head := line[:len(line)-len(inner)]
	dst = append(dst, head...)
	if len(head) > 1 && head[len(head)-2] == 'P' {
		dst[len(dst)-2] = 'F'
	}
	dst = append(dst, inner...)
	for len(rest) > 0 {
		if !part {
			dst = append(dst, '\n')
		}
		line, rest = cutLine(rest)
		if stream, part, inner = criHead(line); stream == 0 {
			inner = line
		}
		dst = append(dst, inner...)
	}
	return dst, true
}

// Head returns how much of a record's start is what parsers of single lines know: its first line,
// two where a format's head takes these, or all where it has its parts in all lines.
func Head(record []byte) int {
	end := bytes.IndexByte(record, '\n')
	if end < 0 {
		return len(record)
	}
	first := record[:end]
	if isCSVLog(first) || isMessageQueue(record) || opening(first) == slowQuery {
		return len(record)
	}
	if !isJUL(first) && !isErlangReport(first) {
		return end
	}
	line, _ := cutLine(record[end+1:])
	return end + 1 + len(line)
}

func isErlangReport(p []byte) bool {
	return len(p) > 0 && p[0] == '=' && bytes.Contains(p[:min(len(p), 40)], []byte(" REPORT==== "))
}
