package file

import (
	"bytes"
	"context"
	"io"
	"os"
	"time"
)

const (
	// copyWait is how long a file that has the text of another is held back after it has
	// grown: the other may be truncated now. If it is not, this is a log like any other.
	copyWait = 30 * time.Second
	// packWait is how long a file that is perhaps being compressed must not grow to be
	// looked at.
	packWait = time.Second
)

// heldBack tells how long to wait before looking again at a file that nobody knows,
// for it may be a copy of one that is followed; 0 means that it is none.
func (r *reader) heldBack(ctx context.Context, f *file, size int64) (time.Duration, error) {
	relatives := r.table.relatives(f)
	missing := r.pasts.missing(family(r.table.seenAt(f)))
	if len(relatives) == 0 && len(missing) == 0 {
		return 0, nil
	}
	if size != f.lastSize || f.grown.IsZero() {
		f.lastSize, f.grown = size, time.Now()
	}
	quiet := time.Since(f.grown)
	if f.compress && quiet < packWait {
		return packWait - quiet, nil
	}
	for _, k := range missing {
		if copied, err := r.isOf(ctx, f, k, size); copied || err != nil {
			return packWait, err // the next scan looks for what has become of it
		}
	}
	for _, o := range relatives {
		if done, err := r.wasOf(ctx, f, o, size); done || err != nil {
			r.table.setCopy(f, o.id)
			return packWait, err
		}
		alike, err := r.compare(ctx, f, o, size)
		if err != nil {
			return 0, err
		}
		if alike == same {
			r.table.setCopy(f, o.id)
		}
		switch {
		case alike == open, alike == same && f.compress:
			return packWait, nil
		case alike != different && quiet < copyWait:
			return min(packWait, copyWait-quiet), nil
		}
	}
	r.table.setCopy(f, inode{})
	f.lastSize = 0
	return 0, nil
}

// isOf tells whether a file is a copy of a known source.
func (r *reader) isOf(ctx context.Context, f *file, k *past, size int64) (bool, error) {
	t := k.trace()
	s, err := takeSample(ctx, f.fd, f.compress, size, t)
	if err != nil {
		return false, err
	}
	pos, possible := t.in(s)
	return possible && t.compared(pos, s), nil
}

// wasOf tells whether a file that was deleted was a copy of what another was before that
// began anew, and has nothing that was not read.
func (r *reader) wasOf(ctx context.Context, f *file, o relative, size int64) (bool, error) {
	if o.before == nil || o.before.pos() == 0 || !f.isDeleted() {
		return false, nil
	}
	s, err := takeSample(ctx, f.fd, f.compress, size, o.before)
	if err != nil {
		return false, err
	}
	pos, possible := o.before.in(s)
	return possible && o.before.compared(pos, s) && s.size <= o.before.read, nil
}

// A likeness is how a file stands to another of which it may be a copy.
type likeness uint8

const (
	different likeness = iota
	early              // it is not yet complete enough to tell
	open               // the other is to be looked at first
	same
)

// compare tells whether a file may be a copy of another: plain, of what the other
// has or had up to some point; compressed, of all of it.
func (r *reader) compare(ctx context.Context, f *file, o relative, size int64) (likeness, error) {
	fd := o.open()
	if fd != nil {
		defer fd.Close()
	}
	if o.trace.head.len == 0 && fd != nil {
		var buf [headMax]byte
		head, _ := readHead(fd, &buf) // none, if it cannot be read
		o.trace.head = printOf(head)
	}
	s, err := takeSample(ctx, f.fd, f.compress, size, &o.trace)
	if err != nil {
		return different, err
	}
	pos, possible := o.trace.in(s)
	switch {
	case !possible && fd != nil && o.hasChanged(ctx, fd):
		return open, nil // its reader will see to it
	case !possible:
		return different, nil
	case s.torn, s.size == 0:
		return early, nil
	case pos > 0 && !f.compress:
		return same, nil
	case fd == nil:
		return open, nil // it has moved on, or is gone: then it knows what it was
	}
	return s.likeFile(ctx, fd, o, f.compress), nil
}

// open opens the file, if it is still at its path.
func (o *relative) open() *os.File {
	fd, err := openFile(o.path)
	if err != nil {
		return nil
	}
	if info, err := fd.Stat(); err != nil || inodeOf(info) != o.id {
		fd.Close()
		return nil
	}
	return fd
}

// hasChanged tells whether a file no longer has the text that it had when it was
// last looked at.
func (o *relative) hasChanged(ctx context.Context, fd *os.File) bool {
	size, err := fd.Seek(0, io.SeekEnd)
	if err != nil || size < o.trace.size {
		return true
	}
	s, err := takeSample(ctx, fd, false, size, &o.trace)
	if err != nil {
		return true
	}
	_, possible := o.trace.in(s)
	return !possible
}

// likeFile compares a sample with the file that it may be a copy of.
func (s *sample) likeFile(ctx context.Context, fd *os.File, o relative, compressed bool) likeness {
	size, err := fd.Seek(0, io.SeekEnd)
	switch {
	case err != nil, uint64(size) < s.size && size < o.trace.size:
		return open // it was truncated just now
	case uint64(size) < s.size, compressed && uint64(size) != s.size:
		return different
	}
	other, err := takeSample(ctx, fd, false, int64(s.size), &trace{})
	switch {
	case err != nil:
		return open
	case !bytes.Equal(other.head, s.head), !bytes.Equal(other.last.bytes(), s.last.bytes()):
		return different
	}
	return same
}
