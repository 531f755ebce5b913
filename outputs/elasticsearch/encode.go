package elasticsearch

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"

	"github.com/longshore/longshore/outputs/elasticsearch/mapping"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// An encoder writes an item as two lines of a bulk request, the action and the document:
//
//	{"create":{"_index":"logs-longshore-default","_id":"AAAAAAAAAAcAAAAAAAAAAA"}}
//	{"@timestamp":"2023-11-14T22:13:20.123Z","timestamp":…}
type encoder struct {
	ids    bool
	schema event.Schema
	namer  indexNamer

	fitter *mapping.Fitter
	// What follows is of the source of the last record.
	source *event.Source
	sound  bool        // its labels and what every document has are at odds with nothing
	sample event.Batch // one record that has nothing else
}

// Encode implements pipeline.Encoder.
func (e *encoder) Encode(dst *pipeline.Body, b *event.Batch, i int) (uint32, error) {
	action := e.namer.action(b, i)
	buf := append(dst.Bytes, action...)
	if e.ids {
		buf = append(buf, `,"_id":"`...)
		id, pos := b.IdentityOf(i)
		buf = appendID(buf, id, pos)
		buf = append(buf, '"')
	}
	buf = append(buf, "}}\n"...)
	start := len(buf)
	buf = e.appendDocument(buf, b, i)
	if b.Source != e.source {
		e.inspect(b.Source)
	}
	if !e.sound || !e.fitter.Plain(b, i, e.schema != event.DefaultSchema) {
		buf = e.fitter.Fit(buf, start, indexOf(action))
	}
	dst.Bytes = append(buf, '\n')
	return 0, nil
}

// indexOf returns the index that the start of an action names, which has nothing to unescape.
func indexOf(action []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimPrefix(action, []byte(actionStart+`"`)), []byte(`"`))
}

// inspect finds out whether what all records of a source have in common fits into an empty index.
func (e *encoder) inspect(source *event.Source) {
	e.source = source
	e.sample.Reset(source)
	r := e.sample.Add(0, 0, event.Span{})
	r.Level, r.Flags = event.Info, event.HasTrace|event.HasSpan|event.Truncated|event.OddTime
	e.sample.Arena = e.appendDocument(e.sample.Arena, &e.sample, 0)
	e.sound = e.fitter.Fits(e.sample.Arena)
}

func (e *encoder) appendDocument(dst []byte, b *event.Batch, i int) []byte {
	if e.schema == event.DefaultSchema {
		return appendDocument(dst, b, i)
	}
	return e.schema.Append(dst, b, i, true)
}

// appendDocument appends the record in the default shape, with @timestamp first for data streams
// and Kibana.
func appendDocument(dst []byte, b *event.Batch, i int) []byte {
	dst = append(dst, `{"@timestamp":"`...)
	dst = event.AppendTime(dst, b.Records[i].Time)
	dst = append(dst, '"')
	brace := len(dst)
	dst = event.AppendRecord(dst, b, i, true)
	dst[brace] = ','
	return dst
}

// appendID appends a record's identity: source and position, big endian, as base64url. Ids of one
// source ascend, which Lucene handles best.
func appendID(dst []byte, source event.SourceID, pos uint64) []byte {
	var id [16]byte
	binary.BigEndian.PutUint64(id[:8], uint64(source))
	binary.BigEndian.PutUint64(id[8:], pos)
	return base64.RawURLEncoding.AppendEncode(dst, id[:])
}
