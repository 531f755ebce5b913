package disk

import (
	"os"
	"syscall"

	"github.com/longshore/longshore/pipeline"
)

// OS is the file system of the machine. What it makes is readable by the program's own user and
// group alone.
type OS struct{}

var _ FS = OS{}

const folderPerm = 0o750

type osFile struct{ *os.File }

// Open implements FS.
func (OS) Open(path string) (File, error) { return openFile(path, os.O_RDWR) }

// Create implements FS.
func (OS) Create(path string) (File, error) {
	return openFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
}

func openFile(path string, flags int) (File, error) {
	f, err := pipeline.OpenDataFile(path, flags)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

// OthersMayWrite reports whether users beyond a folder's owner and group may put files into it.
func OthersMayWrite(dir string) bool {
	info, err := os.Stat(dir)
	return err == nil && info.Mode().Perm()&0o002 != 0
}

// Rename implements FS.
func (OS) Rename(from, to string) error { return os.Rename(from, to) }

// Remove implements FS.
func (OS) Remove(path string) error { return os.Remove(path) }

// Mkdir implements FS.
func (OS) Mkdir(path string) error { return os.Mkdir(path, folderPerm) }

// ReadDir implements FS.
func (OS) ReadDir(path string) ([]string, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

// SyncDir implements FS.
func (OS) SyncDir(path string) error { return pipeline.SyncFolder(path) }

// Free implements FS: what an unprivileged user may write.
func (OS) Free(path string) (int64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(path, &st); err != nil {
		return 0, &os.PathError{Op: "statfs", Path: path, Err: err}
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}

// Size returns the file's length in bytes.
func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
