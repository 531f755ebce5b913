package otlp

import (
	"bytes"
	"fmt"

	"github.com/klauspost/compress/gzip"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/otlplog"
)

// A frame is the pooled memory of one request.
type frame struct {
	raw     []byte // an ExportLogsServiceRequest in protobuf, behind room for gRPC's head
	json    []byte
	packed  bytes.Buffer
	gzip    *gzip.Writer
	zstd    []byte
	parts   []otlplog.Part
	indexOf []int // by group: of its part, from 1 on
}

// maxPooled bounds the memory kept for the next request.
const maxPooled = 8 << 20

func (o *Output) release(f *frame) {
	if cap(f.raw) <= maxPooled && cap(f.json) <= maxPooled && f.packed.Cap() <= maxPooled && cap(f.zstd) <= maxPooled {
		o.frames.Put(f)
	}
}

// pack returns the request for the items [from, to) of a body, as it is sent. It is valid until the
// frame is used again.
func (o *Output) pack(f *frame, body *pipeline.Body, from, to int) ([]byte, error) {
	f.group(body, from, to)
	f.raw = otlplog.AppendRequest(append(f.raw[:0], make([]byte, otlplog.HeadSize)...), o.scope, f.parts)
	f.forget()
	message := f.raw[otlplog.HeadSize:]
	if o.json {
		f.json = otlplog.AppendJSONRequest(append(f.json[:0], make([]byte, otlplog.HeadSize)...), message)
		return o.compress(f, f.json)
	}
	return o.compress(f, f.raw)
}

// compress compresses a message behind room for a head, and writes the head where it is gRPC's.
func (o *Output) compress(f *frame, message []byte) (_ []byte, err error) {
	switch o.compression {
	case "gzip":
		if message, err = f.gzipped(message[otlplog.HeadSize:]); err != nil {
			return nil, err
		}
	case "zstd":
		f.zstd = append(f.zstd[:0], make([]byte, otlplog.HeadSize)...)
		f.zstd = o.zstd.EncodeAll(message[otlplog.HeadSize:], f.zstd)
		message = f.zstd
	}
	if !o.grpc {
		return message[otlplog.HeadSize:], nil
	}
	otlplog.PutHead(message, o.compression != "none", len(message)-otlplog.HeadSize)
	return message, nil
}

func (f *frame) gzipped(message []byte) (_ []byte, err error) {
	f.packed.Reset()
	f.packed.Write(make([]byte, otlplog.HeadSize))
	if f.gzip == nil {
		if f.gzip, err = gzip.NewWriterLevel(&f.packed, gzip.BestSpeed); err != nil {
			return nil, fmt.Errorf("compressing a request: %w", err)
		}
	} else {
		f.gzip.Reset(&f.packed)
	}
	if _, err := f.gzip.Write(message); err != nil {
		return nil, fmt.Errorf("compressing a request: %w", err)
	}
	if err := f.gzip.Close(); err != nil {
		return nil, fmt.Errorf("compressing a request: %w", err)
	}
	return f.packed.Bytes(), nil
}

// group makes a part of each group that the items [from, to) have.
func (f *frame) group(body *pipeline.Body, from, to int) {
	f.indexOf = append(f.indexOf[:0], make([]int, len(body.Groups))...)
	start := startOf(body, from)
	for i := from; i < to; {
		g := body.Items[i].Group
		for i++; i < to && body.Items[i].Group == g; i++ {
		}
		end := body.Items[i-1].End
		p := f.part(g, body)
		p.Items = append(p.Items, body.Bytes[start:end])
		start = end
	}
}

// startOf returns where item i of a body begins.
func startOf(body *pipeline.Body, i int) uint32 {
	if i == 0 {
		return 0
	}
	return body.Items[i-1].End
}

func (f *frame) part(g uint32, body *pipeline.Body) *otlplog.Part {
	if k := f.indexOf[g]; k > 0 {
		return &f.parts[k-1]
	}
	if len(f.parts) < cap(f.parts) {
		f.parts = f.parts[:len(f.parts)+1]
	} else {
		f.parts = append(f.parts, otlplog.Part{})
	}
	f.indexOf[g] = len(f.parts)
	p := &f.parts[len(f.parts)-1]
	p.Group, p.Items = body.Groups[g], p.Items[:0]
	return p
}

// forget drops what refers to the body.
func (f *frame) forget() {
	for i := range f.parts {
		clear(f.parts[i].Items)
		f.parts[i] = otlplog.Part{Items: f.parts[i].Items[:0]}
	}
	f.parts = f.parts[:0]
}
