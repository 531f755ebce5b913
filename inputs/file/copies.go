package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// A mark is a position that was read up to, and what is before it.
type mark struct {
	pos  uint64
	tail fingerprint
}

// marksKept is how many of the last marks of a file are kept: the copy of a file that is then
// truncated may end before the last.
const marksKept = 8

// A digest is what is remembered of the text of a source. A copy is recognised by it, also a
// compressed one, when the file itself is truncated or deleted.
type digest struct {
	head  fingerprint
	marks []mark    // ascending, at most marksKept; never changed in place
	size  int64     // of the file, when it was last looked at
	since time.Time // when it was last written to before it was first looked at
	read  uint64    // of what was truncated: up to where it was read, or will be from a copy
}

// pos returns the position that was read up to.
func (d *digest) pos() uint64 {
	if len(d.marks) == 0 {
		return 0
	}
	return d.marks[len(d.marks)-1].pos
}

// note adds a mark if it says more.
func (d *digest) note(m mark) {
	if m.pos > d.pos() && m.tail.len > 0 {
		last := d.marks[max(0, len(d.marks)-marksKept+1):]
		d.marks = append(slices.Clip(last), m)
	}
}

// isLongerThan reports whether a text is shorter than the head, and may all the same be what was
// read first of the source.
func (d *digest) isLongerThan(text []byte) bool {
	return d != nil && int(d.head.len) > len(text) && len(d.marks) > 0 && d.marks[0].pos <= uint64(len(text))
}

// A sample is what is looked at of a file to decide whether it is a copy.
type sample struct {
	head       []byte
	size       uint64 // of the text
	tails      []tail // before each of a digest's marks, if the text is as long
	last       tail   // at the end of the text
	incomplete bool   // it is compressed, and ends in the middle
}

// find returns up to which of its marks the source is in a file, and whether it can be at all. 0
// means that there was nothing to compare but the head.
func (d *digest) find(s *sample) (pos uint64, possible bool) {
	if s.size >= uint64(d.head.len) && !d.head.matches(s.head) {
		return 0, false
	}
	for i, m := range slices.Backward(d.marks) {
		if m.pos <= s.size {
			return m.pos, s.tails[i].endsWith(m.tail)
		}
	}
	return 0, true
}

// isConclusive reports whether there was anything to compare a sample by.
func (d *digest) isConclusive(pos uint64, s *sample) bool {
	return pos > 0 || d.head.len > 0 && s.size >= uint64(d.head.len)
}

// takeSample looks at an open file of this size, at the marks of a digest. A compressed one is
// unpacked as a whole.
func takeSample(ctx context.Context, fd *os.File, compressed bool, size int64, d *digest) (*sample, error) {
	if compressed {
		return sampleCompressed(ctx, fd, d)
	}
	s := &sample{size: uint64(size), tails: make([]tail, len(d.marks))}
	var buf [headMax]byte
	var err error
	if s.head, err = readHead(fd, buf[:]); err != nil {
		return nil, err
	}
	for i, m := range d.marks {
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

// tailAt reads what is before a position.
func tailAt(fd *os.File, pos uint64) (t tail, err error) {
	t.n = int(min(pos, tailMax))
	_, err = fd.ReadAt(t.bytes(), int64(pos)-int64(t.n))
	return t, err
}

func sampleCompressed(ctx context.Context, fd *os.File, d *digest) (*sample, error) {
	s := &sample{tails: make([]tail, len(d.marks))}
	zip, err := decompress(io.NewSectionReader(fd, 0, math.MaxInt64)) // a duplicate shares the offset
	block := make([]byte, 32<<10)
	for err == nil && ctx.Err() == nil {
		if checked := len(s.head) >= int(d.head.len); checked && !d.head.matches(s.head) {
			return s, nil // the rest does not matter
		}
		var n int
		n, err = zip.Read(block[:s.upToMark(d, uint64(len(block)))])
		s.head = append(s.head, block[:min(n, headMax-len(s.head))]...)
		s.last.set(block[:n])
		s.size += uint64(n)
		if i := slices.IndexFunc(d.marks, func(m mark) bool { return m.pos == s.size }); i >= 0 {
			s.tails[i] = s.last
		}
	}
	var disk *fs.PathError
	if errors.As(err, &disk) {
		return nil, err
	}
	s.incomplete = err != io.EOF
	return s, ctx.Err()
}

// A textHead is what the text of a file begins with, up to headMax bytes of it.
type textHead struct {
	bytes      []byte
	incomplete bool // it is compressed, and ends in the middle before that
}

func readTextHead(fd *os.File, compressed bool) (h textHead, err error) {
	h.bytes = make([]byte, headMax)
	if !compressed {
		h.bytes, err = readHead(fd, h.bytes)
		return h, err
	}
	zip, err := decompress(io.NewSectionReader(fd, 0, math.MaxInt64))
	n := 0
	for err == nil && n < headMax {
		var more int
		more, err = zip.Read(h.bytes[n:])
		n += more
	}
	h.bytes = h.bytes[:n]
	var disk *fs.PathError
	if errors.As(err, &disk) {
		return h, err
	}
	h.incomplete = n < headMax && err != io.EOF
	return h, nil
}

// upToMark returns how much of a text to read at once, n bytes at most, so that no mark is passed.
func (s *sample) upToMark(d *digest, n uint64) uint64 {
	for _, m := range d.marks {
		if m.pos > s.size {
			return min(n, m.pos-s.size)
		}
	}
	return n
}

// A copyCandidate is a file that may have what was read of a source, and perhaps more.
type copyCandidate struct {
	listedFile
	held *file       // it was deleted, and is this one, which is held open
	info fs.FileInfo // when it was compared
	// owner is the file that is known to have the inode, but was another.
	owner *file
	*sample
}

// A copyFinder looks for copies.
type copyFinder struct {
	table   *table
	open    *openFiles
	known   *knownSources
	folders folderCache
}

// find looks for copies of a source, which was under an inode, among files that may be. It returns
// the one that continues where reading stopped, if there is one, and those that end before.
func (c *copyFinder) find(ctx context.Context, d *digest, of inode, candidates []*copyCandidate) (
	next *copyCandidate, short []*copyCandidate, err error,
) {
	slices.SortFunc(candidates, func(a, b *copyCandidate) int { return a.mtime.Compare(b.mtime) })
	for _, candidate := range candidates {
		at, same, err := c.compare(ctx, candidate, d, of)
		switch {
		case ctx.Err() != nil:
			return nil, nil, ctx.Err()
		case err != nil || !same: // it was renamed or deleted, or cannot be read
		case at == d.pos() && next == nil:
			next = candidate
		case at < d.pos():
			short = append(short, candidate)
		}
	}
	return next, short, nil
}

// candidates returns the files in the folders of a source that may be copies of it by their names,
// and those that are deleted and held open. The folders are listed after a moment.
func (c *copyFinder) candidates(
	of inode, modified time.Time, d *digest, paths []string, after time.Time,
) (found []*copyCandidate) {
	seen := map[inode]bool{}
	for _, name := range paths {
		for file := range c.folders.in(filepath.Dir(name), after).candidates(name, modified) {
			if seen[file.id] || !c.mayBeCopy(file, name, of, d.since) || c.known.hasTextAt(file.id, file.path) {
				continue
			}
			seen[file.id] = true
			found = append(found, &copyCandidate{listedFile: file})
		}
		for file, was := range c.table.deletedCandidates(name) {
			if !seen[was.id] && c.mayBeCopy(was, name, of, d.since) {
				seen[was.id] = true
				found = append(found, &copyCandidate{listedFile: was, held: file})
			}
		}
	}
	return found
}

func (c *copyFinder) mayBeCopy(file listedFile, name string, of inode, since time.Time) bool {
	c.table.compared.Add(1)
	return file.id != of && mayBeCopyOf(file.path, name) && (!file.mtime.Before(since) || c.table.copyOf(file.id) == of)
}

// candidatesOf returns the candidates of many sources. A file is looked at once for all of them.
func (c *copyFinder) candidatesOf(sources []*knownSource, listed folderList) map[*knownSource][]*copyCandidate {
	texts, families := newKnownTexts(sources), map[string]bool{}
	for _, k := range sources {
		families[family(k.Key)] = true
	}
	found := map[*knownSource][]*copyCandidate{}
	for name := range families {
		for _, file := range listed.in(filepath.Dir(name)).byFamily[name] {
			if c.known.hasTextAt(file.id, file.path) {
				continue
			}
			head, err := textHeadAt(file.path)
			if err != nil {
				continue // it was renamed or deleted, or cannot be read
			}
			for k := range texts.find(head) {
				if c.mayBeCopy(file, k.Key, k.at.id, k.digest().since) {
					found[k] = append(found[k], &copyCandidate{listedFile: file})
				}
			}
		}
	}
	return found
}

func textHeadAt(path string) (textHead, error) {
	fd, err := openFile(path)
	if err != nil {
		return textHead{}, err
	}
	defer fd.Close()
	return readTextHead(fd, isCompressed(path))
}

// compare takes the sample of a candidate, and returns up to which position it has the source, if
// it is a copy.
func (c *copyFinder) compare(ctx context.Context, there *copyCandidate, d *digest, of inode) (
	at uint64, same bool, err error,
) {
	fd, err := c.openCandidate(there)
	if err != nil {
		return 0, false, err
	}
	defer fd.Close()
	if there.info, err = fd.Stat(); err != nil {
		return 0, false, fmt.Errorf("looking at a copy: %w", err)
	}
	if is, err := c.isSource(ctx, there, fd); is || err != nil {
		return 0, false, err
	}
	there.sample, err = takeSample(ctx, fd, isCompressed(there.path), there.info.Size(), d)
	if err != nil || there.incomplete {
		return 0, false, err
	}
	at, same = d.find(there.sample)
	return at, same && (d.isConclusive(at, there.sample) || c.table.copyOf(there.id) == of), nil
}

func (c *copyFinder) openCandidate(there *copyCandidate) (*os.File, error) {
	if there.held != nil {
		return c.open.duplicate(there.held)
	}
	return openSame(openFile, there.path, there.id)
}

// isSource reports whether a file is a source already, and not one that was given the inode of
// another.
func (c *copyFinder) isSource(ctx context.Context, there *copyCandidate, fd *os.File) (bool, error) {
	owner, d := c.table.owner(there.id)
	if owner == nil {
		return false, nil
	}
	is, err := owner.isStill(ctx, there, fd, d)
	if !is && err == nil {
		there.owner = owner
	}
	return is, err
}

// isStill reports whether an open file of f's inode is what f was, of which d is remembered.
func (f *file) isStill(ctx context.Context, there *copyCandidate, fd *os.File, d *digest) (bool, error) {
	switch compressed := isCompressed(there.path); {
	case compressed != f.compressed:
		return false, nil
	case compressed:
		var buf [headMax]byte
		head, err := readHead(fd, buf[:])
		return d == nil || d.head.matches(head), err
	case d == nil, d.head.len == 0:
		return false, nil // it was empty
	}
	s, err := takeSample(ctx, fd, false, there.info.Size(), d)
	if err != nil {
		return false, err
	}
	_, possible := d.find(s)
	return possible, nil
}
