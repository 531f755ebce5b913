package file

import (
	"container/list"
	"errors"
	"os"
	"sync"
	"syscall"
)

// openFiles keeps the number of open files within a limit. Beyond it, the one that was read longest
// ago is closed; it is found again by its inode.
type openFiles struct {
	schedule *schedule
	table    *table
	openFile func(path string) (*os.File, error)

	mu    sync.Mutex
	limit int
	used  list.List // of *file; the last read is last
	where map[*file]*list.Element
}

// newOpenFiles leaves at least half of the process's own limit to others.
func newOpenFiles(set *settings, s *schedule, t *table) *openFiles {
	limit := set.MaxOpenFiles
	if lim := openLimit(); lim > 0 {
		limit = int(min(uint64(limit), lim/2))
	}
	return &openFiles{
		schedule: s, table: t, openFile: set.openFile,
		limit: max(limit, 2*set.readers), where: map[*file]*list.Element{},
	}
}

// open opens a path for f, for the reader that has it.
func (o *openFiles) open(f *file, path string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.used.Len() >= o.limit && o.closeOldest() {
	}
	fd, err := o.openFile(path)
	if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
		o.limit = max(1, min(o.limit, o.used.Len()-1))
		if o.closeOldest() {
			fd, err = o.openFile(path)
		}
	}
	if err != nil {
		return err
	}
	f.read.fd = fd
	o.where[f] = o.used.PushBack(f)
	return nil
}

// touch notes that f is read now.
func (o *openFiles) touch(f *file) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if e := o.where[f]; e != nil {
		o.used.MoveToBack(e)
	}
}

// close closes f, for the reader that has it.
func (o *openFiles) close(f *file) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closeLocked(f)
}

func (o *openFiles) closeLocked(f *file) {
	e := o.where[f]
	if e == nil {
		return
	}
	o.used.Remove(e)
	delete(o.where, f)
	f.read.fd.Close()
	f.read.fd = nil
}

// closeOldest closes the file that was read longest ago and can be opened again, and reports
// whether there was one.
func (o *openFiles) closeOldest() bool {
	for e := o.used.Front(); e != nil; e = e.Next() {
		f := e.Value.(*file)
		if o.table.where(f).state != unlinked && o.closeIfIdle(f) {
			return true
		}
	}
	return false
}

// closeIfIdle closes f unless a reader has it or it is half unpacked.
func (o *openFiles) closeIfIdle(f *file) bool {
	o.schedule.mu.Lock()
	defer o.schedule.mu.Unlock()
	if f.slot.phase == reading || f.read.unpack != nil {
		return false
	}
	o.closeLocked(f)
	return true
}

// closeAll closes all files, once no reader is left.
func (o *openFiles) closeAll() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.used.Len() > 0 {
		o.closeLocked(o.used.Front().Value.(*file))
	}
}

func (o *openFiles) len() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.used.Len()
}
