package json

import (
	"unicode/utf8"

	"github.com/longshore/longshore/pipeline/event"
)

// maxDepth bounds objects and arrays within each other.
const maxDepth = 128

// skipSpace returns the index of the first byte from at on that is no blank.
func skipSpace(p []byte, at int) int {
	for at < len(p) && (p[at] == ' ' || p[at] == '\t' || p[at] == '\n' || p[at] == '\r') {
		at++
	}
	return at
}

// A flaw is what a valid value has that its readers may not take.
type flaw uint8

const (
	notUTF8  flaw = 1 << iota
	repeated      // two keys of one object may be equal
	mixed         // an array has integers and other numbers
	tooLarge      // objects are deeper, or of more fields, than Elasticsearch maps
)

// scanValue reads any value. It returns the index behind it, its kind, and what is
// odd about it. The end is negative if the value is not valid.
func scanValue(p []byte, at int) (end int, kind event.Kind, odd flaw) {
	if at >= len(p) {
		return -1, event.None, 0
	}
	switch c := p[at]; c {
	case '"':
		end, kind = String(p, at+1)
		if end < 0 {
			return -1, event.None, 0
		}
		if kind == event.Text {
			return end + 1, event.Escaped, notUTF8
		}
		return end + 1, kind, 0
	case '{', '[':
		return scanWhole(p, at)
	case 't', 'f', 'n':
		end, kind = scanWord(p, at)
		return end, kind, 0
	}
	return scanNumber(p, at), event.Number, 0
}

// scanWhole reads an object or array.
func scanWhole(p []byte, at int) (end int, kind event.Kind, odd flaw) {
	end, odd = scanContainer(p, at)
	if end < 0 {
		return -1, event.None, 0
	}
	if !utf8.Valid(p[at:end]) {
		odd |= notUTF8
	}
	if p[at] == '[' {
		return end, event.Array, odd
	}
	return end, event.Object, odd
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

	objects, arrays int // of those that are open
	keys            int // of objects that are in no array
	odd             flaw
	seen            [watched]contents
}

// contents is what one open object or array has so far: its keys, as bits of
// their hashes, or its kinds of numbers.
type contents struct {
	keys              [2]uint64
	integer, fraction bool
}

// Bounds of what is looked at and mapped. Elasticsearch maps objects up to 20 deep and 1000 fields,
// by default (index.mapping.depth.limit and index.mapping.total_fields.limit).
const (
	watched    = 8 // deeper ones are always looked at again
	mostDeep   = 18
	mostNested = 900
)

func (n *nesting) push(object bool) bool {
	if n.depth == maxDepth {
		return false
	}
	word, bit := n.depth/64, uint64(1)<<(n.depth%64)
	n.bits[word] &^= bit
	if n.depth < watched {
		n.seen[n.depth] = contents{}
	} else {
		n.odd |= repeated | mixed
	}
	n.depth++
	if !object {
		n.arrays++
		return true
	}
	n.bits[word] |= bit
	if n.objects++; n.objects > mostDeep {
		n.odd |= tooLarge
	}
	return true
}

func (n *nesting) pop() {
	if n.inObject() {
		n.objects--
	} else {
		n.arrays--
	}
	n.depth--
}

// key notes the key of an object.
func (n *nesting) key(name []byte) {
	if n.arrays == 0 {
		if n.keys++; n.keys > mostNested {
			n.odd |= tooLarge
		}
	}
	if n.depth > watched {
		return
	}
	h := uint(len(name)) * 31
	if len(name) > 0 {
		h += uint(name[0])*7 + uint(name[len(name)-1])*3 + uint(name[len(name)/2])*13
	}
	word, bit := &n.seen[n.depth-1].keys[h>>6&1], uint64(1)<<(h&63)
	if *word&bit != 0 {
		n.odd |= repeated
	}
	*word |= bit
}

// number notes a number.
func (n *nesting) number(digits []byte) {
	if n.depth > watched || n.inObject() {
		return
	}
	c := &n.seen[n.depth-1]
	if isInteger(digits) {
		c.integer = true
	} else {
		c.fraction = true
	}
	if c.integer && c.fraction {
		n.odd |= mixed
	}
}

func isInteger(number []byte) bool {
	for _, c := range number {
		if c == '.' || c|0x20 == 'e' {
			return false
		}
	}
	return true
}

func (n *nesting) inObject() bool {
	top := n.depth - 1
	return n.bits[top/64]&(1<<(top%64)) != 0
}

// scanContainer reads the object or array that starts at p[at], with all that is in it, without
// recursion. It returns the index behind it, or a negative one, and what is odd about it.
func scanContainer(p []byte, at int) (int, flaw) {
	var open nesting
	for {
		// At a value.
		switch c := byteAt(p, at); c {
		case '{', '[':
			if !open.push(c == '{') {
				return -1, 0
			}
			at = skipSpace(p, at+1)
			if byteAt(p, at) == closing(c) {
				break
			}
			if c == '{' {
				if at = scanKey(p, at, &open); at < 0 {
					return -1, 0
				}
			}
			continue
		default:
			end, kind, _ := scanValue(p, at)
			if end < 0 || kind == event.None {
				return -1, 0
			}
			if kind == event.Number {
				open.number(p[at:end])
			}
			at = skipSpace(p, end)
		}
		// Behind a value, or at the end of an empty container.
		for {
			switch c := byteAt(p, at); {
			case c == '}' && open.inObject(), c == ']' && !open.inObject():
				open.pop()
				at++
				if open.depth == 0 {
					return at, open.odd
				}
				at = skipSpace(p, at)
				continue
			case c != ',':
				return -1, 0
			}
			break
		}
		at = skipSpace(p, at+1)
		if open.inObject() {
			if at = scanKey(p, at, &open); at < 0 {
				return -1, 0
			}
		}
	}
}

// closing returns the bracket that ends what a bracket starts: both are two apart in ASCII.
func closing(c byte) byte { return c + 2 }

// scanKey reads a key and its colon, and returns the index of the value.
func scanKey(p []byte, at int, open *nesting) int {
	if byteAt(p, at) != '"' {
		return -1
	}
	end, kind := String(p, at+1)
	if end < 0 {
		return -1
	}
	if open.key(p[at+1 : end]); kind != event.Plain {
		open.odd |= repeated // an escape may stand for any letter
	}
	at = skipSpace(p, end+1)
	if byteAt(p, at) != ':' {
		return -1
	}
	return skipSpace(p, at+1)
}

// byteAt returns the byte at an index, or 0 behind the end, which is no byte of
// any JSON outside of a string.
func byteAt(p []byte, at int) byte {
	if at < len(p) {
		return p[at]
	}
	return 0
}
