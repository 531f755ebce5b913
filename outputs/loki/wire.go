package loki

import (
	"encoding/binary"
	"math/bits"
	"strings"
)

// The tags of logproto's messages, from pkg/push/push.proto of Loki: field number and wire type.
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

func sizeVarint(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }

// readVarint returns a number and what follows it.
func readVarint(p []byte) (v uint64, rest []byte, ok bool) {
	v, n := binary.Uvarint(p)
	if n <= 0 {
		return 0, nil, false
	}
	return v, p[n:], true
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

// reserved is the room that openField leaves for a length: most lines are of 128 to 16383 bytes.
const reserved = 2

// openField appends a tag and room for a length. The field's value is what is appended up to
// closeField.
func openField(dst []byte, tag byte) (_ []byte, start int) {
	dst = append(dst, tag, 0, 0)
	return dst, len(dst)
}

// closeField writes the length of what was appended since openField, moving it if necessary.
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
	binary.PutUvarint(dst[at:], uint64(n))
	return dst
}

// appendTime appends a google.protobuf.Timestamp as the field of an entry. proto3 leaves zeros out.
func appendTime(dst []byte, ns int64) []byte {
	sec, nanos := ns/1e9, ns%1e9
	if nanos < 0 {
		sec, nanos = sec-1, nanos+1e9
	}
	dst = append(dst, tagEntryTime, 0)
	start := len(dst)
	if sec != 0 {
		dst = append(dst, tagSeconds)
		dst = binary.AppendUvarint(dst, uint64(sec))
	}
	if nanos != 0 {
		dst = append(dst, tagNanos)
		dst = binary.AppendUvarint(dst, uint64(nanos))
	}
	dst[start-1] = byte(len(dst) - start) // at most 17
	return dst
}

// appendPair appends a pair of structured metadata as the field of an entry, unless it has no
// value.
func appendPair(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	size := 2 + len(name) + sizeVarint(uint64(len(value))) + 1 + len(value)
	dst = append(dst, tagEntryMetadata)
	dst = binary.AppendUvarint(dst, uint64(size))
	dst = append(dst, tagPairName, byte(len(name)))
	dst = append(dst, name...)
	dst = append(dst, tagPairValue)
	dst = binary.AppendUvarint(dst, uint64(len(value)))
	return append(dst, value...)
}

// hexPairHead returns what precedes the digits of a pair whose value is size bytes in hex, up to
// 16.
func hexPairHead(name string, size int) string {
	pair := appendPair(nil, name, strings.Repeat("0", 2*size))
	return string(pair[:len(pair)-2*size])
}
