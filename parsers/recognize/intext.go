package recognize

import (
	"bytes"

	"github.com/longshore/longshore/pipeline/event"
)

// nearby is how far from its trace a span is looked for.
const nearby = 256

// FindTrace looks for a trace id in text, and for the span beside it, and sets them on
// the record: trace_id=…, traceId: …, "trace.id":"…", traceparent=…, and
// Datadog's dd.trace_id=… with decimal ids. Only the name makes an id a trace.
func FindTrace(rec *event.Record, text []byte) bool {
	var t ids
	at := findID(&t, text, true)
	if !t.hasTrace {
		return false
	}
	rec.TraceID = t.trace
	rec.Flags |= event.HasTrace
	if !t.hasSpan { // it mostly stands behind the trace
		if findID(&t, text[at:min(len(text), at+nearby)], false); !t.hasSpan {
			findID(&t, text[max(0, at-nearby):at], false)
		}
	}
	if t.hasSpan {
		rec.SpanID = t.span
		rec.Flags |= event.HasSpan
	}
	return true
}

// findID finds the word trace or span, and the id that belongs to it, and returns
// where the word stands. Each is looked for by a letter that is rare.
func findID(t *ids, p []byte, trace bool) (at int) {
	rare := byte('p')
	if trace {
		rare = 'c'
	}
	for at < len(p) {
		found := bytes.IndexByte(p[at:], rare)
		if found < 0 {
			break
		}
		at += found + 1
		start, end := stemAt(p, at, trace)
		if end == 0 || start > 0 && isPartOfAWord(p[:start]) {
			continue
		}
		datadog := start >= 3 && string(p[start-3:start]) == "dd."
		if idBehind(t, p[end:], trace, datadog) {
			return start
		}
	}
	return 0
}

// isPartOfAWord reports whether what stands before a name makes it part of another:
// a stack's trace, mytrace.
func isPartOfAWord(before []byte) bool {
	c := before[len(before)-1]
	return isAlnum(c) || (c == '_' || c == '-') && bytes.HasSuffix(before[:len(before)-1], []byte("stack"))
}

// stemAt returns where trace or span, of which a letter stands before p[at], start
// and end; the end is 0 if that is another word.
func stemAt(p []byte, at int, trace bool) (start, end int) {
	if at >= len(p) {
		return 0, 0
	}
	if trace {
		if p[at] != 'e' || at < 4 || p[at-2] != 'a' || p[at-3] != 'r' || p[at-4]|0x20 != 't' {
			return 0, 0
		}
		return at - 4, at + 1
	}
	if p[at] != 'a' || at < 2 || p[at-2]|0x20 != 's' || at+1 >= len(p) || p[at+1] != 'n' {
		return 0, 0
	}
	return at - 2, at + 2
}

func isAlnum(c byte) bool { return isWordByte(c) && c != '_' }

// idBehind reads what follows "trace" or "span": the rest of the name, a sign between, and the id.
func idBehind(t *ids, p []byte, trace, datadog bool) bool {
	if trace && len(p) > 0 && p[0] == 'p' && bytes.HasPrefix(p, []byte("parent")) {
		*t = traceparent(idToken(p[len("parent"):]))
		return t.hasTrace
	}
	if len(p) > 0 && (p[0] == '_' || p[0] == '-' || p[0] == '.') {
		p = p[1:]
	}
	if len(p) < 2 || p[0]|0x20 != 'i' || p[1]|0x20 != 'd' {
		return false
	}
	form := formAny
	if datadog {
		form = formDatadog
	}
	token := idToken(p[2:])
	switch {
	case len(token) == 0:
		return false
	case !trace:
		s := spanOf(token, form)
		t.span, t.hasSpan = s.span, s.hasSpan
		return s.hasSpan
	case len(token) == 32: // as most are
		t.hasTrace = hexTrace(&t.trace, token)
	default:
		*t = traceOf(token, form)
	}
	return t.hasTrace
}

// idToken returns the id behind a sign: `=id`, `: id`, `":"id"`, `\":\"id`, "=[id]".
func idToken(p []byte) []byte {
	at, signs := 0, 0
	for at < len(p) && at < 8 && !isWordByte(p[at]) {
		switch p[at] {
		case '=', ':':
			signs++
		case ' ', '"', '\'', '\\', '[', '(':
		default:
			return nil
		}
		at++
	}
	if signs != 1 {
		return nil
	}
	if at < len(p) && p[at] == 'R' && bytes.HasPrefix(p[at:], []byte("Root=")) { // X-Ray's header
		at += len("Root=")
	}
	p = p[at:min(len(p), at+64)]
	for end, c := range p {
		if !idBytes[c] {
			return p[:end]
		}
	}
	return p
}

// idBytes are those that ids are written with.
var idBytes = func() (t [256]bool) {
	t = wordBytes
	t['-'] = true
	return t
}()
