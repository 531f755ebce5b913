package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// body is what a request carried. It is used again for the next one.
type body struct {
	sent int    // bytes on the wire
	text []byte // without gzip

	packed []byte
	from   bytes.Reader
	gzip   gzip.Reader
	zstd   *zstd.Decoder
	plain  []byte // of snappy
}

// read takes the body of a request and undoes its Content-Encoding.
func (b *body) read(req *http.Request) (err error) {
	encoding := req.Header.Get("Content-Encoding")
	if encoding != "gzip" && encoding != "zstd" {
		b.text, err = readInto(b.text, req.Body, req.ContentLength)
		b.sent = len(b.text)
		return err
	}
	if b.packed, err = readInto(b.packed, req.Body, req.ContentLength); err != nil {
		return err
	}
	b.sent = len(b.packed)
	if encoding == "zstd" {
		return b.unzstd()
	}
	b.from.Reset(b.packed)
	if err := b.gzip.Reset(&b.from); err != nil {
		return fmt.Errorf("reading gzip: %w", err)
	}
	b.text, err = readInto(b.text, &b.gzip, -1)
	return err
}

func (b *body) unzstd() (err error) {
	if b.zstd == nil {
		if b.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1)); err != nil {
			return err
		}
	}
	b.text, err = b.zstd.DecodeAll(b.packed, b.text[:0])
	return err
}

// unsnap undoes the snappy that is part of some protocols.
func (b *body) unsnap() (plain []byte, err error) {
	b.plain, err = s2.Decode(b.plain[:cap(b.plain)], b.text)
	return b.plain, err
}

// readInto reads all there is, size bytes if it is not negative, over dst.
func readInto(dst []byte, r io.Reader, size int64) ([]byte, error) {
	if size >= 0 {
		dst = slices.Grow(dst[:0], int(size))[:size]
		_, err := io.ReadFull(r, dst)
		return dst, err
	}
	dst = dst[:0]
	for {
		dst = slices.Grow(dst, 64<<10)
		n, err := r.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		if err == io.EOF {
			return dst, nil
		}
		if err != nil {
			return dst, err
		}
	}
}
