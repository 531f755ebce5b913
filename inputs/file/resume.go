package file

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/longshore/longshore/pipeline"
)

// A past is a source that the ledger remembers and that has not been found yet.
type past struct {
	pipeline.Known
	at cursor
	// sought says that it was looked for, in a folder that was there to tell.
	sought bool
	// displaced says that the file that has its inode now is another.
	displaced atomic.Bool
}

// pasts are all of them, by the number of their inode. Devices may be numbered
// anew when the machine starts, so they do not decide.
type pasts struct {
	feed    pipeline.Feed
	log     *slog.Logger
	metrics *metrics

	mu    sync.Mutex
	byIno map[uint64][]*past
}

// readPasts takes what the ledger knows. What cannot be read is left alone: it may
// have been written by a later version.
func readPasts(feed pipeline.Feed, log *slog.Logger, m *metrics) *pasts {
	p := &pasts{feed: feed, log: log, metrics: m, byIno: map[uint64][]*past{}}
	for _, k := range feed.Known() {
		if k.Cursor.State == nil {
			p.forget(&past{Known: k}) // nothing of it was ever sent
			continue
		}
		c, err := decodeCursor(k.Cursor.State, k.Key)
		if err != nil {
			log.Warn("a file's progress cannot be understood; the file is read as a new one", "file", k.Key, "source", k.ID)
			continue
		}
		p.byIno[c.id.ino] = append(p.byIno[c.id.ino], &past{Known: k, at: c})
	}
	return p
}

// unread tells whether a file of this inode is known and has more to read.
func (p *pasts) unread(id inode, size int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, k := range p.byIno[id.ino] {
		if int64(k.Cursor.Pos) < size && !k.at.finished {
			return true
		}
	}
	return false
}

// has tells whether the file at a path, of this inode, is known.
func (p *pasts) has(id inode, path string) bool {
	p.mu.Lock()
	candidates := slices.Clone(p.byIno[id.ino])
	p.mu.Unlock()
	return slices.ContainsFunc(candidates, func(k *past) bool { return k.isAt(path) })
}

// holds tells whether the file at a path, of this inode, is known by its text.
func (p *pasts) holds(id inode, path string) bool {
	p.mu.Lock()
	candidates := slices.Clone(p.byIno[id.ino])
	p.mu.Unlock()
	return slices.ContainsFunc(candidates, func(k *past) bool { return k.at.head.len > 0 && k.isAt(path) })
}

// all gives those that were not found.
func (p *pasts) all() []*past {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []*past
	for _, ks := range p.byIno {
		all = append(all, ks...)
	}
	return all
}

// missing gives those of one log.
func (p *pasts) missing(log string) (found []*past) {
	for _, k := range p.all() {
		if family(k.Key) == log {
			found = append(found, k)
		}
	}
	return found
}

// claim finds the known source that an open file is, and takes it out.
func (p *pasts) claim(f *file, path string, head []byte, size int64) *past {
	p.mu.Lock()
	defer p.mu.Unlock()
	var best *past
	for _, k := range p.byIno[f.id.ino] {
		if k.mayBe(path) && k.is(f, head, size) && (best == nil || k.isMore(best)) {
			best = k
		}
	}
	p.dropLocked(best)
	return best
}

// isMore tells whether more is known of a source than of another.
func (k *past) isMore(other *past) bool {
	if k.Cursor.Pos != other.Cursor.Pos {
		return k.Cursor.Pos > other.Cursor.Pos
	}
	return k.at.head.len > other.at.head.len
}

// displace notes that the file of an inode is none of the sources that are known by
// it, and tells whether there are any.
func (p *pasts) displace(id inode) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	found := false
	for _, k := range p.byIno[id.ino] {
		if k.at.id == id {
			k.displaced.Store(true)
			found = true
		}
	}
	return found
}

// weakHead is the length below which a head says little: inodes are used
// again, and many files begin alike.
const weakHead = 16

// mayBe tells whether a file at this path can be the source. One of which
// little is known must at least be named like it: app.log.1 for app.log.
func (k *past) mayBe(path string) bool {
	return k.at.head.len >= weakHead || akin(path, k.Key)
}

// akin tells whether a file at a path may be what a rotation has made of another.
func akin(path, key string) bool {
	return filepath.Dir(path) == filepath.Dir(key) &&
		strings.HasPrefix(filepath.Base(path), stem(filepath.Base(key)))
}

// is tells whether an open file is this source: the same head, and the same
// bytes before the reading position.
func (k *past) is(f *file, head []byte, size int64) bool {
	if !k.at.head.matches(head) {
		return false
	}
	if f.compress != k.at.packed {
		return false
	}
	if f.compress {
		return true // where it stands is checked when it is unpacked
	}
	if int64(k.Cursor.Pos) > size {
		return false
	}
	_, err := readTail(f.fd, k.Cursor.Pos, k.tail())
	return err == nil
}

// isAt tells whether the file that was just seen at a path with the source's
// inode is the source: the inode may have been given to another file. One that
// cannot be read, or has moved on since, may be.
func (k *past) isAt(path string) bool {
	if k.displaced.Load() || !k.mayBe(path) {
		return false
	}
	fd, err := os.Open(path)
	if err != nil {
		return true
	}
	defer fd.Close()
	info, err := fd.Stat()
	if err != nil || inodeOf(info).ino != k.at.id.ino {
		return true
	}
	same, err := k.isContent(fd, path, info.Size())
	return same || err != nil
}

// isCopied tells whether the file at a path has all that was read of the source,
// and enough of it to be no chance.
func (k *past) isCopied(path string) bool {
	if k.at.head.len < weakHead {
		return false
	}
	fd, err := os.Open(path)
	if err != nil {
		return false
	}
	defer fd.Close()
	info, err := fd.Stat()
	if err != nil {
		return false
	}
	same, err := k.isContent(fd, path, info.Size())
	return same && err == nil
}

func (k *past) isContent(fd *os.File, path string, size int64) (bool, error) {
	var buf [headMax]byte
	head, err := readHead(fd, &buf)
	if err != nil {
		return false, err
	}
	return k.is(&file{fd: fd, compress: isCompressed(path)}, head, size), nil
}

// tail gives the fingerprint of the bytes before the reading position. It is empty
// where the position is another than the state was made for.
func (k *past) tail() fingerprint {
	if k.at.pos != k.Cursor.Pos || uint64(k.at.tail.len) > k.at.pos {
		return fingerprint{}
	}
	return k.at.tail
}

var errRewritten = errors.New("the file was rewritten")

// readTail reads the bytes before a position, and fails if they are not those
// of the fingerprint.
func readTail(fd *os.File, pos uint64, want fingerprint) (tail, error) {
	var t tail
	if want.len == 0 {
		return t, nil
	}
	t.n = int(want.len)
	_, err := fd.ReadAt(t.bytes(), int64(pos)-int64(t.n))
	if errors.Is(err, io.EOF) || err == nil && printOf(t.bytes()) != want {
		err = errRewritten
	}
	return t, err
}

// isTail tells whether a file still has these bytes before a position.
func isTail(fd *os.File, pos uint64, want *tail) (bool, error) {
	var buf [tailMax]byte
	got := buf[:want.n]
	_, err := fd.ReadAt(got, int64(pos)-int64(want.n))
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	return err == nil && bytes.Equal(got, want.bytes()), nil
}

// lost forgets a source whose file is no more, and tells of what it is known
// to have had beyond what was read.
func (p *pasts) lost(k *past, why string) {
	p.forget(k)
	p.report(k, k.Cursor.Pos, why)
}

// report tells of what a source is known to have had from some position on.
func (p *pasts) report(k *past, from uint64, why string) {
	if k.at.finished || k.at.size <= from || k.at.packed {
		return
	}
	tellLost(p.log, p.metrics, k.Key, from, k.at.size-from, why)
}

// reportOnce reports what a source had that was not read, and has the ledger remember the
// source without it, so that it is not told again at the next start.
func (p *pasts) reportOnce(ctx context.Context, k *past, why string) {
	p.report(k, k.Cursor.Pos, why)
	src, err := p.feed.Open(k.ID, k.Key, labelsOf(k.Key))
	if err != nil {
		return // the ledger does not know it any more
	}
	told := k.at
	told.size = min(told.size, k.Cursor.Pos)
	b := p.feed.Batch(src)
	b.From, b.To = k.Cursor.Pos, k.Cursor.Pos
	b.Cursor = told.append(b.Cursor[:0])
	_ = p.feed.Send(ctx, b) // if ctx has ended, it is told again
	p.feed.Close(src, false)
}

// tellLost counts and reports what was in a file and was never read.
func tellLost(log *slog.Logger, m *metrics, key string, read, missing uint64, why string) {
	log.Warn("part of a file was never read: "+why, "file", key, "read", read, "missing_at_least", missing)
	m.lost.Add(float64(missing))
}

// forget has the ledger forget a source.
func (p *pasts) forget(k *past) {
	src, err := p.feed.Open(k.ID, k.Key, labelsOf(k.Key))
	if err == nil {
		p.feed.Close(src, true)
	}
}

// add puts back a source that was being followed.
func (p *pasts) add(f *file) {
	k := &past{
		Known: pipeline.Known{ID: f.srcID, Key: f.key, Cursor: pipeline.Cursor{Pos: f.sent}},
		at:    f.cursorAt(f.sent),
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.byIno[f.id.ino] = append(p.byIno[f.id.ino], k)
}

// drop takes a source out.
func (p *pasts) drop(k *past) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dropLocked(k)
}

func (p *pasts) dropLocked(k *past) {
	if k == nil {
		return
	}
	ino := k.at.id.ino
	p.byIno[ino] = slices.DeleteFunc(p.byIno[ino], func(other *past) bool { return other == k })
	if len(p.byIno[ino]) == 0 {
		delete(p.byIno, ino)
	}
}
