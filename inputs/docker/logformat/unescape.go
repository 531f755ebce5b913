package logformat

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

	// unescapeRoom is how far unescape may write behind its result.
	unescapeRoom = 8
)

// zeroes returns w with the top bit of every zero byte set, and no other.
func zeroes(w uint64) uint64 { return ^((w&lowBits + lowBits) | w | lowBits) }

// unescape writes the text of a JSON string without its quotes to dst, which must be unescapeRoom
// bytes longer than p and must not overlap it. It reports false at a bare quote or an escape that
// is not valid. Bytes that JSON does not allow in a string are kept.
//
// JSON within JSON has an escape every few bytes, nearly all of them quotes. So it takes eight
// bytes at a time and, where their backslashes all stand before quotes and their quotes behind
// backslashes, removes these from the word.
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

// unescapeNext is unescape up to and with the next escape. It returns 0 for what is not allowed.
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

// unescapeOne writes what the escape at the start of p stands for. It returns 0 if it is not valid.
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
