package httpclient

import (
	"bytes"
	"io"
	"net/http"
	"sync/atomic"
)

// A Payload is a request's body in memory that the caller wants back: a
// transport may go on reading a body after it gave the answer. The zero value is
// ready; it must not be copied.
type Payload struct {
	open atomic.Int32
}

// Attach makes p the body of the request, and lets the transport send it anew
// on another connection where the first turned out to be closed.
func (p *Payload) Attach(req *http.Request, body []byte) {
	reader := func() (io.ReadCloser, error) {
		p.open.Add(1)
		return &payloadReader{Reader: *bytes.NewReader(body), open: &p.open}, nil
	}
	req.ContentLength = int64(len(body))
	req.Body, _ = reader()
	req.GetBody = reader
}

// Free says whether nobody reads the bytes any more, once the request is over.
func (p *Payload) Free() bool { return p.open.Load() == 0 }

type payloadReader struct {
	bytes.Reader
	open   *atomic.Int32
	closed atomic.Bool
}

func (r *payloadReader) Close() error {
	if r.closed.CompareAndSwap(false, true) {
		r.open.Add(-1)
	}
	return nil
}
