package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/longshore/longshore/inputs/lines"
	"github.com/longshore/longshore/pipeline/event"
)

// probeFrom is the length from which an incomplete line is searched for its end before all of it is
// read again.
const probeFrom = 64 << 10

// readBlocks reads a file's new blocks.
func (r *reader) readBlocks(ctx context.Context, f *file, size int64) (sliceResult, error) {
	s := &f.read
	if err := r.resolveEncoding(f, size); err != nil || s.encoding == nil {
		return sliceResult{}, err
	}
	for range sliceBlocks {
		end, bounded := s.nextBoundary(size)
		if !bounded {
			if grown, err := r.hasLine(f, size); !grown || err != nil {
				return sliceResult{}, err
			}
		}
		if err := r.openSource(ctx, f); err != nil {
			return sliceResult{}, err
		}
		if err := r.readBlock(ctx, f, end, bounded); err != nil {
			return sliceResult{}, err
		}
		if s.encoding == nil { // it was rewritten, and begins anew
			return sliceResult{more: true}, nil
		}
	}
	return sliceResult{more: int64(s.scanned) < size}, nil
}

// nextBoundary returns up to where a file of this size is to be read: to the next boundary, if that
// comes first.
func (s *readState) nextBoundary(size int64) (end int64, bounded bool) {
	for len(s.boundaries) > 0 && s.boundaries[0] <= s.off {
		s.boundaries = s.boundaries[1:]
	}
	if len(s.boundaries) > 0 && s.boundaries[0] <= uint64(size) {
		return int64(s.boundaries[0]), true
	}
	return size, false
}

// hasLine reports whether there may be a whole line to read. Of a long line that is written in
// small pieces, only the pieces are read.
func (r *reader) hasLine(f *file, size int64) (bool, error) {
	s := &f.read
	at := int64(s.scanned)
	if at >= size && s.isWrittenOver() {
		s.scanned = s.off
		return true, nil
	}
	if at >= size {
		return false, nil
	}
	if s.scanned-s.off < probeFrom || !s.encoding.IsPlain() || size-int64(s.off) >= int64(s.splitter.Max)+2 {
		return true, nil
	}
	p := r.buffer(int(min(size-at, blockSize)))
	n, err := s.fd.ReadAt(p, at)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, fmt.Errorf("reading %s: %w", s.key, err)
	}
	if bytes.IndexByte(p[:n], '\n') >= 0 {
		return true, nil
	}
	s.scanned += uint64(n)
	return false, nil
}

// buffer returns n bytes of the reader's own.
func (r *reader) buffer(n int) []byte {
	if cap(r.buf) < n {
		r.buf = make([]byte, max(n, blockSize))
	}
	return r.buf[:n]
}

// readBlock reads one block, or more to reach the end of a longer line, and sends the lines in it.
// With last, what is left without a line end before size is a line too.
func (r *reader) readBlock(ctx context.Context, f *file, size int64, last bool) error {
	s := &f.read
	if !s.encoding.IsPlain() {
		return r.decodeBlock(ctx, f, size, last)
	}
	b := r.feed.Batch(s.src)
	front, rest, ends := s.tail.n, 0, false // ends: but for NULs
	want := min(size-int64(s.off), blockSize)
	for {
		grow(b, front+int(want)-len(b.Arena))
		n, err := s.fd.ReadAt(b.Arena[len(b.Arena):front+int(want)], int64(s.off)-int64(front)+int64(len(b.Arena)))
		b.Arena = b.Arena[:len(b.Arena)+n]
		if err != nil && !errors.Is(err, io.EOF) {
			return errors.Join(fmt.Errorf("reading %s: %w", s.key, err), r.returnBatch(ctx, f, b))
		}
		if s.isOther(b.Arena, front+int(want)) {
			return r.onRewritten(ctx, f, b)
		}
		text, skipTo, failed := r.beforeNULs(f, b.Arena[front:], size)
		if failed != nil {
			return errors.Join(failed, r.returnBatch(ctx, f, b))
		}
		if skipTo > 0 {
			return r.skipNULs(ctx, f, b, skipTo)
		}
		ends = front+text < len(b.Arena)
		b.Arena = b.Arena[:front+text]
		rest = s.splitter.Split(b, front, s.off)
		if rest > front || err != nil || ends || want >= size-int64(s.off) {
			break
		}
		want = min(2*want, size-int64(s.off))
	}
	s.scanned = s.off + uint64(len(b.Arena)-front)
	if ends {
		s.scanned = uint64(size)
	}
	b.MorePending = s.scanned < uint64(size) || r.schedule.hasMore()
	if last && s.scanned == uint64(size) {
		was := rest
		rest = s.splitter.Last(b, rest, s.off+uint64(rest-front))
		b.EndedByTimeout = rest > was
	}
	to := s.off + uint64(rest-front)
	s.tail.set(b.Arena[front:rest])
	b.Arena = b.Arena[:rest]
	return r.send(ctx, f, b, to)
}

// isOther reports whether a block, of which want bytes were there when the file was looked at, is
// of another text than the source's: it does not begin with the tail, or is not the head, or the
// file has become shorter while its reader was held up.
func (s *readState) isOther(p []byte, want int) bool {
	if len(p) < want || !bytes.HasPrefix(p, s.tail.bytes()) {
		return true
	}
	return s.off == 0 && len(p) >= int(s.head.len) && !s.head.matches(p)
}

// decodeBlock is readBlock for text that is not UTF-8.
func (r *reader) decodeBlock(ctx context.Context, f *file, size int64, last bool) error {
	s := &f.read
	b := r.feed.Batch(s.src)
	front, want := s.tail.n, min(size-int64(s.off), blockSize)
	d := lines.DecodingSplitter{Encoding: s.encoding, State: &s.splitter}
	for {
		p := r.buffer(front + int(want))
		n, err := s.fd.ReadAt(p, int64(s.off)-int64(front))
		if err != nil && !errors.Is(err, io.EOF) {
			return errors.Join(fmt.Errorf("reading %s: %w", s.key, err), r.returnBatch(ctx, f, b))
		}
		if s.isOther(p[:n], len(p)) {
			return r.onRewritten(ctx, f, b)
		}
		p = p[front:n]
		text, skipTo, failed := r.beforeNULs(f, p, size)
		if failed != nil {
			return errors.Join(failed, r.returnBatch(ctx, f, b))
		}
		if skipTo > 0 {
			return r.skipNULs(ctx, f, b, skipTo)
		}
		ends := text < len(p)
		p = p[:text]
		used := d.Split(b, p, s.off)
		if used == 0 && err == nil && !ends && want < size-int64(s.off) {
			want = min(2*want, size-int64(s.off))
			continue
		}
		s.scanned = s.off + uint64(len(p))
		if ends {
			s.scanned = uint64(size)
		}
		b.MorePending = s.scanned < uint64(size) || r.schedule.hasMore()
		if last && s.scanned == uint64(size) {
			whole := p[used : len(p)-(len(p)-used)%s.encoding.Unit()]
			n := d.Last(b, whole, s.off+uint64(used))
			used, b.EndedByTimeout = used+n, n > 0
		}
		s.tail.set(p[:used])
		return r.send(ctx, f, b, s.off+uint64(used))
	}
}

// returnBatch returns an unused batch: it covers nothing.
func (r *reader) returnBatch(ctx context.Context, f *file, b *event.Batch) error {
	b.Records, b.Arena = b.Records[:0], b.Arena[:0]
	return r.send(ctx, f, b, f.read.sent)
}

// onRewritten handles a file that changed between looking at it and reading a block.
func (r *reader) onRewritten(ctx context.Context, f *file, b *event.Batch) error {
	if err := r.returnBatch(ctx, f, b); err != nil {
		return err
	}
	if r.rereads {
		return errRewritten
	}
	r.restart(ctx, f, "it was rewritten")
	return nil
}

// readLastLine sends what comes after the last line end of a file that was not written to for long.
func (r *reader) readLastLine(ctx context.Context, f *file, size int64) error {
	if f.read.encoding == nil { // it is shorter than a byte-order mark, and looks like one
		f.read.encoding = lines.UTF8
	}
	return r.readBlock(ctx, f, size, true)
}
