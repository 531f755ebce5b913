// Package disk is the little that the spool and the ledger ask of a file
// system, so that tests can pull the plug on it: see disktest.
package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
)

// An FS is a file system. What it did is only sure to outlast a power loss once
// it was synced: a file's content and size by File.Sync, the names in a folder by
// SyncDir. Until then it may come to pass in part, or in another order. Methods
// are safe for use by several goroutines.
type FS interface {
	// Open opens a file that is there, for reading and writing.
	Open(path string) (File, error)
	// Create makes an empty file, or empties the one that is there.
	Create(path string) (File, error)
	// Rename moves a file within its folder, over the one that is there.
	Rename(from, to string) error
	Remove(path string) error
	// Mkdir makes one folder. See MkdirAll.
	Mkdir(path string) error
	// ReadDir gives the names in a folder, sorted.
	ReadDir(path string) ([]string, error)
	SyncDir(path string) error
	// Free gives the bytes that may still be written where path is.
	Free(path string) (int64, error)
}

// A File is an open file. Its methods are safe for use by several goroutines.
type File interface {
	io.ReaderAt
	// WriteAt may have written a part when it fails.
	io.WriterAt
	io.Closer
	// Name gives the path that the file was opened by.
	Name() string
	Size() (int64, error)
	Truncate(size int64) error
	// Sync returns when all that was written is on disk. After an error it is not
	// known what is, and another Sync does not tell: write again.
	Sync() error
}

// ReadFile gives the content of a file.
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

// MkdirAll makes a folder and those above it that are missing, to outlast a
// power loss.
func MkdirAll(on FS, path string) error {
	if err := mkdirs(on, path); err != nil {
		return err
	}
	// All are synced, not just those made now: an earlier process may have been
	// killed before it came to that.
	for above := filepath.Dir(path); ; above = filepath.Dir(above) {
		err := on.SyncDir(above)
		if err != nil && !errors.Is(err, fs.ErrPermission) { // then it was not we who made it
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

// suffixNew ends the name of a file that is not ready yet.
const suffixNew = ".new"

// Replace puts a new file with this content at path, all or nothing: after a power loss
// there is the old one, or none if there was none, or the new one, whole. It is
// sure to be the new one after SyncDir of the folder. See RemoveLeftover.
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

// RemoveLeftover removes the file, of path's name and ".new", that stands beside it
// when a Replace was cut short.
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

// WriteFile makes a file with this content and returns when that is on disk;
// its name is after SyncDir.
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
