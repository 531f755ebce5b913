package loki

import (
	"encoding/binary"
	"math"
	"slices"
	"sync"

	"github.com/klauspost/compress/s2"

	"github.com/longshore/longshore/pipeline"
)

// A frame is the pooled memory of one push request.
type frame struct {
	raw      []byte // a PushRequest, or its head
	packed   []byte // a PushRequest as a snappy block
	groups   []groupSpan
	order    []uint32 // groups in the order of their streams
	stripped pipeline.Body
}

// A groupSpan is a group's size in a body, and where its next entry goes.
type groupSpan struct{ size, next int }

var frames = sync.Pool{New: func() any { return new(frame) }}

// pack returns the body as a compressed PushRequest, valid until the frame is used again.
func (f *frame) pack(body *pipeline.Body) []byte {
	f.measure(body)
	if len(f.order) == 1 {
		return f.packOne(body, f.order[0])
	}
	f.assemble(body)
	f.packed = appendSnappyHead(f.packed[:0], len(f.raw))
	f.packed = appendSnappy(f.packed, f.raw)
	return f.packed
}

// packOne packs a body of a single stream without copying its entries first.
func (f *frame) packOne(body *pipeline.Body, group uint32) []byte {
	f.raw = appendStreamHead(f.raw[:0], body.Groups[group], len(body.Bytes))
	f.packed = appendSnappyHead(f.packed[:0], len(f.raw)+len(body.Bytes))
	f.packed = appendSnappy(f.packed, f.raw)
	f.packed = appendSnappy(f.packed, body.Bytes)
	return f.packed
}

// assemble writes the PushRequest, one stream for each group. The largest stream comes last: Loki
// reports only the last stream's rejection (ingester/instance.go: appendErr), and the largest is
// the likeliest to exceed a limit.
func (f *frame) assemble(body *pipeline.Body) {
	f.raw = f.raw[:0]
	for _, g := range f.order {
		f.raw = f.open(f.raw, body.Groups[g], &f.groups[g])
	}
	for start, i := 0, 0; i < len(body.Items); {
		g := body.Items[i].Group
		for i++; i < len(body.Items) && body.Items[i].Group == g; i++ {
		}
		end := int(body.Items[i-1].End)
		f.groups[g].next += copy(f.raw[f.groups[g].next:], body.Bytes[start:end])
		start = end
	}
}

func (f *frame) measure(body *pipeline.Body) {
	f.order = f.order[:0]
	if cap(f.groups) < len(body.Groups) {
		f.groups = make([]groupSpan, len(body.Groups))
	}
	f.groups = f.groups[:len(body.Groups)]
	clear(f.groups)
	start := 0
	for _, item := range body.Items {
		g := &f.groups[item.Group]
		if g.size == 0 {
			f.order = append(f.order, item.Group)
		}
		g.size += int(item.End) - start
		start = int(item.End)
	}
	largest := 0
	for k, g := range f.order {
		if f.groups[g].size >= f.groups[f.order[largest]].size {
			largest = k
		}
	}
	if len(f.order) > 1 {
		g := f.order[largest]
		copy(f.order[largest:], f.order[largest+1:])
		f.order[len(f.order)-1] = g
	}
}

// open appends a stream's head and room for its entries.
func (f *frame) open(dst []byte, labels string, g *groupSpan) []byte {
	dst = appendStreamHead(dst, labels, g.size)
	g.next = len(dst)
	return slices.Grow(dst, g.size)[:len(dst)+g.size]
}

// appendStreamHead appends what precedes the entries of a stream, which take size bytes.
func appendStreamHead(dst []byte, labels string, size int) []byte {
	size += 1 + sizeVarint(uint64(len(labels))) + len(labels)
	dst = append(dst, tagRequestStream)
	dst = binary.AppendUvarint(dst, uint64(size))
	dst = append(dst, tagStreamLabels)
	dst = binary.AppendUvarint(dst, uint64(len(labels)))
	return append(dst, labels...)
}

// withoutMetadata returns the body without structured metadata. It shares only the body's groups.
func (f *frame) withoutMetadata(body *pipeline.Body) *pipeline.Body {
	f.stripped.Bytes, f.stripped.Items = f.stripped.Bytes[:0], f.stripped.Items[:0]
	f.stripped.Groups = body.Groups
	for i, item := range body.Items {
		f.stripped.Bytes = appendStripped(f.stripped.Bytes, body.Item(i))
		item.End = uint32(len(f.stripped.Bytes))
		f.stripped.Items = append(f.stripped.Items, item)
	}
	return &f.stripped
}

func appendStripped(dst, item []byte) []byte {
	e := readEntry(item)
	dst, start := openField(dst, tagStreamEntry)
	dst = appendTime(dst, e.time+e.apart)
	if len(e.line) > 0 {
		dst = append(dst, tagEntryLine)
		dst = binary.AppendUvarint(dst, uint64(len(e.line)))
		dst = append(dst, e.line...)
	}
	return closeField(dst, start)
}

// maxPooled bounds the memory kept for the next request: one very long record may make it very
// large.
const maxPooled = 8 << 20

// release returns the frame to its pool, unless it is too large.
func (f *frame) release() {
	f.stripped.Groups = nil
	if cap(f.raw) <= maxPooled && cap(f.packed) <= maxPooled {
		frames.Put(f)
	}
}

// An entry is one entry of a body, decoded as far as answers refer to it.
type entry struct {
	time     int64
	line     []byte
	metadata bool
	apart    int64 // what is added to its time if it is sent without metadata
}

func readEntry(item []byte) entry {
	var e entry
	_, fields, _, ok := readField(item)
	rest := fields
	for ok {
		var tag byte
		var value []byte
		tag, value, rest, ok = readField(rest)
		switch {
		case !ok:
		case tag == tagEntryTime:
			e.time = readTime(value)
		case tag == tagEntryLine:
			e.line = value
		case tag == tagEntryMetadata:
			e.metadata = true
		}
	}
	if e.metadata {
		e.apart = apart(fields)
	}
	return e
}

func timeOf(item []byte) int64 {
	_, inside, _, _ := readField(item)
	tag, value, _, ok := readField(inside)
	if !ok || tag != tagEntryTime {
		return 0
	}
	return readTime(value)
}

func readTime(p []byte) int64 {
	var sec, nanos int64
	for len(p) > 0 {
		tag := p[0]
		v, rest, ok := readVarint(p[1:])
		if !ok {
			return math.MinInt64
		}
		if tag == tagSeconds {
			sec = int64(v)
		} else {
			nanos = int64(v)
		}
		p = rest
	}
	return sec*1e9 + nanos
}

// snappyChunk is how many bytes are compressed at a time: as far as two bytes can point back.
// Bodies of 1 MiB take 0.9 of the time of 16 KiB chunks, and a tenth less space.
const snappyChunk = 64 << 10

// appendSnappyHead begins a snappy block for size bytes. A block is its size and then elements
// (github.com/google/snappy, format_description.txt), so the elements of several may be
// concatenated.
func appendSnappyHead(dst []byte, size int) []byte {
	return binary.AppendUvarint(dst, uint64(size))
}

// appendSnappy appends the elements of p.
func appendSnappy(dst, p []byte) []byte {
	for len(p) > 0 {
		n := min(snappyChunk, len(p))
		dst = appendSnappyChunk(dst, p[:n])
		p = p[n:]
	}
	return dst
}

func appendSnappyChunk(dst, p []byte) []byte {
	dst = slices.Grow(dst, s2.MaxEncodedLen(len(p)))
	block := s2.EncodeSnappy(dst[len(dst):cap(dst)], p)
	_, head := binary.Uvarint(block)
	n := copy(block, block[head:])
	return dst[:len(dst)+n]
}
