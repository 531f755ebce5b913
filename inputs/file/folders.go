package file

import (
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// A folder is what a folder held when it was listed: its regular files.
type folder struct {
	begun     time.Time
	err       error // it cannot be listed
	byID      map[inode]string
	files     []listedFile            // by name
	byFamily  map[string][]listedFile // by the time of modification
	rotations map[string][]listedFile // by the name of the log; made when it is first asked for
}

type listedFile struct {
	id    inode
	path  string
	mtime time.Time
}

func listFolder(dir string) *folder {
	l := &folder{begun: time.Now(), byID: map[inode]string{}, byFamily: map[string][]listedFile{}}
	entries, err := os.ReadDir(dir)
	l.err = err
	l.files = make([]listedFile, 0, len(entries))
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		if info, err := e.Info(); err == nil {
			file := listedFile{inodeOf(info), filepath.Join(dir, e.Name()), info.ModTime()}
			l.byID[file.id] = file.path
			l.files = append(l.files, file)
			l.byFamily[family(file.path)] = append(l.byFamily[family(file.path)], file)
		}
	}
	for _, files := range l.byFamily {
		slices.SortFunc(files, func(a, b listedFile) int { return a.mtime.Compare(b.mtime) })
	}
	return l
}

// nearby is how many files of a family are looked at that a log's numbered name does not single
// out: those that were written to next after it, and the last ones.
const nearby = 8

// candidates returns the files that may be copies of a log, which was last written to at a time,
// by their names. Where its own name has a number, the log and the copy may both have been renamed
// since: app.log.1 is app.log.2.gz now. There are files of any number like that, so only those are
// returned whose age fits.
func (l *folder) candidates(name string, modified time.Time) iter.Seq[listedFile] {
	kin := l.byFamily[family(name)]
	var kinToo []listedFile
	if plain := plainName(name); rotationGroup(plain) != plain && len(kin) > 2*nearby {
		at, _ := slices.BinarySearchFunc(kin, modified.Add(-time.Second), func(f listedFile, t time.Time) int {
			return f.mtime.Compare(t)
		})
		at = min(at, len(kin)-nearby)
		kin, kinToo = kin[at:min(at+nearby, len(kin)-nearby)], kin[len(kin)-nearby:]
	}
	return func(yield func(listedFile) bool) {
		for _, files := range [...][]listedFile{l.suffixed(name), kin, kinToo} {
			for _, file := range files {
				if !yield(file) {
					return
				}
			}
		}
	}
}

// suffixed returns the files whose names begin with a path.
func (l *folder) suffixed(path string) []listedFile {
	from, _ := slices.BinarySearchFunc(l.files, path, func(f listedFile, path string) int {
		return strings.Compare(f.path, path)
	})
	to := from
	for to < len(l.files) && strings.HasPrefix(l.files[to].path, path) {
		to++
	}
	return l.files[from:to]
}

// rotationsOf returns the files whose names rotations make of a log's, plain or compressed.
func (l *folder) rotationsOf(log string) []listedFile {
	if l.rotations == nil {
		l.rotations = map[string][]listedFile{}
		for _, files := range l.byFamily {
			for _, file := range files {
				for name := range numberedNames(filepath.Base(plainName(file.path))) {
					l.rotations[name] = append(l.rotations[name], file)
				}
			}
		}
	}
	return l.rotations[log]
}

// A folderList holds folders, each listed once. One that cannot be listed counts as empty.
type folderList map[string]*folder

func (l folderList) in(dir string) *folder {
	if l[dir] == nil {
		l[dir] = listFolder(dir)
	}
	return l[dir]
}

// A folderCache keeps the last lists of folders, so that a folder is not listed again for each of
// many files that are truncated or deleted at once.
type folderCache struct {
	mu    sync.Mutex
	lists folderList
}

// coarseClock is by how much a file system's times may be behind.
const coarseClock = 20 * time.Millisecond

// in returns a list that was begun after a moment.
func (c *folderCache) in(dir string, after time.Time) *folder {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l := c.lists[dir]; l == nil || l.begun.Before(after.Add(coarseClock)) {
		delete(c.lists, dir)
	}
	return c.lists.in(dir)
}

// clear frees the memory of what nobody asked for in a while.
func (c *folderCache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.lists)
}
