package file

import (
	"os"
	"slices"
	"sync"
	"time"

	"github.com/longshore/longshore/inputs/lines"
	"github.com/longshore/longshore/pipeline/event"
)

// A place is where a file is to be found.
type place uint8

const (
	live     place = iota // under a name that the config asks for
	renamed               // in the same folder under another name
	unlinked              // nowhere; it can be read as long as it is open
)

// A file is one file that is followed, whatever its name is at present.
type file struct {
	id inode

	slot // guarded by schedule.mu

	// Where it is; guarded by table.mu.
	place    place
	own      bool      // it is a source, and not perhaps a copy of one
	path     string    // "" if unlinked
	target   string    // what path links to, if it is a symbolic link
	placedAt time.Time // when place last changed
	size     int64     // as the last look at its folder had it
	mtime    int64     // then, in Unix nanoseconds
	seen     string    // path at first sight
	kin      *file     // the next of its family
	formerly []*past   // what it was in an earlier run, to be forgotten when it is known what it is
	copyOf   inode     // as long as it is no source: it had the same text as that, when it was compared
	left     *trace    // as after the last turn
	before   *trace    // of what it was before it began anew

	// These are the follower's own.
	round   int32 // the last scan that saw it
	taken   bool  // it was given to the readers
	ignored bool  // it is older than ignore_older, and was never given to them
	missed  bool  // it was looked for once, and not found

	// known says that it was looked for by its identity, under a name that is
	// none of the config's: it is only read if it proves to be a known source.
	known bool
	// heirOf is the known source of which it was found to be a copy.
	heirOf *past
	// startSize is where to begin reading, for read_from: end; -1 for the
	// beginning.
	startSize int64

	// The rest belongs to the reader whose turn it is. fd may be closed by
	// another in between (openFiles).
	fd       *os.File
	ends     uint64    // of a copy that goes on with a source: the size of its text
	unpack   *unpacker // of a .gz file, while it is being read
	backoff  time.Duration
	compress bool // it is a .gz file
	matched  bool // whether it is a known source has been settled
	progress
}

// A progress is how far a file was read as one source. A file that is truncated
// begins another.
type progress struct {
	begun    bool   // a record was sent
	finished bool   // compressed, and read to its end when it had doneSize
	key      string // path at first sight
	src      *event.Source
	srcID    event.SourceID // of a known source, or of src
	// former is what the file was before it began anew. The ledger may forget
	// it when it knows what the file is now.
	former *event.Source

	stored   int       // length of the head that was stored with the identity; -1 for none
	off      uint64    // start of the next line to be sent
	sent     uint64    // To of the last batch
	scanned  uint64    // no line ends between off and here
	cuts     []uint64  // beyond off: where time has ended a line, in an earlier run
	lastSize int64     // when it was last looked at
	modified int64     // then, in Unix nanoseconds
	grown    time.Time // when it was first seen to have that size
	doneSize int64
	past     *trace      // up to the turn before
	expect   fingerprint // of the bytes before off, where tail is not known
	split    lines.Splitter
	text     *lines.Encoding // nil until it is settled
	head     fingerprint
	tail     tail
}

// newFile gives a file that is at a path and was first seen at another.
func (s *settings) newFile(id inode, seen, path string) *file {
	return &file{
		id: id, seen: seen, startSize: -1, placedAt: time.Now(),
		compress: isCompressed(path),
		progress: newProgress(seen, s.maxLine),
	}
}

func newProgress(key string, maxLine int) progress {
	return progress{key: key, stored: -1, split: lines.Splitter{Max: maxLine}}
}

// trace gives what is remembered of the file's text.
func (f *file) trace() *trace {
	t := &trace{head: f.head, size: f.lastSize}
	if f.past != nil {
		t.marks, t.since = f.past.marks, f.past.since
	}
	if t.since.IsZero() {
		t.since = time.Unix(0, f.modified)
	}
	if f.tail.n > 0 {
		t.note(mark{f.off, printOf(f.tail.bytes())})
	}
	return t
}

// table holds all files that are followed.
type table struct {
	mu     sync.Mutex
	byID   map[inode]*file
	byPath map[string]*file // path and target
	byKin  map[string]*file // family of the path at first sight; the first of a list
}

func newTable() *table {
	return &table{byID: map[inode]*file{}, byPath: map[string]*file{}, byKin: map[string]*file{}}
}

// addLocked makes a file known that is at no path yet.
func (t *table) addLocked(f *file) {
	t.byID[f.id] = f
	t.indexLocked(f)
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

// all gives every file, in no order.
func (t *table) all() []*file {
	t.mu.Lock()
	defer t.mu.Unlock()
	files := make([]*file, 0, len(t.byID))
	for _, f := range t.byID {
		files = append(files, f)
	}
	return files
}

// where gives a file's path and place.
func (t *table) where(f *file) (string, place, time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return f.path, f.place, f.placedAt
}

// sizeOf gives a file's size when its folder was last looked at.
func (t *table) sizeOf(f *file) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return f.size
}

// moveLocked notes where a file is now.
func (t *table) moveLocked(f *file, path string, to place) {
	t.unnameLocked(f)
	f.path = path
	if path != "" {
		t.byPath[path] = f
		if f.target = linkTarget(path); f.target != "" {
			t.byPath[f.target] = f
		}
	}
	if f.place != to {
		f.place, f.placedAt = to, time.Now()
	}
}

func (t *table) unnameLocked(f *file) {
	for _, p := range [...]string{f.path, f.target} {
		if p != "" && t.byPath[p] == f {
			delete(t.byPath, p)
		}
	}
	f.target = ""
}

// remove forgets a file.
func (t *table) remove(f *file) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.removeLocked(f)
}

func (t *table) removeLocked(f *file) {
	t.unnameLocked(f)
	if t.byID[f.id] == f {
		delete(t.byID, f.id)
		t.unindexLocked(f)
	}
}

// has tells whether a file is still followed.
func (t *table) has(f *file) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.byID[f.id] == f
}

// settle makes a file a source of its own. False means that it was found to be a
// copy, and is another's now.
func (t *table) settle(f *file) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	f.own = t.byID[f.id] == f
	if f.own && f.place == live {
		t.unindexLocked(f)
		f.seen = f.path // its inode may have been another's, seen elsewhere
		t.indexLocked(f)
	}
	return f.own
}

// unsettle takes back that a file is a source of its own. It is seen at a path for the
// first time now. before is what is remembered of the source that it was.
func (t *table) unsettle(f *file, seen string, before *trace) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f.own, f.copyOf, f.left, f.before = false, inode{}, nil, before
	if t.byID[f.id] == f {
		t.unindexLocked(f)
		f.seen = seen
		t.indexLocked(f)
	}
}

func (t *table) indexLocked(f *file) {
	log := family(f.seen)
	f.kin = t.byKin[log]
	t.byKin[log] = f
}

func (t *table) unindexLocked(f *file) {
	log := family(f.seen)
	if t.byKin[log] == f && f.kin == nil {
		delete(t.byKin, log)
		return
	}
	if t.byKin[log] == f {
		t.byKin[log] = f.kin
	}
	for o := t.byKin[log]; o != nil; o = o.kin {
		if o.kin == f {
			o.kin = f.kin
		}
	}
	f.kin = nil
}

// addFormer notes what a file was in an earlier run.
func (t *table) addFormer(f *file, k *past) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f.formerly = append(f.formerly, k)
}

func (t *table) takeFormer(f *file) []*past {
	t.mu.Lock()
	defer t.mu.Unlock()
	taken := f.formerly
	f.formerly = nil
	return taken
}

// seenAt gives the path at which a file was first seen.
func (t *table) seenAt(f *file) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return f.seen
}

// replace puts a copy that is a source from now on in the place of what was followed
// under its inode, which it gives, if there was one. False means that this became
// a source in the meantime.
func (t *table) replace(f *file, c *copied, at place) (other *file, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if other = t.byID[f.id]; other != nil {
		if other.own && other != c.owner {
			return nil, false
		}
		t.removeLocked(other)
	}
	t.addLocked(f)
	f.own = true
	f.lookLocked(sightOf(c.info))
	t.moveLocked(f, c.path, at)
	return other, true
}

// owner gives the file of an inode, if it is a source, and what is remembered of its text.
func (t *table) owner(id inode) (*file, *trace) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.byID[id]
	if f == nil || !f.own {
		return nil, nil
	}
	return f, f.left
}

// isOwn tells whether the file of an inode is a source.
func (t *table) isOwn(id inode) bool {
	f, _ := t.owner(id)
	return f != nil
}

// copyOf tells of which file one was found to be a copy, if of any.
func (t *table) copyOf(id inode) inode {
	t.mu.Lock()
	defer t.mu.Unlock()
	if f := t.byID[id]; f != nil {
		return f.copyOf
	}
	return inode{}
}

func (t *table) setCopy(f *file, of inode) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f.copyOf = of
}

// leave keeps what is remembered of a file's text for those that may be copies of it.
func (t *table) leave(f *file, left *trace) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f.left = left
}

// names gives the paths that a file has, and had at first sight.
func (t *table) names(f *file) (names []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, name := range [...]string{f.path, f.target, f.seen} {
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// A relative is a file of which another may be a copy, as it was found in the table.
type relative struct {
	id     inode
	path   string // "" if unlinked
	trace  trace
	before *trace // of what it was before it began anew; nil if it did not
}

// relatives gives the files of which f may be a copy by its name: a compressed one, of any
// of the same log; else of that which has the log's name, or had it at first sight.
func (t *table) relatives(f *file) (found []relative) {
	t.mu.Lock()
	defer t.mu.Unlock()
	path := f.path
	if path == "" {
		path = f.seen
	}
	log := family(path)
	if path == log {
		return nil
	}
	kin := log // of all that are kin to it; of others, to what was seen there
	if !f.compress {
		kin = family(log)
		if o := t.byPath[log]; o != nil && o.seen != log {
			found = append(found, o.relativeLocked())
		}
	}
	for o := t.byKin[kin]; o != nil; o = o.kin {
		if o != f && !o.compress && (f.compress || o.seen == log) {
			found = append(found, o.relativeLocked())
		}
	}
	return found
}

func (f *file) relativeLocked() relative {
	r := relative{id: f.id, path: f.path, before: f.before}
	if f.left != nil {
		r.trace = *f.left
	}
	return r
}

// lookLocked notes the size and time of a file, and tells whether they have
// changed.
func (f *file) lookLocked(now sight) bool {
	changed := f.size != now.size || f.mtime != now.mtime
	f.size, f.mtime = now.size, now.mtime
	return changed
}
