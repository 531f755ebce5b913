package docker

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/longshore/longshore/inputs/docker/logformat"
)

const (
	smallBlock = 32 << 10 // room for what the engine cuts at 16 KiB
	largeBlock = 128 << 10

	// largeBlocks is how many large blocks there may be at a time. Who has none reads small ones.
	largeBlocks = 16

	// maxEntry is the longest entry that is looked at. The engine cuts texts at 16 KiB, which escapes may
	// make six times as long; what else stands in an entry are the container's own labels.
	maxEntry = 1 << 20

	// markLen is how much before the place reached is compared before reading goes on there: more than
	// an entry's time.
	markLen = 64
)

var (
	// errRewritten says that a file is not what it was: truncated, or written anew.
	errRewritten = errors.New("the file was truncated")

	// errAstray says that what follows the file last read cannot be told: the place must be found anew.
	errAstray = errors.New("the files have moved on")
)

// A tail reads the files of one log, from some place on: those that were rotated away to
// their ends, then the one that is written, as it grows. They are held open, so that what the engine
// rotates away or deletes is read all the same.
type tail struct {
	path  string
	file  *logFile
	rest  []*logFile // those that come after it, oldest first
	final bool       // nothing is written to file any more

	off      int64 // how far file is read, to the end of a line
	seen     int64 // its end when it was last looked at
	mark     []byte
	skipping bool // inside an entry that is too long

	from    logformat.Entries
	corrupt func() // is called for what is no entry
	blocks  *blocks
	block   []byte // nil unless it is being read
}

// newTail opens a log at a place that is before all messages of a time or later, as far as times
// ascend. It reports whether that is not simply the beginning of all that there is.
func newTail(path string, since int64) (t *tail, guessed bool, err error) {
	files, err := openLog(path)
	if err != nil {
		return nil, false, err
	}
	start := 0
	for i := len(files) - 1; i > 0 && since > 0; i-- {
		if first, ok := files[i].firstTime(); ok && first < since {
			start = i
			break
		}
	}
	closeAll(files[:start])
	t = &tail{path: path}
	t.read(files[start:])
	if since > 0 {
		t.off = t.file.before(since)
	}
	return t, start > 0 || t.off > 0, nil
}

// read goes on with files, from the beginning of the first one.
func (t *tail) read(files []*logFile) {
	if t.file != nil {
		t.file.close()
	}
	t.file, t.rest, t.final = files[0], files[1:], len(files) > 1
	t.off, t.mark, t.skipping = 0, t.mark[:0], false
}

func (t *tail) close() {
	t.free()
	t.file.close()
	closeAll(t.rest)
}

// free gives the memory back that only reading needs.
func (t *tail) free() {
	t.blocks.give(t.block)
	t.block = nil
	t.from.Release()
}

// look reads the file to its end of now, or until ctx ends. take is given whole lines. It returns how many bytes
// those were.
func (t *tail) look(ctx context.Context, take func(p []byte) error) (read int64, err error) {
	t.block = t.blocks.take()
	defer t.free()
	began := t.off
	for {
		if err := ctx.Err(); err != nil {
			return t.off - began, err
		}
		full, err := t.one(take)
		if err != nil && err != io.EOF {
			return t.off - began, err
		}
		if !full {
			return t.off - began, nil
		}
	}
}

// one reads a block. It reports whether that was full, so that there may be more.
func (t *tail) one(take func(p []byte) error) (full bool, err error) {
	buf, m := t.block, len(t.mark)
	n, err := t.file.src.ReadAt(buf, t.off-int64(m))
	if n < m || !bytes.Equal(buf[:m], t.mark) {
		if err != nil && err != io.EOF {
			return false, err
		}
		return false, errRewritten
	}
	if err != nil && err != io.EOF {
		return false, err
	}
	p := buf[m:n]
	t.seen = t.off + int64(len(p))
	end := bytes.LastIndexByte(p, '\n') + 1
	full = n == len(buf)
	if end == 0 && full {
		t.widen(p)
		return true, nil
	}
	if err := t.give(p[:end], take); err != nil {
		return false, err
	}
	t.passed(p[:end])
	if full && len(buf) == smallBlock {
		t.enlarge()
	}
	return full, nil
}

// give passes whole lines on, and of one that was too long, the entry that it may end with.
func (t *tail) give(p []byte, take func(p []byte) error) error {
	if t.skipping && len(p) > 0 {
		end := bytes.IndexByte(p, '\n')
		if at := bytes.LastIndex(p[:end], []byte(logformat.EntryPrefix)); at >= 0 {
			end = at - 1
		}
		p = p[end+1:]
		t.skipping = false
	}
	if len(p) == 0 {
		return nil
	}
	return take(p)
}

// passed moves the place on behind p, which was read there.
func (t *tail) passed(p []byte) {
	t.off += int64(len(p))
	if len(p) >= markLen {
		t.mark = append(t.mark[:0], p[len(p)-markLen:]...)
		return
	}
	all := append(t.mark, p...)
	t.mark = append(t.mark[:0], all[max(0, len(all)-markLen):]...)
}

// widen makes room for the entry that p begins with, or passes over it.
func (t *tail) widen(p []byte) {
	if len(t.block) < maxEntry {
		t.blocks.give(t.block)
		t.block = make([]byte, maxEntry)
		return
	}
	if !t.skipping {
		t.skipping = true
		t.corrupt()
	}
	until := bytes.LastIndex(p, []byte(logformat.EntryPrefix)) // of an entry behind what is no entry
	if until <= 0 {
		until = len(p) - len(logformat.EntryPrefix) + 1
	}
	t.passed(p[:until])
}

// enlarge gets a larger block, if there is one.
func (t *tail) enlarge() {
	if large := t.blocks.takeLarge(); large != nil {
		t.blocks.give(t.block)
		t.block = large
	}
}

// next is called when the file was read to its end. It reports true if there is more to read: of
// the same file, or of the next. last is the time of the latest message; missed says that lines between the two are probably gone.
func (t *tail) next(kept rotation, last int64) (more, missed bool, err error) {
	if len(t.rest) > 0 {
		t.leave()
		t.read(t.rest)
		return true, false, nil
	}
	if !t.final {
		info, err := os.Stat(t.path)
		if err == nil {
			t.final = !os.SameFile(info, t.file.info)
		}
		if errors.Is(err, fs.ErrNotExist) {
			err = nil // who deleted it did not stop the engine from writing it
		}
		return t.final, false, err
	}
	t.leave()
	files, err := openLog(t.path)
	if err != nil {
		return false, false, err
	}
	for i, f := range files[:len(files)-1] {
		if f.same(t.file) {
			closeAll(files[:i+1])
			t.read(files[i+1:])
			return true, false, nil
		}
	}
	if len(files) == 1 { // the engine keeps no old ones
		missed = t.missed(files[0], kept, last)
		t.read(files)
		return true, missed, nil
	}
	closeAll(files)
	return false, false, errAstray
}

// grown tells whether there may be something that was not looked at.
func (t *tail) grown() bool {
	info, err := t.file.fd.Stat()
	if err != nil || info.Size() != t.seen {
		return true
	}
	now, err := os.Stat(t.path)
	return err == nil && !os.SameFile(now, info)
}

// leave notes an entry at the end that will never be whole.
func (t *tail) leave() {
	var one [1]byte
	n, _ := t.file.src.ReadAt(one[:], t.off)
	if n > 0 && !t.skipping || t.file.broken() {
		t.corrupt()
	}
}

// missed tells whether the container, going on as before, could have filled another file in the pause
// between the file and the one that is there now.
func (t *tail) missed(now *logFile, kept rotation, last int64) bool {
	first, ok := t.file.firstTime()
	next, found := now.firstTime()
	if !ok || !found {
		return true
	}
	pace := float64(t.off) / float64(max(last-first, int64(time.Millisecond)))
	return next-last >= shortPause && haste*pace*float64(next-last) >= float64(kept.size)
}

// restart begins anew with a file that was truncated. It tells whether lines were probably missed: the
// engine does that only to a file that is full.
func (t *tail) restart(kept rotation) (missed bool) {
	missed = kept.size == 0 || t.off < kept.size
	t.off, t.mark, t.skipping, t.final = 0, t.mark[:0], false, false
	return missed
}

// blocks lends memory for reading: a small block to everybody, a large one to few at a time.
type blocks struct {
	small, large sync.Pool
	lent         atomic.Int32
}

func (b *blocks) take() []byte {
	if p, ok := b.small.Get().(*[smallBlock]byte); ok {
		return p[:]
	}
	return make([]byte, smallBlock)
}

// takeLarge gives nil if there is none.
func (b *blocks) takeLarge() []byte {
	if b.lent.Add(1) > largeBlocks {
		b.lent.Add(-1)
		return nil
	}
	if p, ok := b.large.Get().(*[largeBlock]byte); ok {
		return p[:]
	}
	return make([]byte, largeBlock)
}

func (b *blocks) give(p []byte) {
	switch len(p) {
	case smallBlock:
		b.small.Put((*[smallBlock]byte)(p))
	case largeBlock:
		b.large.Put((*[largeBlock]byte)(p))
		b.lent.Add(-1)
	}
}
