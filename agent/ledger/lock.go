package ledger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// lock takes the data folder for this process alone, until the file is closed.
func lock(dir string) (*os.File, error) {
	path := filepath.Join(dir, "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, fmt.Errorf("data_dir cannot be written: %w; make it writable for this user or set another data_dir", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		f.Truncate(0)
		fmt.Fprintf(f, "%d\n", os.Getpid())
		return f, nil
	}
	defer f.Close()
	if !errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	holder, _ := os.ReadFile(path)
	return nil, fmt.Errorf("data_dir %s is in use by another longshore (process %s); stop it or set another data_dir", dir, strings.TrimSpace(string(holder)))
}
