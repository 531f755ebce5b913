package file

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// A knownSource is a source that the ledger remembers and that has not been found yet.
type knownSource struct {
	pipeline.Known
	at       cursor
	searched bool        // it was searched for, in a folder that was there to tell
	replaced atomic.Bool // the file that has its inode now is another
}

// knownSources are all of them, by the number of their inode. Devices may be renumbered when the
// machine starts, so they do not decide.
type knownSources struct {
	feed    pipeline.Feed
	losses  *losses
	labels  func(key string) []event.Label
	errands *errands

	mu    sync.Mutex
	byIno map[uint64][]*knownSource
	// byText is made when it is first asked for. Those in it may have been found since.
	byText *knownTexts
}

// readKnown reads what the ledger knows. What cannot be decoded stays in the ledger: a later
// version may have written it.
func readKnown(feed pipeline.Feed, l *losses, labels func(key string) []event.Label) *knownSources {
	s := &knownSources{
		feed: feed, losses: l, labels: labels, errands: newErrands(), byIno: map[uint64][]*knownSource{},
	}
	for _, k := range feed.Known() {
		if k.Cursor.State == nil {
			s.forget(&knownSource{Known: k}) // nothing of it was ever sent
			continue
		}
		c, err := decodeCursor(k.Cursor.State, k.Key)
		if err != nil {
			l.log.Warn("the stored cursor of a file cannot be understood; the file is read as a new one",
				"file", k.Key, "source", k.ID)
			continue
		}
		s.byIno[c.id.ino] = append(s.byIno[c.id.ino], &knownSource{Known: k, at: c})
	}
	return s
}

func (s *knownSources) ofInode(id inode) []*knownSource {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.byIno[id.ino])
}

// hasUnread reports whether a file of this inode is known and has more to read.
func (s *knownSources) hasUnread(id inode, size int64) bool {
	return slices.ContainsFunc(s.ofInode(id), func(k *knownSource) bool {
		return int64(k.Cursor.Pos) < size && !k.at.finished
	})
}

// hasAt reports whether the file at a path, of this inode, is known.
func (s *knownSources) hasAt(id inode, path string) bool {
	return slices.ContainsFunc(s.ofInode(id), func(k *knownSource) bool { return k.isAt(path) })
}

// hasTextAt reports whether the file at a path, of this inode, is known by its text.
func (s *knownSources) hasTextAt(id inode, path string) bool {
	return slices.ContainsFunc(s.ofInode(id), func(k *knownSource) bool { return k.at.head.len > 0 && k.isAt(path) })
}

// all returns those that were not found.
func (s *knownSources) all() []*knownSource {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Concat(slices.Collect(maps.Values(s.byIno))...)
}

func (s *knownSources) isEmpty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.byIno) == 0
}

// possibleOriginals returns those that a file at this path may be a copy of, by its name and by
// what it begins with.
func (s *knownSources) possibleOriginals(path string, head textHead) (found []*knownSource) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byText == nil {
		s.byText = newKnownTexts(slices.Concat(slices.Collect(maps.Values(s.byIno))...))
	}
	for k := range s.byText.find(head) {
		if mayBeCopyOf(path, k.Key) && slices.Contains(s.byIno[k.at.id.ino], k) {
			found = append(found, k)
		}
	}
	return found
}

// knownTexts finds known sources by what is known of their text.
type knownTexts struct {
	heads headIndex[*knownSource]
	// unread are those that were read less far than their head is long: what is as long as that
	// may be a copy, too.
	unread []*knownSource
}

func newKnownTexts(sources []*knownSource) *knownTexts {
	t := &knownTexts{}
	for _, k := range sources {
		t.heads.add(k.at.head, k)
		if pos := k.Cursor.Pos; pos > 0 && pos < uint64(k.at.head.len) {
			t.unread = append(t.unread, k)
		}
	}
	t.heads.sort()
	return t
}

func (t *knownTexts) find(head textHead) iter.Seq[*knownSource] {
	return func(yield func(*knownSource) bool) {
		for _, k := range t.unread {
			if int(k.at.head.len) > len(head.bytes) && !yield(k) {
				return
			}
		}
		t.heads.find(head.bytes)(yield)
	}
}

// claim finds the known source that an open file is, and removes it.
func (s *knownSources) claim(f *file, path string, head []byte, size int64) *knownSource {
	s.mu.Lock()
	defer s.mu.Unlock()
	var best *knownSource
	for _, k := range s.byIno[f.id.ino] {
		if k.mayBeAt(path) && k.matches(f.read.fd, f.compressed, head, size) && (best == nil || k.isAhead(best)) {
			best = k
		}
	}
	if best != nil {
		s.removeLocked(best)
	}
	return best
}

// isAhead reports whether more is known of a source than of another.
func (k *knownSource) isAhead(other *knownSource) bool {
	if k.Cursor.Pos != other.Cursor.Pos {
		return k.Cursor.Pos > other.Cursor.Pos
	}
	return k.at.head.len > other.at.head.len
}

// markReplaced notes that the file of an inode is none of the sources that are known by it, and
// reports whether there are any.
func (s *knownSources) markReplaced(id inode) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := false
	for _, k := range s.byIno[id.ino] {
		if k.at.id == id {
			k.replaced.Store(true)
			found = true
		}
	}
	return found
}

// weakHead is the length below which a head says little: inodes are reused, and many files begin
// alike.
const weakHead = 16

// mayBeAt reports whether a file at this path can be the source. One of which little is known must
// at least be named like it: app.log.1 for app.log.
func (k *knownSource) mayBeAt(path string) bool {
	return k.at.head.len >= weakHead || filepath.Dir(path) == filepath.Dir(k.Key) &&
		strings.HasPrefix(filepath.Base(path), stem(filepath.Base(k.Key)))
}

// matches reports whether an open file is this source: it has the same head, and the same bytes
// before the reading position.
func (k *knownSource) matches(fd *os.File, compressed bool, head []byte, size int64) bool {
	if !k.at.head.matches(head) || compressed != k.at.compressed {
		return false
	}
	if compressed {
		return true // its position is checked when it is unpacked
	}
	if int64(k.Cursor.Pos) > size {
		return false
	}
	_, err := readTail(fd, k.Cursor.Pos, k.tail())
	return err == nil
}

// isAt reports whether the file that was just seen at a path with the source's inode is the source:
// the inode may have been given to another file. One that cannot be read, or was renamed since, may
// be.
func (k *knownSource) isAt(path string) bool {
	if k.replaced.Load() || !k.mayBeAt(path) {
		return false
	}
	same, id, err := k.compare(path)
	return same || err != nil || id.ino != k.at.id.ino
}

// isCopiedAt reports whether the file at a path has all that was read of the source, and enough of
// it to rule out chance.
func (k *knownSource) isCopiedAt(path string) bool {
	same, _, err := k.compare(path)
	return same && err == nil && k.at.head.len >= weakHead
}

// compare reports whether the file at a path is the source, and returns its inode.
func (k *knownSource) compare(path string) (same bool, id inode, err error) {
	fd, err := os.Open(path)
	if err != nil {
		return false, id, err
	}
	defer fd.Close()
	info, err := fd.Stat()
	if err != nil {
		return false, id, err
	}
	var buf [headMax]byte
	head, err := readHead(fd, buf[:])
	return k.matches(fd, isCompressed(path), head, info.Size()), inodeOf(info), err
}

// tail returns the fingerprint of the bytes before the reading position. It is empty where the
// position is another than the state was made for.
func (k *knownSource) tail() fingerprint {
	if k.at.pos != k.Cursor.Pos || uint64(k.at.tail.len) > k.at.pos {
		return fingerprint{}
	}
	return k.at.tail
}

var errRewritten = errors.New("the file was rewritten")

// readTail reads the bytes before a position, and fails if they are not those of the fingerprint.
func readTail(fd *os.File, pos uint64, want fingerprint) (tail, error) {
	var t tail
	if want.len == 0 {
		return t, nil
	}
	t.n = int(want.len)
	_, err := fd.ReadAt(t.bytes(), int64(pos)-int64(t.n))
	if errors.Is(err, io.EOF) || err == nil && fingerprintOf(t.bytes()) != want {
		err = errRewritten
	}
	return t, err
}

// isTail reports whether a file still has these bytes before a position.
func isTail(fd *os.File, pos uint64, want *tail) (bool, error) {
	var buf [tailMax]byte
	got := buf[:want.n]
	_, err := fd.ReadAt(got, int64(pos)-int64(want.n))
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	return err == nil && bytes.Equal(got, want.bytes()), nil
}

// lose forgets a source whose file is gone, and reports what it is known to have had beyond what
// was read.
func (s *knownSources) lose(k *knownSource, why string) {
	s.forget(k)
	s.reportUnread(k, k.Cursor.Pos, why)
}

// reportUnread reports what a source is known to have had from a position on.
func (s *knownSources) reportUnread(k *knownSource, from uint64, why string) {
	if k.at.finished || k.at.size <= from || k.at.compressed {
		return
	}
	s.losses.report(k.Key, from, k.at.size-from, why)
}

// reportOnce reports what a source had that was not read, and has the ledger remember the source
// without it, so that it is not reported again at the next start.
func (s *knownSources) reportOnce(k *knownSource, why string) {
	s.reportUnread(k, k.Cursor.Pos, why)
	reported := k.at
	reported.size = min(reported.size, k.Cursor.Pos)
	s.errands.add(func(ctx context.Context) {
		src, err := s.feed.Open(k.ID, k.Key, s.labels(k.Key))
		if err != nil {
			return // the ledger does not know it any more
		}
		b := s.feed.Batch(src)
		b.From, b.To = k.Cursor.Pos, k.Cursor.Pos
		b.Cursor = reported.append(b.Cursor[:0])
		_ = s.feed.Send(ctx, b) // if ctx has ended, it is reported again
		s.feed.Close(src, false)
	})
}

// forget has the ledger forget a source.
func (s *knownSources) forget(k *knownSource) {
	s.errands.add(func(context.Context) {
		src, err := s.feed.Open(k.ID, k.Key, s.labels(k.Key))
		if err == nil {
			s.feed.Close(src, true)
		}
	})
}

// add puts back a source that was being followed.
func (s *knownSources) add(f *file) {
	pos := f.read.sent
	k := &knownSource{
		Known: pipeline.Known{ID: f.read.srcID, Key: f.read.key, Cursor: pipeline.Cursor{Pos: pos}},
		at:    f.cursorAt(pos),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byIno[f.id.ino] = append(s.byIno[f.id.ino], k)
	s.byText = nil
}

// remove takes a source out.
func (s *knownSources) remove(k *knownSource) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removeLocked(k)
}

func (s *knownSources) removeLocked(k *knownSource) {
	ino := k.at.id.ino
	s.byIno[ino] = slices.DeleteFunc(s.byIno[ino], func(other *knownSource) bool { return other == k })
	if len(s.byIno[ino]) == 0 {
		delete(s.byIno, ino)
	}
	if len(s.byIno) == 0 {
		s.byText = nil
	}
}
