package file

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path/filepath"
	"slices"
	"time"

	"github.com/longshore/longshore/inputs/lines"
	"github.com/longshore/longshore/pipeline/event"
)

const (
	blockSize   = 128 << 10 // of one read, and so of a batch
	arenaSpare  = 32 << 10  // room behind a block for what parsers add
	sliceBlocks = 4         // blocks of one read slice
	// completeAfter is how long a renamed or deleted file must not grow to count as complete, so
	// that its last line needs no line end.
	completeAfter = 5 * time.Second
	// behindRetry is how long a file is kept that an output has yet to read, before that is asked
	// again.
	behindRetry = time.Second
	// heldUpAfter is how long a batch must wait for the pipeline for the time not to count as time
	// in which the file has not grown.
	heldUpAfter = 50 * time.Millisecond
	backoffMin  = time.Second
	backoffMax  = time.Minute
)

// A reader reads files, one read slice at a time, in which the file's read state is its own.
type reader struct {
	*core
	buf     []byte // for text that must be decoded, and for probing
	head    sliceHead
	rereads bool // it reads a file once more, which another follows
	// stopwatch runs while the file system is asked, and not while the pipeline is waited for.
	stopwatch stopwatch
}

// serve reads what the schedule hands out, until that is closed.
func (r *reader) serve(ctx context.Context) {
	for f := r.schedule.take(); f != nil; f = r.schedule.take() {
		before := f.read.scanned
		result, err := r.readSlot(ctx, f)
		r.stopwatch.End()
		result.grew = f.read.scanned != before
		r.publish(f)
		if err != nil && ctx.Err() == nil && !f.slot.preregistering {
			result = r.onError(f, err)
		}
		r.open.note(f, result.more || result.wait > 0 || f.slot.preregistering)
		r.schedule.done(f, result)
	}
}

// publish has others know how far a file was read, and what is remembered of its text; of a
// compressed one, how the file itself begins.
func (r *reader) publish(f *file) {
	if !f.read.identified {
		return
	}
	if f.compressed {
		r.table.setRead(f, f.read.doneSize, &digest{head: f.read.head}) // to the end, or not at all
		return
	}
	f.read.digest = f.read.newDigest()
	r.table.setRead(f, int64(f.read.off), f.read.digest)
}

// onError notes an error and has f read again later.
func (r *reader) onError(f *file, err error) sliceResult {
	r.health.set(f.read.key, err)
	f.read.backoff = min(max(2*f.read.backoff, backoffMin), backoffMax)
	if r.table.where(f).state != unlinked {
		// It is opened again: the file system may have lost it for good (ESTALE).
		f.closeUnpack(r.unpacks)
		r.open.close(f)
	}
	return sliceResult{wait: f.read.backoff}
}

// readSlot reads what is new in a file, up to sliceBlocks.
func (r *reader) readSlot(ctx context.Context, f *file) (sliceResult, error) {
	if !r.table.has(f) {
		if !f.read.identified {
			f.read.lastSize = 0 // it was a copy, and is read as what it is; or it is gone
		}
		r.finish(ctx, f, anotherFile)
		return sliceResult{}, nil
	}
	at := r.table.where(f)
	r.stopwatch.begin(cmp.Or(at.path, at.firstPath))
	if f.read.fd == nil {
		if ok, err := r.reopen(ctx, f, at); !ok {
			return sliceResult{}, err
		}
	}
	info, err := f.read.fd.Stat()
	if err != nil {
		return sliceResult{}, fmt.Errorf("looking at a log file: %w", err)
	}
	if inodeOf(info) != f.id {
		r.open.close(f)
		r.missing.add(f)
		return sliceResult{}, nil
	}
	if at.path != "" && isCompressed(at.path) != f.compressed {
		r.finish(ctx, f, anotherFile) // the next scan finds what it is
		return sliceResult{}, nil
	}
	if f.slot.preregistering && (f.read.mustBeKnown || f.compressed) {
		return sliceResult{}, nil
	}
	r.head.isRead = false
	result, err := r.advance(ctx, f, info)
	if err != nil || ctx.Err() != nil || f.slot.preregistering {
		return result, err // an error while preregistering shows again in the first read
	}
	f.read.backoff = 0
	r.health.clear(f.read.key)
	if result.more || result.wait > 0 || f.read.fd == nil {
		return result, nil
	}
	return r.onEnd(ctx, f, info, at)
}

// reopen opens a file that was not open. It reports false where there is nothing to open.
func (r *reader) reopen(ctx context.Context, f *file, at location) (bool, error) {
	if at.state == unlinked {
		f.read.lastSize = max(f.read.lastSize, at.size)
		r.finish(ctx, f, deletedUnread)
		return false, nil
	}
	err := r.open.open(f, at.path)
	if errors.Is(err, fs.ErrNotExist) {
		r.missing.add(f)
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("opening a log file: %w", err)
	}
	return true, nil
}

// advance reads on in an open file; of one to be preregistered it only stores the identity.
func (r *reader) advance(ctx context.Context, f *file, info fs.FileInfo) (sliceResult, error) {
	size := info.Size()
	if ok, wait, err := r.identify(ctx, f, size); !ok || err != nil {
		return sliceResult{wait: wait}, err
	}
	if f.slot.preregistering && f.read.srcID != 0 {
		return sliceResult{}, nil
	}
	if rewritten, err := r.checkRewritten(ctx, f, size); rewritten || err != nil {
		return sliceResult{more: rewritten}, err
	}
	if rewritten, err := r.extendHead(ctx, f, size); rewritten || err != nil {
		return sliceResult{more: rewritten}, err
	}
	f.read.noteSize(info) // it is the size of the text that was known, and not of another
	if d := f.read.digest; d == nil || d.head != f.read.head {
		r.publish(f) // a copy may be looked at while this reader is held up
	}
	if f.read.storedHead < 0 {
		// Its identity is stored even if there is nothing to read: it may be written to and
		// renamed while Longshore is stopped.
		if err := r.openSource(ctx, f); err != nil {
			return sliceResult{}, err
		}
	}
	if size == 0 || f.slot.preregistering {
		return sliceResult{}, nil
	}
	if f.compressed {
		return r.unpackBlocks(ctx, f, size)
	}
	return r.readBlocks(ctx, f, size)
}

func (s *readState) noteSize(info fs.FileInfo) {
	if info.Size() != s.lastSize {
		s.grownAt = time.Now()
	}
	s.lastSize, s.modified = info.Size(), info.ModTime().UnixNano()
}

// identify decides, once for every file, which source it is and where reading begins. It reports
// false where it is none to be read, or, with a time to wait, where it is too early to tell.
func (r *reader) identify(ctx context.Context, f *file, size int64) (bool, time.Duration, error) {
	s := &f.read
	if s.identified {
		return true, 0, nil
	}
	switch r.settings.guide.Choose(r.table.where(f).firstPath) {
	case Wait:
		return false, askAgain, nil
	case Leave:
		r.leave(f)
		return false, 0, nil
	case Take:
	}
	d, err := r.identifier.decide(ctx, f, size, &r.head)
	if err != nil {
		return false, d.wait, err
	}
	if d.replaced {
		r.missing.add(f) // what has become of the sources known by its inode is searched for
	}
	switch d.action {
	case leave:
		return false, d.wait, nil
	case dismiss:
		r.leave(f)
		return false, 0, nil
	case resume:
		err = r.resume(f, d.source)
	case begin:
		at := r.table.where(f)
		s.key = at.firstPath
		r.reportTruncated(s.key, at.path, at.truncated+at.truncatedAgain)
		r.table.forgetTruncated(f)
		if s.startSize >= 0 {
			err = r.startAtEnd(f, min(s.startSize, size))
		}
	}
	s.identified = err == nil
	return s.identified, 0, err
}

// leave stops looking at a file that is none to be read.
func (r *reader) leave(f *file) {
	r.forgetPredecessors(f)
	r.open.close(f)
	r.table.remove(f)
}

// reportTruncated reports what is known to have been in a file that was truncated before it was
// first read. Where the config asks for rotated names, a copy of it is read by its own name.
func (r *reader) reportTruncated(key, path string, lost int64) {
	if lost > 0 && !r.paths.Match(path+".1") {
		r.known.losses.report(key, 0, uint64(lost), "it was truncated before")
	}
}

// resume continues a known source.
func (r *reader) resume(f *file, k *knownSource) (err error) {
	r.forgetPredecessors(f)
	s, atState := &f.read, k.at.pos == k.Cursor.Pos
	s.srcID, s.key = k.ID, k.Key
	s.off, s.sent, s.scanned = k.Cursor.Pos, k.Cursor.Pos, k.Cursor.Pos
	s.head, s.storedHead, s.boundaries = k.at.head, int(k.at.head.len), k.TimeoutBoundaries
	if atState {
		s.splitter.Skipping, s.splitter.Ended = k.at.skipping, k.at.ended
	}
	if k == s.takenOverFrom {
		s.head, s.storedHead = fingerprint{}, -1 // the copy's head must be stored
	}
	if f.compressed {
		s.finished, s.doneSize, s.expectTail = k.at.finished && atState, int64(k.at.size), k.tail()
		return nil
	}
	s.digest = &digest{}
	s.digest.note(mark{s.off, k.tail()})
	s.tail, err = readTail(s.fd, s.off, k.tail())
	return err
}

// maxTail is how far before the end of a file its last lines are looked for.
const maxTail = 16 << 20

// startAtEnd skips what a file has, up to its last line end before size, but for its last lines
// where those are to be read.
func (r *reader) startAtEnd(f *file, size int64) error {
	s := &f.read
	if f.compressed {
		s.finished, s.doneSize = true, size
		return nil
	}
	if err := r.resolveEncoding(f, size); err != nil {
		return err
	}
	if s.encoding == nil {
		return nil // it has less than a byte-order mark
	}
	unit := int64(s.encoding.Unit())
	for window := int64(blockSize / 4); ; window *= 4 {
		from := max(0, size-window)
		from -= from % unit
		p := make([]byte, size-from)
		n, err := s.fd.ReadAt(p, from)
		if n < len(p) && err != nil {
			return fmt.Errorf("reading the end of a log file: %w", err)
		}
		lines := r.settings.tailLines()
		at, missing, any := s.lastLines(p, lines)
		if missing > 0 && lines > 0 {
			if from == 0 {
				return nil // it has no more
			}
			if window < maxTail {
				continue
			}
		}
		s.off = uint64(from) + uint64(at)
		s.splitter.Skipping = !any && s.off > 0
		s.scanned = s.off
		s.tail.set(p[:at])
		return nil
	}
}

// lastLines returns where the last n lines of p begin, one without a line end included, and how
// many line ends are missing for that. Where some are, that is behind the first of those there are;
// without any, at the end.
func (s *readState) lastLines(p []byte, n int) (at, missing int, any bool) {
	unit := s.encoding.Unit()
	at, missing = len(p)-len(p)%unit, n+1
	if n > 0 && at > 0 && s.encoding.LineEnd(p[at-unit:at]) != 0 {
		missing--
	}
	for k := at - unit; k >= 0 && missing > 0; k -= unit {
		if s.encoding.LineEnd(p[k:k+unit]) == 0 {
			at, any = k+unit, true
			missing--
		}
	}
	return at, missing, any
}

const anotherFile = "it was deleted, and another file has its inode"

// checkRewritten makes a file a new source if it no longer has what was read.
func (r *reader) checkRewritten(ctx context.Context, f *file, size int64) (bool, error) {
	s := &f.read
	at := r.table.where(f)
	if s.storedHead == 0 && s.head.len == 0 && size > 0 && at.path != "" && at.path != s.key {
		r.restart(ctx, f, anotherFile) // perhaps: it was empty, and nothing is lost by it
		return true, nil
	}
	unseen := s.head.len == 0 && at.truncated > 0 // what it had since it was empty
	if size < s.lastSize || !f.compressed && (uint64(size) < s.off || unseen) {
		r.restart(ctx, f, "it was truncated")
		return true, nil
	}
	if f.compressed {
		return false, nil
	}
	same, err := s.isUnchanged()
	if err != nil {
		return false, fmt.Errorf("reading a log file: %w", err)
	}
	if !same {
		r.restart(ctx, f, "it was rewritten")
	}
	return !same, nil
}

// isUnchanged reports whether a file still has what was read last, and the head by which it is
// known: lines of one length may all end alike.
func (s *readState) isUnchanged() (bool, error) {
	if s.tail.n > 0 {
		if same, err := isTail(s.fd, s.off, &s.tail); !same || err != nil {
			return false, err
		}
	}
	if s.head.len < headMax {
		return true, nil // or it is noticed where the head is extended
	}
	return s.hasHead()
}

func (s *readState) hasHead() (bool, error) {
	var buf [headMax]byte
	head, err := readHead(s.fd, buf[:])
	return s.head.matches(head), err
}

// restart has a file begin anew: as a new source, a known one, or a copy of one.
func (r *reader) restart(ctx context.Context, f *file, why string) {
	at, s := r.table.where(f), &f.read
	if at.state == renamed && !isRotation(filepath.Base(plainName(at.path)), filepath.Base(at.firstPath)) {
		r.finish(ctx, f, anotherFile)
		return
	}
	f.closeUnpack(r.unpacks)
	r.health.clear(s.key)
	unseen := at.truncatedAgain
	if s.head.len > 0 {
		s.lastSize = max(s.lastSize, at.truncated)
	} else {
		unseen += at.truncated // nor is a copy recognised
	}
	key, firstPath, predecessor := s.key, at.firstPath, s.predecessor
	encoding := cmp.Or(s.encoding, s.encodedAs)
	if at.state == named {
		key, firstPath = at.path, at.path
	}
	earlier := s.newDigest()
	earlier.read = s.off
	successor := r.takeOver(ctx, f, at, true)
	switch {
	case successor != nil:
		earlier.read = successor.read.copySize
		r.schedule.follow(f, successor)
		r.schedule.wake(successor)
	case predecessor == nil:
		predecessor = r.detachSource(f, why)
	default:
		r.dropSource(f, why)
	}
	r.reportTruncated(key, at.path, unseen)
	s.progress = r.settings.newProgress(key)
	s.predecessor, s.grownAt, s.encodedAs = predecessor, time.Now(), encoding
	s.identified, s.mustBeKnown, s.takenOverFrom, s.startSize = false, false, nil, -1
	r.table.unmarkSource(f, firstPath, earlier)
}

// detachSource leaves a file without a source, and reports what is known to have been in it and was
// never read. It returns the source, still open, if there was one.
func (r *reader) detachSource(f *file, why string) *event.Source {
	s := &f.read
	r.reportLost(f, s.off, why)
	src := s.src
	if src == nil && s.srcID != 0 {
		src, _ = r.feed.Open(s.srcID, s.key, r.settings.guide.Labels(s.key))
	}
	r.sources.Remove(s.srcID, f)
	r.table.setSource(f, nil)
	s.src, s.srcID = nil, 0
	return src
}

// reportLost reports what is known to have been in a file from a position on.
func (r *reader) reportLost(f *file, from uint64, why string) {
	lost := f.read.lastSize - int64(from)
	if lost > 0 && !f.compressed && r.table.copyOf(f.id) == (inode{}) && !r.table.where(f).reported {
		r.known.losses.report(f.read.key, from, uint64(lost), why)
	}
}

// dropSource has the ledger forget the file's source.
func (r *reader) dropSource(f *file, why string) {
	if src := r.detachSource(f, why); src != nil {
		r.feed.Close(src, true)
	}
}

// forgetPredecessors has the ledger forget what the file was before it began anew.
func (r *reader) forgetPredecessors(f *file) {
	for _, k := range r.table.takePredecessors(f) {
		r.known.forget(k)
	}
	if f.read.predecessor != nil {
		r.feed.Close(f.read.predecessor, true)
		f.read.predecessor = nil
	}
}

// finish ends a file for good.
func (r *reader) finish(ctx context.Context, f *file, why string) {
	at := r.table.where(f)
	if f.read.identified && !f.compressed {
		was := f.read.newDigest()
		was.read = f.read.off
		r.table.noteFinished(f, was)
	}
	if why == anotherFile {
		r.table.remove(f) // the other may be a copy
	}
	if successor := r.takeOver(ctx, f, at, false); successor != nil {
		r.schedule.wake(successor)
	} else {
		r.dropSource(f, why)
	}
	r.unfollow(f) // before its inode can be given to another
	f.closeUnpack(r.unpacks)
	r.open.close(f)
}

// setAside stops following a file that was moved out of its folder. If it comes back, it is the
// same source.
func (r *reader) setAside(f *file) {
	if f.read.srcID != 0 {
		r.known.add(f)
	}
	r.park(f)
	r.unfollow(f)
}

func (r *reader) unfollow(f *file) {
	r.forgetPredecessors(f)
	r.sources.Remove(f.read.srcID, f)
	r.table.remove(f)
	r.health.clear(f.read.key)
	f.read.progress, f.read.identified = r.settings.newProgress(f.read.key), false
}

// park closes a file that is not expected to grow. It is opened again if it does.
func (r *reader) park(f *file) {
	f.closeUnpack(r.unpacks)
	r.open.close(f)
	if f.read.src != nil {
		r.feed.Close(f.read.src, false)
		r.table.setSource(f, nil)
		f.read.src = nil
	}
}

// onEnd decides what happens to a file that was read to its end. at is where it was before that.
func (r *reader) onEnd(ctx context.Context, f *file, info fs.FileInfo, at location) (sliceResult, error) {
	moved := at.state != named || r.table.where(f).path != f.read.key
	if wait, err := r.waitForLine(ctx, f, info.Size(), moved); wait > 0 || err != nil || !moved {
		return sliceResult{wait: wait}, err
	}
	behind := false
	if f.read.src != nil {
		leavingTo := uint64(0)
		if at.state == unlinked {
			leavingTo = math.MaxUint64
		}
		_, behind = r.feed.Behind(f.read.src, leavingTo)
	}
	since := at.since
	if since.Before(f.read.grownAt) {
		since = f.read.grownAt
	}
	if left := completeAfter - time.Since(since); left > 0 {
		return sliceResult{wait: left}, nil
	}
	if behind {
		return sliceResult{wait: behindRetry}, nil // it stays open for an output that lags
	}
	switch {
	case at.state == renamed:
		r.park(f)
	case at.state == unlinked && isUnlinked(info):
		r.finish(ctx, f, "it was deleted")
	case at.state == unlinked:
		r.setAside(f)
	}
	return sliceResult{}, nil
}

// waitForLine sends a last line that has no line end once its timeout has passed; in a file that
// was moved, once that counts as complete. Until then it returns how long to wait.
func (r *reader) waitForLine(ctx context.Context, f *file, size int64, moved bool) (time.Duration, error) {
	if f.compressed || int64(f.read.off) >= size || f.read.encoding == nil && !moved {
		return 0, nil
	}
	timeout := time.Duration(r.settings.LineTimeout)
	if moved {
		timeout = min(timeout, completeAfter)
	}
	if left := timeout - time.Since(f.read.grownAt); left > 0 {
		return left, nil
	}
	if r.schedule.wasStalled(f) {
		f.read.grownAt = time.Now() // its writer may have stood still, too
		return timeout, nil
	}
	if err := r.openSource(ctx, f); err != nil {
		return 0, err
	}
	if info, err := f.read.fd.Stat(); err != nil || info.Size() != size {
		return lookAgain, err // it has grown since it was looked at
	}
	if left := timeout - time.Since(f.read.grownAt); left > 0 {
		return left, nil
	}
	if err := r.readLastLine(ctx, f, size); err != nil {
		return 0, err
	}
	if s := &f.read; moved && s.nuls.to == uint64(size) && s.off >= s.nuls.from && s.off < s.nuls.to {
		return 0, r.skipNULs(ctx, f, r.feed.Batch(s.src), s.nuls.to) // nobody writes over them any more
	}
	return 0, nil
}

// lookAgain is when to look again at a file that has just grown.
const lookAgain = time.Millisecond

// extendHead extends the head's fingerprint by what the file has grown, up to headMax. It reports
// true where the head has changed, and the file begins anew.
func (r *reader) extendHead(ctx context.Context, f *file, size int64) (bool, error) {
	s := &f.read
	if s.head.len == headMax || int64(s.head.len) == size {
		return false, nil
	}
	head, err := r.head.of(f, size)
	if err != nil {
		return false, err
	}
	if isBlank(head) && s.off == 0 {
		if text, err := s.nextText(0, uint64(size)); err != nil || text >= uint64(size) {
			return false, err // it may be written over
		}
	}
	if !s.head.matches(head) {
		r.restart(ctx, f, "it was rewritten")
		return true, nil
	}
	if head = withoutRoom(head); len(head) > int(s.head.len) {
		s.head = fingerprintOf(head)
	}
	return false, nil
}

// resolveEncoding resolves the encoding by the first text, and skips a byte-order mark.
func (r *reader) resolveEncoding(f *file, size int64) error {
	s := &f.read
	if s.encoding != nil {
		return nil
	}
	head, err := r.head.of(f, size)
	if err != nil {
		return err
	}
	if isBlank(head) {
		var buf [headMax]byte
		return r.resolveEncodingBehindNULs(s, buf[:])
	}
	s.resolveEncoding(r.settings.encoding, head)
	return nil
}

// resolveEncodingBehindNULs is resolveEncoding for a file that begins with NULs.
func (r *reader) resolveEncodingBehindNULs(s *readState, buf []byte) error {
	size := uint64(s.lastSize)
	at, err := s.nextText(0, size)
	if err != nil {
		return err
	}
	if at >= size {
		s.nuls = nulRun{0, size}
		return nil
	}
	n, err := s.fd.ReadAt(buf, int64(at&^1))
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading %s: %w", s.key, err)
	}
	if encoding, _, ok := r.settings.encoding.Resolve(buf[:n], s.encodedAs); ok {
		s.encoding = encoding // a mark there is the line's
	}
	return nil
}

func (s *readState) resolveEncoding(choice *lines.Encoding, head []byte) {
	encoding, bom, ok := choice.Resolve(head, s.encodedAs)
	if !ok {
		return
	}
	s.encoding = encoding
	if s.off == 0 {
		s.off, s.scanned = uint64(bom), uint64(bom)
	}
}

// openSource opens the file's source. Ahead of its first record all that is known of the head is
// stored with its identity, by a batch without records: else, after a crash, another file that was
// given the inode would be taken for it.
func (r *reader) openSource(ctx context.Context, f *file) error {
	s := &f.read
	if s.src == nil {
		src, err := r.feed.Open(s.srcID, s.key, r.settings.guide.Labels(s.key))
		if err != nil {
			return fmt.Errorf("opening the source of %s: %w", s.key, err)
		}
		s.src, s.srcID = src, src.ID
		if !r.rereads {
			r.table.setSource(f, src)
			r.sources.Set(src.ID, f)
		}
	}
	if s.begun || s.storedHead == int(s.head.len) {
		return nil
	}
	if err := r.send(ctx, f, r.feed.Batch(s.src), s.off); err != nil {
		return err
	}
	s.storedHead = int(s.head.len)
	r.forgetPredecessors(f)
	return nil
}

// send sends a batch that ends at position to.
func (r *reader) send(ctx context.Context, f *file, b *event.Batch, to uint64) error {
	s := &f.read
	b.From, b.To = s.sent, to
	c := f.cursorAt(to)
	b.Cursor = c.append(b.Cursor[:0])
	s.begun = s.begun || len(b.Records) > 0
	if r.schedule.isUrgent(f) {
		r.feed.Behind(s.src, math.MaxUint64) // an output that lags must read first what this one has read
	}
	r.stopwatch.End()
	began := time.Now()
	err := r.feed.Send(ctx, b)
	r.stopwatch.Begin()
	if err != nil {
		return fmt.Errorf("sending lines of %s: %w", s.key, err)
	}
	if now := time.Now(); now.Sub(began) > heldUpAfter {
		s.grownAt = now // nobody has looked since
	}
	s.sent, s.off, s.sentSize = to, max(s.off, to), s.lastSize
	r.countTruncated(&s.splitter)
	return nil
}

// cursorAt returns the cursor for a position that was just read up to.
func (f *file) cursorAt(pos uint64) cursor {
	s := &f.read
	c := cursor{
		id: f.id, pos: pos, size: uint64(s.lastSize), modified: uint64(max(0, s.modified/1e6)),
		skipping: s.splitter.Skipping, finished: s.finished, ended: s.splitter.Ended, compressed: f.compressed,
		head: s.head, tail: s.expectTail,
	}
	if s.tail.n > 0 {
		c.tail = fingerprintOf(s.tail.bytes())
	}
	return c
}

// countTruncated moves the splitter's counts to the metrics.
func (r *reader) countTruncated(s *lines.Splitter) {
	if s.TruncatedBytes == 0 && s.TruncatedLines == 0 && s.NULs == 0 {
		return
	}
	r.metrics.nuls.Add(float64(s.NULs))
	r.metrics.truncatedBytes.Add(float64(s.TruncatedBytes))
	r.metrics.truncatedLines.Add(float64(s.TruncatedLines))
	s.TruncatedBytes, s.TruncatedLines, s.NULs = 0, 0, 0
}

// grow makes room in the batch's arena for n bytes more, and for what parsers add.
func grow(b *event.Batch, n int) {
	if cap(b.Arena)-len(b.Arena) < n {
		b.Arena = slices.Grow(b.Arena, n+arenaSpare)
	}
}
