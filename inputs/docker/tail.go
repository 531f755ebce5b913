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
	precedingLen = 64
)

var (
	// errRewritten says that a file is not what it was: truncated, or written anew.
	errTruncated = errors.New("the file was truncated")

	// errAstray says that what follows the file last read cannot be told: the place must be found anew.
	errNextFileMissing = errors.New("the files have moved on")
)

// A tail reads the files of one log, from some place on: those that were rotated away to
// their ends, then the one that is written, as it grows. They are held open, so that what the engine
// rotates away or deletes is read all the same.
type tail struct {
	path    string
	file    *logFile
	newer   []*logFile // those that come after it, oldest first
	rotated bool       // nothing is written to file any more

	off       int64 // how far file is read, to the end of a line
	size      int64 // its end when it was last looked at
	preceding []byte
	skipping  bool // inside an entry that is too long

	entries logformat.Entries
	corrupt func() // is called for what is no entry
	blocks  *blockPool
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
	t.setFiles(files[start:])
	if since > 0 {
		t.off = t.file.offsetBefore(since)
	}
	return t, start > 0 || t.off > 0, nil
}

// read goes on with files, from the beginning of the first one.
func (t *tail) setFiles(files []*logFile) {
	if t.file != nil {
		t.file.close()
	}
	t.file, t.newer, t.rotated = files[0], files[1:], len(files) > 1
	t.off, t.preceding, t.skipping = 0, t.preceding[:0], false
}

func (t *tail) close() {
	t.release()
	t.file.close()
	closeAll(t.newer)
}

// free gives the memory back that only reading needs.
func (t *tail) release() {
	t.blocks.put(t.block)
	t.block = nil
	t.entries.Release()
}

// look reads the file to its end of now, or until ctx ends. take is given whole lines. It returns how many bytes
// those were.
func (t *tail) readToEnd(ctx context.Context, take func(p []byte) error) (read int64, err error) {
	t.block = t.blocks.get()
	defer t.release()
	began := t.off
	for {
		if err := ctx.Err(); err != nil {
			return t.off - began, err
		}
		full, err := t.readBlock(take)
		if err != nil && err != io.EOF {
			return t.off - began, err
		}
		if !full {
			return t.off - began, nil
		}
	}
}

// one reads a block. It reports whether that was full, so that there may be more.
func (t *tail) readBlock(take func(p []byte) error) (full bool, err error) {
	buf, m := t.block, len(t.preceding)
	n, err := t.file.src.ReadAt(buf, t.off-int64(m))
	if n < m || !bytes.Equal(buf[:m], t.preceding) {
		if err != nil && err != io.EOF {
			return false, err
		}
		return false, errTruncated
	}
	if err != nil && err != io.EOF {
		return false, err
	}
	p := buf[m:n]
	t.size = t.off + int64(len(p))
	end := bytes.LastIndexByte(p, '\n') + 1
	full = n == len(buf)
	if end == 0 && full {
		t.grow(p)
		return true, nil
	}
	if err := t.deliver(p[:end], take); err != nil {
		return false, err
	}
	t.advance(p[:end])
	if full && len(buf) == smallBlock {
		t.enlarge()
	}
	return full, nil
}

// give passes whole lines on, and of one that was too long, the entry that it may end with.
func (t *tail) deliver(p []byte, take func(p []byte) error) error {
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
func (t *tail) advance(p []byte) {
	t.off += int64(len(p))
	if len(p) >= precedingLen {
		t.preceding = append(t.preceding[:0], p[len(p)-precedingLen:]...)
		return
	}
	all := append(t.preceding, p...)
	t.preceding = append(t.preceding[:0], all[max(0, len(all)-precedingLen):]...)
}

// widen makes room for the entry that p begins with, or passes over it.
func (t *tail) grow(p []byte) {
	if len(t.block) < maxEntry {
		t.blocks.put(t.block)
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
	t.advance(p[:until])
}

// enlarge gets a larger block, if there is one.
func (t *tail) enlarge() {
	if large := t.blocks.getLarge(); large != nil {
		t.blocks.put(t.block)
		t.block = large
	}
}

// next is called when the file was read to its end. It reports true if there is more to read: of
// the same file, or of the next. last is the time of the latest message; missed says that lines between the two are probably gone.
func (t *tail) nextFile(kept rotation, last int64) (more, missed bool, err error) {
	if len(t.newer) > 0 {
		t.noteIncomplete()
		t.setFiles(t.newer)
		return true, false, nil
	}
	if !t.rotated {
		info, err := os.Stat(t.path)
		if err == nil {
			t.rotated = !os.SameFile(info, t.file.info)
		}
		if errors.Is(err, fs.ErrNotExist) {
			err = nil // who deleted it did not stop the engine from writing it
		}
		return t.rotated, false, err
	}
	t.noteIncomplete()
	files, err := openLog(t.path)
	if err != nil {
		return false, false, err
	}
	for i, f := range files[:len(files)-1] {
		if f.same(t.file) {
			closeAll(files[:i+1])
			t.setFiles(files[i+1:])
			return true, false, nil
		}
	}
	if len(files) == 1 { // the engine keeps no old ones
		missed = t.likelyMissed(files[0], kept, last)
		t.setFiles(files)
		return true, missed, nil
	}
	closeAll(files)
	return false, false, errNextFileMissing
}

// grown tells whether there may be something that was not looked at.
func (t *tail) hasGrown() bool {
	info, err := t.file.fd.Stat()
	if err != nil || info.Size() != t.size {
		return true
	}
	now, err := os.Stat(t.path)
	return err == nil && !os.SameFile(now, info)
}

// leave notes an entry at the end that will never be whole.
func (t *tail) noteIncomplete() {
	var one [1]byte
	n, _ := t.file.src.ReadAt(one[:], t.off)
	if n > 0 && !t.skipping || t.file.damaged() {
		t.corrupt()
	}
}

// missed tells whether the container, going on as before, could have filled another file in the pause
// between the file and the one that is there now.
func (t *tail) likelyMissed(now *logFile, kept rotation, last int64) bool {
	first, ok := t.file.firstTime()
	next, found := now.firstTime()
	if !ok || !found {
		return true
	}
	pace := float64(t.off) / float64(max(last-first, int64(time.Millisecond)))
	return next-last >= minPause && maxSpeedup*pace*float64(next-last) >= float64(kept.size)
}

// restart begins anew with a file that was truncated. It tells whether lines were probably missed: the
// engine does that only to a file that is full.
func (t *tail) restart(kept rotation) (missed bool) {
	missed = kept.size == 0 || t.off < kept.size
	t.off, t.preceding, t.skipping, t.rotated = 0, t.preceding[:0], false, false
	return missed
}

// blocks lends memory for reading: a small block to everybody, a large one to few at a time.
type blockPool struct {
	small, large sync.Pool
	largeLent    atomic.Int32
}

func (b *blockPool) get() []byte {
	if p, ok := b.small.Get().(*[smallBlock]byte); ok {
		return p[:]
	}
	return make([]byte, smallBlock)
}

// takeLarge gives nil if there is none.
func (b *blockPool) getLarge() []byte {
	if b.largeLent.Add(1) > largeBlocks {
		b.largeLent.Add(-1)
		return nil
	}
	if p, ok := b.large.Get().(*[largeBlock]byte); ok {
		return p[:]
	}
	return make([]byte, largeBlock)
}

func (b *blockPool) put(p []byte) {
	switch len(p) {
	case smallBlock:
		b.small.Put((*[smallBlock]byte)(p))
	case largeBlock:
		b.large.Put((*[largeBlock]byte)(p))
		b.largeLent.Add(-1)
	}
}
