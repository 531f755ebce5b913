package file

import (
	"io/fs"
	"os"
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
	path     string // "" if unlinked
	target   string // what path links to, if it is a symbolic link
	place    place
	placedAt time.Time // when place last changed
	size     int64     // as the last look at its folder had it
	mtime    time.Time
	seen     string // path at first sight

	// These are the follower's own.
	round   int  // the last scan that saw it
	taken   bool // it was given to the readers
	ignored bool // it is older than ignore_older, and was never given to them

	// known says that it was looked for by its identity, under a name that is
	// none of the config's: it is only read if it proves to be a known source.
	known bool
	// startSize is where to begin reading, for read_from: end; -1 for the
	// beginning.
	startSize int64

	// The rest belongs to the reader whose turn it is. fd may be closed by
	// another in between (openFiles).
	fd       *os.File
	unpack   *unpacker // of a .gz file, while it is being read
	compress bool      // it is a .gz file
	matched  bool      // whether it is a known source has been settled
	backoff  time.Duration
	progress
}

// A progress is how far a file was read as one source. A file that is truncated
// begins another.
type progress struct {
	key   string // path at first sight
	src   *event.Source
	srcID event.SourceID // of a known source, or of src
	// former is what the file was before it began anew. The ledger may forget
	// it when it knows what the file is now.
	former *event.Source

	stored   int       // length of the head that was stored with the identity; -1 for none
	begun    bool      // a record was sent
	off      uint64    // start of the next line to be sent
	sent     uint64    // To of the last batch
	scanned  uint64    // no line ends between off and here
	cuts     []uint64  // beyond off: where time has ended a line, in an earlier run
	lastSize int64     // when it was last looked at
	modified time.Time // then
	grown    time.Time
	finished bool // compressed, and read to its end when it had doneSize
	doneSize int64
	expect   fingerprint // of the bytes before off, where tail is not known
	split    lines.Splitter
	text     textEncoding
	settled  bool // text is
	head     fingerprint
	tail     tail
}

func newProgress(key string, maxLine int) progress {
	return progress{key: key, stored: -1, split: lines.Splitter{Max: maxLine}}
}

// table holds all files that are followed.
type table struct {
	mu     sync.Mutex
	byID   map[inode]*file
	byPath map[string]*file // path and target
}

func newTable() *table {
	return &table{byID: map[inode]*file{}, byPath: map[string]*file{}}
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
	t.unnameLocked(f)
	if t.byID[f.id] == f {
		delete(t.byID, f.id)
	}
}

// lookLocked notes the size and time of a file, and tells whether they have
// changed.
func (f *file) lookLocked(info fs.FileInfo) bool {
	changed := f.size != info.Size() || !f.mtime.Equal(info.ModTime())
	f.size, f.mtime = info.Size(), info.ModTime()
	return changed
}
