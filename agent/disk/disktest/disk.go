// Package disktest is a disk in memory whose power can fail at any moment, and that keeps no more
// than a real one guarantees.
package disktest

import (
	"errors"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/longshore/longshore/agent/disk"
)

// ErrPower is the error of every operation once the power has failed.
var ErrPower = errors.New("the power has failed")

// A Kind names an operation.
type Kind string

// The operations. Close never fails and is none of them.
const (
	Open     Kind = "open"
	Create   Kind = "create"
	Rename   Kind = "rename"
	Remove   Kind = "remove"
	Mkdir    Kind = "mkdir"
	ReadDir  Kind = "readdir"
	SyncDir  Kind = "syncdir"
	Free     Kind = "free"
	Read     Kind = "read"
	Write    Kind = "write"
	Size     Kind = "size"
	Truncate Kind = "truncate"
	Sync     Kind = "sync"
)

// An Op is one operation, as Fault receives it.
type Op struct {
	Kind Kind
	Path string
}

// Short is a fault of a Write after which that many bytes are written.
type Short struct {
	Bytes int
	Err   error
}

func (s *Short) Error() string { return s.Err.Error() }

// Unwrap returns the cause.
func (s *Short) Unwrap() error { return s.Err }

// A Disk is a disk.FS in memory.
type Disk struct {
	// Fault, if set, is called before every operation, and its error becomes the operation's. A
	// Sync that fails loses what it was to write, as the kernel does: a later Sync that succeeds
	// does not bring it to disk. Set it before the disk is used by more than one goroutine; it is
	// called without locks.
	Fault func(Op) error

	mu      sync.Mutex
	root    *folder
	room    int64 // bytes that may still be written; negative: no bound
	ops     int
	stopAt  int // number of the operation at which the power fails; 0: none
	stopped bool
}

var _ disk.FS = (*Disk)(nil)

// New returns an empty disk.
func New() *Disk { return &Disk{root: newFolder(), room: -1} }

// SetRoom sets by how many bytes files may still grow; beyond that is ENOSPC. What is removed or
// truncated is added again. Negative: no bound.
func (d *Disk) SetRoom(bytes int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.room = bytes
}

// StopAt makes the power fail at the nth operation from now. What that operation writes may reach
// the disk, but the caller gets an error.
func (d *Disk) StopAt(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stopAt = d.ops + n
}

// Stopped reports whether the power has failed.
func (d *Disk) Stopped() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stopped
}

// Ops returns the number of operations so far.
func (d *Disk) Ops() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ops
}

// do runs one operation under the disk's lock, unless a fault or a power loss prevents it.
func (d *Disk) do(kind Kind, name string, operation func() error) error {
	if d.Fault != nil {
		if err := d.Fault(Op{kind, name}); err != nil {
			return d.failed(kind, name, err)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stopped {
		return wrap(kind, name, ErrPower)
	}
	d.ops++
	d.stopped = d.ops == d.stopAt
	if d.stopped && (kind == Sync || kind == SyncDir) {
		return wrap(kind, name, ErrPower)
	}
	err := operation()
	if d.stopped {
		err = ErrPower
	}
	return wrap(kind, name, err)
}

func (d *Disk) failed(kind Kind, name string, err error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ops++
	return wrap(kind, name, err)
}

func wrap(kind Kind, name string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: string(kind), Path: name, Err: err}
}

// A folder has its entries of now, and those that are on disk; changes lie between.
type folder struct {
	now, stored map[string]any // *folder or *inode
	changes     []change
}

// A change sets names at once; nil takes one away.
type change map[string]any

func newFolder() *folder { return &folder{now: map[string]any{}, stored: map[string]any{}} }

func (f *folder) change(c change) {
	f.changes = append(f.changes, c)
	c.apply(f.now)
}

func (c change) apply(to map[string]any) {
	for name, node := range c {
		if node == nil {
			delete(to, name)
			continue
		}
		to[name] = node
	}
}

// folder finds a folder by its path.
func (d *Disk) folder(name string) (*folder, error) {
	at := d.root
	for part := range strings.SplitSeq(path.Clean(filepath.ToSlash(name)), "/") {
		if part == "" || part == "." {
			continue
		}
		switch next := at.now[part].(type) {
		case *folder:
			at = next
		case *inode:
			return nil, syscall.ENOTDIR
		default:
			return nil, fs.ErrNotExist
		}
	}
	return at, nil
}

// file finds a file and its folder.
func (d *Disk) file(name string) (*folder, *inode, error) {
	in, err := d.folder(filepath.Dir(name))
	if err != nil {
		return nil, nil, err
	}
	switch node := in.now[filepath.Base(name)].(type) {
	case *inode:
		return in, node, nil
	case *folder:
		return in, nil, syscall.EISDIR
	}
	return in, nil, fs.ErrNotExist
}

// Open implements disk.FS.
func (d *Disk) Open(name string) (f disk.File, err error) {
	err = d.do(Open, name, func() error {
		_, node, err := d.file(name)
		f = &file{d, name, node}
		return err
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Create implements disk.FS.
func (d *Disk) Create(name string) (f disk.File, err error) {
	err = d.do(Create, name, func() error {
		in, node, err := d.file(name)
		if errors.Is(err, fs.ErrNotExist) && in != nil {
			node, err = &inode{}, nil
			in.change(change{filepath.Base(name): node})
		}
		if err != nil {
			return err
		}
		d.resize(node, 0)
		f = &file{d, name, node}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Rename implements disk.FS.
func (d *Disk) Rename(from, to string) error {
	return d.do(Rename, from, func() error {
		if filepath.Dir(from) != filepath.Dir(to) {
			return errors.New("renaming from one folder to another is not simulated")
		}
		in, node, err := d.file(from)
		if err != nil {
			return err
		}
		in.change(change{filepath.Base(from): nil, filepath.Base(to): node})
		return nil
	})
}

// Remove implements disk.FS. Folders cannot be removed.
func (d *Disk) Remove(name string) error {
	return d.do(Remove, name, func() error {
		in, node, err := d.file(name)
		if err != nil {
			return err
		}
		d.giveBack(len(node.now))
		in.change(change{filepath.Base(name): nil})
		return nil
	})
}

// Mkdir implements disk.FS.
func (d *Disk) Mkdir(name string) error {
	return d.do(Mkdir, name, func() error {
		in, err := d.folder(filepath.Dir(name))
		if err != nil {
			return err
		}
		if filepath.Clean(name) == filepath.Dir(name) || in.now[filepath.Base(name)] != nil {
			return fs.ErrExist
		}
		in.change(change{filepath.Base(name): newFolder()})
		return nil
	})
}

// ReadDir implements disk.FS.
func (d *Disk) ReadDir(name string) (names []string, err error) {
	err = d.do(ReadDir, name, func() error {
		in, err := d.folder(name)
		if err == nil {
			names = slices.Sorted(maps.Keys(in.now))
		}
		return err
	})
	return names, err
}

// SyncDir implements disk.FS.
func (d *Disk) SyncDir(name string) error {
	return d.do(SyncDir, name, func() error {
		in, err := d.folder(name)
		if err != nil {
			return err
		}
		in.stored, in.changes = maps.Clone(in.now), nil
		return nil
	})
}

// Free implements disk.FS.
func (d *Disk) Free(name string) (free int64, err error) {
	err = d.do(Free, name, func() error {
		free = d.room
		if free < 0 {
			free = 1 << 50
		}
		return nil
	})
	return free, err
}

func (d *Disk) giveBack(bytes int) {
	if d.room >= 0 {
		d.room += int64(bytes)
	}
}
