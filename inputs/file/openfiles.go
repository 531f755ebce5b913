package file

import (
	"container/heap"
	"container/list"
	"errors"
	"math"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// openFiles keeps files open, within a limit. A file with something to read is opened as soon as
// it is seen, whether a reader is free or not: once open, it can be read whatever becomes of its
// name. Beyond the limit, what was read to its end makes room first, that which was read longest
// ago; and then, of those with something to read, the one that is farthest from its deletion. What
// is closed is found again by its inode.
type openFiles struct {
	schedule *schedule
	table    *table
	missing  *missingFiles
	openFile func(path string) (*os.File, error)

	mu     sync.Mutex
	limit  int
	read   list.List // of *file: open and read to their end; the last read is last
	unread rankHeap  // open, with something to read; the farthest from its deletion first
	wanted rankHeap  // to be opened once there is room; the nearest to its deletion first
}

// A holding is a file's part in openFiles, guarded by openFiles.mu.
type holding struct {
	state holdState
	rank  rank
	index int32         // in unread or wanted
	elem  *list.Element // in read
}

type holdState uint8

const (
	closed     holdState = iota
	openRead             // open, and read to its end
	openUnread           // open, with something to read
	wanted               // closed, with something to read
)

// newOpenFiles leaves at least half of the process's own limit to others.
func newOpenFiles(set *settings, s *schedule, t *table, m *missingFiles) *openFiles {
	limit := set.MaxOpenFiles
	if lim := openLimit(); lim > 0 {
		limit = int(min(uint64(limit), lim/2))
	}
	return &openFiles{
		schedule: s, table: t, missing: m, openFile: set.openFile, limit: max(limit, 2*set.readers),
		unread: rankHeap{farthestFirst: true},
	}
}

// hold notes that a file has something to read, and opens it unless it is open or a reader has it.
// It reports false where there is no room for it.
func (o *openFiles) hold(f *file) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch f.hold.state {
	case openUnread:
		return true
	case openRead:
		o.setLocked(f, openUnread)
		return true
	}
	return o.tryHoldLocked(f)
}

// tryHoldLocked opens a file that is closed, if there is room. Else it is wanted. What a reader has
// it opens itself.
func (o *openFiles) tryHoldLocked(f *file) bool {
	at := o.table.where(f)
	if at.path == "" || !o.table.has(f) || o.isBeingRead(f) {
		o.setLocked(f, closed)
		return true
	}
	f.hold.rank = at.rank()
	if !o.makeRoom(f.hold.rank) {
		o.setLocked(f, wanted)
		return false
	}
	fd, err := openSame(o.openFile, at.path, f.id)
	if isOutOfFiles(err) {
		o.limit = max(1, min(o.limit, o.lenLocked()))
		o.setLocked(f, wanted)
		return false
	}
	o.setLocked(f, closed)
	switch {
	case err == nil:
		o.giveLocked(f, fd)
	case errors.Is(err, errReplaced):
		o.missing.add(f)
	} // else its reader will see why
	return true
}

var errReplaced = errors.New("another file has its name by now")

// openSame opens a file by its path. It fails with errReplaced where that is another file's.
func openSame(open func(path string) (*os.File, error), path string, id inode) (*os.File, error) {
	fd, err := open(path)
	if err != nil {
		return nil, err
	}
	if info, err := fd.Stat(); err != nil || inodeOf(info) != id {
		fd.Close()
		return nil, errReplaced
	}
	return fd, nil
}

func (o *openFiles) isBeingRead(f *file) bool {
	o.schedule.mu.Lock()
	defer o.schedule.mu.Unlock()
	return f.slot.phase == reading
}

// giveLocked gives a file what it was opened as, unless a reader has taken it meanwhile.
func (o *openFiles) giveLocked(f *file, fd *os.File) {
	o.schedule.mu.Lock()
	defer o.schedule.mu.Unlock()
	if f.slot.phase == reading {
		fd.Close()
		return
	}
	f.read.fd = fd
	o.setLocked(f, openUnread)
}

func isOutOfFiles(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// setLocked puts a file where its state wants it.
func (o *openFiles) setLocked(f *file, state holdState) {
	h := &f.hold
	switch h.state {
	case openRead:
		o.read.Remove(h.elem)
		h.elem = nil
	case openUnread:
		heap.Remove(&o.unread, int(h.index))
	case wanted:
		heap.Remove(&o.wanted, int(h.index))
	}
	h.state = state
	switch state {
	case openRead:
		h.elem = o.read.PushBack(f)
	case openUnread:
		heap.Push(&o.unread, f)
	case wanted:
		heap.Push(&o.wanted, f)
	}
}

func (s holdState) isOpen() bool { return s == openRead || s == openUnread }

// lenLocked returns how many files are open.
func (o *openFiles) lenLocked() int { return o.read.Len() + len(o.unread.files) }

// isFull reports whether one must be closed before another is opened.
func (o *openFiles) isFull() bool { return o.lenLocked() >= o.limit }

// makeRoom closes what must make room for a file of this rank, and reports whether there is room.
func (o *openFiles) makeRoom(r rank) bool {
	for o.isFull() {
		if o.closeRead() {
			continue
		}
		if len(o.unread.files) == 0 || !r.isNearer(o.unread.files[0].hold.rank) || !o.closeFarthest(r) {
			return false
		}
	}
	return true
}

// closeRead closes the file that was read to its end longest ago and can be opened again, and
// reports whether there was one.
func (o *openFiles) closeRead() bool {
	for e := o.read.Front(); e != nil; e = e.Next() {
		f := e.Value.(*file)
		if o.table.where(f).state != unlinked && o.closeIfIdle(f) {
			return true
		}
	}
	return false
}

// closeFarthest closes the file that is farthest from its deletion, of those that are farther than
// a rank, and reports whether there was one.
func (o *openFiles) closeFarthest(than rank) bool {
	var farthest *file
	for _, f := range o.unread.files {
		r := f.hold.rank
		if than.isNearer(r) && (farthest == nil || farthest.hold.rank.isNearer(r)) && o.isIdle(f) &&
			o.table.where(f).state != unlinked {
			farthest = f
		}
	}
	if farthest == nil || !o.closeIfIdle(farthest) {
		return false
	}
	o.setLocked(farthest, wanted)
	return true
}

// open opens a path for f, for the reader that has it.
func (o *openFiles) open(f *file, path string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	f.hold.rank = o.rankOf(f)
	o.makeRoomForReader()
	fd, err := o.openFile(path)
	if isOutOfFiles(err) {
		o.limit = max(1, min(o.limit, o.lenLocked()-1))
		o.makeRoomForReader()
		fd, err = o.openFile(path)
	}
	if err != nil {
		return err
	}
	f.read.fd = fd
	o.setLocked(f, openUnread)
	return nil
}

// give gives a file that nobody follows yet what it was opened as.
func (o *openFiles) give(f *file, fd *os.File) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f.hold.rank = o.rankOf(f)
	o.makeRoom(f.hold.rank)
	f.read.fd = fd
	o.setLocked(f, openUnread)
}

// makeRoomForReader makes room whatever the rank: with a few files more than readers, one can be
// closed.
func (o *openFiles) makeRoomForReader() {
	for o.isFull() && (o.closeRead() || o.closeFarthest(nearest)) {
	}
}

// note notes, for the reader that has f, whether there is something left to read in it, and opens
// what has waited for room.
func (o *openFiles) note(f *file, unread bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case !f.hold.state.isOpen():
	case unread:
		o.setLocked(f, openUnread)
	default:
		o.setLocked(f, openRead)
	}
	o.openWanted()
}

// openWanted opens files that are wanted, those nearest to their deletion first, as far as there is
// room.
func (o *openFiles) openWanted() {
	for len(o.wanted.files) > 0 && (!o.isFull() || o.closeRead()) {
		if f := o.wanted.files[0]; !o.tryHoldLocked(f) {
			return
		}
	}
}

// rerank notes that a file was renamed.
func (o *openFiles) rerank(f *file) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f.hold.rank = o.rankOf(f)
	switch f.hold.state {
	case openUnread:
		heap.Fix(&o.unread, int(f.hold.index))
	case wanted:
		o.tryHoldLocked(f)
	}
}

// close closes f, for the reader that has it.
func (o *openFiles) close(f *file) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closeLocked(f)
	o.openWanted()
}

func (o *openFiles) closeLocked(f *file) {
	if f.hold.state.isOpen() {
		f.read.fd.Close()
		f.read.fd = nil
	}
	o.setLocked(f, closed)
}

// closeIfIdle closes f unless a reader has it or it is half unpacked.
func (o *openFiles) closeIfIdle(f *file) bool {
	o.schedule.mu.Lock()
	defer o.schedule.mu.Unlock()
	if f.isBusy() {
		return false
	}
	o.closeLocked(f)
	return true
}

// giveUp is closeIfIdle for a file that cannot be opened again.
func (o *openFiles) giveUp(f *file) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.closeIfIdle(f)
}

func (o *openFiles) isIdle(f *file) bool {
	o.schedule.mu.Lock()
	defer o.schedule.mu.Unlock()
	return !f.isBusy()
}

// isBusy reports whether a reader has the file or it is half unpacked. The caller holds the
// schedule's mu.
func (f *file) isBusy() bool { return f.slot.phase == reading || f.read.unpack != nil }

// closeAll closes all files, once no reader is left.
func (o *openFiles) closeAll() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.read.Len() > 0 {
		o.closeLocked(o.read.Front().Value.(*file))
	}
	for len(o.unread.files) > 0 {
		o.closeLocked(o.unread.files[0])
	}
}

// sizeOf returns the size of a file that is open.
func (o *openFiles) sizeOf(f *file) (size int64, open bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !f.hold.state.isOpen() {
		return 0, false
	}
	info, err := f.read.fd.Stat()
	if err != nil {
		return 0, true
	}
	return info.Size(), true
}

// len returns how many files are open, and how many have to wait for that although they have
// something to read.
func (o *openFiles) len() (open, waiting int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.lenLocked(), len(o.wanted.files)
}

// A rank says how near a file is to its deletion.
type rank struct {
	generation int   // that its name says; 0 for a log that was not rotated
	mtime      int64 // in Unix nanoseconds
}

// nearest is the rank of what has no name any more.
var nearest = rank{math.MaxInt, math.MinInt64}

// isNearer reports whether a file is deleted before another: the higher generation, and of equal
// ones the one that was written to longer ago.
func (r rank) isNearer(than rank) bool {
	if r.generation != than.generation {
		return r.generation > than.generation
	}
	return r.mtime < than.mtime
}

func (o *openFiles) rankOf(f *file) rank {
	at := o.table.where(f)
	return at.rank()
}

func (l *location) rank() rank {
	if l.state == unlinked {
		return nearest
	}
	g := generationOf(filepath.Base(plainName(l.path)))
	if l.state == renamed {
		g = max(g, 1)
	}
	return rank{g, l.mtime}
}

// rankHeap is a heap of files by how near they are to their deletion.
type rankHeap struct {
	files         []*file
	farthestFirst bool
}

func (h *rankHeap) Len() int { return len(h.files) }
func (h *rankHeap) Less(i, j int) bool {
	if h.farthestFirst {
		i, j = j, i
	}
	return h.files[i].hold.rank.isNearer(h.files[j].hold.rank)
}
func (h *rankHeap) Swap(i, j int) {
	h.files[i], h.files[j] = h.files[j], h.files[i]
	h.files[i].hold.index, h.files[j].hold.index = int32(i), int32(j)
}
func (h *rankHeap) Push(x any) {
	f := x.(*file)
	f.hold.index = int32(len(h.files))
	h.files = append(h.files, f)
}
func (h *rankHeap) Pop() any {
	last := len(h.files) - 1
	f := h.files[last]
	h.files[last] = nil
	h.files = h.files[:last]
	return f
}
