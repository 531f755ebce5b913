package file

import (
	"container/list"
	"errors"
	"os"
	"sync"
	"syscall"
)

// openFiles keeps the number of open files within a limit. Beyond it, the one
// whose last turn is longest ago is closed; its identity, by which it is opened
// again, is not forgotten.
type openFiles struct {
	schedule *schedule
	table    *table
	openFile func(path string) (*os.File, error)

	mu    sync.Mutex
	limit int
	used  list.List // of *file; the latest turn is last
	where map[*file]*list.Element
}

// newOpenFiles leaves at least half of the process's own limit to others.
func newOpenFiles(set *settings, s *schedule, t *table) *openFiles {
	limit := set.maxOpen
	if lim := openLimit(); lim > 0 {
		limit = int(min(uint64(limit), lim/2))
	}
	return &openFiles{
		schedule: s, table: t, openFile: set.openFile,
		limit: max(limit, 2*set.readers), where: map[*file]*list.Element{},
	}
}

// open opens a path for f, whose turn it is.
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
	f.fd = fd
	o.where[f] = o.used.PushBack(f)
	return nil
}

// touch notes that f has its turn now.
func (o *openFiles) touch(f *file) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if e := o.where[f]; e != nil {
		o.used.MoveToBack(e)
	}
}

// close closes f, whose turn it is.
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
	f.fd.Close()
	f.fd = nil
}

// closeOldest closes the file that has waited longest for a turn and can be
// opened again, and tells whether there was one.
func (o *openFiles) closeOldest() bool {
	for e := o.used.Front(); e != nil; e = e.Next() {
		f := e.Value.(*file)
		if _, at, _ := o.table.where(f); at == unlinked {
			continue
		}
		if o.closeIfOff(f) {
			return true
		}
	}
	return false
}

// closeIfOff closes f unless it is with a reader or half unpacked.
func (o *openFiles) closeIfOff(f *file) bool {
	o.schedule.mu.Lock()
	defer o.schedule.mu.Unlock()
	if f.phase == turn || f.unpack != nil {
		return false
	}
	o.closeLocked(f)
	return true
}

// closeAll closes all files, when there are no more turns.
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
