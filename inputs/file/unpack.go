package file

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/longshore/longshore/inputs/lines"
)

// unpackAtOnce bounds the files that are being unpacked, each of which needs
// some 100 KiB, and more where its lines are long.
const unpackAtOnce = 4

const packedEnding = ".gz"

func isCompressed(path string) bool { return strings.HasSuffix(strings.ToLower(path), packedEnding) }

// plainName gives the name that a file had before it was compressed.
func plainName(path string) string {
	if isCompressed(path) {
		return path[:len(path)-len(packedEnding)]
	}
	return path
}

// unpackSlots hands out the right to unpack.
type unpackSlots struct {
	schedule *schedule

	mu      sync.Mutex
	taken   int
	waiting []*file
}

// take gives f a slot, or has it woken when one is free.
func (s *unpackSlots) take(f *file) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken < unpackAtOnce {
		s.taken++
		return true
	}
	s.waiting = append(s.waiting, f)
	return false
}

func (s *unpackSlots) give() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken--
	if len(s.waiting) > 0 {
		s.schedule.wake(s.waiting[0])
		s.waiting = s.waiting[1:]
	}
}

// An unpacker reads what a .gz file unpacks to. Files of several members are
// read to the end of the last.
type unpacker struct {
	zip *gzip.Reader
	// buf is what was unpacked and not yet sent; it begins at file.off.
	buf []byte
}

// closeUnpack ends the unpacking of a file, if it has begun.
func (f *file) closeUnpack(slots *unpackSlots) {
	if f.unpack == nil {
		return
	}
	if f.tail.n > 0 {
		f.expect = printOf(f.tail.bytes())
	}
	f.unpack = nil
	slots.give()
}

// unpackTurn reads the next blocks of what a .gz file unpacks to.
func (r *reader) unpackTurn(ctx context.Context, f *file, size int64) (verdict, error) {
	if f.finished && size == f.doneSize {
		r.park(f)
		return verdict{}, nil
	}
	f.finished = false
	if f.unpack == nil {
		if !r.unpacks.take(f) {
			return verdict{}, nil
		}
		f.unpack = &unpacker{}
		if err := f.unpack.start(f, r.settings.encoding); err != nil {
			return r.torn(ctx, f, size, err)
		}
	}
	if err := r.openSource(ctx, f); err != nil {
		return verdict{}, err
	}
	for range turnBlocks {
		broken := f.unpack.fill(f.split.Max + 4)
		if broken == nil || broken == io.EOF {
			f.unpack.settle(f, r.settings.encoding, broken != nil)
		}
		switch {
		case broken == io.EOF:
			return r.unpacked(ctx, f, size)
		case broken != nil:
			return r.torn(ctx, f, size, broken)
		}
		if err := r.sendUnpacked(ctx, f, false); err != nil {
			return verdict{}, err
		}
	}
	return verdict{more: true}, nil
}

// start begins to unpack, and passes over what was sent before. It fails with
// errRewritten if that is not what is there now.
func (u *unpacker) start(f *file, choice *lines.Encoding) error {
	if _, err := f.fd.Seek(0, io.SeekStart); err != nil {
		return err
	}
	zip, err := gzip.NewReader(bufio.NewReaderSize(f.fd, 64<<10))
	if err != nil {
		return asTorn(err)
	}
	u.zip = zip
	want := f.expect
	if f.tail.n > 0 {
		want = printOf(f.tail.bytes())
	}
	f.tail.n = 0
	block, left := make([]byte, 32<<10), f.off
	for left > 0 {
		n, err := zip.Read(block[:min(left, uint64(len(block)))])
		if left == f.off {
			f.settleText(choice, block[:n])
		}
		f.tail.set(block[:n])
		if left -= uint64(n); left > 0 && err != nil {
			return errRewritten
		}
	}
	if got := f.tail.bytes(); int(want.len) > len(got) || want.len > 0 && printOf(got[len(got)-int(want.len):]) != want {
		return errRewritten
	}
	return nil
}

// fill unpacks up to a block, and further while the first line, of at most
// line bytes, has no end.
func (u *unpacker) fill(line int) error {
	room := max(blockSize, min(2*len(u.buf), line+blockSize))
	if cap(u.buf) < room {
		u.buf = append(make([]byte, 0, room), u.buf...)
	}
	for len(u.buf) < room {
		n, err := u.zip.Read(u.buf[len(u.buf):room])
		u.buf = u.buf[:len(u.buf)+n]
		if err != nil {
			return asTorn(err)
		}
	}
	return nil
}

// asTorn gives EOF the name that a file deserves which ends where it should not.
func asTorn(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errTorn
	}
	return err
}

var errTorn = errors.New("it ends in the middle: it was cut off, or is still being written")

// settle settles the encoding by the first bytes.
func (u *unpacker) settle(f *file, choice *lines.Encoding, whole bool) {
	if f.text != nil {
		return
	}
	before := f.off
	f.settleText(choice, u.buf)
	if f.text == nil && whole {
		f.text = lines.UTF8
	}
	u.buf = u.buf[f.off-before:]
}

// sendUnpacked sends the lines that were unpacked. With last, what is left
// without a line end is a line too.
func (r *reader) sendUnpacked(ctx context.Context, f *file, last bool) error {
	for cut := true; cut; {
		var end int64
		end, cut = f.nextCut(int64(f.off) + int64(len(f.unpack.buf)))
		f.finished = last && !cut
		if err := r.sendUnpackedTo(ctx, f, int(end-int64(f.off)), last || cut); err != nil {
			return err
		}
	}
	return nil
}

// sendUnpackedTo is sendUnpacked for the first size bytes.
func (r *reader) sendUnpackedTo(ctx context.Context, f *file, size int, last bool) error {
	u, b := f.unpack, r.feed.Batch(f.src)
	p, d := u.buf[:size], lines.DecodingSplitter{Encoding: f.text, State: &f.split}
	used := 0
	if f.text.IsPlain() {
		grow(b, len(p))
		b.Arena = append(b.Arena, p...)
		used = f.split.Split(b, 0, f.off)
	} else {
		used = d.Split(b, p, f.off)
	}
	if last {
		n := d.Last(b, p[used:], f.off+uint64(used))
		used, b.EndedByTimeout = used+n, n > 0
	}
	f.tail.set(p[:used])
	to := f.off + uint64(used)
	f.scanned = to
	u.buf = u.buf[:copy(u.buf, u.buf[used:])]
	return r.send(ctx, f, b, to)
}

// unpacked ends a file that was unpacked to its end.
func (r *reader) unpacked(ctx context.Context, f *file, size int64) (verdict, error) {
	f.doneSize = size
	if err := r.sendUnpacked(ctx, f, true); err != nil {
		return verdict{}, err
	}
	r.park(f)
	return verdict{more: false}, nil
}

// torn deals with a file that cannot be unpacked to its end. It may still be
// being written; if it no longer grows, what could be unpacked is all there is.
func (r *reader) torn(ctx context.Context, f *file, size int64, cause error) (verdict, error) {
	var disk *fs.PathError
	switch {
	case errors.As(cause, &disk):
		f.closeUnpack(r.unpacks)
		return verdict{}, fmt.Errorf("unpacking a log file: %w", cause)
	case errors.Is(cause, errRewritten):
		r.restart(ctx, f, "it was rewritten")
		return verdict{more: true}, nil
	}
	left := settle - time.Since(f.grown)
	if f.unpack.zip == nil && left <= 0 {
		f.finished, f.doneSize = true, size
		r.log.Warn("cannot unpack", "file", f.key, "error", cause)
		f.closeUnpack(r.unpacks)
		return verdict{more: true}, nil
	}
	if f.unpack.zip != nil {
		f.unpack.settle(f, r.settings.encoding, left <= 0)
		if left <= 0 {
			r.log.Warn("cannot unpack to the end; what comes before is read", "file", f.key, "at", f.off, "error", cause)
			return r.unpacked(ctx, f, size)
		}
		if f.text != nil {
			if err := r.sendUnpacked(ctx, f, false); err != nil {
				return verdict{}, err
			}
		}
	}
	f.closeUnpack(r.unpacks)
	return verdict{wait: left}, nil
}
