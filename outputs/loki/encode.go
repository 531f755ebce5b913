package loki

import (
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// An Encoder turns records into entries of Loki's push protocol, each with its tag and length as
// inside its stream.
type Encoder struct {
	output    *Output
	sources   map[*event.Source]*source
	last      *source
	key       []byte
	truncator truncator
}

var _ pipeline.Encoder = (*Encoder)(nil)

// Encode implements pipeline.Encoder. It rejects no record: a line that is too long is truncated.
func (e *Encoder) Encode(dst *pipeline.Body, b *event.Batch, i int) (uint32, error) {
	src := e.last
	if src == nil || src.src != b.Source {
		src = e.sourceOf(b.Source)
	}
	r := &b.Records[i]
	buf, entry := openField(dst.Bytes, tagStreamEntry)
	if e.output.metadataOff.Load() {
		buf = appendTime(buf, r.Time+src.apart)
		buf = e.appendLine(buf, b, i)
	} else {
		buf = appendTime(buf, r.Time)
		buf = e.appendLine(buf, b, i)
		buf = appendMetadata(buf, r, src)
	}
	dst.Bytes = closeField(buf, entry)
	return e.streamOf(src, b, i).groupIn(dst), nil
}

func (e *Encoder) sourceOf(src *event.Source) *source {
	known := e.sources[src]
	if known == nil {
		if len(e.sources) >= maxSources {
			clear(e.sources)
		}
		known = newSource(src, e.output.labels)
		e.sources[src] = known
	}
	e.last = known
	return known
}

func appendMetadata(dst []byte, r *event.Record, src *source) []byte {
	dst = append(dst, levelPairs[r.Level]...)
	if r.Flags&event.HasTrace != 0 {
		dst = event.AppendHex(append(dst, traceHead...), r.TraceID[:])
	}
	if r.Flags&event.HasSpan != 0 {
		dst = event.AppendHex(append(dst, spanHead...), r.SpanID[:])
	}
	return append(dst, src.metadata...)
}

// The encoded pair of each level, and what precedes the digits of an id.
var (
	levelPairs = func() (pairs [event.Fatal + 1]string) {
		for l := range pairs {
			pairs[l] = string(appendPair(nil, "detected_level", event.Level(l).String()))
		}
		return pairs
	}()
	traceHead = hexPairHead("trace_id", 16)
	spanHead  = hexPairHead("span_id", 8)
)

func (e *Encoder) appendLine(dst []byte, b *event.Batch, i int) []byte {
	dst, start := openField(dst, tagEntryLine)
	if e.output.raw {
		dst = e.appendRaw(dst, b, i)
	} else {
		dst = e.output.schema.Append(dst, b, i, false)
	}
	if len(dst)-start > e.output.maxLine {
		e.output.metrics.truncated.Inc()
		dst = e.appendTruncated(dst[:start], b, i)
	}
	if len(dst) == start {
		return dst[:start-reserved-1] // proto3 leaves empty strings out
	}
	return closeField(dst, start)
}

// truncatedMark ends a truncated raw line; JSON has "truncated":true instead.
const truncatedMark = " [truncated]"

func (e *Encoder) appendRaw(dst []byte, b *event.Batch, i int) []byte {
	dst = append(dst, b.Line(i)...)
	if b.Records[i].Flags&event.Truncated != 0 {
		dst = append(dst, truncatedMark...)
	}
	return dst
}

func (e *Encoder) appendTruncated(dst []byte, b *event.Batch, i int) []byte {
	if e.output.raw {
		dst = append(dst, event.TruncateText(b.Line(i), e.output.maxLine-len(truncatedMark))...)
		return append(dst, truncatedMark...)
	}
	return e.truncator.append(dst, b, i, e.output.schema, e.output.maxLine)
}

// smallField bounds a field that stays in a record whose message could not be truncated enough.
const smallField = 1 << 10

// A truncator writes records that are too long for Loki, from a copy: other outputs read the batch
// too.
type truncator struct{ copy event.Batch }

// append appends record i as JSON of at most limit bytes. If truncating the message is not enough,
// it leaves out the long fields, then all fields, then the service.
func (c *truncator) append(dst []byte, b *event.Batch, i int, schema event.Schema, limit int) []byte {
	defer c.release()
	for _, longest := range []int{limit, smallField, -1} {
		c.copyRecord(b, i, longest)
		if out, fits := c.fit(dst, schema, limit); fits {
			return out
		}
	}
	c.copy.Records[0].Service = event.Value{}
	out, _ := c.fit(dst, schema, limit)
	return out
}

// copyRecord copies record i with its fields up to a length.
func (c *truncator) copyRecord(b *event.Batch, i, longest int) {
	from := &b.Records[i]
	c.copy.Reset(b.Source)
	c.copy.Arena = b.Arena
	r := c.copy.Add(from.Pos, from.Time, from.Line)
	r.Message, r.Service = b.MessageOf(i), from.Service
	r.TraceID, r.SpanID = from.TraceID, from.SpanID
	r.Level, r.Flags = from.Level, from.Flags|event.Truncated
	for _, f := range b.Fields(i) {
		if int(f.Key.Len)+int(f.Value.Len) <= longest {
			c.copy.AddField(0, f.Key, f.Value)
		}
	}
}

// fit appends the copy, truncating its message until all fits. It estimates from the growth by
// escaping; as n bytes of the message take at least n bytes of JSON, it terminates.
func (c *truncator) fit(dst []byte, schema event.Schema, limit int) (_ []byte, fits bool) {
	start := len(dst)
	message := &c.copy.Records[0].Message
	whole := *message
	*message = event.Value{Kind: event.Plain}
	dst = schema.Append(dst, &c.copy, 0, false)
	room := limit - (len(dst) - start)
	if room < 0 {
		*message = whole
		return dst, false
	}
	text := c.copy.Bytes(whole.Span)
	for keep, tries := min(len(text), room), 0; ; tries++ {
		*message = whole.Truncate(text, keep)
		dst = schema.Append(dst[:start], &c.copy, 0, false)
		over := len(dst) - start - limit
		if over <= 0 {
			return dst, len(text) == 0 || keep > 0
		}
		atMost := keep - over
		if tries < 4 {
			atMost = max(atMost, keep*room/(room+over))
		}
		keep = max(0, atMost)
	}
}

// release drops the references to the batch.
func (c *truncator) release() {
	c.copy.Reset(nil)
	c.copy.Arena = nil
}
