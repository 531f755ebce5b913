package s3

import (
	"bytes"
	"fmt"
	"io"
	"iter"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// A packer makes the content of objects.
type packer struct {
	compression string
	level       int
	pool        sync.Pool // of *packed
}

// packed is a compressor with the memory that it writes to.
type packed struct {
	out  bytes.Buffer
	into compressor
}

type compressor interface {
	io.WriteCloser
	Reset(w io.Writer)
}

// extension is that of names.
func (p *packer) extension() string {
	switch p.compression {
	case "gzip":
		return ".jsonl.gz"
	case "zstd":
		return ".jsonl.zst"
	}
	return ".jsonl"
}

// pack returns the content of an object, whose memory is the packer's again after done.
func (p *packer) pack(lines iter.Seq[[]byte]) (content []byte, done func(), err error) {
	s, ok := p.pool.Get().(*packed)
	if !ok {
		s = &packed{}
		if s.into, err = p.newCompressor(&s.out); err != nil {
			return nil, nil, err
		}
	}
	s.out.Reset()
	s.into.Reset(&s.out)
	for line := range lines {
		if _, err := s.into.Write(line); err != nil {
			return nil, nil, fmt.Errorf("compressing: %w", err)
		}
	}
	if err := s.into.Close(); err != nil {
		return nil, nil, fmt.Errorf("compressing: %w", err)
	}
	return s.out.Bytes(), func() { p.pool.Put(s) }, nil
}

// A plain compressor compresses nothing.
type plain struct{ io.Writer }

func (p *plain) Reset(w io.Writer) { p.Writer = w }
func (p *plain) Close() error      { return nil }

func (p *packer) newCompressor(to io.Writer) (compressor, error) {
	switch p.compression {
	case "none":
		return &plain{to}, nil
	case "gzip":
		return gzip.NewWriterLevel(to, p.level)
	}
	return zstd.NewWriter(to, zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(p.level)),
		zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20), zstd.WithLowerEncoderMem(true),
		zstd.WithZeroFrames(true)) // an empty object is to be a valid file, too
}
