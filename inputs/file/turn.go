package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"github.com/longshore/longshore/inputs/lines"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

const (
	blockSize  = 128 << 10 // of one read, and so of a batch
	arenaSpare = 32 << 10  // room behind a block for what parsers add
	turnBlocks = 4         // blocks that a file may read in one turn
	// settle is how long a file that was renamed or deleted must not grow to be
	// taken as complete, so that its last line needs no line end.
	settle     = 5 * time.Second
	backoffMin = time.Second
	backoffMax = time.Minute
)

// A reader takes files in turns. What it has may be used during a turn.
type reader struct {
	settings *settings
	feed     pipeline.Feed
	log      *slog.Logger
	schedule *schedule
	table    *table
	open     *openFiles
	unpacks  *unpackSlots
	pasts    *pasts
	copies   *copyFinder
	troubles *troubles
	metrics  *metrics
	// astray has the names looked after: f is not where it should be.
	astray func(f *file)
	raw    []byte // for text that must be decoded, and for probing
}

// run takes turns until the schedule is closed.
func (r *reader) run(ctx context.Context) {
	for {
		f := r.schedule.take()
		if f == nil {
			return
		}
		before := f.scanned
		v, err := r.turn(ctx, f)
		v.grew = f.scanned != before
		r.leave(f)
		if err != nil && ctx.Err() == nil && !f.meeting {
			v = r.failed(f, err)
		}
		r.schedule.done(f, v)
	}
}

// leave has others know what is remembered of a file's text.
func (r *reader) leave(f *file) {
	if f.matched && !f.compress {
		f.past = f.trace()
		r.table.leave(f, f.past)
	}
}

// failed notes an error and has f looked at again later.
func (r *reader) failed(f *file, err error) verdict {
	r.troubles.set(f.key, err)
	f.backoff = min(max(2*f.backoff, backoffMin), backoffMax)
	if _, at, _ := r.table.where(f); at != unlinked {
		// It is opened again: the file system may have lost it for good (ESTALE).
		f.closeUnpack(r.unpacks)
		r.open.close(f)
	}
	return verdict{wait: f.backoff}
}

// turn reads what is new in a file, up to turnBlocks.
func (r *reader) turn(ctx context.Context, f *file) (verdict, error) {
	if !r.table.has(f) {
		if !f.matched {
			f.lastSize = 0 // it was a copy, and is read as what it is; or it is gone
		}
		r.gone(ctx, f, anotherFile)
		return verdict{}, nil
	}
	path, at, since := r.table.where(f)
	if f.fd == nil {
		if ok, err := r.openAgain(ctx, f, path, at); !ok {
			return verdict{}, err
		}
	}
	r.open.touch(f)
	info, err := f.fd.Stat()
	if err != nil {
		return verdict{}, fmt.Errorf("looking at a log file: %w", err)
	}
	if inodeOf(info) != f.id {
		r.open.close(f)
		r.astray(f)
		return verdict{}, nil
	}
	if path != "" && isCompressed(path) != f.compress {
		r.gone(ctx, f, anotherFile) // the next scan finds what it is
		return verdict{}, nil
	}
	if f.meeting {
		return verdict{}, r.meet(ctx, f, info)
	}
	v, err := r.look(ctx, f, info)
	if err != nil || ctx.Err() != nil {
		return v, err
	}
	f.backoff = 0
	r.troubles.clear(f.key)
	if v.more || v.wait > 0 || f.fd == nil {
		return v, nil
	}
	return r.rest(ctx, f, info, at, since)
}

// openAgain opens a file that was not open. Without an error, false means that
// there is nothing to open.
func (r *reader) openAgain(ctx context.Context, f *file, path string, at place) (bool, error) {
	if at == unlinked {
		f.lastSize = max(f.lastSize, r.table.sizeOf(f))
		r.gone(ctx, f, "it was deleted before it was read to its end")
		return false, nil
	}
	err := r.open.open(f, path)
	if errors.Is(err, fs.ErrNotExist) {
		r.astray(f)
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("opening a log file: %w", err)
	}
	return true, nil
}

// look reads on in an open file.
func (r *reader) look(ctx context.Context, f *file, info fs.FileInfo) (verdict, error) {
	size := info.Size()
	if ok, wait, err := r.settleSource(ctx, f, size); !ok || err != nil {
		return verdict{wait: wait}, err
	}
	if rewritten, err := r.checkRewritten(ctx, f, size); rewritten || err != nil {
		return verdict{more: rewritten}, err
	}
	f.note(info)
	if rewritten, err := r.extendHead(ctx, f, size); rewritten || err != nil {
		return verdict{more: rewritten}, err
	}
	if f.stored < 0 {
		// Its identity is stored even if there is nothing to read: it may be written to
		// and renamed while we are away.
		if err := r.openSource(ctx, f); err != nil {
			return verdict{}, err
		}
	}
	if size == 0 {
		return verdict{}, nil
	}
	if f.compress {
		return r.unpackTurn(ctx, f, size)
	}
	return r.readTurn(ctx, f, size)
}

// note keeps what a file looks like now.
func (f *file) note(info fs.FileInfo) {
	if info.Size() != f.lastSize {
		f.grown = time.Now()
	}
	f.lastSize, f.modified = info.Size(), info.ModTime().UnixNano()
}

// meet has a file's identity stored ahead of its turn. What goes wrong, goes
// wrong again in that turn.
func (r *reader) meet(ctx context.Context, f *file, info fs.FileInfo) error {
	if f.known || f.compress {
		return nil
	}
	size := info.Size()
	if ok, _, err := r.settleSource(ctx, f, size); !ok || err != nil {
		return err
	}
	if f.srcID != 0 {
		return nil
	}
	f.note(info)
	if rewritten, err := r.extendHead(ctx, f, size); rewritten || err != nil {
		return err
	}
	return r.openSource(ctx, f)
}

// settleSource finds out, once for every file, whether it is a known source,
// and where reading begins. False means that it is none of ours, or, with a time to
// wait, that it cannot be told yet.
func (r *reader) settleSource(ctx context.Context, f *file, size int64) (bool, time.Duration, error) {
	if f.matched {
		return true, 0, nil
	}
	k, err := r.claim(f, size)
	if err != nil {
		return false, 0, err
	}
	if k == nil && (f.known || f.isDeleted() && r.table.copyOf(f.id) != (inode{})) {
		r.endFormer(f)
		r.open.close(f)
		r.table.remove(f)
		return false, 0, nil
	}
	if k == nil && f.startSize < 0 {
		if wait, err := r.heldBack(ctx, f, size); wait > 0 || err != nil {
			return false, wait, err
		}
	}
	if !r.table.settle(f) {
		return false, 0, nil
	}
	if r.pasts.displace(f.id) {
		r.astray(f) // what has become of them is looked for
	}
	switch {
	case k != nil:
		err = r.resume(f, k)
	default:
		f.key = f.seen
		if f.startSize >= 0 {
			err = r.startAtEnd(f, min(f.startSize, size))
		}
	}
	f.matched = err == nil
	return f.matched, 0, err
}

// isDeleted tells whether an open file has no name left.
func (f *file) isDeleted() bool {
	info, err := f.fd.Stat()
	return err == nil && isUnlinked(info)
}

// claim gives the known source that a file is, if there is one.
func (r *reader) claim(f *file, size int64) (*past, error) {
	if f.heirOf != nil {
		return f.heirOf, nil
	}
	var buf [headMax]byte
	head, err := readHead(f.fd, &buf)
	if err != nil {
		return nil, fmt.Errorf("reading the head of a log file: %w", err)
	}
	path, _, _ := r.table.where(f)
	return r.pasts.claim(f, path, head, size), nil
}

// resume takes up a known source.
func (r *reader) resume(f *file, k *past) (err error) {
	r.endFormer(f)
	f.srcID, f.key = k.ID, k.Key
	f.off, f.sent, f.scanned = k.Cursor.Pos, k.Cursor.Pos, k.Cursor.Pos
	f.head, f.stored, f.cuts = k.at.head, int(k.at.head.len), k.TimeoutBoundaries
	if k.at.pos == k.Cursor.Pos {
		f.split.Skipping, f.split.Ended = k.at.skipping, k.at.ended
	}
	if k == f.heirOf {
		f.head, f.stored = fingerprint{}, -1 // the copy is to be stored
	}
	if f.compress {
		f.finished, f.doneSize, f.expect = k.at.finished && k.at.pos == k.Cursor.Pos, int64(k.at.size), k.tail()
		return nil
	}
	f.past = &trace{}
	f.past.note(mark{f.off, k.tail()})
	f.tail, err = readTail(f.fd, f.off, k.tail())
	return err
}

// startAtEnd passes over what a file has, up to its last line end before size.
func (r *reader) startAtEnd(f *file, size int64) error {
	if f.compress {
		f.finished, f.doneSize = true, size
		return nil
	}
	if err := r.settleText(f); err != nil {
		return err
	}
	if f.text == nil {
		return nil // it has less than a byte-order mark
	}
	from := max(0, size-blockSize/4)
	unit := int64(f.text.Unit())
	from -= from % unit
	p := make([]byte, size-from)
	n, err := f.fd.ReadAt(p, from)
	if n < len(p) && err != nil {
		return fmt.Errorf("reading the end of a log file: %w", err)
	}
	f.off = uint64(size - size%unit)
	f.split.Skipping = f.off > 0
	for at := len(p) - len(p)%int(unit) - int(unit); at >= 0; at -= int(unit) {
		if f.text.LineEnd(p[at:at+int(unit)]) == 0 {
			f.off, f.split.Skipping = uint64(from)+uint64(at)+uint64(unit), false
			break
		}
	}
	f.scanned = f.off
	f.tail.set(p[:f.off-uint64(from)])
	return nil
}

const anotherFile = "it was deleted, and another file has its inode"

// checkRewritten makes a file a new source if it is no longer what was read.
func (r *reader) checkRewritten(ctx context.Context, f *file, size int64) (bool, error) {
	if path, _, _ := r.table.where(f); f.stored == 0 && f.head.len == 0 && size > 0 && path != "" && path != f.key {
		r.restart(ctx, f, anotherFile) // perhaps: it was empty, and nothing is lost by it
		return true, nil
	}
	if size < f.lastSize || !f.compress && uint64(size) < f.off {
		r.restart(ctx, f, "it was truncated")
		return true, nil
	}
	if f.compress || f.tail.n == 0 {
		return false, nil
	}
	same, err := isTail(f.fd, f.off, &f.tail)
	if err != nil {
		return false, fmt.Errorf("reading a log file: %w", err)
	}
	if !same {
		r.restart(ctx, f, "it was rewritten")
	}
	return !same, nil
}

// restart has the file begin anew: it may be a new source, a known one, or a copy of one.
func (r *reader) restart(ctx context.Context, f *file, why string) {
	path, at, _ := r.table.where(f)
	if at == renamed && !isRotation(filepath.Base(plainName(path)), filepath.Base(f.seen)) {
		r.gone(ctx, f, anotherFile)
		return
	}
	f.closeUnpack(r.unpacks)
	r.troubles.clear(f.key)
	key, seen, former := f.key, f.seen, f.former
	if at == live {
		key, seen = path, path
	}
	before := f.trace()
	before.read = f.off
	h := r.inherit(ctx, f, r.table.names(f), true)
	switch {
	case h != nil:
		before.read = h.ends
		r.schedule.follow(f, h)
		r.schedule.wake(h)
	case former == nil:
		former = r.leaveSource(f, why)
	default:
		r.endSource(f, why)
	}
	f.progress = newProgress(key, r.settings.maxLine)
	f.former, f.grown = former, time.Now()
	f.matched, f.known, f.heirOf, f.startSize = false, false, nil, -1
	r.table.unsettle(f, seen, before)
}

// leaveSource has the file be without a source, and tells of what is known to
// have been in it and was never read. The source, if there was one, is still open.
func (r *reader) leaveSource(f *file, why string) *event.Source {
	r.tellLost(f, f.off, why)
	src := f.src
	if src == nil && f.srcID != 0 {
		src, _ = r.feed.Open(f.srcID, f.key, labelsOf(f.key))
	}
	f.src, f.srcID = nil, 0
	return src
}

// tellLost tells of what is known to have been in a file from some position on.
func (r *reader) tellLost(f *file, from uint64, why string) {
	if missing := f.lastSize - int64(from); missing > 0 && !f.compress && r.table.copyOf(f.id) == (inode{}) {
		tellLost(r.log, r.metrics, f.key, from, uint64(missing), why)
	}
}

// endSource has the ledger forget the file's source, as leaveSource does not.
func (r *reader) endSource(f *file, why string) {
	if src := r.leaveSource(f, why); src != nil {
		r.feed.Close(src, true)
	}
}

// endFormer has the ledger forget what the file was before it began anew.
func (r *reader) endFormer(f *file) {
	for _, k := range r.table.takeFormer(f) {
		r.pasts.forget(k)
	}
	if f.former != nil {
		r.feed.Close(f.former, true)
		f.former = nil
	}
}

// gone ends a file for good.
func (r *reader) gone(ctx context.Context, f *file, why string) {
	names := r.table.names(f)
	if why == anotherFile {
		r.table.remove(f) // the other may be a copy
	}
	if h := r.inherit(ctx, f, names, false); h != nil {
		r.schedule.wake(h)
	} else {
		r.endSource(f, why)
	}
	r.table.remove(f)
	r.endFormer(f)
	f.closeUnpack(r.unpacks)
	r.open.close(f)
	r.troubles.clear(f.key)
	f.progress, f.matched = newProgress(f.key, r.settings.maxLine), false
}

// away lets go of a file that was moved out of its folder. If it comes back,
// it is the same source.
func (r *reader) away(f *file) {
	if f.srcID != 0 {
		r.pasts.add(f)
	}
	r.park(f)
	r.endFormer(f)
	r.table.remove(f)
	r.troubles.clear(f.key)
	f.progress, f.matched = newProgress(f.key, r.settings.maxLine), false
}

// park lets go of a file that is not expected to grow. It is taken up again
// if it does.
func (r *reader) park(f *file) {
	f.closeUnpack(r.unpacks)
	r.open.close(f)
	if f.src != nil {
		r.feed.Close(f.src, false)
		f.src = nil
	}
}

// rest decides what becomes of a file that was read to its end.
func (r *reader) rest(ctx context.Context, f *file, info fs.FileInfo, at place, since time.Time) (verdict, error) {
	path, _, _ := r.table.where(f)
	moved := at != live || path != f.key
	if wait, err := r.waitForLine(ctx, f, info.Size(), moved); wait > 0 || err != nil || !moved {
		return verdict{wait: wait}, err
	}
	if since.Before(f.grown) {
		since = f.grown
	}
	if left := settle - time.Since(since); left > 0 {
		return verdict{wait: left}, nil
	}
	switch {
	case at == renamed:
		r.park(f)
	case at == unlinked && isUnlinked(info):
		r.gone(ctx, f, "it was deleted")
	case at == unlinked:
		r.away(f)
	}
	return verdict{}, nil
}

// waitForLine sends a last line that has no line end when that was waited for long
// enough: in a file that was moved, as long as it takes to be complete at the most. Else
// it gives how long to wait.
func (r *reader) waitForLine(ctx context.Context, f *file, size int64, moved bool) (time.Duration, error) {
	if f.compress || int64(f.off) >= size || f.text == nil && !moved {
		return 0, nil
	}
	patience := r.settings.lineTimeout
	if moved {
		patience = min(patience, settle)
	}
	if left := patience - time.Since(f.grown); left > 0 {
		return left, nil
	}
	return 0, r.lastLine(ctx, f, size)
}

// extendHead takes what a file has grown by into its head's fingerprint, as long as
// that is short of headMax. If the head is another, the file begins anew (true).
func (r *reader) extendHead(ctx context.Context, f *file, size int64) (bool, error) {
	if f.head.len == headMax || int64(f.head.len) == size {
		return false, nil
	}
	var buf [headMax]byte
	head, err := readHead(f.fd, &buf)
	if err != nil {
		return false, fmt.Errorf("reading the head of a log file: %w", err)
	}
	if !f.head.matches(head) {
		r.restart(ctx, f, "it was rewritten")
		return true, nil
	}
	f.head = printOf(head)
	return false, nil
}

// settleText settles the encoding, and passes over a byte-order mark.
func (r *reader) settleText(f *file) error {
	if f.text != nil {
		return nil
	}
	var buf [headMax]byte
	head, err := readHead(f.fd, &buf)
	if err != nil {
		return fmt.Errorf("reading the head of a log file: %w", err)
	}
	f.settleText(r.settings.encoding, head)
	return nil
}

func (f *file) settleText(choice *lines.Encoding, head []byte) {
	text, mark, ok := choice.Resolve(head)
	if !ok {
		return
	}
	f.text = text
	if f.off == 0 {
		f.off, f.scanned = uint64(mark), uint64(mark)
	}
}

// openSource opens the file's source. Ahead of its first record all that is known
// of the head is stored with its identity, by a batch that has no record: else another
// file that is given the inode would be taken for it after a crash.
func (r *reader) openSource(ctx context.Context, f *file) error {
	if f.src == nil {
		src, err := r.feed.Open(f.srcID, f.key, labelsOf(f.key))
		if err != nil {
			return fmt.Errorf("opening the source of %s: %w", f.key, err)
		}
		f.src, f.srcID = src, src.ID
	}
	if f.begun || f.stored == int(f.head.len) {
		return nil
	}
	if err := r.send(ctx, f, r.feed.Batch(f.src), f.off); err != nil {
		return err
	}
	f.stored = int(f.head.len)
	r.endFormer(f)
	return nil
}

// send sends a batch that ends at position to.
func (r *reader) send(ctx context.Context, f *file, b *event.Batch, to uint64) error {
	b.From, b.To = f.sent, to
	c := f.cursorAt(to)
	b.Cursor = c.append(b.Cursor[:0])
	f.begun = f.begun || len(b.Records) > 0
	if err := r.feed.Send(ctx, b); err != nil {
		return fmt.Errorf("sending lines of %s: %w", f.key, err)
	}
	f.sent, f.off = to, max(f.off, to)
	r.count(&f.split)
	return nil
}

// cursorAt gives the cursor for a position that was just read up to.
func (f *file) cursorAt(pos uint64) cursor {
	c := cursor{
		id: f.id, pos: pos, size: uint64(f.lastSize), modified: uint64(max(0, f.modified/1e6)),
		skipping: f.split.Skipping, finished: f.finished, ended: f.split.Ended, packed: f.compress,
		head: f.head, tail: f.expect,
	}
	if f.tail.n > 0 {
		c.tail = printOf(f.tail.bytes())
	}
	return c
}

// count moves the splitter's counts to the metrics.
func (r *reader) count(s *lines.Splitter) {
	if s.TruncatedBytes == 0 && s.TruncatedLines == 0 {
		return
	}
	r.metrics.skipped.Add(float64(s.TruncatedBytes))
	r.metrics.cut.Add(float64(s.TruncatedLines))
	s.TruncatedBytes, s.TruncatedLines = 0, 0
}

// grow gives the batch's arena room for n bytes more, and for what parsers
// add.
func grow(b *event.Batch, n int) {
	if cap(b.Arena)-len(b.Arena) < n {
		b.Arena = slices.Grow(b.Arena, n+arenaSpare)
	}
}
