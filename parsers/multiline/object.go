package multiline

import (
	"bytes"

	"github.com/longshore/longshore/pipeline/event"
)

// braces counts the brackets of an object that is written over several lines.
type braces struct{ depth int }

// scan takes the next line. Strings do not go on from one line to the next.
func (b *braces) scan(p []byte) {
	for at := 0; at < len(p); at++ {
		switch p[at] {
		case '{', '[':
			b.depth++
		case '}', ']':
			if b.depth > 0 {
				b.depth--
			}
		case '"':
			at = event.StringEnd(p, at+1)
		}
	}
}

// startsArray reports whether a line that starts with a bracket is the first of an
// array, and not one whose time or level is in brackets.
func startsArray(p []byte) bool {
	return len(p) == 1 || p[1] == '{' || p[1] == '"'
}

// isMember reports whether a line can be one of an object's that is not indented.
func isMember(p []byte) bool {
	last := p[len(p)-1]
	switch p[0] {
	case '{', '[':
		return len(p) == 1
	case '"':
		return bytes.Contains(p, []byte(`":`)) || last == '"' || last == ','
	}
	return false
}

// isClosing reports whether a line has nothing but closing brackets, and what may
// stand behind them.
func isClosing(p []byte) bool {
	switch p[0] {
	case '}', ']', ')':
	default:
		return false
	}
	for _, c := range p {
		switch c {
		case '}', ']', ')', ',', ';', ' ':
		default:
			return false
		}
	}
	return true
}
