package mapping

import "github.com/longshore/longshore/pipeline/event"

// These read JSON that is valid: they bound what they read, and check nothing.

// A member is a name and a value of an object, or a value of an array.
type member struct {
	key        []byte // as it is written, without quotes
	start, end int    // of the value
}

// nextMember returns the member of an object that follows an index, which is behind its brace or
// behind the member before. Without one it returns the index behind the object.
func nextMember(p []byte, at int) (m member, ok bool) {
	at = event.SkipBlanks(p, at)
	if at < len(p) && p[at] == ',' {
		at = event.SkipBlanks(p, at+1)
	}
	if at >= len(p) || p[at] != '"' {
		return member{end: at + 1}, false
	}
	end := event.StringEnd(p, at+1)
	m.key = p[at+1 : end]
	m.start = event.SkipBlanks(p, event.SkipBlanks(p, end+1)+1)
	m.end = valueEnd(p, m.start)
	return m, true
}

// nextElement is nextMember for an array.
func nextElement(p []byte, at int) (m member, ok bool) {
	at = event.SkipBlanks(p, at)
	if at < len(p) && p[at] == ',' {
		at = event.SkipBlanks(p, at+1)
	}
	if at >= len(p) || p[at] == ']' {
		return member{end: at + 1}, false
	}
	m.start, m.end = at, valueEnd(p, at)
	return m, true
}

// valueEnd returns the index behind the value that starts at an index.
func valueEnd(p []byte, at int) int {
	if at >= len(p) {
		return len(p)
	}
	switch p[at] {
	case '"':
		return min(event.StringEnd(p, at+1)+1, len(p))
	case '{', '[':
		return event.NestedEnd(p, at)
	}
	for at < len(p) && p[at] > ' ' && p[at] != ',' && p[at] != '}' && p[at] != ']' {
		at++
	}
	return at
}
