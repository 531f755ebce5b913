package journalfile

import (
	"errors"
	"fmt"
	"io"
)

const windowSize = 32 << 10

// A window is a part of a file in memory: what is read next is near what was read before.
type window struct {
	file  *File
	begin uint64
	buf   []byte
}

func (w *window) forget() { w.buf = w.buf[:0] }

// at returns n bytes at an offset. They are valid until the next call.
func (w *window) at(offset uint64, n int) ([]byte, error) {
	if offset >= w.begin && offset+uint64(n) <= w.begin+uint64(len(w.buf)) {
		return w.buf[offset-w.begin:][:n], nil
	}
	size := max(n, windowSize)
	if cap(w.buf) < size || n <= windowSize && cap(w.buf) > 4*windowSize {
		w.buf = make([]byte, size)
	}
	got, err := w.file.of.ReadAt(w.buf[:size], int64(offset))
	w.begin, w.buf = offset, w.buf[:got]
	if got >= n {
		return w.buf[:n], nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: it ends in an object", ErrDamaged)
	}
	return nil, fmt.Errorf("%s at %d: %w", w.file.name, offset, err)
}
