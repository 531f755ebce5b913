package json

import (
	"unicode/utf8"

	"github.com/longshore/longshore/pipeline/event"
)

// maxDepth bounds objects and arrays within each other.
const maxDepth = 128

// skipSpace gives the index of the first byte from at on that is no blank.
func skipSpace(p []byte, at int) int {
	for at < len(p) && (p[at] == ' ' || p[at] == '\t' || p[at] == '\n' || p[at] == '\r') {
		at++
	}
	return at
}

// scanValue reads any value. It gives the index behind it and its kind. dirty
// says that it is not UTF-8 inside. The end is negative if the value is not
// valid.
func scanValue(p []byte, at int) (end int, kind event.Kind, dirty bool) {
	if at >= len(p) {
		return -1, event.None, false
	}
	switch c := p[at]; c {
	case '"':
		end, kind = String(p, at+1)
		if end < 0 {
			return -1, event.None, false
		}
		if kind == event.Text {
			return end + 1, event.Escaped, true
		}
		return end + 1, kind, false
	case '{', '[':
		end = scanContainer(p, at)
		if end < 0 {
			return -1, event.None, false
		}
		kind = event.Object
		if c == '[' {
			kind = event.Array
		}
		return end, kind, !utf8.Valid(p[at:end])
	case 't', 'f', 'n':
		end, kind = scanWord(p, at)
		return end, kind, false
	}
	return scanNumber(p, at), event.Number, false
}

func scanWord(p []byte, at int) (end int, kind event.Kind) {
	rest := p[at:]
	switch {
	case len(rest) >= 4 && string(rest[:4]) == "true":
		return at + 4, event.Bool
	case len(rest) >= 5 && string(rest[:5]) == "false":
		return at + 5, event.Bool
	case len(rest) >= 4 && string(rest[:4]) == "null":
		return at + 4, event.Null
	}
	return -1, event.None
}

// scanNumber reads a number of RFC 8259's grammar.
func scanNumber(p []byte, at int) int {
	if at < len(p) && p[at] == '-' {
		at++
	}
	start := at
	at = skipDigits(p, at)
	if at == start || at-start > 1 && p[start] == '0' {
		return -1
	}
	if at < len(p) && p[at] == '.' {
		start = at + 1
		if at = skipDigits(p, start); at == start {
			return -1
		}
	}
	if at < len(p) && p[at]|0x20 == 'e' {
		at++
		if at < len(p) && (p[at] == '+' || p[at] == '-') {
			at++
		}
		start = at
		if at = skipDigits(p, start); at == start {
			return -1
		}
	}
	return at
}

func skipDigits(p []byte, at int) int {
	for at < len(p) && '0' <= p[at] && p[at] <= '9' {
		at++
	}
	return at
}

// nesting is a stack of bits, one for each open object (1) or array (0).
type nesting struct {
	bits  [maxDepth / 64]uint64
	depth int
}

func (n *nesting) push(object bool) bool {
	if n.depth == maxDepth {
		return false
	}
	word, bit := n.depth/64, uint64(1)<<(n.depth%64)
	n.bits[word] &^= bit
	if object {
		n.bits[word] |= bit
	}
	n.depth++
	return true
}

func (n *nesting) inObject() bool {
	top := n.depth - 1
	return n.bits[top/64]&(1<<(top%64)) != 0
}

// scanContainer reads the object or array that starts at p[at], with all that is
// in it, without recursion. It gives the index behind it, or a negative one.
func scanContainer(p []byte, at int) int {
	var open nesting
	for {
		// At a value.
		switch c := byteAt(p, at); c {
		case '{', '[':
			if !open.push(c == '{') {
				return -1
			}
			at = skipSpace(p, at+1)
			if byteAt(p, at) == closing(c) {
				break
			}
			if c == '{' {
				if at = scanKey(p, at); at < 0 {
					return -1
				}
			}
			continue
		default:
			var kind event.Kind
			if at, kind, _ = scanValue(p, at); at < 0 || kind == event.None {
				return -1
			}
			at = skipSpace(p, at)
		}
		// Behind a value, or at the end of an empty container.
		for {
			switch c := byteAt(p, at); {
			case c == '}' && open.inObject(), c == ']' && !open.inObject():
				open.depth--
				at++
				if open.depth == 0 {
					return at
				}
				at = skipSpace(p, at)
				continue
			case c != ',':
				return -1
			}
			break
		}
		at = skipSpace(p, at+1)
		if open.inObject() {
			if at = scanKey(p, at); at < 0 {
				return -1
			}
		}
	}
}

// closing gives the bracket that ends what a bracket starts: both are two
// apart in ASCII.
func closing(c byte) byte { return c + 2 }

// scanKey reads a key and its colon, and gives the index of the value.
func scanKey(p []byte, at int) int {
	if byteAt(p, at) != '"' {
		return -1
	}
	end, _ := String(p, at+1)
	if end < 0 {
		return -1
	}
	at = skipSpace(p, end+1)
	if byteAt(p, at) != ':' {
		return -1
	}
	return skipSpace(p, at+1)
}

// byteAt gives the byte at an index, or 0 behind the end, which is no byte of
// any JSON outside of a string.
func byteAt(p []byte, at int) byte {
	if at < len(p) {
		return p[at]
	}
	return 0
}
