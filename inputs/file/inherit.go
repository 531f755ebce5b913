package file

import (
	"context"
	"time"
)

// inherit looks for what goes on with the source of a file that was truncated, rewritten or
// deleted: a copy of it, plain or compressed, which it gives, and whose the
// source is from then on. It is nil if there is none. names are the file's paths.
func (r *reader) inherit(ctx context.Context, f *file, names []string, emptied bool) *file {
	if f.compress || f.head.len == 0 {
		return nil
	}
	t := f.trace()
	next, short, err := r.copies.find(ctx, t, f.id, names)
	if next == nil && err == nil && (emptied || t.size > int64(f.off)) {
		// A file that is renamed while its folder is listed may not be in the list.
		pause(ctx, listAgain)
		next, short, err = r.copies.find(ctx, t, f.id, names)
	}
	if err != nil {
		return nil
	}
	for _, c := range short {
		r.passOver(f, c)
	}
	if next == nil || next.size < f.off {
		return nil
	}
	return r.handOver(f, next)
}

// handOver gives the source of a file to a copy.
func (r *reader) handOver(f *file, c *copied) *file {
	h := r.settings.newFile(c.id, f.seen, c.path)
	h.progress, h.matched = f.progress, true
	h.former, h.head, h.stored, h.begun = nil, fingerprint{}, -1, false
	h.lastSize, h.grown, h.ends = int64(c.size), time.Now(), c.size
	if h.compress {
		h.toPacked()
		h.finished, h.doneSize = c.size == h.off, c.info.Size()
	}
	if !r.replace(h, c) {
		return nil
	}
	r.tellLost(f, max(f.off, c.size), "it was written after the file was copied")
	f.progress = newProgress(f.key, r.settings.maxLine)
	return h
}

// toPacked has a source go on in a compressed file.
func (f *file) toPacked() {
	if f.tail.n > 0 {
		f.expect = printOf(f.tail.bytes())
	}
	f.tail.n, f.lastSize, f.scanned = 0, 0, f.off
}

// passOver makes a copy of what was read a source of which nothing is to be read.
func (r *reader) passOver(f *file, c *copied) {
	h := r.settings.newFile(c.id, f.seen, c.path)
	h.matched, h.grown = true, time.Now()
	h.off, h.scanned, h.tail = c.size, c.size, c.last
	h.split.Ended = c.last.n > 0 && c.last.buf[c.last.n-1] != '\n'
	if h.compress {
		h.finished, h.doneSize = true, c.info.Size()
	}
	if r.replace(h, c) {
		r.schedule.wake(h)
	}
}

// replace has a source followed in the place of what was followed as a copy.
func (r *reader) replace(h *file, c *copied) bool {
	at := renamed
	if r.copies.wanted(c.path) {
		at = live
	}
	other, ok := r.table.replace(h, c, at)
	if other != nil {
		r.schedule.wake(other) // to be closed
	}
	return ok
}

// pause waits, unless ctx ends before.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// heir looks for a copy of a known source whose file is no more, and follows it. It
// gives nil if there is none, or if nothing is to be done with it.
func (w *follower) heir(ctx context.Context, k *past) *file {
	t := k.trace()
	next, _, err := w.copies.find(ctx, t, k.at.id, []string{k.Key})
	if err != nil || next == nil || next.size < k.Cursor.Pos || !w.believes(k, next.path) {
		return nil
	}
	h := w.settings.newFile(next.id, k.Key, next.path)
	h.heirOf = k
	at := renamed
	if w.wanted(next.path) {
		at = live
	}
	if _, ok := w.table.replace(h, next, at); !ok {
		return nil
	}
	w.pasts.drop(k)
	w.pasts.report(k, next.size, "it was written after the file was copied")
	return h
}

// believes tells whether a file is a copy of a source and no chance: where little is
// known of the source, it must have been truncated, or be compressed.
func (w *follower) believes(k *past, path string) bool {
	f := w.table.at(k.Key)
	return k.at.head.len >= weakHead || isCompressed(path) || f != nil && f.id.ino == k.at.id.ino
}

// trace gives what is remembered of a source's text.
func (k *past) trace() *trace {
	t := &trace{head: k.at.head, size: int64(k.at.size), since: time.UnixMilli(int64(k.at.modified))}
	t.note(mark{k.Cursor.Pos, k.tail()})
	return t
}
