package receive

import (
	"bytes"

	"github.com/longshore/longshore/pipeline/event"
)

// These walk through JSON that is valid. What is not costs bounded time, and means nothing.

// Members calls each for the members of a JSON object, in their order, until it returns false. name
// is the inside of a string, and value the JSON of the value.
func Members(object []byte, each func(name, value []byte) bool) {
	at := event.SkipBlanks(object, 0)
	if at >= len(object) || object[at] != '{' {
		return
	}
	for at++; ; {
		at = skipTo(object, at, '"', '}')
		if at >= len(object) || object[at] == '}' {
			return
		}
		end := event.StringEnd(object, at+1)
		name := object[at+1 : max(at+1, end)]
		at = skipTo(object, min(end+1, len(object)), ':', ':')
		value, after := valueAt(object, min(at+1, len(object)))
		if !each(name, value) {
			return
		}
		at = after
	}
}

// Elements calls each for the elements of a JSON array, in their order, until it returns false.
func Elements(array []byte, each func(value []byte) bool) {
	at := event.SkipBlanks(array, 0)
	if at >= len(array) || array[at] != '[' {
		return
	}
	for at++; ; {
		at = event.SkipBlanks(array, at)
		if at < len(array) && array[at] == ',' {
			at = event.SkipBlanks(array, at+1)
		}
		if at >= len(array) || array[at] == ']' {
			return
		}
		value, after := valueAt(array, at)
		if !each(value) {
			return
		}
		at = after
	}
}

// skipTo returns the index of one of two bytes, from an index on, or the end.
func skipTo(p []byte, at int, a, b byte) int {
	for at < len(p) && p[at] != a && p[at] != b {
		at++
	}
	return at
}

// valueAt returns the value that begins at an index, and the index behind it, which is greater.
func valueAt(p []byte, at int) (value []byte, after int) {
	at = event.SkipBlanks(p, at)
	if at >= len(p) {
		return nil, len(p)
	}
	end := at + 1
	switch p[at] {
	case '"':
		end = min(event.StringEnd(p, at+1)+1, len(p))
	case '{', '[':
		end = event.NestedEnd(p, at)
	default:
		for end < len(p) && p[end] > ' ' && p[end] != ',' && p[end] != '}' && p[end] != ']' {
			end++
		}
	}
	return p[at:end], end
}

// Text returns what a JSON string says, ok is false where a value is none. It may be a part of the
// value.
func Text(value []byte) (text []byte, ok bool) {
	if len(value) < 2 || value[0] != '"' {
		return nil, false
	}
	return Unescaped(value[1 : len(value)-1]), true
}

// Unescaped returns what the inside of a JSON string says. It may be that itself.
func Unescaped(inside []byte) []byte {
	if bytes.IndexByte(inside, '\\') < 0 {
		return inside
	}
	return event.AppendUnescaped(nil, inside)
}
