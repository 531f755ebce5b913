package kafka

import (
	"encoding/binary"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/hop"
)

// An encoder turns records into what a record batch has of each: the lengths and bytes of key,
// value and headers. What stands before them depends on the batch.
type encoder struct {
	output *Output

	source *event.Source
	id     event.SourceID
	key    []byte // with its length: that of the source
	last   []byte // the headers but for the position, with their count and its name

	topic, text []byte
}

var _ pipeline.Encoder = (*encoder)(nil)

// Encode implements pipeline.Encoder.
func (e *encoder) Encode(dst *pipeline.Body, b *event.Batch, i int) (uint32, error) {
	id, pos := b.IdentityOf(i)
	if e.source != b.Source || e.id != id {
		e.prepare(b, i, id)
	}
	dst.Bytes = e.appendKey(dst.Bytes, b, i)
	dst.Bytes = e.appendValue(dst.Bytes, b, i)
	dst.Bytes = append(dst.Bytes, e.last...)
	var digits [20]byte
	dst.Bytes = appendBytes(dst.Bytes, hop.AppendPosition(digits[:0], pos))
	return e.group(dst, b, i), nil
}

// prepare makes what is the same for all records of a source.
func (e *encoder) prepare(b *event.Batch, i int, id event.SourceID) {
	src := b.Source
	e.source, e.id = src, id
	e.topic = e.output.topic.append(e.topic[:0], b, i)
	name := id.String()
	switch {
	case e.output.key.none:
		e.key = binary.AppendVarint(e.key[:0], -1)
	default:
		e.key = appendBytes(e.key[:0], []byte(name))
	}
	count := int64(2)
	if e.output.schema == event.DefaultSchema {
		count++
	}
	e.last = binary.AppendVarint(e.last[:0], count)
	e.last = appendHeader(e.last, hop.SourceHeader, []byte(name))
	if e.output.schema == event.DefaultSchema {
		e.last = appendHeader(e.last, hop.LabelsHeader, hop.AppendLabels(nil, src.Labels))
	}
	e.last = appendBytes(e.last, []byte(hop.PositionHeader))
}

func appendHeader(dst []byte, name string, value []byte) []byte {
	return appendBytes(appendBytes(dst, []byte(name)), value)
}

// appendBytes appends bytes after their length, a signed varint as everywhere in a record.
func appendBytes(dst, p []byte) []byte {
	return append(binary.AppendVarint(dst, int64(len(p))), p...)
}

func (e *encoder) appendKey(dst []byte, b *event.Batch, i int) []byte {
	if e.output.key.template != nil {
		if e.text = e.output.key.append(e.text[:0], b, i); len(e.text) > 0 {
			return appendBytes(dst, e.text)
		}
	}
	return append(dst, e.key...)
}

// guess is how many bytes the length of most values takes: those of 64 to 8191 bytes.
const guess = 2

// appendValue writes the value in its place, and moves it where its length takes more or less room
// than most.
func (e *encoder) appendValue(dst []byte, b *event.Batch, i int) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, guess)...)
	dst = e.output.schema.Append(dst, b, i, true)
	length := len(dst) - start - guess
	var room [binary.MaxVarintLen64]byte
	n := binary.PutVarint(room[:], int64(length))
	if n != guess {
		dst = append(dst, room[:max(0, n-guess)]...)
		copy(dst[start+n:start+n+length], dst[start+guess:])
		dst = dst[:start+n+length]
	}
	copy(dst[start:], room[:n])
	return dst
}

// group returns the record's topic as a group of the body.
func (e *encoder) group(dst *pipeline.Body, b *event.Batch, i int) uint32 {
	if e.output.topic.ofRecord {
		e.topic = e.output.topic.append(e.topic[:0], b, i)
	}
	if n := len(dst.Items); n > 0 { // most go where the last one went
		if g := dst.Items[n-1].Group; int(g) < len(dst.Groups) && dst.Groups[g] == string(e.topic) {
			return g
		}
	}
	return dst.Group(e.topic)
}

// An item is what a record's bytes in a body hold.
type item struct {
	key     []byte // nil for none
	value   []byte
	headers []byte // with their count
}

// readItem takes the bytes apart. They may come from the spool, so they may be anything.
func readItem(p []byte) (it item, ok bool) {
	if it.key, p, ok = readBytes(p); !ok {
		return it, false
	}
	it.value, it.headers, ok = readBytes(p)
	return it, ok
}

// readBytes reads bytes after their length; those of the length -1 are nil.
func readBytes(p []byte) (bytes, rest []byte, ok bool) {
	length, n := binary.Varint(p)
	switch {
	case n <= 0 || length < -1 || length > int64(len(p)-n):
		return nil, p, false
	case length == -1:
		return nil, p[n:], true
	}
	return p[n : n+int(length) : n+int(length)], p[n+int(length):], true
}

// identity returns what the headers of an item name it.
func (it item) identity() (id identity, ok bool) {
	count, n := binary.Varint(it.headers)
	if n <= 0 {
		return id, false
	}
	p := it.headers[n:]
	found := 0
	for range count {
		name, rest, ok := readBytes(p)
		if !ok {
			return id, false
		}
		value, rest, ok := readBytes(rest)
		if !ok {
			return id, false
		}
		p = rest
		found += id.take(string(name), value)
	}
	return id, found == 2
}

// An identity is what a record is known by.
type identity struct {
	source event.SourceID
	pos    uint64
}

// take takes a header, and returns 1 if it was a part of the identity.
func (id *identity) take(name string, value []byte) int {
	var err error
	switch name {
	case hop.SourceHeader:
		id.source, err = hop.ParseSource(value)
	case hop.PositionHeader:
		id.pos, err = hop.ParsePosition(value)
	default:
		return 0
	}
	if err != nil {
		return 0
	}
	return 1
}
