package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"syscall"

	"github.com/longshore/longshore/inputs/lines"
	"github.com/longshore/longshore/pipeline/event"
)

// A writer that does not append goes on where it was in a truncated file: before its next line
// there are NULs, a hole of the file system. Others make a file longer than its text and write over
// the NULs. So NULs are skipped once something comes after them, and are no text until then.

// A nulRun is what was found behind the text of a file: no more than NULs.
type nulRun struct {
	from, to uint64 // nothing was found up to to; 0 if there is text
}

// beforeNULs returns how much of a block that begins at the reading position is text, or may be:
// what is left are NULs at the end of the file. Where the block is all NULs and there is text
// behind them, it returns the position of that.
func (r *reader) beforeNULs(f *file, block []byte, size int64) (n int, text uint64, err error) {
	s := &f.read
	if len(block) < lines.MinNULs || block[len(block)-1] != 0 {
		return len(block), 0, nil
	}
	unit := s.encoding.Unit()
	n = (len(bytes.TrimRight(block, "\x00")) + unit - 1) / unit * unit
	if len(block)-n < lines.MinNULs {
		return len(block), 0, nil
	}
	at, err := s.nextText(s.off+uint64(len(block)), uint64(size))
	switch {
	case err != nil:
		return 0, 0, err
	case at >= uint64(size):
		s.nuls = nulRun{s.off + uint64(n), uint64(size)}
		return n, 0, nil
	case n > 0:
		return len(block), 0, nil
	}
	return 0, at - (at-s.off)%uint64(unit), nil
}

// nextText returns the position of the first byte from a position on that is no NUL, or size.
func (s *readState) nextText(from, size uint64) (uint64, error) {
	buf := make([]byte, 64<<10)
	for at := max(from, s.nuls.to); at < size; {
		at = min(size, nextData(s.fd, at))
		n, err := s.fd.ReadAt(buf[:min(size-at, uint64(len(buf)))], int64(at))
		if i := len(buf[:n]) - len(bytes.TrimLeft(buf[:n], "\x00")); i < n {
			s.nuls = nulRun{}
			return at + uint64(i), nil
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, fmt.Errorf("reading %s: %w", s.key, err)
		}
		at += uint64(n)
	}
	return size, nil
}

// nextData returns where the next data begins behind a hole. Where the file system cannot tell,
// that is the position itself.
func nextData(fd *os.File, at uint64) uint64 {
	data, err := fd.Seek(int64(at), seekData)
	switch {
	case errors.Is(err, syscall.ENXIO):
		return math.MaxUint64 // all that is left is a hole
	case err != nil:
		return at
	}
	return uint64(data)
}

// skipNULs skips the NULs up to a position, with a batch that has no records.
func (r *reader) skipNULs(ctx context.Context, f *file, b *event.Batch, to uint64) error {
	s := &f.read
	b.Records, b.Arena = b.Records[:0], b.Arena[:0]
	r.metrics.nuls.Add(float64(to - s.off))
	s.tail.set(make([]byte, min(to-s.off, tailMax)))
	s.scanned, s.nuls = to, nulRun{}
	return r.send(ctx, f, b, to)
}

// isWrittenOver reports whether there is text now where there were NULs behind the text before.
func (s *readState) isWrittenOver() bool {
	if s.nuls.to == 0 {
		return false
	}
	var p [2]byte
	n, _ := s.fd.ReadAt(p[:s.encoding.Unit()], int64(s.nuls.from)) // read again when it is woken
	return len(bytes.TrimLeft(p[:n], "\x00")) > 0
}
