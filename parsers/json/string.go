package json

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"

	"github.com/longshore/longshore/pipeline/event"
)

// String reads a JSON string whose opening quote is at p[at-1]. It returns the index of the closing
// quote, and what the inside is: Plain, Escaped, or Text where it is not UTF-8 and must be mended
// (it may have escapes besides). The end is negative if there is no valid string.
func String(p []byte, at int) (end int, kind event.Kind) {
	start := at
	for ; at+8 <= len(p); at += 8 {
		m := event.Special(binary.LittleEndian.Uint64(p[at:]))
		if m == 0 {
			continue
		}
		at += bits.TrailingZeros64(m) >> 3
		if p[at] == '"' {
			return at, event.Plain
		}
		break
	}
	return scanUnusual(p, start, at)
}

// scanUnusual goes on at p[at] with a string that started at p[start].
func scanUnusual(p []byte, start, at int) (end int, kind event.Kind) {
	kind = event.Plain
	var high byte
	for at < len(p) {
		c := p[at]
		switch {
		case c == '"':
			if high >= utf8.RuneSelf && !utf8.Valid(p[start:at]) {
				kind = event.Text
			}
			return at, kind
		case c == '\\':
			n := escapeLen(p[at:])
			if n == 0 {
				return -1, event.None
			}
			kind = event.Escaped
			at += n
		case c < ' ':
			return -1, event.None
		default:
			high |= c
			at = skipPlain(p, at+1)
		}
	}
	return -1, event.None
}

// skipPlain skips eight bytes of plain ASCII at a time.
func skipPlain(p []byte, at int) int {
	for at+8 <= len(p) && event.Special(binary.LittleEndian.Uint64(p[at:])) == 0 {
		at += 8
	}
	return at
}

// escapeLen returns the length of the valid escape at the start of p, or 0.
func escapeLen(p []byte) int {
	if len(p) < 2 || p[0] != '\\' {
		return 0
	}
	switch p[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(p) >= 6 && isHex(p[2]) && isHex(p[3]) && isHex(p[4]) && isHex(p[5]) {
			return 6
		}
	}
	return 0
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}
