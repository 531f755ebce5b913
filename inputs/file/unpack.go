package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/longshore/longshore/inputs/lines"
)

// maxUnpackers limits the files that are being unpacked, each of which takes some 100 KiB, and more
// where its lines are long.
const maxUnpackers = 4

// unpackSlots limits how many files are unpacked at once.
type unpackSlots struct {
	schedule *schedule

	mu      sync.Mutex
	used    int
	waiting []*file
}

// acquire reports whether f has a slot; if not, f is woken when one is free.
func (s *unpackSlots) acquire(f *file) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used < maxUnpackers {
		s.used++
		return true
	}
	s.waiting = append(s.waiting, f)
	return false
}

func (s *unpackSlots) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used--
	if len(s.waiting) > 0 {
		s.schedule.wake(s.waiting[0])
		s.waiting = s.waiting[1:]
	}
}

// An unpacker reads the text of a compressed file.
type unpacker struct {
	zip io.Reader
	buf []byte // unpacked and not yet sent; it begins at progress.off
}

// closeUnpack ends the unpacking of a file, if it has begun.
func (f *file) closeUnpack(slots *unpackSlots) {
	s := &f.read
	if s.unpack == nil {
		return
	}
	if s.tail.n > 0 {
		s.expectTail = fingerprintOf(s.tail.bytes())
	}
	s.unpack = nil
	slots.release()
}

// unpackBlocks reads the next blocks of a compressed file's text.
func (r *reader) unpackBlocks(ctx context.Context, f *file, size int64) (sliceResult, error) {
	s := &f.read
	if s.finished && size == s.doneSize {
		r.park(f)
		return sliceResult{}, nil
	}
	s.finished = false
	if s.unpack == nil {
		if !r.unpacks.acquire(f) {
			return sliceResult{}, nil
		}
		s.unpack = &unpacker{}
		if err := s.unpack.start(s, r.settings.encoding); err != nil {
			return r.onIncomplete(ctx, f, size, err)
		}
	}
	if err := r.openSource(ctx, f); err != nil {
		return sliceResult{}, err
	}
	for range sliceBlocks {
		err := s.unpack.fill(s.splitter.Max + 4)
		if err == nil || err == io.EOF {
			s.unpack.resolveEncoding(s, r.settings.encoding, err != nil)
		}
		switch {
		case err == io.EOF:
			return r.onUnpacked(ctx, f, size)
		case err != nil:
			return r.onIncomplete(ctx, f, size, err)
		}
		if err := r.sendUnpacked(ctx, f, false); err != nil {
			return sliceResult{}, err
		}
	}
	return sliceResult{more: true}, nil
}

// start begins to unpack, and skips what was sent before. It fails with errRewritten if that has
// changed.
func (u *unpacker) start(s *readState, choice *lines.Encoding) error {
	zip, err := decompress(io.NewSectionReader(s.fd, 0, math.MaxInt64))
	if err != nil {
		return asIncomplete(err)
	}
	u.zip = zip
	want := s.expectTail
	if s.tail.n > 0 {
		want = fingerprintOf(s.tail.bytes())
	}
	s.tail.n = 0
	block, left := make([]byte, 32<<10), s.off
	for left > 0 {
		n, err := zip.Read(block[:min(left, uint64(len(block)))])
		if left == s.off {
			s.resolveEncoding(choice, block[:n])
		}
		s.tail.set(block[:n])
		if left -= uint64(n); left > 0 && err != nil {
			return errRewritten
		}
	}
	if want.len > 0 && !s.tail.endsWith(want) {
		return errRewritten
	}
	return nil
}

// fill unpacks up to a block, and further while the first line, of at most line bytes, has no end.
func (u *unpacker) fill(line int) error {
	room := max(blockSize, min(2*len(u.buf), line+blockSize))
	if cap(u.buf) < room {
		u.buf = append(make([]byte, 0, room), u.buf...)
	}
	for len(u.buf) < room {
		n, err := u.zip.Read(u.buf[len(u.buf):room])
		u.buf = u.buf[:len(u.buf)+n]
		if err != nil {
			return asIncomplete(err)
		}
	}
	return nil
}

// asIncomplete replaces errors that users do not understand.
func asIncomplete(err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errIncomplete
	case errors.Is(err, zstd.ErrWindowSizeExceeded):
		return errWindow
	}
	return err
}

var errIncomplete = errors.New("it is incomplete: it was cut off, or is still being written")

// resolveEncoding resolves the encoding by the first bytes.
func (u *unpacker) resolveEncoding(s *readState, choice *lines.Encoding, whole bool) {
	if s.encoding != nil {
		return
	}
	before := s.off
	s.resolveEncoding(choice, u.buf)
	if s.encoding == nil && whole {
		s.encoding = lines.UTF8
	}
	u.buf = u.buf[s.off-before:]
}

// sendUnpacked sends the lines that were unpacked. With last, what is left without a line end is a
// line too.
func (r *reader) sendUnpacked(ctx context.Context, f *file, last bool) error {
	s := &f.read
	for bounded := true; bounded; {
		var end int64
		end, bounded = s.nextBoundary(int64(s.off) + int64(len(s.unpack.buf)))
		s.finished = last && !bounded
		if err := r.sendUnpackedTo(ctx, f, int(end-int64(s.off)), last || bounded); err != nil {
			return err
		}
	}
	return nil
}

// sendUnpackedTo is sendUnpacked for the first size bytes.
func (r *reader) sendUnpackedTo(ctx context.Context, f *file, size int, last bool) error {
	s := &f.read
	u, b := s.unpack, r.feed.Batch(s.src)
	p, d := u.buf[:size], lines.DecodingSplitter{Encoding: s.encoding, State: &s.splitter}
	used := 0
	if s.encoding.IsPlain() {
		grow(b, len(p))
		b.Arena = append(b.Arena, p...)
		used = s.splitter.Split(b, 0, s.off)
	} else {
		used = d.Split(b, p, s.off)
	}
	if last {
		n := d.Last(b, p[used:], s.off+uint64(used))
		used, b.EndedByTimeout = used+n, n > 0
	}
	s.tail.set(p[:used])
	to := s.off + uint64(used)
	s.scanned = to
	u.buf = u.buf[:copy(u.buf, u.buf[used:])]
	return r.send(ctx, f, b, to)
}

// onUnpacked ends a file that was unpacked to its end.
func (r *reader) onUnpacked(ctx context.Context, f *file, size int64) (sliceResult, error) {
	f.read.doneSize = size
	if err := r.sendUnpacked(ctx, f, true); err != nil {
		return sliceResult{}, err
	}
	r.park(f)
	return sliceResult{}, nil
}

// onIncomplete handles a file that cannot be unpacked to its end. It may still be being written;
// once it no longer grows, what could be unpacked is all there is.
func (r *reader) onIncomplete(ctx context.Context, f *file, size int64, cause error) (sliceResult, error) {
	s := &f.read
	var disk *fs.PathError
	switch {
	case errors.As(cause, &disk):
		f.closeUnpack(r.unpacks)
		return sliceResult{}, fmt.Errorf("unpacking a log file: %w", cause)
	case errors.Is(cause, errRewritten) && r.rereads:
		return sliceResult{}, cause
	case errors.Is(cause, errRewritten):
		r.restart(ctx, f, "it was rewritten")
		return sliceResult{more: true}, nil
	}
	left := completeAfter - time.Since(s.grownAt)
	if s.unpack.zip == nil && left <= 0 {
		s.finished, s.doneSize = true, size
		r.log.Warn("cannot unpack", "file", s.key, "error", cause)
		f.closeUnpack(r.unpacks)
		return sliceResult{more: true}, nil
	}
	if s.unpack.zip != nil {
		s.unpack.resolveEncoding(s, r.settings.encoding, left <= 0)
		if left <= 0 {
			r.log.Warn("cannot unpack to the end; what comes before is read",
				"file", s.key, "at", s.off, "error", cause)
			return r.onUnpacked(ctx, f, size)
		}
		if s.encoding != nil {
			if err := r.sendUnpacked(ctx, f, false); err != nil {
				return sliceResult{}, err
			}
		}
	}
	f.closeUnpack(r.unpacks)
	return sliceResult{wait: left}, nil
}
