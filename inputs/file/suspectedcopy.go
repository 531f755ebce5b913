package file

import (
	"bytes"
	"context"
	"io"
	"os"
	"time"
)

const (
	// copyTimeout is how long a file that has the text of another is deferred after it has grown:
	// the other may be truncated now. If it is not, this is a log like any other.
	copyTimeout = 30 * time.Second
	// compressTimeout is how long a file that is perhaps being compressed must not grow before it
	// is compared.
	compressTimeout = time.Second
)

// judgeSuspectedCopy decides about a file that is not known and may be a copy of one that is
// followed: to wait, as long as that is not clear; to begin, if it is none; to dismiss it, if it
// was deleted and has nothing that was not read or can be read of the other.
func (i *identifier) judgeSuspectedCopy(ctx context.Context, f *file, size int64) (decision, error) {
	var head textHead
	if f.compressed || !i.known.isEmpty() {
		var err error
		if head, err = readTextHead(f.read.fd, f.compressed); err != nil {
			return decision{}, err
		}
	}
	originals := i.table.possibleOriginals(f, head)
	known := i.known.possibleOriginals(i.table.where(f).firstPath, head)
	if len(originals) == 0 && len(known) == 0 {
		return decision{action: begin}, nil
	}
	s := &f.read
	if size != s.lastSize || s.grownAt.IsZero() {
		s.lastSize, s.grownAt = size, time.Now()
	}
	quiet := time.Since(s.grownAt)
	if f.compressed && quiet < compressTimeout {
		return decision{wait: compressTimeout - quiet}, nil
	}
	for _, k := range known {
		if copied, _, err := f.isCopy(ctx, k.digest(), size); copied || err != nil {
			return decision{wait: compressTimeout}, err // the next scan looks for what has become of it
		}
	}
	for _, o := range originals {
		if d, err := i.judgeCopyOf(ctx, f, o, size, quiet); d.action != begin || err != nil {
			return d, err
		}
	}
	i.table.setCopy(f, inode{})
	s.lastSize = 0
	return decision{action: begin}, nil
}

// judgeCopyOf is judgeSuspectedCopy for one that it may be a copy of.
func (i *identifier) judgeCopyOf(
	ctx context.Context, f *file, o original, size int64, quiet time.Duration,
) (decision, error) {
	if !o.replaced.IsZero() {
		if left := justNow - time.Since(o.replaced); size == 0 && left > 0 {
			return decision{wait: left}, nil // it is about to be written
		}
		if is, err := f.isRewriteOf(ctx, o, size); is || err != nil {
			return decision{wait: compressTimeout}, err // the reader of the other looks for what continues it
		}
		return decision{action: begin}, nil
	}
	if done, err := f.isCopyOfEarlier(ctx, o, size); done || err != nil {
		return decision{action: dismiss}, err
	}
	if o.gone {
		return decision{action: begin}, nil
	}
	similarity, err := i.compare(ctx, f, o, size)
	if err != nil {
		return decision{}, err
	}
	if similarity == same || similarity == sameAsBefore {
		i.table.setCopy(f, o.id)
	}
	switch {
	case similarity == same && f.isDeleted():
		return decision{action: dismiss}, nil
	case similarity == originalFirst, similarity == sameAsBefore, similarity == same && f.compressed:
		return decision{wait: compressTimeout}, nil
	case similarity != different && quiet < copyTimeout:
		return decision{wait: min(compressTimeout, copyTimeout-quiet)}, nil
	}
	return decision{action: begin}, nil
}

// isCopy reports whether a file is a copy of a source by what is remembered of that, and returns
// the sample that it was compared by.
func (f *file) isCopy(ctx context.Context, of *digest, size int64) (bool, *sample, error) {
	s, err := takeSample(ctx, f.read.fd, f.compressed, size, of)
	if err != nil {
		return false, nil, err
	}
	pos, possible := of.find(s)
	return possible && of.isConclusive(pos, s), s, nil
}

// isRewriteOf reports whether a file has all that was read of the one that it has replaced.
func (f *file) isRewriteOf(ctx context.Context, o original, size int64) (bool, error) {
	s, err := takeSample(ctx, f.read.fd, f.compressed, size, &o.digest)
	if err != nil {
		return false, err
	}
	pos, possible := o.digest.find(s)
	return possible && pos > 0 && pos == o.digest.pos(), nil
}

// isCopyOfEarlier reports whether a deleted file was a copy of what another was before that began
// anew, and has nothing that was not read.
func (f *file) isCopyOfEarlier(ctx context.Context, o original, size int64) (bool, error) {
	if o.earlier == nil || o.earlier.pos() == 0 || !f.isDeleted() {
		return false, nil
	}
	copied, s, err := f.isCopy(ctx, o.earlier, size)
	return copied && s.size <= o.earlier.read, err
}

// A similarity is how a file compares to another that it may be a copy of.
type similarity uint8

const (
	different     similarity = iota
	tooEarly                 // it is not complete enough to tell
	originalFirst            // the reader of the other must look at that first
	sameAsBefore             // so it must, and it will find this one: the other was truncated or deleted
	same
)

// compare compares a file to one that it may be a copy of: plain, to what the other has or had up
// to some position; compressed, to all of it.
func (i *identifier) compare(ctx context.Context, f *file, o original, size int64) (similarity, error) {
	fd := o.open()
	if fd != nil {
		defer fd.Close()
	}
	if o.digest.head.len == 0 && fd != nil {
		var buf [headMax]byte
		head, _ := readHead(fd, buf[:]) // none, if it cannot be read
		o.digest.head = fingerprintOf(head)
		i.table.noteHead(o.id, o.digest.head)
	}
	s, err := takeSample(ctx, f.read.fd, f.compressed, size, &o.digest)
	if err != nil {
		return different, err
	}
	pos, possible := o.digest.find(s)
	switch {
	case !possible && fd != nil && o.hasChanged(ctx, fd):
		return originalFirst, nil
	case !possible:
		return different, nil
	case s.incomplete, s.size == 0:
		return tooEarly, nil
	case fd == nil, o.hasChanged(ctx, fd): // renamed, deleted or rewritten: its reader knows what it was
		if o.digest.isConclusive(pos, s) {
			return sameAsBefore, nil
		}
		return originalFirst, nil
	case pos > 0 && !f.compressed:
		return same, nil
	}
	return s.compareTo(ctx, fd, o, f.compressed), nil
}

// open opens the file, if it is still at its path.
func (o *original) open() *os.File {
	fd, err := openSame(openFile, o.path, o.id)
	if err != nil {
		return nil
	}
	return fd
}

// hasChanged reports whether a file no longer has the text that it had when it was last looked at.
func (o *original) hasChanged(ctx context.Context, fd *os.File) bool {
	size, err := fd.Seek(0, io.SeekEnd)
	if err != nil || size < o.digest.size {
		return true
	}
	s, err := takeSample(ctx, fd, false, size, &o.digest)
	if err != nil {
		return true
	}
	_, possible := o.digest.find(s)
	return !possible
}

// compareTo compares a sample to the file that it may be a copy of.
func (s *sample) compareTo(ctx context.Context, fd *os.File, o original, compressed bool) similarity {
	size, err := fd.Seek(0, io.SeekEnd)
	switch {
	case err != nil, uint64(size) < s.size && size < o.digest.size:
		return originalFirst // it was truncated just now
	case uint64(size) < s.size, compressed && uint64(size) != s.size:
		return different
	}
	other, err := takeSample(ctx, fd, false, int64(s.size), &digest{})
	switch {
	case err != nil:
		return originalFirst
	case !bytes.Equal(other.head, s.head), !bytes.Equal(other.last.bytes(), s.last.bytes()):
		return different
	}
	return same
}
