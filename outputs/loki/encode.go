package loki

import (
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// An Encoder turns records into entries of Loki's push protocol, each with its
// tag and length as it stands inside of its stream.
type Encoder struct {
	output  *Output
	sources map[*event.Source]*source
	last    *source
	key     []byte
	cutter  cutter
}

var _ pipeline.Encoder = (*Encoder)(nil)

// Encode implements pipeline.Encoder. It refuses no record: a line that is too
// long is cut.
func (e *Encoder) Encode(dst *pipeline.Body, b *event.Batch, i int) (uint32, error) {
	src := e.last
	if src == nil || src.src != b.Source {
		src = e.sourceOf(b.Source)
	}
	r := &b.Records[i]
	buf, entry := openField(dst.Bytes, tagStreamEntry)
	buf = appendTime(buf, r.Time)
	buf = e.appendLine(buf, b, i)
	if !e.output.bare.Load() {
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

// The pairs of each level, and what stands before the ids in theirs.
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
		e.output.metrics.cut.Inc()
		dst = e.appendCut(dst[:start], b, i)
	}
	if len(dst) == start {
		return dst[:start-reserved-1] // proto3 leaves empty strings out
	}
	return closeField(dst, start)
}

// cutMark ends a raw line that was cut; JSON has "truncated":true instead.
const cutMark = " [truncated]"

func (e *Encoder) appendRaw(dst []byte, b *event.Batch, i int) []byte {
	dst = append(dst, b.Line(i)...)
	if b.Records[i].Flags&event.Truncated != 0 {
		dst = append(dst, cutMark...)
	}
	return dst
}

// appendCut appends a line that came out longer than allowed.
func (e *Encoder) appendCut(dst []byte, b *event.Batch, i int) []byte {
	if e.output.raw {
		dst = append(dst, cutText(b.Line(i), e.output.maxLine-len(cutMark))...)
		return append(dst, cutMark...)
	}
	return e.cutter.append(dst, b, i, e.output.schema, e.output.maxLine)
}
