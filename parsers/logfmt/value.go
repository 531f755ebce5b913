package logfmt

import (
	"encoding/binary"
	"math/bits"
	"strconv"
	"unicode/utf8"

	"github.com/longshore/longshore/pipeline/event"
)

// Eight bytes at a time: each constant repeats one byte.
const (
	ones  = 0x0101010101010101
	highs = 0x80 * ones
)

// unusual marks, by their high bits, blanks, control characters, quotes,
// backslashes and bytes from 0x80 on. The lowest mark is always right.
func unusual(w uint64) uint64 {
	quote := (w ^ '"'*ones) - ones
	slash := (w ^ '\\'*ones) - ones
	blank := w - '!'*ones
	return (quote | slash | blank | w) & highs
}

// bare reads a value without quotes, up to the next blank: Plain if JSON has
// nothing to escape in it, Text otherwise.
func bare(p []byte, at int) (event.Value, int) {
	start, kind := at, event.Plain
	for at+8 <= len(p) {
		m := unusual(binary.LittleEndian.Uint64(p[at:]))
		if m != 0 {
			at += bits.TrailingZeros64(m) >> 3
			break
		}
		at += 8
	}
	for at < len(p) && p[at] > ' ' {
		if c := p[at]; c == '"' || c == '\\' || c >= utf8.RuneSelf {
			kind = event.Text
		}
		at++
	}
	return event.Value{Span: between(start, at), Kind: kind}, at
}

// appendUnquoted appends the text of a quoted value with the escapes of Go
// strings. What is no escape stays as it is.
func appendUnquoted(dst, p []byte) []byte {
	for len(p) > 0 {
		if p[0] != '\\' || len(p) == 1 {
			dst = append(dst, p[0])
			p = p[1:]
			continue
		}
		var n int
		dst, n = appendEscape(dst, p)
		p = p[n:]
	}
	return dst
}

// appendEscape appends what the escape at the start of p stands for, and returns its length.
func appendEscape(dst, p []byte) ([]byte, int) {
	switch c := p[1]; c {
	case '"', '\\', '/', '\'':
		return append(dst, c), 2
	case 'n':
		return append(dst, '\n'), 2
	case 'r':
		return append(dst, '\r'), 2
	case 't':
		return append(dst, '\t'), 2
	case 'a':
		return append(dst, '\a'), 2
	case 'b':
		return append(dst, '\b'), 2
	case 'f':
		return append(dst, '\f'), 2
	case 'v':
		return append(dst, '\v'), 2
	case 'x', 'u', 'U':
		return appendNumbered(dst, p)
	}
	return append(dst, p[:2]...), 2
}

// appendNumbered reads \x1b, \u001b and \U0000001b.
func appendNumbered(dst, p []byte) ([]byte, int) {
	digits := 2
	switch p[1] {
	case 'u':
		digits = 4
	case 'U':
		digits = 8
	}
	if len(p) < 2+digits {
		return append(dst, p[:2]...), 2
	}
	n, err := strconv.ParseUint(string(p[2:2+digits]), 16, 32)
	if err != nil {
		return append(dst, p[:2]...), 2
	}
	if p[1] == 'x' {
		return append(dst, byte(n)), 4
	}
	return utf8.AppendRune(dst, rune(n)), 2 + digits
}
