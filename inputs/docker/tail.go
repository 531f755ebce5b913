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
	smallBlock = 32 << 10 // room for a part of 16 KiB
	largeBlock = 128 << 10

	// largeBlocks bounds the large blocks in use at a time.
	largeBlocks = 16

	// maxEntry is the longest entry that is decoded. Texts are split at 16 KiB, which escapes make
	// up to six times as long; the rest of an entry are the container's labels.
	maxEntry = 1 << 20

	// precedingLen is how much before an offset is compared before reading continues there: more
	// than an entry's time.
	precedingLen = 64
)

var (
	// errTruncated means that a file was truncated or rewritten.
	errTruncated = errors.New("the file was truncated")

	// errNextFileMissing means that the file that follows the last one read is unknown: the
	// position must be searched again.
	errNextFileMissing = errors.New("the files have moved on")
)

// A tail reads the files of one log from an offset on: rotated ones to their ends, then the current
// one as it grows. They are held open, so that what the engine rotates away or deletes meanwhile is
// still read.
type tail struct {
	path    string
	file    *logFile
	newer   []*logFile // files after it, oldest first
	rotated bool       // file does not grow any more

	off       int64 // how far file is read, at the end of a line
	size      int64 // of file when it was last read
	preceding []byte
	skipping  bool // inside an entry longer than maxEntry

	end     int64      // nothing beyond is read; -1 for no end
	listed  []*logFile // all files when the log was opened, some of which may be closed
	history *history   // nil: nothing is read again
	onBlock func()     // is called for each block, unless it is nil

	entries logformat.Entries
	corrupt func() // is called for each damaged entry
	blocks  *blockPool
	block   []byte // nil between reads
}

// newTail opens a log at an offset before all messages from a time on, as far as times ascend. It
// reports whether that is not simply the log's beginning.
func newTail(path string, since int64) (t *tail, partial bool, err error) {
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
	t = &tail{path: path, end: -1, listed: files}
	t.setFiles(files[start:])
	if since > 0 {
		t.off = t.file.offsetBefore(since)
	}
	return t, start > 0 || t.off > 0, nil
}

// setFiles continues with files, at the beginning of the first one.
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

// release frees the memory that only reading needs.
func (t *tail) release() {
	t.blocks.put(t.block)
	t.block = nil
	t.entries.Release()
}

// readToEnd reads the file to its current end, or until ctx ends, and returns how many bytes that
// were. take receives whole lines.
func (t *tail) readToEnd(ctx context.Context, take func(p []byte) error) (read int64, err error) {
	t.block = t.blocks.get()
	defer t.release()
	began := t.off
	for {
		if err := ctx.Err(); err != nil {
			return t.off - began, err
		}
		full, err := t.readBlock(take)
		if err == nil && t.onBlock != nil {
			t.onBlock()
		}
		if err != nil || !full {
			return t.off - began, err
		}
	}
}

// readBlock reads a block. It reports whether that was full, so that there may be more.
func (t *tail) readBlock(take func(p []byte) error) (full bool, err error) {
	buf, m := t.block, len(t.preceding)
	n, err := t.file.src.ReadAt(buf, t.off-int64(m))
	if err != nil && err != io.EOF {
		return false, err
	}
	if n < m || !bytes.Equal(buf[:m], t.preceding) {
		return false, errTruncated
	}
	p := buf[m:n]
	if t.end >= 0 {
		p = p[:min(int64(len(p)), max(0, t.end-t.off))]
	}
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

// deliver passes whole lines on, and of one that was too long the entry that it may end with.
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

// advance moves the offset behind p.
func (t *tail) advance(p []byte) {
	t.off += int64(len(p))
	if len(p) >= precedingLen {
		t.preceding = append(t.preceding[:0], p[len(p)-precedingLen:]...)
		return
	}
	all := append(t.preceding, p...)
	t.preceding = append(t.preceding[:0], all[max(0, len(all)-precedingLen):]...)
}

// grow makes room for the entry that p begins with, or skips it if it is too long.
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
	end := bytes.LastIndex(p, []byte(logformat.EntryPrefix)) // an entry may follow what is none
	if end <= 0 {
		end = len(p) - len(logformat.EntryPrefix) + 1
	}
	t.advance(p[:end])
}

// enlarge gets a large block, if one is free.
func (t *tail) enlarge() {
	if large := t.blocks.getLarge(); large != nil {
		t.blocks.put(t.block)
		t.block = large
	}
}

// nextFile is called at the end of the file. It reports whether there is more to read, and whether
// lines after the newest message, of time last, were probably missed.
func (t *tail) nextFile(rot rotation, last int64) (more, missed bool, err error) {
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
			err = nil // the engine still writes to a deleted file
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
			t.history.follow(files, f, false)
			closeAll(files[:i+1])
			t.setFiles(files[i+1:])
			return true, false, nil
		}
	}
	if len(files) == 1 { // the engine keeps no rotated files
		missed = t.likelyMissed(files[0], rot, last)
		t.history.follow(files, files[0], true)
		t.setFiles(files)
		return true, missed, nil
	}
	closeAll(files)
	return false, false, errNextFileMissing
}

// hasGrown reports whether there may be something unread.
func (t *tail) hasGrown() bool {
	info, err := t.file.fd.Stat()
	if err != nil || info.Size() != t.size {
		return true
	}
	now, err := os.Stat(t.path)
	return err == nil && !os.SameFile(now, info)
}

// noteIncomplete counts an entry at the end that will never be complete.
func (t *tail) noteIncomplete() {
	var one [1]byte
	n, _ := t.file.src.ReadAt(one[:], t.off)
	if n > 0 && !t.skipping || t.file.damaged() {
		t.corrupt()
	}
}

// likelyMissed reports whether the container, at its pace, could have filled another file between
// the last one and the current one.
func (t *tail) likelyMissed(now *logFile, rot rotation, last int64) bool {
	first, ok := t.file.firstTime()
	next, found := now.firstTime()
	if !ok || !found {
		return true
	}
	pace := float64(t.off) / float64(max(last-first, int64(time.Millisecond)))
	return next-last >= minPause && maxSpeedup*pace*float64(next-last) >= float64(rot.size)
}

// restart continues with a truncated file from its beginning. It reports whether lines were
// probably missed: the engine itself truncates only full files.
func (t *tail) restart(rot rotation) (missed bool) {
	missed = rot.size == 0 || t.off < rot.size
	t.off, t.preceding, t.skipping, t.rotated = 0, t.preceding[:0], false, false
	return missed
}

// A blockPool lends memory for reading: small blocks to all, large ones to a few at a time.
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

// getLarge returns nil if all are in use.
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
