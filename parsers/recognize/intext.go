package recognize

import (
	"bytes"

	"github.com/longshore/longshore/pipeline/event"
)

// FindTrace looks for a trace id in text, and for the span beside it, and sets them on
// the record: trace_id=…, traceId: …, "trace.id":"…", traceparent=…, and
// Datadog's dd.trace_id=… with decimal ids. Only the name makes an id a trace.
func FindTrace(rec *event.Record, text []byte) bool {
	t, at := findID(text, &traceStem, true)
	if !t.hasTrace {
		return false
	}
	rec.TraceID = t.trace
	rec.Flags |= event.HasTrace
	if !t.hasSpan {
		// The span mostly stands behind the trace.
		s, _ := findID(text[at:], &spanStem, false)
		if !s.hasSpan {
			s, _ = findID(text[:at], &spanStem, false)
		}
		t.span, t.hasSpan = s.span, s.hasSpan
	}
	if t.hasSpan {
		rec.SpanID = t.span
		rec.Flags |= event.HasSpan
	}
	return true
}

// A stem is a name as it is looked for: by a letter of it that is rare.
type stem struct {
	rare   byte
	before string // in it, behind its first letter
	behind string
}

var (
	traceStem = stem{'c', "ra", "e"}
	spanStem  = stem{'p', "", "an"}
)

// findID finds a name, and the id that belongs to it. It also gives where that
// name stands.
func findID(p []byte, s *stem, trace bool) (t ids, at int) {
	first := byte('s')
	if trace {
		first = 't'
	}
	for at < len(p) {
		found := bytes.IndexByte(p[at:], s.rare)
		if found < 0 {
			break
		}
		at += found + 1
		start := at - 1 - len(s.before)
		end := at + len(s.behind)
		if start < 1 || end > len(p) || p[start-1]|0x20 != first || string(p[start:at-1]) != s.before || string(p[at:end]) != s.behind ||
			start > 1 && isAlnum(p[start-2]) {
			continue
		}
		datadog := start >= 4 && string(p[start-4:start-1]) == "dd."
		if t = idBehind(p[end:], trace, datadog); t.hasTrace || t.hasSpan {
			return t, start
		}
	}
	return ids{}, 0
}

func isAlnum(c byte) bool { return isWordByte(c) && c != '_' }

// idBehind reads what follows "trace" or "span": the rest of the name, a sign
// between, and the id.
func idBehind(p []byte, trace, datadog bool) (t ids) {
	if trace && bytes.HasPrefix(p, []byte("parent")) {
		return traceparent(idToken(p[len("parent"):]))
	}
	if len(p) > 0 && (p[0] == '_' || p[0] == '-' || p[0] == '.') {
		p = p[1:]
	}
	if len(p) < 2 || p[0]|0x20 != 'i' || p[1]|0x20 != 'd' {
		return t
	}
	form := formAny
	if datadog {
		form = formDatadog
	}
	token := idToken(p[2:])
	if len(token) == 0 {
		return t
	}
	if trace {
		return traceOf(token, form)
	}
	return spanOf(token, form)
}

// idToken gives the id behind a sign: `=id`, `: id`, `":"id"`, `\":\"id`, "=[id]".
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
	if bytes.HasPrefix(p[at:], []byte("Root=")) { // X-Ray's header
		at += len("Root=")
	}
	end := at
	for end < len(p) && end-at < 64 && (isWordByte(p[end]) || p[end] == '-') {
		end++
	}
	return p[at:end]
}
