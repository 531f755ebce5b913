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

// probeFrom is the length from which an unfinished line is looked through for
// its end before it is read as a whole again.
const probeFrom = 64 << 10

// readTurn reads a file's new blocks.
func (r *reader) readTurn(ctx context.Context, f *file, size int64) (verdict, error) {
	if err := r.settleText(f); err != nil || f.text == nil {
		return verdict{}, err
	}
	for range turnBlocks {
		end, cut := f.nextCut(size)
		if !cut {
			if grown, err := r.hasLine(f, size); !grown || err != nil {
				return verdict{}, err
			}
		}
		if err := r.openSource(ctx, f); err != nil {
			return verdict{}, err
		}
		if err := r.block(ctx, f, end, cut); err != nil {
			return verdict{}, err
		}
		if f.text == nil { // it was rewritten, and begins anew
			return verdict{more: true}, nil
		}
	}
	return verdict{more: int64(f.scanned) < size}, nil
}

// nextCut gives up to where a file of this size is to be read: to the next cut, if
// that comes first.
func (f *file) nextCut(size int64) (end int64, cut bool) {
	for len(f.cuts) > 0 && f.cuts[0] <= f.off {
		f.cuts = f.cuts[1:]
	}
	if len(f.cuts) > 0 && f.cuts[0] <= uint64(size) {
		return int64(f.cuts[0]), true
	}
	return size, false
}

// hasLine tells whether there may be a whole line to read. Of a long line that
// is written in small pieces, only the pieces are read.
func (r *reader) hasLine(f *file, size int64) (bool, error) {
	at := int64(f.scanned)
	if at >= size {
		return false, nil
	}
	if f.scanned-f.off < probeFrom || !f.text.IsPlain() || size-int64(f.off) >= int64(f.split.Max)+2 {
		return true, nil
	}
	p := r.buffer(int(min(size-at, blockSize)))
	n, err := f.fd.ReadAt(p, at)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, fmt.Errorf("reading %s: %w", f.key, err)
	}
	if bytes.IndexByte(p[:n], '\n') >= 0 {
		return true, nil
	}
	f.scanned += uint64(n)
	return false, nil
}

// buffer gives n bytes that are the reader's own.
func (r *reader) buffer(n int) []byte {
	if cap(r.raw) < n {
		r.raw = make([]byte, max(n, blockSize))
	}
	return r.raw[:n]
}

// block reads one block, or as much as it takes to come to the end of a longer
// line, and sends the lines in it. With last, what is left without a line end before size
// is a line too.
func (r *reader) block(ctx context.Context, f *file, size int64, last bool) error {
	if !f.text.IsPlain() {
		return r.decodedBlock(ctx, f, size, last)
	}
	b := r.feed.Batch(f.src)
	front, rest := f.tail.n, 0
	want := min(size-int64(f.off), blockSize)
	for {
		grow(b, front+int(want)-len(b.Arena))
		n, err := f.fd.ReadAt(b.Arena[len(b.Arena):front+int(want)], int64(f.off)-int64(front)+int64(len(b.Arena)))
		b.Arena = b.Arena[:len(b.Arena)+n]
		if err != nil && !errors.Is(err, io.EOF) {
			return errors.Join(fmt.Errorf("reading %s: %w", f.key, err), r.sendNone(ctx, f, b))
		}
		if len(b.Arena) < front || !bytes.Equal(b.Arena[:front], f.tail.bytes()) {
			return r.rewritten(ctx, f, b)
		}
		rest = f.split.Split(b, front, f.off)
		if rest > front || err != nil || want >= size-int64(f.off) {
			break
		}
		want = min(2*want, size-int64(f.off))
	}
	f.scanned = f.off + uint64(len(b.Arena)-front)
	b.MorePending = f.scanned < uint64(size) || r.schedule.hasMore()
	if last && f.scanned == uint64(size) {
		was := rest
		rest = f.split.Last(b, rest, f.off+uint64(rest-front))
		b.EndedByTimeout = rest > was
	}
	to := f.off + uint64(rest-front)
	f.tail.set(b.Arena[front:rest])
	b.Arena = b.Arena[:rest]
	return r.send(ctx, f, b, to)
}

// decodedBlock is block for text that is not UTF-8.
func (r *reader) decodedBlock(ctx context.Context, f *file, size int64, last bool) error {
	b := r.feed.Batch(f.src)
	front, want := f.tail.n, min(size-int64(f.off), blockSize)
	d := lines.DecodingSplitter{Encoding: f.text, State: &f.split}
	for {
		p := r.buffer(front + int(want))
		n, err := f.fd.ReadAt(p, int64(f.off)-int64(front))
		if err != nil && !errors.Is(err, io.EOF) {
			return errors.Join(fmt.Errorf("reading %s: %w", f.key, err), r.sendNone(ctx, f, b))
		}
		if n < front || !bytes.Equal(p[:front], f.tail.bytes()) {
			return r.rewritten(ctx, f, b)
		}
		p = p[front:n]
		used := d.Split(b, p, f.off)
		if used == 0 && err == nil && want < size-int64(f.off) {
			want = min(2*want, size-int64(f.off))
			continue
		}
		f.scanned = f.off + uint64(len(p))
		b.MorePending = f.scanned < uint64(size) || r.schedule.hasMore()
		if last && f.scanned == uint64(size) {
			whole := p[used : len(p)-(len(p)-used)%f.text.Unit()]
			n := d.Last(b, whole, f.off+uint64(used))
			used, b.EndedByTimeout = used+n, n > 0
		}
		f.tail.set(p[:used])
		return r.send(ctx, f, b, f.off+uint64(used))
	}
}

// sendNone gives an unused batch back: it stands for nothing.
func (r *reader) sendNone(ctx context.Context, f *file, b *event.Batch) error {
	b.Records, b.Arena = b.Records[:0], b.Arena[:0]
	return r.send(ctx, f, b, f.sent)
}

// rewritten deals with a file that changed between a look at it and the
// reading of a block.
func (r *reader) rewritten(ctx context.Context, f *file, b *event.Batch) error {
	if err := r.sendNone(ctx, f, b); err != nil {
		return err
	}
	r.restart(ctx, f, "it was rewritten")
	return nil
}

// lastLine sends what stands behind the last line end of a file that was not
// written to for long.
func (r *reader) lastLine(ctx context.Context, f *file, size int64) error {
	if f.text == nil { // it is shorter than a byte-order mark, and looks like one
		f.text = lines.UTF8
	}
	if err := r.openSource(ctx, f); err != nil {
		return err
	}
	return r.block(ctx, f, size, true)
}
