package docker

import (
	"encoding/binary"
	"unicode/utf8"

	"github.com/longshore/longshore/pipeline/event"
)

const (
	eachByte    = 0x0101010101010101
	lowBits     = 0x7f * eachByte
	backslashes = '\\' * eachByte
	quotes      = '"' * eachByte

	// unescapeRoom is what is written behind the result at most.
	unescapeRoom = 8
)

// zeroes has the top bit of every byte of w set that is zero.
func zeroes(w uint64) uint64 { return ^((w&lowBits + lowBits) | w | lowBits) }

// unescape writes what stands in a JSON string, without its quotes, to dst, which has
// unescapeRoom bytes more than p and shares nothing with it. It reports false if a quote stands
// there bare, or an escape is none. Bytes that JSON does not allow in a string are taken as they are.
//
// A line of JSON within JSON has an escape every few bytes, nearly all of them quotes. So eight bytes are taken
// at a time, and where their backslashes all stand before quotes, and all their quotes behind
// backslashes, these are taken out of the word.
func unescape(dst, p []byte) (n int, ok bool) {
	i, carry := 0, uint64(0) // the top bit of the lowest byte: the byte before was a backslash
	for i+8 <= len(p) {
		w := binary.LittleEndian.Uint64(p[i:])
		escapes := zeroes(w ^ backslashes)
		if zeroes(w^quotes) != escapes<<8|carry {
			i -= int(carry >> 7)
			used, wrote := unescapeNext(dst[n:], p[i:])
			if used == 0 {
				return n, false
			}
			i, n, carry = i+used, n+wrote, 0
			continue
		}
		carry = escapes >> 63 << 7
		i += 8
		if escapes == 0 {
			binary.LittleEndian.PutUint64(dst[n:], w)
			n += 8
			continue
		}
		left := 8
		for ; escapes != 0; left-- {
			first := escapes & -escapes
			below := first>>7 - 1
			w = w&below | w>>8&^below
			escapes = (escapes ^ first) >> 8
		}
		binary.LittleEndian.PutUint64(dst[n:], w)
		n += left
	}
	for i -= int(carry >> 7); i < len(p); {
		used, wrote := unescapeNext(dst[n:], p[i:])
		if used == 0 {
			return n, false
		}
		i, n = i+used, n+wrote
	}
	return n, true
}

// unescapeNext is unescape up to behind the next escape. It gives 0 for what is not allowed.
func unescapeNext(dst, p []byte) (used, wrote int) {
	for used < len(p) && p[used] != '\\' {
		if p[used] == '"' {
			return 0, 0
		}
		dst[used] = p[used]
		used++
	}
	if used == len(p) {
		return used, used
	}
	more, wrote := unescapeOne(dst[used:], p[used:])
	if more == 0 {
		return 0, 0
	}
	return used + more, used + wrote
}

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
		r, used := event.UnescapeRune(p[2:])
		if used == 0 {
			return 0, 0
		}
		return 2 + used, utf8.EncodeRune(dst[:utf8.UTFMax], r)
	default:
		return 0, 0
	}
	return 2, 1
}
