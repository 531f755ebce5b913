package journald

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/longshore/longshore/inputs/journald/journalfile"
)

// A file is one of a journal's.
type file struct {
	path    string
	info    os.FileInfo
	deleted bool

	open  *journalfile.File // nil when it is read to its end, and nobody needs it
	users int               // of open, beside who follows the journal
	tail  uint64            // the number of its last entry, once it is read
	first uint64            // that of its first, 0 if there is none
}

// isJournal reports whether a name is that of a journal's file. Those with ~ were damaged, or not
// closed in order.
func isJournal(name string) bool {
	return strings.HasSuffix(name, ".journal") || strings.HasSuffix(name, ".journal~")
}

// list returns the paths of the files below a folder.
func list(dir string) (paths []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var failed error
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if isJournal(e.Name()) {
			paths = append(paths, path)
			continue
		}
		if !e.IsDir() {
			continue
		}
		below, err := os.ReadDir(path)
		if err != nil {
			failed = err
			continue
		}
		for _, e := range below {
			if isJournal(e.Name()) {
				paths = append(paths, filepath.Join(path, e.Name()))
			}
		}
	}
	return paths, failed
}

// scan looks for files that are new, renamed or gone. The error is what cannot be read now.
func (r *run) scan() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var failed []error
	there := map[*file]bool{}
	for _, dir := range r.in.config.Paths {
		paths, err := list(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			failed = append(failed, err)
		}
		for _, path := range paths {
			f, err := r.fileAt(path)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				failed = append(failed, err)
			}
			if f != nil {
				there[f] = true
			}
		}
	}
	for _, j := range r.journals {
		for _, f := range j.files {
			f.deleted = !there[f]
		}
	}
	if len(r.journals) == 0 && len(failed) == 0 {
		return fmt.Errorf("no journal is in %s: is it mounted, and does journald store it (Storage=)?",
			strings.Join(r.in.config.Paths, " or "))
	}
	return errors.Join(failed...)
}

// fileAt returns the file at a path, known or new.
func (r *run) fileAt(path string) (*file, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil
	}
	for _, j := range r.journals {
		for _, f := range j.files {
			if f.is(path, info) {
				f.path, f.info = path, info
				return f, nil
			}
		}
	}
	if why, bad := r.bad[path]; bad && os.SameFile(why, info) && why.Size() == info.Size() {
		return nil, nil
	}
	open, err := journalfile.Open(path)
	if errors.Is(err, journalfile.ErrDamaged) || errors.Is(err, journalfile.ErrNewer) {
		r.bad[path] = info
		r.in.env.Log.Warn("a file of the journal is left out", "error", err)
		return nil, nil
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("%w; give the agent the group systemd-journal", err)
	}
	if err != nil {
		return nil, err
	}
	f := &file{path: path, info: info, open: open}
	j := r.journals[open.SeqnumID]
	if j == nil {
		j = &journal{id: open.SeqnumID}
		r.journals[open.SeqnumID] = j
	}
	j.files = append(j.files, f)
	return f, nil
}

// is reports whether a file is the one at a path. The inode of one that is not open may be
// another's by now.
func (f *file) is(path string, info os.FileInfo) bool {
	return os.SameFile(f.info, info) &&
		(f.open != nil || f.path == path && f.info.Size() == info.Size() && f.info.ModTime().Equal(info.ModTime()))
}

// use opens a file again, if need be, until release. Callers hold run.mu.
func (f *file) use() error {
	if f.open == nil {
		open, err := journalfile.Open(f.path)
		if err != nil {
			return err
		}
		f.open = open
	}
	f.users++
	return nil
}

func (f *file) close() {
	if f.open != nil {
		f.open.Close()
		f.open = nil
	}
}
