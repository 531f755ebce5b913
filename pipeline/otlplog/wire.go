package otlplog

import (
	"encoding/binary"
	"math/bits"
)

// The tags of the messages, field number and wire type, from opentelemetry-proto 1.x:
// collector/logs/v1/logs_service.proto, logs/v1/logs.proto, common/v1, resource/v1.
const (
	tagResourceLogs = 1<<3 | 2 // of ExportLogsServiceRequest

	tagResource  = 1<<3 | 2 // of ResourceLogs
	tagScopeLogs = 2<<3 | 2

	tagResourceAttribute = 1<<3 | 2

	tagScope     = 1<<3 | 2 // of ScopeLogs
	tagLogRecord = 2<<3 | 2

	tagScopeName      = 1<<3 | 2
	tagScopeVersion   = 2<<3 | 2
	tagScopeAttribute = 3<<3 | 2

	tagTime           = 1<<3 | 1 // of LogRecord
	tagSeverityNumber = 2 << 3
	tagSeverityText   = 3<<3 | 2
	tagBody           = 5<<3 | 2
	tagAttribute      = 6<<3 | 2
	tagDropped        = 7 << 3
	tagFlags          = 8<<3 | 5
	tagTraceID        = 9<<3 | 2
	tagSpanID         = 10<<3 | 2
	tagObservedTime   = 11<<3 | 1
	tagEventName      = 12<<3 | 2

	tagKey   = 1<<3 | 2 // of KeyValue
	tagValue = 2<<3 | 2

	tagString = 1<<3 | 2 // of AnyValue
	tagBool   = 2 << 3
	tagInt    = 3 << 3
	tagDouble = 4<<3 | 1
	tagArray  = 5<<3 | 2
	tagList   = 6<<3 | 2
	tagBytes  = 7<<3 | 2

	tagElement = 1<<3 | 2 // of ArrayValue and KeyValueList
)

func sizeVarint(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }

// sizeField is the size of a field of so many bytes, with a tag of one byte.
func sizeField(n int) int { return 1 + sizeVarint(uint64(n)) + n }

// reserved is the room that openField leaves for a length: most records are of 128 to 16383 bytes.
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

// appendLength appends a tag and a length.
func appendLength(dst []byte, tag byte, n int) []byte {
	if n < 0x80 {
		return append(dst, tag, byte(n))
	}
	return binary.AppendUvarint(append(dst, tag), uint64(n))
}

func appendBytes(dst []byte, tag byte, p []byte) []byte {
	return append(appendLength(dst, tag, len(p)), p...)
}

func appendString(dst []byte, tag byte, s string) []byte {
	return append(appendLength(dst, tag, len(s)), s...)
}

// A wireField is one field of a message: a number, or bytes within the message.
type wireField struct {
	tag   uint64
	bytes []byte // of wire type 2
	num   uint64 // of all others
}

// nextField takes one field off p. It reports false where p is no message. Groups, which nobody
// uses any more, are none.
func nextField(p []byte) (f wireField, rest []byte, ok bool) {
	tag, n := binary.Uvarint(p)
	if n <= 0 || tag>>3 == 0 || tag>>3 > 1<<29-1 {
		return f, nil, false
	}
	f.tag, p = tag, p[n:]
	switch tag & 7 {
	case 0:
		v, n := binary.Uvarint(p)
		if n <= 0 {
			return f, nil, false
		}
		f.num = v
		return f, p[n:], true
	case 1:
		if len(p) < 8 {
			return f, nil, false
		}
		f.num = binary.LittleEndian.Uint64(p)
		return f, p[8:], true
	case 2:
		size, n := binary.Uvarint(p)
		if n <= 0 || size > uint64(len(p)-n) {
			return f, nil, false
		}
		f.bytes = p[n : n+int(size) : n+int(size)]
		return f, p[n+int(size):], true
	case 5:
		if len(p) < 4 {
			return f, nil, false
		}
		f.num = uint64(binary.LittleEndian.Uint32(p))
		return f, p[4:], true
	}
	return f, nil, false
}
