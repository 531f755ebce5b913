package recognize

import (
	"bytes"

	"github.com/longshore/longshore/pipeline/event"
)

// mostFinds bounds how often the word trace is looked at in one line.
const mostFinds = 32

// FindTrace looks for a trace id in text, and for the span beside it, and sets them on
// the record: trace_id=…, traceId: …, "trace.id":"…", traceparent=…, and
// Datadog's dd.trace_id=… with decimal ids. Only the name makes an id a trace.
func FindTrace(rec *event.Record, text []byte) bool {
	t, at := findID(text, "race", true)
	if !t.hasTrace {
		return false
	}
	rec.TraceID = t.trace
	rec.Flags |= event.HasTrace
	if !t.hasSpan {
		// The span mostly stands behind the trace.
		s, _ := findID(text[at:], "pan", false)
		if !s.hasSpan {
			s, _ = findID(text[:at], "pan", false)
		}
		t.span, t.hasSpan = s.span, s.hasSpan
	}
	if t.hasSpan {
		rec.SpanID = t.span
		rec.Flags |= event.HasSpan
	}
	return true
}

// findID finds a name that goes on with the given stem behind its first
// letter, and the id that belongs to it. It also gives where that name stands.
func findID(p []byte, stem string, trace bool) (t ids, at int) {
	first := byte('s')
	if trace {
		first = 't'
	}
	at = 0
	for range mostFinds {
		found := bytes.Index(p[at:], []byte(stem))
		if found < 0 {
			break
		}
		at += found
		behind := p[at+len(stem):]
		if at > 0 && p[at-1]|0x20 == first && (at == 1 || !isAlnum(p[at-2])) {
			datadog := at >= 4 && string(p[at-4:at-1]) == "dd."
			if t = idBehind(behind, trace, datadog); t.hasTrace || t.hasSpan {
				return t, at
			}
		}
		at += len(stem)
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
	end := at
	for end < len(p) && end-at < 64 && (isWordByte(p[end]) || p[end] == '-') {
		end++
	}
	return p[at:end]
}
