package file

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
)

// A mark is a position that reading came to, and what stands before it.
type mark struct {
	pos  uint64
	tail fingerprint
}

// marksKept is how many of the last positions of a file are remembered: the copy
// of a file that is then truncated may end before the last.
const marksKept = 8

// A trace is what is remembered of the text of a source. By it a copy is known, also
// a compressed one, when the file itself is truncated or deleted.
type trace struct {
	head  fingerprint
	marks []mark    // ascending, at most marksKept; never changed in place
	size  int64     // of the file, when it was last looked at
	since time.Time // when it was last written to before it was first looked at
	read  uint64    // of what was truncated: up to where it was read, or will be from a copy
}

// pos gives the position that reading came to.
func (t *trace) pos() uint64 {
	if len(t.marks) == 0 {
		return 0
	}
	return t.marks[len(t.marks)-1].pos
}

// note keeps where reading stands.
func (t *trace) note(m mark) {
	if m.pos > t.pos() && m.tail.len > 0 {
		last := t.marks[max(0, len(t.marks)-marksKept+1):]
		t.marks = append(slices.Clip(last), m)
	}
}

// A sample is what is looked at of a file to know whether it is a copy.
type sample struct {
	head  []byte
	size  uint64 // of the text
	tails []tail // before each of a trace's marks, if the text is as long
	last  tail   // at the end of the text
	torn  bool   // it is compressed, and ends in the middle
}

// in tells up to which of its marks the source is in a file, and whether it can be at
// all. 0 means that there was nothing to compare but the head.
func (t *trace) in(s *sample) (pos uint64, possible bool) {
	if s.size >= uint64(t.head.len) && !t.head.matches(s.head) {
		return 0, false
	}
	for i, m := range slices.Backward(t.marks) {
		if m.pos <= s.size {
			return m.pos, s.tails[i].is(m.tail)
		}
	}
	return 0, true
}

// compared tells whether there was anything to compare a sample by.
func (t *trace) compared(pos uint64, s *sample) bool {
	return pos > 0 || t.head.len > 0 && s.size >= uint64(t.head.len)
}

// is tells whether a fingerprint is that of the tail.
func (t *tail) is(p fingerprint) bool {
	return int(p.len) <= t.n && printOf(t.buf[t.n-int(p.len):t.n]) == p
}

// takeSample looks at an open file of this size, for the marks of a trace. A
// compressed one is unpacked as a whole.
func takeSample(ctx context.Context, fd *os.File, compressed bool, size int64, t *trace) (*sample, error) {
	if compressed {
		return sampleOfPacked(ctx, fd, t)
	}
	s := &sample{size: uint64(size), tails: make([]tail, len(t.marks))}
	var buf [headMax]byte
	var err error
	if s.head, err = readHead(fd, &buf); err != nil {
		return nil, err
	}
	for i, m := range t.marks {
		if m.pos <= s.size {
			if s.tails[i], err = tailAt(fd, m.pos); err != nil {
				return nil, err
			}
		}
	}
	s.head = s.head[:min(uint64(len(s.head)), s.size)]
	s.last, err = tailAt(fd, s.size)
	return s, err
}

// tailAt reads what stands before a position.
func tailAt(fd *os.File, pos uint64) (t tail, err error) {
	t.n = int(min(pos, tailMax))
	_, err = fd.ReadAt(t.bytes(), int64(pos)-int64(t.n))
	return t, err
}

func sampleOfPacked(ctx context.Context, fd *os.File, t *trace) (*sample, error) {
	s := &sample{tails: make([]tail, len(t.marks))}
	if _, err := fd.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	zip, err := gzip.NewReader(bufio.NewReaderSize(fd, 64<<10))
	block := make([]byte, 32<<10)
	for err == nil && ctx.Err() == nil {
		if checked := len(s.head) >= int(t.head.len); checked && !t.head.matches(s.head) {
			return s, nil // the rest does not matter
		}
		var n int
		n, err = zip.Read(block[:s.upToMark(t, uint64(len(block)))])
		s.head = append(s.head, block[:min(n, headMax-len(s.head))]...)
		s.last.set(block[:n])
		s.size += uint64(n)
		if i := slices.IndexFunc(t.marks, func(m mark) bool { return m.pos == s.size }); i >= 0 {
			s.tails[i] = s.last
		}
	}
	var disk *fs.PathError
	if errors.As(err, &disk) {
		return nil, err
	}
	s.torn = err != io.EOF
	return s, ctx.Err()
}

// upToMark gives how much of a text to read at once, n bytes at the most, to come to
// stand at every mark.
func (s *sample) upToMark(t *trace, n uint64) uint64 {
	for _, m := range t.marks {
		if m.pos > s.size {
			return min(n, m.pos-s.size)
		}
	}
	return n
}

// family gives the path that a file had before any rotation: without the ending of a
// compressed one, numbers and dates.
func family(path string) string {
	plain := plainName(path)
	dir, name := filepath.Split(plain)
	if log := unnumbered(name); log != name {
		return dir + log
	}
	return plain
}

// unnumbered takes the number or date from a name, which stands at its end or in
// front of its ending.
func unnumbered(name string) string {
	end := filepath.Ext(name)
	front := strings.TrimSuffix(name, end)
	for i := 1; i < len(name); i++ {
		if isNumbering(name[i:]) {
			return name[:i]
		}
		if i < len(front) && isNumbering(front[i:]) {
			return front[:i] + end
		}
	}
	return name
}

// A copied file has what was read of a source, and perhaps more.
type copied struct {
	path string
	id   inode
	info fs.FileInfo
	// owner is the file that is known to have the inode, but was another.
	owner *file
	*sample
}

// A copyFinder looks for copies.
type copyFinder struct {
	table  *table
	pasts  *pasts
	wanted func(path string) bool
}

// find looks for copies of a source, which was at these paths under an inode, among the files that
// are no source themselves. It gives the one that goes on where reading stands,
// if there is one, and those that end before.
func (c *copyFinder) find(ctx context.Context, t *trace, of inode, names []string) (next *copied, short []*copied, err error) {
	for _, there := range c.candidates(t, of, names) {
		at, same, err := c.compare(ctx, there, t, of)
		switch {
		case ctx.Err() != nil:
			return nil, nil, ctx.Err()
		case err != nil || !same: // it was renamed or deleted, or cannot be read
		case at == t.pos() && next == nil:
			next = there
		case at < t.pos():
			short = append(short, there)
		}
	}
	return next, short, nil
}

// candidates gives the files in the folders of a source that are named like rotations of the
// same log, the oldest first.
func (c *copyFinder) candidates(t *trace, of inode, names []string) (found []*copied) {
	listed := folderList{}
	for _, name := range names {
		for id, path := range listed.in(filepath.Dir(name)) {
			if id == of || family(path) != family(name) || c.pasts.holds(id, path) {
				continue
			}
			info, err := os.Stat(path)
			if err == nil && (!info.ModTime().Before(t.since) || c.table.copyOf(id) == of) {
				found = append(found, &copied{path: path, id: id, info: info})
			}
		}
	}
	slices.SortFunc(found, func(a, b *copied) int { return a.info.ModTime().Compare(b.info.ModTime()) })
	return found
}

// compare takes the sample of a candidate and tells up to which position it has the
// source, if it is a copy.
func (c *copyFinder) compare(ctx context.Context, there *copied, t *trace, of inode) (at uint64, same bool, err error) {
	fd, err := openFile(there.path)
	if err != nil {
		return 0, false, err
	}
	defer fd.Close()
	if there.info, err = fd.Stat(); err != nil || inodeOf(there.info) != there.id {
		return 0, false, fmt.Errorf("looking at a copy: %w", errors.Join(err, errRewritten))
	}
	if is, err := c.isSource(ctx, there, fd); is || err != nil {
		return 0, false, err
	}
	there.sample, err = takeSample(ctx, fd, isCompressed(there.path), there.info.Size(), t)
	if err != nil || there.torn {
		return 0, false, err
	}
	at, same = t.in(there.sample)
	return at, same && (t.compared(at, there.sample) || c.table.copyOf(there.id) == of), nil
}

// isSource tells whether a file is a source already, and not one that was given the
// inode of another.
func (c *copyFinder) isSource(ctx context.Context, there *copied, fd *os.File) (bool, error) {
	owner, left := c.table.owner(there.id)
	if owner == nil {
		return false, nil
	}
	packed := isCompressed(there.path)
	if packed && owner.compress {
		return true, nil
	}
	if packed == owner.compress && left != nil && left.head.len > 0 { // else it was empty
		s, err := takeSample(ctx, fd, false, there.info.Size(), left)
		if err != nil {
			return false, err
		}
		if _, possible := left.in(s); possible {
			return true, nil
		}
	}
	there.owner = owner
	return false, nil
}
