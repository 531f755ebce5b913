package ledger

import (
	"encoding/binary"
	"errors"
	"hash/crc32"

	"github.com/longshore/longshore/agent/disk/payload"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// The ledger's file is a header and then frames, each appended whole:
//
//	header  "longshore ledger 1\n"
//	frame   length uint32 | CRC-32C of the payload uint32 | payload
//
// Integers are little endian; inside a payload they are varints, and strings are preceded by their
// length. A payload starts with its kind and a source's id:
//
//	'S' a source is created:    id, input, key
//	'P' its progress:           id, resume position, resume state,
//	                            count of tracks, each: route, reserved,
//	                                count of spans, each: from, to
//	                            count of time anchors, each: position, time
//	'C' new timeout boundaries: id, count, each: distance from the one before
//	'O' a route's origin:       id, route, position, target,
//	                            count of previous targets, each: until, target
//	'F' a source is removed:    id
//	'N' the observer's note:    0, the note
//
// Kinds and further fields that a later version adds are ignored.
const header = "longshore ledger 1\n"

const (
	frameHead = 8
	maxFrame  = 16 << 20 // longer lengths are taken for damage

	kindSource     = 'S'
	kindProgress   = 'P'
	kindBoundaries = 'C'
	kindOrigin     = 'O'
	kindRemoved    = 'F'
	kindNote       = 'N'
)

var (
	kinds      = []byte{kindSource, kindProgress, kindBoundaries, kindOrigin, kindRemoved, kindNote}
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	errFrame   = errors.New("damaged frame")
)

// entry is a decoded payload.
type entry struct {
	kind       byte
	id         event.SourceID
	input, key string
	resume     pipeline.Cursor
	tracks     []trackEntry
	anchors    []TimeAnchor
	boundaries []uint64
	route      string
	origin     origin
	note       []byte
}

type trackEntry struct {
	route    string
	reserved uint64
	acked    Positions
}

// appendFrame appends an entry as a frame.
func appendFrame(dst []byte, e *entry) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, frameHead)...)
	dst = appendPayload(dst, e)
	p := dst[start+frameHead:]
	binary.LittleEndian.PutUint32(dst[start:], uint32(len(p)))
	binary.LittleEndian.PutUint32(dst[start+4:], crc32.Checksum(p, castagnoli))
	return dst
}

func appendPayload(dst []byte, e *entry) []byte {
	dst = append(dst, e.kind)
	dst = binary.AppendUvarint(dst, uint64(e.id))
	switch e.kind {
	case kindSource:
		dst = payload.AppendString(dst, e.input)
		dst = payload.AppendString(dst, e.key)
	case kindProgress:
		dst = binary.AppendUvarint(dst, e.resume.Pos)
		dst = payload.AppendString(dst, e.resume.State)
		dst = binary.AppendUvarint(dst, uint64(len(e.tracks)))
		for _, t := range e.tracks {
			dst = payload.AppendString(dst, t.route)
			dst = binary.AppendUvarint(dst, t.reserved)
			dst = binary.AppendUvarint(dst, uint64(len(t.acked)))
			for _, s := range t.acked {
				dst = binary.AppendUvarint(dst, s.from)
				dst = binary.AppendUvarint(dst, s.to)
			}
		}
		dst = binary.AppendUvarint(dst, uint64(len(e.anchors)))
		for _, m := range e.anchors {
			dst = binary.AppendUvarint(dst, m.Pos)
			dst = binary.AppendVarint(dst, m.Time)
		}
	case kindBoundaries:
		dst = binary.AppendUvarint(dst, uint64(len(e.boundaries)))
		at := uint64(0)
		for _, boundary := range e.boundaries {
			dst = binary.AppendUvarint(dst, boundary-at)
			at = boundary
		}
	case kindOrigin:
		dst = payload.AppendString(dst, e.route)
		dst = e.origin.append(dst)
	case kindNote:
		dst = payload.AppendString(dst, e.note)
	}
	return dst
}

// readFrame decodes the frame at the start of p and returns its length in bytes. Any damage, such
// as a torn end, is errFrame.
func readFrame(p []byte) (entry, int, error) {
	if len(p) < frameHead {
		return entry{}, 0, errFrame
	}
	length := int(binary.LittleEndian.Uint32(p))
	if length > maxFrame || length > len(p)-frameHead {
		return entry{}, 0, errFrame
	}
	framed := p[frameHead : frameHead+length]
	if crc32.Checksum(framed, castagnoli) != binary.LittleEndian.Uint32(p[4:]) {
		return entry{}, 0, errFrame
	}
	e, err := readPayload(framed)
	return e, frameHead + length, err
}

func readPayload(p []byte) (entry, error) {
	r := payload.Reader{Rest: p}
	e := entry{kind: r.Byte(), id: event.SourceID(r.Uint())}
	switch e.kind {
	case kindSource:
		e.input, e.key = string(r.Bytes()), string(r.Bytes())
	case kindProgress:
		e.resume.Pos = r.Uint()
		e.resume.State = append([]byte(nil), r.Bytes()...)
		for n := r.Count(); n > 0 && !r.Damaged; n-- {
			e.tracks = append(e.tracks, readTrack(&r))
		}
		for n := r.Count(); n > 0 && !r.Damaged; n-- {
			e.anchors = append(e.anchors, TimeAnchor{r.Uint(), r.Int()})
		}
	case kindBoundaries:
		e.boundaries = readBoundaries(&r)
	case kindOrigin:
		e.route, e.origin = string(r.Bytes()), readOrigin(&r)
	case kindNote:
		e.note = append([]byte(nil), r.Bytes()...)
	}
	if r.Damaged {
		return e, errFrame
	}
	return e, nil
}

func readBoundaries(r *payload.Reader) (boundaries []uint64) {
	at := uint64(0)
	for n := r.Count(); n > 0 && !r.Damaged; n-- {
		distance := r.Uint()
		if at+distance < at {
			r.Fail()
		}
		at += distance
		boundaries = append(boundaries, at)
	}
	return boundaries
}

func readTrack(r *payload.Reader) trackEntry {
	t := trackEntry{route: string(r.Bytes()), reserved: r.Uint()}
	for n := r.Count(); n > 0 && !r.Damaged; n-- {
		from := r.Uint()
		t.acked.Add(from, r.Uint())
	}
	return t
}
