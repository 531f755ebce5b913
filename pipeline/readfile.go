package pipeline

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// MaxFile bounds the files that settings name, such as certificates: a bundle of all authorities
// has a quarter of a MiB.
const MaxFile = 4 << 20

// ReadFile reads a file that a setting or an argument names, of at most limit bytes. It must be a
// regular one: a FIFO could block for ever, and a device never end.
func ReadFile(path string, limit int64) ([]byte, error) {
	if info, err := os.Stat(path); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() { // not even to be opened
		return nil, notRegular(path, info)
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() { // changed meanwhile
		return nil, notRegular(path, info)
	}
	content, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(content)) > limit {
		return nil, fmt.Errorf("%s is larger than %s; is it the right file?", path, Size(limit))
	}
	return content, nil
}

// OpenDataFile opens a file in the data folder, or makes it for the program's own user and group.
// It follows no symbolic link: who may make one there could have any other file written, or
// emptied. It takes only a regular file, as ReadFile does.
func OpenDataFile(path string, flags int) (*os.File, error) {
	f, err := os.OpenFile(path, flags|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o640)
	if errors.Is(err, syscall.ELOOP) {
		return nil, fmt.Errorf("%s is a symbolic link, which is not followed; remove it: %w", path, syscall.ELOOP)
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file; remove it", path)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// OpenLocked opens a file that several processes add to, or makes it, and locks it until it is
// closed. Whoever replaces it holds the lock meanwhile, so what is returned has that path still.
func OpenLocked(path string) (*os.File, error) {
	for {
		f, err := OpenDataFile(path, os.O_CREATE|os.O_APPEND|os.O_RDWR)
		if err != nil {
			return nil, err
		}
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		if err == nil && isAt(f, path) {
			return f, nil
		}
		_ = f.Close()
		if err != nil {
			return nil, fmt.Errorf("locking %s: %w", path, err)
		}
	}
}

// isAt reports whether an open file has this path still.
func isAt(f *os.File, path string) bool {
	at, err := os.Lstat(path)
	if err != nil {
		return false
	}
	info, err := f.Stat()
	return err == nil && os.SameFile(at, info)
}

// SyncFolder brings the names in a folder of the data folder to disk. Some file systems cannot,
// which is no error.
func SyncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	if err = d.Sync(); errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		return nil
	}
	return err
}

func notRegular(path string, info os.FileInfo) error {
	what := "a device"
	switch mode := info.Mode(); {
	case mode.IsDir():
		what = "a folder"
	case mode&os.ModeNamedPipe != 0:
		what = "a named pipe"
	case mode&os.ModeSocket != 0:
		what = "a socket"
	}
	return fmt.Errorf("%s is %s; name a regular file", path, what)
}

// OthersMayRead reports whether users beyond a file's owner and group may read it.
func OthersMayRead(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().Perm()&0o004 != 0
}
