package file

import (
	"context"
	"time"

	"github.com/longshore/longshore/pipeline/backoff"
)

// takeOver looks for a copy, plain or compressed, that continues the source of a file which was
// truncated, rewritten or deleted. The source is that copy's from then on. It returns nil if there
// is none.
func (r *reader) takeOver(ctx context.Context, f *file, at location, emptied bool) *file {
	if f.compressed || f.read.head.len == 0 {
		return nil
	}
	d, paths := f.read.newDigest(), at.paths()
	candidates := func(after time.Time) []*copyCandidate {
		return r.copies.candidates(f.id, time.Unix(0, f.read.modified), d, paths, after)
	}
	next, short, err := r.copies.find(ctx, d, f.id, candidates(f.changedAt(emptied)))
	if next == nil && err == nil && (emptied || d.size > int64(f.read.off)) {
		// A file that is renamed while its folder is listed may not be in the list.
		_ = backoff.Sleep(ctx, listAgain, nil)
		next, short, err = r.copies.find(ctx, d, f.id, candidates(time.Now()))
	}
	if err != nil {
		return nil
	}
	for _, c := range short {
		if c.held == nil {
			r.skipCopy(f, at.firstPath, c)
		}
	}
	if next == nil || next.size < f.read.off {
		return nil
	}
	return r.transfer(f, at.firstPath, next)
}

// changedAt returns the time from which on a list of the folder has the copy of a file that is
// truncated, or was deleted at least completeAfter ago.
func (f *file) changedAt(emptied bool) time.Time {
	changed := time.Now().Add(-time.Second)
	if !emptied {
		return changed
	}
	info, err := f.read.fd.Stat()
	if err != nil || info.ModTime().Before(changed) {
		return changed
	}
	return info.ModTime()
}

// transfer gives the source of a file to a copy.
func (r *reader) transfer(f *file, firstPath string, c *copyCandidate) *file {
	successor := r.settings.newFile(c.id, firstPath, c.path)
	s := &successor.read
	s.progress, s.identified = f.read.progress, true
	s.predecessor, s.head, s.storedHead, s.begun = nil, fingerprint{}, -1, false
	s.lastSize, s.grownAt, s.copySize = int64(c.size), time.Now(), c.size
	if successor.compressed {
		s.continueCompressed()
		s.finished, s.doneSize = c.size == s.off, c.info.Size()
	}
	if !r.followCopy(successor, c) {
		return nil
	}
	r.reportLost(f, max(f.read.off, c.size), writtenAfterCopy)
	f.read.progress = r.settings.newProgress(f.read.key)
	r.table.setSource(f, nil)
	r.table.setSource(successor, s.src)
	if s.src != nil {
		r.sources.Set(s.srcID, successor)
	}
	return successor
}

const writtenAfterCopy = "it was written after the file was copied"

// continueCompressed has a source continue in a compressed file.
func (s *readState) continueCompressed() {
	if s.tail.n > 0 {
		s.expectTail = fingerprintOf(s.tail.bytes())
	}
	s.tail.n, s.lastSize, s.scanned = 0, 0, s.off
}

// skipCopy makes a copy that has only what was read a source that is at its end.
func (r *reader) skipCopy(f *file, firstPath string, c *copyCandidate) {
	g := r.settings.newFile(c.id, firstPath, c.path)
	s := &g.read
	s.identified, s.grownAt = true, time.Now()
	s.off, s.scanned, s.tail = c.size, c.size, c.last
	s.splitter.Ended = c.last.n > 0 && c.last.buf[c.last.n-1] != '\n'
	if g.compressed {
		s.finished, s.doneSize = true, c.info.Size()
	}
	if r.followCopy(g, c) {
		r.schedule.wake(g)
	}
}

// followCopy has a copy followed as a source, instead of what was followed under its inode. It is
// open from then on, as it may be deleted before a reader is free. It reports false where it is
// gone or became a source meanwhile.
func (c *core) followCopy(f *file, copied *copyCandidate) bool {
	fd, err := c.copies.openCandidate(copied)
	if err != nil {
		return false
	}
	switch {
	case copied.held != nil:
		f.at.state = unlinked
	case !c.paths.Match(copied.path):
		f.at.state = renamed
	}
	c.open.give(f, fd)
	other, ok := c.table.replace(f, copied)
	if other != nil {
		c.schedule.wake(other) // to be closed
	}
	switch {
	case !ok:
		c.open.close(f)
	case copied.held != nil:
		c.missing.add(f) // for the follower to note it as deleted
	}
	return ok
}

// takeOverKnown looks for a copy of a known source whose file is gone, and follows it. It returns
// nil if there is none, or if it has nothing to read.
func (w *follower) takeOverKnown(ctx context.Context, k *knownSource, candidates []*copyCandidate) *file {
	next, _, err := w.copies.find(ctx, k.digest(), k.at.id, candidates)
	if err != nil || next == nil || next.size < k.Cursor.Pos || !w.isCredible(k, next.path) {
		return nil
	}
	successor := w.settings.newFile(next.id, k.Key, next.path)
	successor.read.takenOverFrom = k
	if !w.followCopy(successor, next) {
		return nil
	}
	w.known.remove(k)
	w.known.reportUnread(k, next.size, writtenAfterCopy)
	return successor
}

// isCredible reports whether a file is a copy of a source and not alike by chance: where little is
// known of the source, it must have been truncated, or be compressed.
func (w *follower) isCredible(k *knownSource, path string) bool {
	f := w.table.at(k.Key)
	return k.at.head.len >= weakHead || isCompressed(path) || f != nil && f.id.ino == k.at.id.ino
}

// digest returns what is remembered of a source's text.
func (k *knownSource) digest() *digest {
	d := &digest{head: k.at.head, size: int64(k.at.size), since: time.UnixMilli(int64(k.at.modified))}
	d.note(mark{k.Cursor.Pos, k.tail()})
	return d
}
