// Package disk is what the spool and the ledger need of a file system, so that tests can simulate
// power losses: see disktest.
package disk

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
)

// An FS is a file system. What it did only outlasts a power loss for sure once it was synced: a
// file's content and size by File.Sync, the names in a folder by SyncDir. Until then it may take
// effect in part, or in another order. Methods are safe for use by several goroutines.
type FS interface {
	// Open opens an existing file for reading and writing.
	Open(path string) (File, error)
	// Create creates an empty file, or empties the existing one.
	Create(path string) (File, error)
	// Rename moves a file within its folder, over an existing one.
	Rename(from, to string) error
	Remove(path string) error
	// Mkdir makes one folder. See MkdirAll.
	Mkdir(path string) error
	// ReadDir returns the names in a folder, sorted.
	ReadDir(path string) ([]string, error)
	SyncDir(path string) error
	// Free returns the bytes that may still be written where path is.
	Free(path string) (int64, error)
}

// A File is an open file. Its methods are safe for use by several goroutines.
type File interface {
	io.ReaderAt
	// WriteAt may have written a part when it fails.
	io.WriterAt
	io.Closer
	// Name returns the path that the file was opened with.
	Name() string
	Size() (int64, error)
	Truncate(size int64) error
	// Sync returns when all that was written is on disk. After an error it is unknown what is, and
	// another Sync does not tell: write again.
	Sync() error
}

// ReadFile returns the content of a file.
func ReadFile(on FS, path string) ([]byte, error) {
	f, err := on.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	p := make([]byte, size)
	n, err := f.ReadAt(p, 0)
	if err == io.EOF {
		err = nil
	}
	return p[:n], err
}

// MkdirAll makes a folder and those above it that are missing, durably.
func MkdirAll(on FS, path string) error {
	if err := mkdirs(on, path); err != nil {
		return err
	}
	// All are synced, not just those made now: an earlier process may have been killed before that.
	for above := filepath.Dir(path); ; above = filepath.Dir(above) {
		err := on.SyncDir(above)
		if err != nil && !errors.Is(err, fs.ErrPermission) { // not made by us
			return err
		}
		if above == filepath.Dir(above) {
			return nil
		}
	}
}

func mkdirs(on FS, path string) error {
	err := on.Mkdir(path)
	if above := filepath.Dir(path); errors.Is(err, fs.ErrNotExist) && above != path {
		if err := mkdirs(on, above); err != nil {
			return err
		}
		err = on.Mkdir(path)
	}
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	_, err = on.ReadDir(path) // it may be a file
	return err
}

// suffixNew ends the name of a file that is not complete yet.
const suffixNew = ".new"

// Replace puts a new file with this content at path, all or nothing: after a power loss there is
// the old one, or none if there was none, or the complete new one. It is sure to be the new one
// after SyncDir of the folder. See RemoveLeftover.
func Replace(on FS, path string, content []byte) (File, error) {
	next := path + suffixNew
	f, err := write(on, next, content)
	if err == nil {
		if err = on.Rename(next, path); err == nil {
			return renamed{f, path}, nil
		}
		f.Close()
	}
	on.Remove(next)
	return nil, fmt.Errorf("writing %s: %w", path, err)
}

// RemoveLeftover removes the file that an interrupted Replace has left beside path.
func RemoveLeftover(on FS, path string) error {
	if err := on.Remove(path + suffixNew); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// renamed is a file under its new name.
type renamed struct {
	File
	path string
}

func (f renamed) Name() string { return f.path }

// WriteFile creates a file with this content and returns when that is on disk; its name is after
// SyncDir.
func WriteFile(on FS, path string, content []byte) error {
	f, err := write(on, path, content)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return f.Close()
}

func write(on FS, path string, content []byte) (File, error) {
	f, err := on.Create(path)
	if err != nil {
		return nil, err
	}
	if _, err = f.WriteAt(content, 0); err == nil {
		err = f.Sync()
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// sector is the most that a disk surely writes as a whole or not at all, in bytes.
const sector = 512

// HasUnwritten reports whether p, which is at an offset of a file and ends with it, has a sector of
// zeros alone, as a power loss leaves where an append did not reach the disk.
func HasUnwritten(p []byte, offset int64) bool {
	for len(p) > 0 {
		n := min(len(p), sector-int(offset%sector))
		if len(bytes.Trim(p[:n], "\x00")) == 0 {
			return true
		}
		p, offset = p[n:], offset+int64(n)
	}
	return false
}
