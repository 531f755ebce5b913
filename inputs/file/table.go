package file

import (
	"iter"
	"maps"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/longshore/longshore/inputs/lines"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// A nameState says what name a file has.
type nameState uint8

const (
	named    nameState = iota // one that the config asks for
	renamed                   // another one in the same folder
	unlinked                  // none; it can be read as long as it is open
)

// A file is one file that is followed, whatever its name is at present. Each part has one owner.
type file struct {
	id         inode
	compressed bool

	slot slot      // guarded by schedule.mu
	hold holding   // guarded by openFiles.mu
	at   location  // guarded by table.mu
	scan scanState // the follower's
	read readState // the reader's that has the slot
}

// A location is where a file is, and what others must know of its text.
type location struct {
	state     nameState
	isSource  bool      // it is known not to be a copy of a source
	path      string    // "" if unlinked
	target    string    // what path links to, if it is a symbolic link
	since     time.Time // when state last changed
	size      int64     // when the folder was last scanned
	mtime     int64     // then, in Unix nanoseconds
	firstPath string    // under which it was first seen

	// The files that were first seen under one path are a list.
	nextOfPath, prevOfPath *file

	predecessors []*knownSource // what it was in an earlier run, to be forgotten once it is stored what it is
	copyOf       inode          // of the file that had the same text when compared, unless it is a source
	digest       *digest        // as of the last read slice
	earlier      *digest        // of what it was before it began anew
	finished     []original     // that it may be a copy of, read to their end while this was no source
	src          *event.Source  // nil where it is not open
	read         int64          // up to where it was read, as of the last read slice
	reported     bool           // it is gone, and what was not read of it is reported
	// What was truncated before a reader saw it: the size at first, and what came after that and
	// was truncated in turn.
	truncated, truncatedAgain int64
}

type scanState struct {
	round     int32 // of the last scan that saw it
	handedOut bool  // the readers had it
	ignored   bool  // it is older than ignore_older, and the readers never had it
	searched  bool  // it was searched for once, and not found
}

// A readState is what a reader knows of a file. The follower sets the first three ahead of the
// first read slice.
type readState struct {
	mustBeKnown   bool         // it was found by its inode under another name: read only if it is a known source
	takenOverFrom *knownSource // the source that it was found to be a copy of
	startSize     int64        // where reading begins with read_from: end; -1 for the beginning

	fd         *os.File  // may be closed by openFiles between two read slices
	copySize   uint64    // of the text of a copy that continues a source
	unpack     *unpacker // while a compressed file is read
	backoff    time.Duration
	identified bool // it is known which source it is
	progress
}

// A progress is how far a file was read as one source. A truncated file begins another.
type progress struct {
	begun    bool   // a record was sent
	finished bool   // it is compressed, and was read to its end when it had doneSize
	key      string // the path under which it was first seen
	src      *event.Source
	srcID    event.SourceID // of a known source, or of src
	// predecessor is what the file was before it began anew. The ledger may forget it once what
	// the file is now is stored.
	predecessor *event.Source

	storedHead int       // length of the head that was stored with the identity; -1 for none
	off        uint64    // start of the next line to be sent
	sent       uint64    // To of the last batch
	scanned    uint64    // no line ends between off and here
	boundaries []uint64  // beyond off: where a timeout ended a line in an earlier run
	nuls       nulRun    // behind the text
	lastSize   int64     // when it was last looked at
	modified   int64     // then, in Unix nanoseconds
	sentSize   int64     // when what the last batch has was read
	grownAt    time.Time // when it was first seen to have that size, by a reader that was not held up
	doneSize   int64
	digest     *digest     // as of the read slice before
	expectTail fingerprint // of the bytes before off, where tail is not known
	splitter   lines.Splitter
	encoding   *lines.Encoding // nil until it is resolved
	encodedAs  *lines.Encoding // what it was before it began anew, if that was resolved
	head       fingerprint
	tail       tail
}

// newFile returns a file that is at a path and was first seen at another.
func (s *settings) newFile(id inode, firstPath, path string) *file {
	return &file{
		id: id, compressed: isCompressed(path),
		at:   location{firstPath: firstPath, since: time.Now()},
		read: readState{startSize: -1, progress: s.newProgress(firstPath)},
	}
}

func (s *settings) newProgress(key string) progress {
	return progress{key: key, storedHead: -1, splitter: lines.Splitter{Max: int(s.MaxLineSize)}}
}

// newDigest returns what is remembered of the text.
func (s *readState) newDigest() *digest {
	d := &digest{head: s.head, size: s.lastSize}
	if s.digest != nil {
		d.marks, d.since = s.digest.marks, s.digest.since
	}
	if d.since.IsZero() {
		d.since = time.Unix(0, s.modified)
	}
	if s.tail.n > 0 {
		d.note(mark{s.off, fingerprintOf(s.tail.bytes())})
	}
	return d
}

// A table holds all files that are followed.
type table struct {
	schedule *schedule

	mu          sync.Mutex
	byID        map[inode]*file
	byPath      map[string]*file // path and target
	byFirstPath map[string]*file // the first of a list
	unlinked    map[*file]bool
	// byHead has the plain files as they were at indexedAt: compressed ones are looked for in it,
	// which nobody does while there are none.
	byHead    plainFiles
	indexedAt time.Time
	headsSeen int // since then, of the headless

	compared *atomic.Int64 // of the settings
}

// plainFiles are those that are not compressed, by what is known of their text.
type plainFiles struct {
	heads    headIndex[*file]
	headless []*file // nothing is known of them
	moved    []*file // they are not at a path of the config, and have heads
}

func newTable(s *schedule, compared *atomic.Int64) *table {
	return &table{
		schedule: s, byID: map[inode]*file{}, byPath: map[string]*file{}, byFirstPath: map[string]*file{},
		unlinked: map[*file]bool{}, compared: compared,
	}
}

// addLocked adds a file that is at no path yet.
func (t *table) addLocked(f *file) {
	t.byID[f.id] = f
	t.indexLocked(f)
}

// unread returns how many bytes of a file were not read, as far as is known.
func (t *table) unread(f *file) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return max(0, f.at.size-f.at.read)
}

func (t *table) at(path string) *file {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.byPath[path]
}

func (t *table) len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.byID)
}

// found says how many files there are, and how large they are together.
func (t *table) found() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	bytes := int64(0)
	for _, f := range t.byID {
		bytes += f.at.size
	}
	return pipeline.Count(len(t.byID), "file") + " of " + pipeline.Size(bytes).Rounded()
}

// all returns every file, in no order.
func (t *table) all() []*file {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Collect(maps.Values(t.byID))
}

// where returns a copy of a file's location.
func (t *table) where(f *file) location {
	t.mu.Lock()
	defer t.mu.Unlock()
	return f.at
}

// moveLocked sets a file's path.
func (t *table) moveLocked(f *file, path string, state nameState) {
	t.unnameLocked(f)
	f.at.path = path
	if path != "" {
		t.byPath[path] = f
		if f.at.target = linkTarget(path); f.at.target != "" {
			t.byPath[f.at.target] = f
		}
	}
	if f.at.state != state {
		f.at.state, f.at.since = state, time.Now()
	}
	if state == unlinked {
		t.unlinked[f] = true
	} else {
		delete(t.unlinked, f)
	}
	t.schedule.setLeaving(f, state != named)
}

func (t *table) unnameLocked(f *file) {
	for _, p := range [...]string{f.at.path, f.at.target} {
		if p != "" && t.byPath[p] == f {
			delete(t.byPath, p)
		}
	}
	f.at.target = ""
}

// remove forgets a file.
func (t *table) remove(f *file) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.removeLocked(f)
}

func (t *table) removeLocked(f *file) {
	t.unnameLocked(f)
	delete(t.unlinked, f)
	if t.byID[f.id] == f {
		delete(t.byID, f.id)
		t.unindexLocked(f)
	}
}

// has reports whether a file is still followed.
func (t *table) has(f *file) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.byID[f.id] == f
}

// hasInode reports whether the file of an inode is followed.
func (t *table) hasInode(id inode) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.byID[id] != nil
}

// markSource makes a file a source of its own. It reports false where the file turned out to be a
// copy, and continues another source now.
func (t *table) markSource(f *file) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	f.at.isSource = t.byID[f.id] == f
	if f.at.isSource && f.at.state == named {
		t.setFirstPathLocked(f, f.at.path) // its inode may have been another's, seen elsewhere
	}
	return f.at.isSource
}

// unmarkSource reverts markSource. earlier is what is remembered of the source that it was.
func (t *table) unmarkSource(f *file, firstPath string, earlier *digest) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f.at.isSource, f.at.copyOf, f.at.digest, f.at.earlier = false, inode{}, nil, earlier
	f.at.size, f.at.read, f.at.truncated, f.at.truncatedAgain = 0, 0, 0, 0
	if t.byID[f.id] == f {
		t.setFirstPathLocked(f, firstPath)
	}
}

func (t *table) setFirstPathLocked(f *file, path string) {
	if f.at.firstPath == path {
		return
	}
	t.unindexLocked(f)
	f.at.firstPath = path
	t.indexLocked(f)
}

func (t *table) indexLocked(f *file) {
	next := t.byFirstPath[f.at.firstPath]
	f.at.nextOfPath = next
	if next != nil {
		next.at.prevOfPath = f
	}
	t.byFirstPath[f.at.firstPath] = f
}

func (t *table) unindexLocked(f *file) {
	next, prev := f.at.nextOfPath, f.at.prevOfPath
	f.at.nextOfPath, f.at.prevOfPath = nil, nil
	if next != nil {
		next.at.prevOfPath = prev
	}
	switch {
	case prev != nil:
		prev.at.nextOfPath = next
	case next != nil:
		t.byFirstPath[f.at.firstPath] = next
	default:
		delete(t.byFirstPath, f.at.firstPath)
	}
}

// addPredecessor notes what a file was in an earlier run.
func (t *table) addPredecessor(f *file, k *knownSource) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f.at.predecessors = append(f.at.predecessors, k)
}

func (t *table) takePredecessors(f *file) []*knownSource {
	t.mu.Lock()
	defer t.mu.Unlock()
	taken := f.at.predecessors
	f.at.predecessors = nil
	return taken
}

// replace has a copy, which is a source from now on, followed instead of what was followed under
// its inode, which it returns, if there was one. It reports false where that became a source
// meanwhile.
func (t *table) replace(f *file, c *copyCandidate) (other *file, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if other = t.byID[f.id]; other != nil {
		if other.at.isSource && other != c.owner {
			return nil, false
		}
		t.removeLocked(other)
	}
	t.addLocked(f)
	f.at.isSource = true
	f.updateStatLocked(statOf(c.info))
	path := c.path
	if f.at.state == unlinked {
		path = ""
	}
	t.moveLocked(f, path, f.at.state)
	return other, true
}

// owner returns the file of an inode, if it is a source, and what is remembered of its text.
func (t *table) owner(id inode) (*file, *digest) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.byID[id]
	if f == nil || !f.at.isSource {
		return nil, nil
	}
	return f, f.at.digest
}

// deletedCandidates returns the deleted files that are no sources and may be copies of a path by
// their names, as they were last listed.
func (t *table) deletedCandidates(of string) map[*file]listedFile {
	t.mu.Lock()
	defer t.mu.Unlock()
	found := map[*file]listedFile{}
	for f := range t.unlinked {
		if !f.at.isSource && mayBeCopyOf(f.at.firstPath, of) {
			found[f] = listedFile{f.id, f.at.firstPath, time.Unix(0, f.at.mtime)}
		}
	}
	return found
}

// copyOf returns the file that one was found to be a copy of, if any.
func (t *table) copyOf(id inode) inode {
	t.mu.Lock()
	defer t.mu.Unlock()
	if f := t.byID[id]; f != nil {
		return f.at.copyOf
	}
	return inode{}
}

func (t *table) setCopy(f *file, of inode) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f.at.copyOf = of
}

// setRead keeps how far a file was read, and what is remembered of its text for those that may be
// copies of it.
func (t *table) setRead(f *file, read int64, d *digest) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f.at.read = read
	if f.at.digest == nil {
		t.headsSeen++
	}
	f.at.digest = d
	if f.at.truncated == 0 {
		f.at.size = max(f.at.size, d.size)
	}
}

// setSource notes the source that a file is, as long as it is open.
func (t *table) setSource(f *file, src *event.Source) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f.at.src = src
}

// removeReported forgets a file of which it is reported that it was not read. It reports false
// where that is done.
func (t *table) removeReported(f *file) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if f.at.reported {
		return false
	}
	f.at.reported = true
	t.removeLocked(f)
	return true
}

// forgetTruncated forgets what is reported now.
func (t *table) forgetTruncated(f *file) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f.at.truncated, f.at.truncatedAgain = 0, 0
}

// noteSize notes the size of a file that no reader is free for, and reports whether it was
// truncated.
func (t *table) noteSize(f *file, path string) (truncated bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.noteSizeLocked(f, path)
}

// noteSizeLocked looks at the size itself: what was seen before mu was locked may be out of date.
func (t *table) noteSizeLocked(f *file, path string) (truncated bool) {
	now, err := statFile(path)
	if err != nil || now.id != f.id {
		return false
	}
	before := f.at.size
	f.at.size = now.size
	switch {
	case now.size >= before:
		return false
	case f.at.truncated == 0:
		f.at.truncated = before
	default:
		f.at.truncatedAgain += before
	}
	return true
}

// noteHead keeps the head of a file that was not read yet.
func (t *table) noteHead(id inode, head fingerprint) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if f := t.byID[id]; f != nil && f.at.digest == nil && !f.at.isSource && head.len > 0 {
		f.at.digest = &digest{head: head}
		t.headsSeen++
	}
}

// paths returns those that a file has, and had at first.
func (l *location) paths() (paths []string) {
	for _, p := range [...]string{l.path, l.target, l.firstPath} {
		if p != "" && !slices.Contains(paths, p) {
			paths = append(paths, p)
		}
	}
	return paths
}

// An original is a file that another may be a copy of, as it was found in the table.
type original struct {
	id      inode
	path    string // "" if unlinked
	digest  digest
	earlier *digest // of what it was before it began anew; nil if it did not
	gone    bool    // it was read to its end and is not followed any more; earlier is what it was
	// replaced is when it lost its path to the copy, as when an editor writes a file anew; zero if
	// it did not, or long ago.
	replaced time.Time
}

// maxFinished is how many originals are remembered for a file that may be a copy of one.
const maxFinished = 8

// noteFinished has those deleted files that may be copies of a file remember what it was, as it is
// not followed any more.
func (t *table) noteFinished(f *file, d *digest) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for o := range t.unlinked {
		if o != f && !o.at.isSource && mayBeCopyOf(o.at.firstPath, f.at.firstPath) {
			last := o.at.finished[max(0, len(o.at.finished)-maxFinished+1):]
			o.at.finished = append(slices.Clip(last), original{id: f.id, earlier: d, gone: true})
		}
	}
}

// possibleOriginals returns the files that f may be a copy of by its name: those that have, or had
// at first, a name that copies are made of. A compressed file may be one that was renamed before:
// there all files are looked at that begin like it does, or one, while its head is not known.
func (t *table) possibleOriginals(f *file, head textHead) (found []original) {
	t.mu.Lock()
	defer t.mu.Unlock()
	seen := map[*file]bool{f: true}
	add := func(o *file) {
		if o != nil && !seen[o] && !o.compressed {
			seen[o] = true
			t.compared.Add(1)
			found = append(found, o.originalLocked())
		}
	}
	path := f.at.path
	if path == "" {
		path = f.at.firstPath
	}
	found = append(found, f.at.finished...)
	for o := t.byFirstPath[path]; o != nil; o = o.at.nextOfPath {
		if o != f && !o.compressed && t.wasReplacedLocked(o) {
			seen[o] = true
			replaced := o.originalLocked()
			replaced.replaced = o.at.since
			found = append(found, replaced)
		}
	}
	for name := range namesBefore(path) {
		add(t.byPath[name])
		for o := t.byFirstPath[name]; o != nil; o = o.at.nextOfPath {
			add(o)
		}
	}
	if f.compressed {
		for o := range t.beginLikeLocked(head) {
			if t.byID[o.id] == o && mayBeCopyOf(path, o.at.firstPath) {
				add(o)
				if head.incomplete {
					break
				}
			}
		}
	}
	return found
}

// beginLikeLocked returns the plain files that a text begins like, and those of which that cannot
// be told.
func (t *table) beginLikeLocked(text textHead) iter.Seq[*file] {
	if time.Since(t.indexedAt) >= compressTimeout || 2*t.headsSeen > len(t.byHead.headless) {
		t.byHead, t.indexedAt, t.headsSeen = t.plainFilesLocked(), time.Now(), 0
	}
	return func(yield func(*file) bool) {
		for _, o := range t.byHead.headless {
			if !yield(o) {
				return
			}
		}
		for _, o := range t.byHead.moved {
			if o.at.digest.isLongerThan(text.bytes) && !yield(o) {
				return
			}
		}
		if text.incomplete {
			t.byHead.heads.all()(yield)
			return
		}
		t.byHead.heads.find(text.bytes)(yield)
	}
}

func (t *table) plainFilesLocked() (p plainFiles) {
	for _, f := range t.byID {
		switch {
		case f.compressed, f.isKnownEmptyLocked():
			continue
		case f.at.digest == nil || f.at.digest.head.len == 0:
			p.headless = append(p.headless, f)
			continue
		}
		p.heads.add(f.at.digest.head, f)
		if f.at.state != named {
			p.moved = append(p.moved, f)
		}
	}
	p.heads.sort()
	return p
}

func (f *file) isKnownEmptyLocked() bool {
	d := f.at.digest
	return f.at.size == 0 && d != nil && d.size == 0 && d.head.len == 0
}

// justNow is how long what was renamed may be about to be deleted.
const justNow = time.Second

// wasReplacedLocked reports whether a file has lost its path to another just now: it was deleted,
// or will be in a moment.
func (t *table) wasReplacedLocked(o *file) bool {
	switch o.at.state {
	case unlinked:
		return time.Since(o.at.since) < copyTimeout
	case renamed:
		return time.Since(o.at.since) < justNow
	}
	return t.byPath[o.at.path] != o
}

func (f *file) originalLocked() original {
	o := original{id: f.id, path: f.at.path, earlier: f.at.earlier}
	if f.at.digest != nil {
		o.digest = *f.at.digest
	}
	return o
}

// updateStatLocked notes the size and time of a file, and reports whether they have changed.
func (f *file) updateStatLocked(now fileStat) bool {
	changed := f.at.size != now.size || f.at.mtime != now.mtime
	f.at.size, f.at.mtime = now.size, now.mtime
	return changed
}
