package recent

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"strconv"

	"github.com/longshore/longshore/pipeline/event"
)

// A frame is a record on disk: the length of what follows the checksum, the checksum of that, and
// then a head by which it is found, and its JSON without the id:
//
//	length, checksum uint32 | number, time, source, position uint64 | level, flags byte | trace id
//	| message, fields, raw: offset and length in the JSON, uint32 each
//	| service, container, name, pipeline: uint16 length and text | JSON
//
// All integers are little-endian.
const (
	frameHead = 8
	fixedHead = 4*8 + 2 + 16 + 6*4
	// maxRecord bounds the JSON of a record; what is longer is shortened.
	maxRecord = 64 << 10
	// maxName bounds the names in the head.
	maxName = 4 << 10
	// maxFrame bounds a frame. The JSON of a record may be a little longer than it is given.
	maxFrame = frameHead + fixedHead + 4*(2+maxName) + maxRecord
)

const (
	hasTrace     = 1 << iota
	rawIsMessage // raw is left out, as it is the message
)

var checksums = crc32.MakeTable(crc32.Castagnoli)

// A frame is a record as it is stored. Its slices are those of what it was read from.
type frame struct {
	number   uint64
	time     int64
	source   event.SourceID
	pos      uint64
	level    event.Level
	flags    byte
	trace    [16]byte
	message  part
	fields   part
	raw      part
	service  []byte
	from     []byte // container
	name     []byte // of the source
	pipeline []byte
	json     []byte
}

// A part is where in the JSON a value stands.
type part struct{ off, len uint32 }

func (p part) of(json []byte) []byte { return json[p.off : p.off+p.len] }

// readFrame reads the frame that p begins with, and returns what follows it. ok is false where
// there is none that is whole and undamaged.
func readFrame(p []byte) (f frame, rest []byte, ok bool) {
	if len(p) < frameHead {
		return f, p, false
	}
	n := binary.LittleEndian.Uint32(p)
	if n < fixedHead || n > maxFrame-frameHead || int(n) > len(p)-frameHead {
		return f, p, false
	}
	body := p[frameHead : frameHead+n]
	if crc32.Checksum(body, checksums) != binary.LittleEndian.Uint32(p[4:]) || !f.read(body) {
		return f, p, false
	}
	return f, p[frameHead+n:], true
}

func (f *frame) read(p []byte) bool {
	le := binary.LittleEndian
	f.number, f.time = le.Uint64(p), int64(le.Uint64(p[8:]))
	f.source, f.pos = event.SourceID(le.Uint64(p[16:])), le.Uint64(p[24:])
	f.level, f.flags = event.Level(p[32]), p[33]
	copy(f.trace[:], p[34:])
	at := 50
	for _, part := range []*part{&f.message, &f.fields, &f.raw} {
		part.off, part.len = le.Uint32(p[at:]), le.Uint32(p[at+4:])
		at += 8
	}
	p = p[at:]
	for _, name := range []*[]byte{&f.service, &f.from, &f.name, &f.pipeline} {
		if len(p) < 2 || len(p)-2 < int(le.Uint16(p)) {
			return false
		}
		n := 2 + int(le.Uint16(p))
		*name, p = p[2:n], p[n:]
	}
	f.json = p
	for _, part := range []part{f.message, f.fields, f.raw} {
		if uint64(part.off)+uint64(part.len) > uint64(len(p)) {
			return false
		}
	}
	return len(p) > 0 && p[len(p)-1] == '}'
}

// appendRecord appends the record as the API shows it.
func (f *frame) appendRecord(dst []byte) []byte {
	dst = append(dst, `{"id":"`...)
	dst = strconv.AppendUint(dst, f.number, 10)
	dst = append(dst, `",`...)
	if f.flags&rawIsMessage == 0 {
		return append(dst, f.json...)
	}
	dst = append(dst, f.json[:len(f.json)-1]...)
	dst = append(dst, `,"raw":`...)
	dst = append(dst, f.message.of(f.json)...)
	return append(dst, '}')
}

// An encoder makes frames of records. It keeps its memory.
type encoder struct {
	copied event.Batch
	record []byte
	names  []byte
}

const maxKept = 1 << 20

// trim gives back the memory that one large record took.
func (e *encoder) trim() {
	if cap(e.record) > maxKept {
		e.record = nil
	}
	if cap(e.copied.Arena) > maxKept {
		e.copied = event.Batch{}
	}
}

// copyOf returns a copy of a batch that may be changed.
func (e *encoder) copyOf(b *event.Batch) *event.Batch {
	e.copied.CopyFrom(b)
	return &e.copied
}

// frame returns record i as it is stored, in the encoder's memory. Where it is to be bounded, what
// is too long is shortened.
func (e *encoder) frame(number uint64, pipelineName string, b *event.Batch, i int, bounded bool) frame {
	r := &b.Records[i]
	f := frame{number: number, time: r.Time, level: r.Level}
	f.source, f.pos = b.IdentityOf(i)
	if r.Flags&event.HasTrace != 0 {
		f.flags |= hasTrace
		f.trace = r.TraceID
	}
	names := namesOf(b, i, pipelineName)
	if bounded {
		e.record = e.json(e.record[:0], &f, &names, b, i)
	} else {
		e.record = e.members(e.record[:0], &f, &names, b, i, nil)
	}
	f.json = e.record
	e.names = e.names[:0]
	for _, n := range []struct {
		name string
		to   *[]byte
	}{{names.service, &f.service}, {names.container, &f.from}, {names.source, &f.name}, {pipelineName, &f.pipeline}} {
		start := len(e.names)
		e.names = append(e.names, event.TruncateText(n.name, maxName)...)
		*n.to = e.names[start:len(e.names):len(e.names)]
	}
	return f
}

// append appends the frame of record i.
func (e *encoder) append(dst []byte, number uint64, pipelineName string, b *event.Batch, i int) []byte {
	f := e.frame(number, pipelineName, b, i, true)
	return f.append(dst)
}

// append appends the frame as readFrame reads it.
func (f *frame) append(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, frameHead)...)
	le := binary.LittleEndian
	dst = le.AppendUint64(dst, f.number)
	dst = le.AppendUint64(dst, uint64(f.time))
	dst = le.AppendUint64(dst, uint64(f.source))
	dst = le.AppendUint64(dst, f.pos)
	dst = append(dst, byte(f.level), f.flags)
	dst = append(dst, f.trace[:]...)
	for _, part := range []part{f.message, f.fields, f.raw} {
		dst = le.AppendUint32(dst, part.off)
		dst = le.AppendUint32(dst, part.len)
	}
	for _, name := range [][]byte{f.service, f.from, f.name, f.pipeline} {
		dst = le.AppendUint16(dst, uint16(len(name)))
		dst = append(dst, name...)
	}
	dst = append(dst, f.json...)
	body := dst[start+frameHead:]
	le.PutUint32(dst[start:], uint32(len(body)))
	le.PutUint32(dst[start+4:], crc32.Checksum(body, checksums))
	return dst
}

// names are what people know a record's source by.
type names struct{ service, container, source, pipeline string }

func namesOf(b *event.Batch, i int, pipelineName string) names {
	src := b.Source
	n := names{pipeline: pipelineName}
	n.container, n.source = src.Label(event.LabelContainerName), src.Label(event.LabelFile)
	if n.source == "" {
		n.source = n.container
	}
	if n.source == "" {
		n.source = src.Key
	}
	if service := b.Records[i].Service; service.Kind != event.None {
		n.service = string(b.AppendText(nil, service))
	} else {
		n.service = src.Label(event.LabelService)
	}
	return n
}

// What of a record that is too long stays, in bytes of its JSON.
const (
	keptName   = 1 << 10
	keptText   = 20 << 10 // of message and raw line, each
	keptFields = 8 << 10
	keptField  = 2 << 10
	keptLabels = 4 << 10
)

// json appends the record's JSON behind its id, and notes in f where its parts are.
func (e *encoder) json(dst []byte, f *frame, n *names, b *event.Batch, i int) []byte {
	r := &b.Records[i]
	size := int(r.Line.Len) + int(r.Message.Len)
	for _, field := range b.Fields(i) {
		size += int(field.Key.Len) + int(field.Value.Len)
	}
	if size < maxRecord {
		whole := e.members(dst, f, n, b, i, nil)
		shown := len(whole) - len(dst)
		if f.flags&rawIsMessage != 0 {
			shown += int(f.message.len)
		}
		if shown <= maxRecord {
			return whole
		}
	}
	return e.members(dst, f, n, b, i, &limits{keptName, keptText, keptFields, keptField, keptLabels})
}

// limits are those of a record that is too long; nil for others.
type limits struct{ name, text, fields, field, labels int }

func (e *encoder) members(dst []byte, f *frame, n *names, b *event.Batch, i int, l *limits) []byte {
	r := &b.Records[i]
	f.fields, f.raw = part{}, part{}
	start := len(dst)
	at := func(from int) part { return part{uint32(from - start), uint32(len(dst) - from)} }
	dst = append(dst, `"time":"`...)
	dst = event.AppendTime(dst, r.Time)
	dst = append(dst, '"')
	dst = appendMember(dst, "level", r.Level.String(), l)
	dst = appendMember(dst, "service", n.service, l)
	dst = appendMember(dst, "container", n.container, l)
	dst = appendMember(dst, "source", n.source, l)
	dst = appendMember(dst, "input", b.Source.Input, l)
	dst = appendMember(dst, "pipeline", n.pipeline, l)
	if r.Format != event.FormatNone {
		dst = appendMember(dst, "parser", r.Format.String(), l)
	}
	if r.Flags&event.HasTrace != 0 {
		dst = append(dst, `,"trace_id":"`...)
		dst = append(event.AppendHex(dst, r.TraceID[:]), '"')
	}
	if r.Flags&event.HasSpan != 0 {
		dst = append(dst, `,"span_id":"`...)
		dst = append(event.AppendHex(dst, r.SpanID[:]), '"')
	}
	if l != nil || r.Flags&event.Truncated != 0 {
		dst = append(dst, `,"truncated":true`...)
	}
	if l != nil {
		dst = append(dst, `,"line_bytes":`...)
		dst = strconv.AppendUint(dst, uint64(r.Line.Len), 10)
	}
	dst = appendLabels(dst, b.Source, l)
	dst = append(dst, `,"message":`...)
	from := len(dst)
	dst = appendValue(dst, b, b.MessageOf(i), l.textLimit())
	f.message = at(from)
	from = len(dst) + len(`,"fields":`)
	if dst = appendFields(dst, b, i, l); len(dst) > from {
		f.fields = at(from)
	}
	if r.Message.Kind == event.None {
		f.flags |= rawIsMessage
		return append(dst, '}')
	}
	dst = append(dst, `,"raw":`...)
	from = len(dst)
	dst = appendValue(dst, b, event.Value{Span: r.Line, Kind: event.Text}, l.textLimit())
	f.raw = at(from)
	return append(dst, '}')
}

func (l *limits) textLimit() int {
	if l == nil {
		return math.MaxInt
	}
	return l.text
}

func appendMember(dst []byte, name, text string, l *limits) []byte {
	if text == "" {
		return dst
	}
	if l != nil {
		text = event.TruncateText(text, l.name/6) // an escape has six bytes
	}
	dst = append(dst, ',', '"')
	dst = append(dst, name...)
	dst = append(dst, '"', ':')
	return event.AppendString(dst, text)
}

// appendLabels appends the labels of the source that no member has.
func appendLabels(dst []byte, src *event.Source, l *limits) []byte {
	start, before := len(dst), byte('{')
	for _, label := range src.Labels {
		switch label.Name {
		case event.LabelService, event.LabelContainerName, event.LabelFile:
			continue
		}
		if l != nil && len(dst)-start+6*(len(label.Name)+len(label.Value)) > l.labels {
			continue
		}
		if before == '{' {
			dst = append(dst, `,"labels":`...)
		}
		dst = append(dst, before)
		before = ','
		dst = event.AppendString(dst, label.Name)
		dst = append(dst, ':')
		dst = event.AppendString(dst, label.Value)
	}
	if before == ',' {
		dst = append(dst, '}')
	}
	return dst
}

func appendFields(dst []byte, b *event.Batch, i int, l *limits) []byte {
	fields := b.Fields(i)
	if len(fields) == 0 {
		return dst
	}
	dst = append(dst, `,"fields":{`...)
	start := len(dst)
	for k, field := range fields {
		before := len(dst)
		if k > 0 && before > start {
			dst = append(dst, ',')
		}
		limit := math.MaxInt
		if l != nil {
			limit = l.field
		}
		dst = appendValue(dst, b, field.Key, limit)
		dst = append(dst, ':')
		dst = appendValue(dst, b, field.Value, limit)
		if l != nil && len(dst)-start > l.fields {
			dst = dst[:before]
			break
		}
	}
	return append(dst, '}')
}

// appendValue appends a value as JSON of at most limit bytes, or else its head, as a string.
func appendValue(dst []byte, b *event.Batch, v event.Value, limit int) []byte {
	before := len(dst)
	for n := limit; int(v.Len) > n || limit < math.MaxInt; n /= 2 {
		short := v
		if int(v.Len) > n {
			short = v.Truncate(b.Bytes(v.Span), n)
		}
		if dst = appendJSON(dst[:before], b, short); len(dst)-before <= limit || n == 0 {
			return dst
		}
	}
	return appendJSON(dst, b, v)
}

// appendJSON is event.Batch.AppendJSON, with texts in one way only, so that they are found.
func appendJSON(dst []byte, b *event.Batch, v event.Value) []byte {
	if v.Kind == event.Escaped {
		return event.AppendString(dst, string(b.AppendText(nil, v)))
	}
	return b.AppendJSON(dst, v)
}
