package loki

import (
	"math/bits"
	"strings"
)

// The tags of logproto's messages, from pkg/push/push.proto of Loki: field
// number and wire type 2 (length-delimited), but for the numbers in a timestamp.
const (
	tagRequestStream = 1<<3 | 2
	tagStreamLabels  = 1<<3 | 2
	tagStreamEntry   = 2<<3 | 2
	tagEntryTime     = 1<<3 | 2
	tagEntryLine     = 2<<3 | 2
	tagEntryMetadata = 3<<3 | 2
	tagPairName      = 1<<3 | 2
	tagPairValue     = 2<<3 | 2
	tagSeconds       = 1 << 3
	tagNanos         = 2 << 3
)

func appendVarint(dst []byte, v uint64) []byte {
	for v >= 0x80 {
		dst = append(dst, byte(v)|0x80)
		v >>= 7
	}
	return append(dst, byte(v))
}

func sizeVarint(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }

// readVarint gives a number and what follows it; ok is false where there is
// none.
func readVarint(p []byte) (v uint64, rest []byte, ok bool) {
	for i, c := range p {
		if i == 10 {
			break
		}
		v |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			return v, p[i+1:], true
		}
	}
	return 0, nil, false
}

// readField takes one length-delimited field off p.
func readField(p []byte) (tag byte, value, rest []byte, ok bool) {
	if len(p) == 0 {
		return 0, nil, nil, false
	}
	n, after, ok := readVarint(p[1:])
	if !ok || n > uint64(len(after)) {
		return 0, nil, nil, false
	}
	return p[0], after[:n], after[n:], true
}

// reserved is the room that openField leaves for a length: two bytes are right
// for 128 to 16383, which most lines are.
const reserved = 2

// openField appends a tag and room for a length. What is appended next is the
// field's value, up to closeField.
func openField(dst []byte, tag byte) (_ []byte, start int) {
	dst = append(dst, tag, 0, 0)
	return dst, len(dst)
}

// closeField writes the length of what was appended since openField, moving it
// where the length needs more or less room.
func closeField(dst []byte, start int) []byte {
	n := len(dst) - start
	width := sizeVarint(uint64(n))
	at := start - reserved
	switch {
	case width > reserved:
		dst = append(dst, 0, 0, 0)[:len(dst)+width-reserved]
		copy(dst[at+width:], dst[start:start+n])
	case width < reserved:
		copy(dst[at+width:], dst[start:])
		dst = dst[:len(dst)+width-reserved]
	}
	for v := uint64(n); ; at++ {
		if v < 0x80 {
			dst[at] = byte(v)
			return dst
		}
		dst[at] = byte(v) | 0x80
		v >>= 7
	}
}

// appendTime appends a google.protobuf.Timestamp as the field of an entry. Zeros
// are left out, as everywhere in proto3.
func appendTime(dst []byte, ns int64) []byte {
	sec, nanos := ns/1e9, ns%1e9
	if nanos < 0 {
		sec, nanos = sec-1, nanos+1e9
	}
	dst = append(dst, tagEntryTime, 0)
	start := len(dst)
	if sec != 0 {
		dst = append(dst, tagSeconds)
		dst = appendVarint(dst, uint64(sec))
	}
	if nanos != 0 {
		dst = append(dst, tagNanos)
		dst = appendVarint(dst, uint64(nanos))
	}
	dst[start-1] = byte(len(dst) - start) // at most 17
	return dst
}

// appendPair appends one pair of structured metadata as the field of an entry;
// nothing without a value.
func appendPair(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	size := 2 + len(name) + sizeVarint(uint64(len(value))) + 1 + len(value)
	dst = append(dst, tagEntryMetadata)
	dst = appendVarint(dst, uint64(size))
	dst = append(dst, tagPairName, byte(len(name)))
	dst = append(dst, name...)
	dst = append(dst, tagPairValue)
	dst = appendVarint(dst, uint64(len(value)))
	return append(dst, value...)
}

// hexPairHead gives what stands before the digits of a pair whose value is size bytes in
// hex, up to 16.
func hexPairHead(name string, size int) string {
	pair := appendPair(nil, name, strings.Repeat("0", 2*size))
	return string(pair[:len(pair)-2*size])
}
