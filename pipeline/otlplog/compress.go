package otlplog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// ErrTooLarge is of a message that is larger than it may be.
var ErrTooLarge = errors.New("the message is too large")

// ErrEncoding is of a compression that is not known.
var ErrEncoding = errors.New("this compression is not known; gzip and zstd are")

// Decompress appends what is compressed in p, at most limit bytes of it.
func Decompress(dst, p []byte, encoding string, limit int) ([]byte, error) {
	switch encoding {
	case "", "identity":
		if len(p) > limit {
			return dst, ErrTooLarge
		}
		return append(dst, p...), nil
	case "gzip":
		return gunzip(dst, p, limit)
	case "zstd":
		return unzstd(dst, p, limit)
	}
	return dst, fmt.Errorf("%.40q: %w", encoding, ErrEncoding)
}

var gzipReaders = sync.Pool{New: func() any { return new(gzip.Reader) }}

func gunzip(dst, p []byte, limit int) ([]byte, error) {
	gz := gzipReaders.Get().(*gzip.Reader)
	defer gzipReaders.Put(gz)
	if err := gz.Reset(bytes.NewReader(p)); err != nil {
		return dst, fmt.Errorf("reading gzip: %w", err)
	}
	return readBounded(dst, gz, limit)
}

// zstdReaders read a stream at a time, with a window of 8 MiB at most, which the format asks all to
// take.
var zstdReaders = sync.Pool{New: func() any {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20),
		zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil
	}
	return d
}}

func unzstd(dst, p []byte, limit int) ([]byte, error) {
	d, ok := zstdReaders.Get().(*zstd.Decoder)
	if !ok {
		return dst, errors.New("zstd cannot be read")
	}
	defer zstdReaders.Put(d)
	if err := d.Reset(bytes.NewReader(p)); err != nil {
		return dst, fmt.Errorf("reading zstd: %w", err)
	}
	dst, err := readBounded(dst, d, limit)
	_ = d.Reset(nil) // drops p
	return dst, err
}

// readBounded appends all that there is, unless that is more than limit.
func readBounded(dst []byte, r io.Reader, limit int) ([]byte, error) {
	start := len(dst)
	for {
		if len(dst) == cap(dst) {
			dst = append(dst, make([]byte, max(4<<10, min(len(dst), 1<<20)))...)[:len(dst)]
		}
		n, err := r.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		if len(dst)-start > limit {
			return dst, ErrTooLarge
		}
		if err == io.EOF {
			return dst, nil
		}
		if err != nil {
			return dst, fmt.Errorf("decompressing: %w", err)
		}
	}
}
