package file

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
)

const (
	// reviewEvery is how often files that were deleted before they were read are looked at.
	reviewEvery = time.Second
	// heldFor is how long a deleted file of which nothing can be read is held open in any case.
	heldFor = 10 * time.Second
	// crowdedFor is how long files wait to be opened before that is told: at a start, each waits
	// its turn.
	crowdedFor = 10 * time.Second
)

// deletedFiles are those that were deleted and are held open until they are read. Each keeps its
// room on the disk, and together they may take no more than the spools have room for.
type deletedFiles map[*file]heldUp

// heldUp says since when nothing was read of a file from a position on.
type heldUp struct {
	read  int64
	since time.Time
}

func (d deletedFiles) any() bool { return len(d) > 0 }

// noteDeleted notes that a file was deleted. What was not open and was never read is gone.
func (w *follower) noteDeleted(f *file) {
	at := w.table.where(f)
	if _, open := w.open.sizeOf(f); open {
		w.deleted[f] = heldUp{at.read, time.Now()}
		return
	}
	known := len(w.known.ofInode(f.id)) > 0 || at.isSource || at.copyOf != (inode{})
	if !known && at.size > 0 {
		w.reportGone(f, 0, at.size, deletedUnread)
	}
}

// reportGone reports what was not read of a file that cannot be read any more. It is no longer
// followed from then on: its inode may be another file's, while its reader is held up.
func (w *follower) reportGone(f *file, read, unread int64, why string) {
	if w.table.removeReported(f) {
		w.known.losses.report(w.table.where(f).firstPath, uint64(read), uint64(unread), why)
	}
}

const (
	deletedUnread = "it was deleted before it was read to its end"
	deletedBefore = "it was deleted, and longshore was stopped before it was read to its end"
	deletedFull   = "it was deleted, and the spool has no room for what deleted files hold"
)

func (w *follower) reviewSoon() {
	if !w.reviewing {
		w.reviewing = true
		w.review.Reset(reviewEvery)
	}
}

// reviewDeleted gives up deleted files that nothing can be read of, the oldest first, where they
// take more room together than the spools have.
func (w *follower) reviewDeleted(ctx context.Context) {
	sizes, total := map[*file]int64{}, int64(0)
	for f, was := range w.deleted {
		at := w.table.where(f)
		size, open := w.open.sizeOf(f)
		if !open || at.state != unlinked || !w.table.has(f) {
			delete(w.deleted, f)
			continue
		}
		if at.read != was.read {
			w.deleted[f] = heldUp{at.read, time.Now()}
		}
		sizes[f] = max(0, size-at.read)
		if at.src != nil {
			if _, behind := w.feed.Behind(at.src, math.MaxUint64); behind {
				sizes[f] = size // an output that lags reads it from its beginning, at the worst
			}
		}
		total += sizes[f]
	}
	room := w.feed.SpoolRoom()
	if total <= room {
		return
	}
	oldest := slices.SortedFunc(maps.Keys(sizes), func(a, b *file) int {
		return cmp.Compare(w.table.where(a).since.UnixNano(), w.table.where(b).since.UnixNano())
	})
	for _, f := range oldest {
		if total > room && sizes[f] > 0 && time.Since(w.deleted[f].since) >= heldFor && w.giveUp(ctx, f, sizes[f]) {
			total -= sizes[f]
		}
	}
}

// giveUp closes a deleted file that was not read to its end, unless a reader has it. What is in a
// copy of it is not lost: its reader looks for that again.
func (w *follower) giveUp(ctx context.Context, f *file, unread int64) bool {
	at := w.table.where(f)
	copied := false
	if at.digest != nil {
		candidates := w.copies.candidates(f.id, time.Unix(0, at.mtime), at.digest, at.paths(), at.since)
		next, _, err := w.copies.find(ctx, at.digest, f.id, candidates)
		copied = next != nil || err != nil
	}
	if !w.open.giveUp(f) {
		return false
	}
	delete(w.deleted, f)
	if !copied {
		w.reportGone(f, at.read, unread, deletedFull)
	}
	w.schedule.wake(f)
	return true
}

// noteCrowded tells when files that have something to read have had to wait for being opened for
// some time: what is deleted of them is lost.
func (w *follower) noteCrowded(open, waiting int) {
	switch {
	case waiting == 0 && w.crowdedFrom.IsZero():
	case waiting == 0:
		w.crowdedFrom, w.crowded = time.Time{}, false
		w.health.setCrowded(nil)
	case w.crowdedFrom.IsZero():
		w.crowdedFrom = time.Now()
	case !w.crowded && time.Since(w.crowdedFrom) >= crowdedFor:
		w.crowded = true
		err := fmt.Errorf("%d files have lines to read and cannot be held open, as %d are open: what is deleted of "+
			"them is lost; raise max_open_files and the limit on open files (ulimit -n), of which half are used",
			waiting, open)
		w.health.setCrowded(err)
		w.log.Warn("not all files can be held open that have lines to read",
			"open", open, "waiting", waiting, "error", err)
	}
}

// reportClosed reports what is gone when the input ends, as it can be read by no name. What the
// ledger knows of it is reported at the next start.
func (c *core) reportClosed(f *file) {
	at := c.table.where(f)
	size, open := c.open.sizeOf(f)
	if at.state != unlinked || !open || f.compressed {
		return
	}
	known := f.read.off
	if f.read.srcID != 0 {
		known = max(known, uint64(f.read.sentSize))
	}
	if uint64(size) > known {
		c.known.losses.report(at.firstPath, f.read.off, uint64(size)-known, deletedBefore)
	}
}
