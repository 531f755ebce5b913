package docker

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	// unescapeRoom is what is written behind the end at most.
	unescapeRoom = 8

	eachByte  = 0x0101010101010101
	lowBits   = 0x7f * eachByte
	backslash = '\\' * eachByte
)

// backslashes has the top bit of every byte of w set that is a backslash. Bytes behind the
// first one may be wrong.
func backslashes(w uint64) uint64 {
	w ^= backslash
	return (w - eachByte) &^ w & (0x80 * eachByte)
}

// unescape writes what stands in a JSON string, without its quotes, to dst, which has room for
// len(p)+unescapeRoom bytes and is no part of p. It reports false if a quote stands there bare, or an escape is none. Bytes that JSON does
// not allow in a string are taken as they are.
//
// A line of JSON within JSON has an escape every few bytes: so eight bytes are copied at a time,
// and those behind a backslash again.
func unescape(dst, p []byte) (n int, ok bool) {
	i, quotes := 0, 0
	for i+8 <= len(p) {
		w := binary.LittleEndian.Uint64(p[i:])
		binary.LittleEndian.PutUint64(dst[n:], w)
		m := backslashes(w)
		if m == 0 {
			i, n = i+8, n+8
			continue
		}
		k := bits.TrailingZeros64(m) >> 3
		i, n = i+k, n+k
		if i+1 < len(p) && p[i+1] == '"' {
			dst[n] = '"'
			i, n, quotes = i+2, n+1, quotes+1
			continue
		}
		used, wrote := unescapeOne(dst[n:], p[i:])
		if used == 0 {
			return n, false
		}
		i, n = i+used, n+wrote
	}
	for i < len(p) {
		if p[i] != '\\' {
			dst[n] = p[i]
			i, n = i+1, n+1
			continue
		}
		used, wrote := unescapeOne(dst[n:], p[i:])
		if used == 0 {
			return n, false
		}
		if p[i+1] == '"' {
			quotes++
		}
		i, n = i+used, n+wrote
	}
	return n, bytes.Count(p, quote) == quotes
}

var quote = []byte{'"'}

// unescapeOne writes what the escape at the start of p stands for. It gives 0 for what is none.
func unescapeOne(dst, p []byte) (used, wrote int) {
	if len(p) < 2 {
		return 0, 0
	}
	switch c := p[1]; c {
	case '"', '\\', '/':
		dst[0] = c
	case 'n':
		dst[0] = '\n'
	case 'r':
		dst[0] = '\r'
	case 't':
		dst[0] = '\t'
	case 'b':
		dst[0] = '\b'
	case 'f':
		dst[0] = '\f'
	case 'u':
		return unescapeRune(dst, p)
	default:
		return 0, 0
	}
	return 2, 1
}

// unescapeRune is unescapeOne for \uXXXX, or a pair of them.
func unescapeRune(dst, p []byte) (used, wrote int) {
	r := hex4(p)
	if r < 0 {
		return 0, 0
	}
	used = 6
	if utf16.IsSurrogate(r) {
		pair := utf16.DecodeRune(r, hex4(p[6:]))
		if r = pair; pair != utf8.RuneError {
			used = 12
		}
	}
	return used, utf8.EncodeRune(dst[:utf8.UTFMax], r)
}

// hex4 reads \uXXXX at the start of p; -1 if there is anything else.
func hex4(p []byte) rune {
	if len(p) < 6 || p[0] != '\\' || p[1] != 'u' {
		return -1
	}
	r := rune(0)
	for _, c := range p[2:6] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}
