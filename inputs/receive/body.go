package receive

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// A Refusal is why a request is not taken.
type Refusal struct {
	Status int // of HTTP
	Reason string
}

// Error implements error.
func (r *Refusal) Error() string { return r.Reason }

// Refuse returns a Refusal.
func Refuse(status int, format string, args ...any) error {
	return &Refusal{status, fmt.Sprintf(format, args...)}
}

// StatusOf returns the status of HTTP for an error of reading or delivering a request. ok is false
// where nobody waits for an answer any more.
func StatusOf(err error) (status int, ok bool) {
	var refusal *Refusal
	switch {
	case errors.As(err, &refusal):
		return refusal.Status, true
	case errors.Is(err, ErrBusy), errors.Is(err, ErrEnding):
		return http.StatusServiceUnavailable, true
	}
	return 0, false
}

// bodyTimeout is how long a body may take to come.
const bodyTimeout = time.Minute

// ReadBody returns a request's body, unpacked, of at most so many bytes. release is to be called
// when it is not needed any more. An error is a Refusal, ErrBusy, or that the client has gone.
func (h *Hub) ReadBody(
	w http.ResponseWriter, r *http.Request, maxBytes int64,
) (body []byte, release func(), err error) {
	within := http.NewResponseController(w)
	_ = within.SetReadDeadline(time.Now().Add(bodyTimeout)) // a recorder of tests has none
	defer func() { _ = within.SetReadDeadline(time.Time{}) }()
	return h.ReadPacked(r.Body, r.Header.Get("Content-Encoding"), r.ContentLength, maxBytes)
}

// ReadPacked is ReadBody for bytes in an encoding: "", identity, gzip, deflate, zstd, or snappy,
// its block format. size is how many there are, or -1 where that is not known.
func (h *Hub) ReadPacked(
	from io.Reader, encoding string, size, maxBytes int64,
) (body []byte, release func(), err error) {
	g := &gathering{hub: h, max: maxBytes}
	defer func() {
		if err != nil {
			g.release()
		}
	}()
	if size > maxBytes {
		return nil, nil, tooLarge(maxBytes)
	}
	if strings.EqualFold(encoding, "snappy") {
		body, err = g.snappy(from)
		return body, g.release, err
	}
	unpacked, err := unpacker(from, encoding)
	if err != nil {
		return nil, nil, err
	}
	defer unpacked.Close()
	body, err = g.readAll(unpacked, size)
	return body, g.release, err
}

func tooLarge(maxBytes int64) error {
	return Refuse(http.StatusRequestEntityTooLarge, "the body has more than the %d bytes that max_body_size allows; "+
		"send smaller ones or set it higher", maxBytes)
}

// unpacker returns what unpacks a stream. Its memory is bounded.
func unpacker(from io.Reader, encoding string) (io.ReadCloser, error) {
	switch strings.ToLower(encoding) {
	case "", "identity":
		return io.NopCloser(from), nil
	case "gzip", "x-gzip":
		unpacked, err := gzip.NewReader(from)
		if err != nil {
			return nil, Refuse(http.StatusBadRequest, "the body is not gzip, as Content-Encoding says: %v", err)
		}
		return unpacked, nil
	case "deflate":
		return deflated(from), nil
	case "zstd":
		unpacked, err := zstd.NewReader(from, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20),
			zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, Refuse(http.StatusBadRequest, "the body is not zstd, as Content-Encoding says: %v", err)
		}
		return unpacked.IOReadCloser(), nil
	}
	return nil, Refuse(http.StatusUnsupportedMediaType, "Content-Encoding %.40q is not known; send it as gzip, zstd, "+
		"deflate or as it is", encoding)
}

// deflated unpacks deflate, which means zlib (RFC 9110, 8.4.1.2), and without its frame for some.
func deflated(from io.Reader) io.ReadCloser {
	var head [2]byte
	n, err := io.ReadFull(from, head[:])
	whole := io.MultiReader(bytes.NewReader(head[:n]), from)
	if err == nil && head[0]&0x0f == 8 && (uint(head[0])<<8|uint(head[1]))%31 == 0 {
		if unpacked, err := zlib.NewReader(whole); err == nil {
			return unpacked
		}
	}
	return flate.NewReader(whole)
}

// gathering is a body that is being read, and the room that it has taken.
type gathering struct {
	hub  *Hub
	max  int64
	held int64
	used [][]byte // that are not needed any more with the body
}

func (g *gathering) release() {
	g.hub.Release(g.held)
	g.held = 0
	for _, b := range g.used {
		g.hub.buffers.put(b)
	}
	g.used = nil
}

// buffers are kept for the next bodies: most are about as large as those before.
type buffers struct {
	mu   sync.Mutex
	free [][]byte
}

const (
	maxBuffers = 6
	maxBuffer  = 1 << 20
)

// get returns an empty buffer of at least a size.
func (f *buffers) get(size int64) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := len(f.free) - 1; i >= 0; i-- {
		if b := f.free[i]; int64(cap(b)) >= size {
			f.free = slices.Delete(f.free, i, i+1)
			return b[:0]
		}
	}
	return make([]byte, 0, size)
}

// put keeps a buffer, in place of a smaller one if there are enough.
func (f *buffers) put(b []byte) {
	if cap(b) > maxBuffer {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.free) < maxBuffers {
		f.free = append(f.free, b)
		return
	}
	if i := slices.IndexFunc(f.free, func(other []byte) bool { return cap(other) < cap(b) }); i >= 0 {
		f.free[i] = b
	}
}

// hold sees to it that there is room for so many bytes.
func (g *gathering) hold(bytes int64) error {
	if bytes <= g.held {
		return nil
	}
	if !g.hub.Hold(bytes - g.held) {
		return ErrBusy
	}
	g.held = bytes
	return nil
}

// firstRead is how much room a body takes at first, whatever it says of its size.
const firstRead = 64 << 10

func (g *gathering) readAll(from io.Reader, size int64) ([]byte, error) {
	room := int64(firstRead)
	if size >= 0 {
		room = min(room, size+1)
	}
	if err := g.hold(room); err != nil {
		return nil, err
	}
	body := g.hub.buffers.get(room)
	if err := g.hold(int64(cap(body))); err != nil {
		return nil, err
	}
	defer func() { g.used = append(g.used, body) }()
	for {
		n, err := from.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case int64(len(body)) > g.max:
			return nil, tooLarge(g.max)
		case errors.Is(err, io.EOF):
			return body, nil
		case err != nil:
			return nil, Refuse(http.StatusBadRequest, "the body cannot be read to its end: %v", err)
		}
		if len(body) < cap(body) {
			continue
		}
		if err := g.hold(3 * int64(cap(body))); err != nil { // both are there for a moment
			return nil, err
		}
		larger := append(g.hub.buffers.get(2*int64(cap(body))), body...)
		g.hub.buffers.put(body)
		body = larger
	}
}

// snappy unpacks a block, which says how large it becomes.
func (g *gathering) snappy(from io.Reader) ([]byte, error) {
	packed, err := g.readAll(from, -1)
	if err != nil {
		return nil, err
	}
	n, err := s2.DecodedLen(packed)
	switch {
	case err != nil:
		return nil, Refuse(http.StatusBadRequest, "the body is not Snappy: %v", err)
	case int64(n) > g.max:
		return nil, tooLarge(g.max)
	}
	if err := g.hold(g.held + int64(n)); err != nil {
		return nil, err
	}
	room := g.hub.buffers.get(int64(n))
	g.used = append(g.used, room)
	body, err := s2.Decode(room[:n], packed)
	if err != nil {
		return nil, Refuse(http.StatusBadRequest, "the body is not Snappy: %v", err)
	}
	return body, nil
}
