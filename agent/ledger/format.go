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
// Integers are little endian; inside a payload they are varints, and strings
// have their length before them. A payload starts with its kind and a source's id:
//
//	'S' a source was minted:  id, input, key
//	'P' its progress:         id, resume position, resume state,
//	                          count of tracks, each: route, reserved, count of spans, each: from, to
//	                          count of time marks, each: position, time
//	'C' cuts beyond those known: id, count of cuts, each: distance from the one before
//	'O' a route begins:       id, route, position, place,
//	                          count of former places, each: until, place
//	'F' it is forgotten:      id
//
// Cuts have entries of their own, so that a flush writes those that are new and not
// all that are held. What a later version adds, kinds and further fields at the end
// of a payload, is passed over.
const header = "longshore ledger 1\n"

const (
	frameHead = 8
	// maxFrame bounds what a length read from disk is believed.
	maxFrame = 16 << 20
)

const (
	kindSource   = 'S'
	kindProgress = 'P'
	kindCuts     = 'C'
	kindOrigin   = 'O'
	kindForget   = 'F'
)

var kinds = []byte{kindSource, kindProgress, kindCuts, kindOrigin, kindForget}

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
	times  []TimeAnchor
	cuts   []uint64
	route  string
	origin origin
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
		dst = binary.AppendUvarint(dst, uint64(len(e.times)))
		for _, m := range e.times {
			dst = binary.AppendUvarint(dst, m.Pos)
			dst = binary.AppendVarint(dst, m.Time)
		}
	case kindCuts:
		dst = binary.AppendUvarint(dst, uint64(len(e.cuts)))
		at := uint64(0)
		for _, cut := range e.cuts {
			dst = binary.AppendUvarint(dst, cut-at)
			at = cut
		}
	case kindOrigin:
		dst = payload.AppendString(dst, e.route)
		dst = e.origin.append(dst)
	}
	return dst
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
			e.times = append(e.times, TimeAnchor{r.Uint(), r.Int()})
		}
	case kindCuts:
		e.cuts = readCuts(&r)
	case kindOrigin:
		e.route, e.origin = string(r.Bytes()), readOrigin(&r)
	}
	if r.Damaged {
		return e, errFrame
	}
	return e, nil
}

func readCuts(r *payload.Reader) (cuts []uint64) {
	at := uint64(0)
	for n := r.Count(); n > 0 && !r.Damaged; n-- {
		further := r.Uint()
		if at+further < at {
			r.Fail()
		}
		at += further
		cuts = append(cuts, at)
	}
	return cuts
}

func readTrack(r *payload.Reader) trackEntry {
	t := trackEntry{route: string(r.Bytes()), reserved: r.Uint()}
	for n := r.Count(); n > 0 && !r.Damaged; n-- {
		from := r.Uint()
		t.acked.add(from, r.Uint())
	}
	return t
}
