//go:build unix

package file

import (
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// A fileStat is what is needed of a stat. Each scan makes very many, so it is no fs.FileInfo.
type fileStat struct {
	id      inode
	size    int64
	mtime   int64 // in Unix nanoseconds
	regular bool
}

// statFile is os.Stat.
func statFile(path string) (fileStat, error) {
	var st unix.Stat_t
	err := unix.Stat(path, &st)
	for err == unix.EINTR {
		err = unix.Stat(path, &st)
	}
	if err != nil {
		return fileStat{}, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	return fileStat{inode{uint64(st.Dev), st.Ino}, st.Size, st.Mtim.Nano(), st.Mode&unix.S_IFMT == unix.S_IFREG}, nil
}

func statOf(info fs.FileInfo) fileStat {
	return fileStat{inodeOf(info), info.Size(), info.ModTime().UnixNano(), info.Mode().IsRegular()}
}

// inodeOf returns the inode of a file.
func inodeOf(info fs.FileInfo) inode {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return inode{}
	}
	return inode{uint64(st.Dev), uint64(st.Ino)}
}

// isUnlinked reports whether an open file has no name left.
func isUnlinked(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Nlink == 0
}

// openFile opens a file for reading. It does not wait for a writer, should a pipe have replaced the
// file.
func openFile(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
}

// openLimit returns how many files the process may hold open, 0 if unknown.
func openLimit() uint64 {
	var lim syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &lim); err != nil {
		return 0
	}
	return uint64(lim.Cur)
}
