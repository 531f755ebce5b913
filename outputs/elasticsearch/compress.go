package elasticsearch

import (
	"bytes"
	"fmt"
	"sync"

	"github.com/klauspost/compress/gzip"
)

// A compressor makes gzip of request bodies, with memory that is used again:
// one set for each request in flight.
type compressor struct {
	level int
	pool  sync.Pool // of *squeeze
}

type squeeze struct {
	out bytes.Buffer
	gz  *gzip.Writer
}

func newCompressor(level int) *compressor {
	if level == 0 {
		level = gzip.BestSpeed
	}
	return &compressor{level: level}
}

// compress gives the body compressed. The memory is the compressor's again when
// done is called.
func (c *compressor) compress(body []byte) (compressed []byte, done func(), err error) {
	s, ok := c.pool.Get().(*squeeze)
	if !ok {
		s = &squeeze{}
		if s.gz, err = gzip.NewWriterLevel(&s.out, c.level); err != nil {
			return nil, nil, fmt.Errorf("compressing a request: %w", err)
		}
	}
	s.out.Reset()
	s.gz.Reset(&s.out)
	if _, err = s.gz.Write(body); err == nil {
		err = s.gz.Close()
	}
	if err != nil {
		return nil, nil, fmt.Errorf("compressing a request: %w", err)
	}
	return s.out.Bytes(), func() { c.pool.Put(s) }, nil
}
