package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// The ledger's file is a header and then frames, each appended whole:
//
//	header  "longshore ledger 1\n"
//	frame   length uint32 | CRC-32C of the payload uint32 | payload
//
// Integers are little endian; inside a payload they are varints, and strings
// have their length before them. A payload starts with its kind:
//
//	'S' a source was minted:  id, input, key
//	'P' its progress:         id, resume position, resume state,
//	                          count of tracks, each: route, reserved, count of spans, each: from, to
//	                          count of time marks, each: position, time
//	'F' it is forgotten:      id
const header = "longshore ledger 1\n"

const (
	frameHead = 8
	// maxFrame bounds what a length read from disk is believed.
	maxFrame = 16 << 20
)

const (
	kindSource   = 'S'
	kindProgress = 'P'
	kindForget   = 'F'
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errFrame = errors.New("damaged frame")

// entry is a decoded payload.
type entry struct {
	kind   byte
	id     event.SourceID
	input  string
	key    string
	resume pipeline.Cursor
	tracks []trackEntry
	times  []TimeMark
}

type trackEntry struct {
	route    string
	reserved uint64
	acked    ranges
}

// appendFrame appends an entry as a frame.
func appendFrame(dst []byte, e *entry) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, frameHead)...)
	dst = appendPayload(dst, e)
	payload := dst[start+frameHead:]
	binary.LittleEndian.PutUint32(dst[start:], uint32(len(payload)))
	binary.LittleEndian.PutUint32(dst[start+4:], crc32.Checksum(payload, castagnoli))
	return dst
}

func appendPayload(dst []byte, e *entry) []byte {
	dst = append(dst, e.kind)
	dst = binary.AppendUvarint(dst, uint64(e.id))
	switch e.kind {
	case kindSource:
		dst = appendString(dst, e.input)
		dst = appendString(dst, e.key)
	case kindProgress:
		dst = binary.AppendUvarint(dst, e.resume.Pos)
		dst = appendString(dst, e.resume.State)
		dst = binary.AppendUvarint(dst, uint64(len(e.tracks)))
		for _, t := range e.tracks {
			dst = appendString(dst, t.route)
			dst = binary.AppendUvarint(dst, t.reserved)
			dst = binary.AppendUvarint(dst, uint64(len(t.acked)))
			for _, s := range t.acked {
				dst = binary.AppendUvarint(dst, s.from)
				dst = binary.AppendUvarint(dst, s.to)
			}
		}
		dst = binary.AppendUvarint(dst, uint64(len(e.times)))
		for _, m := range e.times {
			dst = binary.AppendUvarint(dst, m.Pos)
			dst = binary.AppendVarint(dst, m.Time)
		}
	}
	return dst
}

func appendString[T string | []byte](dst []byte, s T) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

// readFrame decodes the frame at the start of p and gives its length in bytes.
// Any damage, a torn end among it, is errFrame.
func readFrame(p []byte) (entry, int, error) {
	if len(p) < frameHead {
		return entry{}, 0, errFrame
	}
	length := int(binary.LittleEndian.Uint32(p))
	if length > maxFrame || length > len(p)-frameHead {
		return entry{}, 0, errFrame
	}
	payload := p[frameHead : frameHead+length]
	if crc32.Checksum(payload, castagnoli) != binary.LittleEndian.Uint32(p[4:]) {
		return entry{}, 0, errFrame
	}
	e, err := readPayload(payload)
	return e, frameHead + length, err
}

func readPayload(p []byte) (entry, error) {
	d := decoder{p: p}
	e := entry{kind: d.byte(), id: event.SourceID(d.uint())}
	switch e.kind {
	case kindSource:
		e.input, e.key = string(d.bytes()), string(d.bytes())
	case kindProgress:
		e.resume.Pos = d.uint()
		e.resume.State = append([]byte(nil), d.bytes()...)
		for n := d.count(); n > 0 && d.err == nil; n-- {
			e.tracks = append(e.tracks, d.track())
		}
		for n := d.count(); n > 0 && d.err == nil; n-- {
			e.times = append(e.times, TimeMark{d.uint(), d.int()})
		}
	case kindForget:
	default:
		return entry{}, fmt.Errorf("%w: unknown kind %q", errFrame, e.kind)
	}
	if d.err == nil && len(d.p) > 0 {
		d.err = errFrame
	}
	return e, d.err
}

// decoder reads a payload; after the first error all it gives is zero.
type decoder struct {
	p   []byte
	err error
}

func (d *decoder) fail() { d.p, d.err = nil, errFrame }

func (d *decoder) byte() byte {
	if len(d.p) == 0 {
		d.fail()
		return 0
	}
	c := d.p[0]
	d.p = d.p[1:]
	return c
}

func (d *decoder) uint() uint64 {
	n, size := binary.Uvarint(d.p)
	if size <= 0 {
		d.fail()
		return 0
	}
	d.p = d.p[size:]
	return n
}

func (d *decoder) int() int64 {
	n, size := binary.Varint(d.p)
	if size <= 0 {
		d.fail()
		return 0
	}
	d.p = d.p[size:]
	return n
}

// count reads a number of things that take a byte each at the least.
func (d *decoder) count() int {
	n := d.uint()
	if n > uint64(len(d.p)) {
		d.fail()
		return 0
	}
	return int(n)
}

func (d *decoder) bytes() []byte {
	n := d.count()
	p := d.p[:n]
	d.p = d.p[n:]
	return p
}

func (d *decoder) track() trackEntry {
	t := trackEntry{route: string(d.bytes()), reserved: d.uint()}
	for n := d.count(); n > 0 && d.err == nil; n-- {
		from := d.uint()
		t.acked.add(from, d.uint())
	}
	return t
}
