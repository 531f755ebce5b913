package server

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// cacheFolder is where finished servers are kept, shared by all checkouts of one user.
func cacheFolder() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		base = os.TempDir() // no HOME, as in some containers
	}
	dir := filepath.Join(base, "longshore")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("making the cache folder: %w", err)
	}
	return dir, nil
}

// once returns the cache's folder of that name. Where no earlier run has left it, here or in
// another process, build fills an empty folder, which is renamed into place only when build
// succeeds: a folder in the cache is always complete.
func once(name, announce string, build func(dir string) error) (string, error) {
	cache, err := cacheFolder()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, name)
	if exists(dir) {
		return dir, nil
	}
	unlock, err := lock(dir+".lock", "another process is "+announce)
	if err != nil {
		return "", err
	}
	defer unlock()
	if exists(dir) {
		return dir, nil
	}
	left, _ := filepath.Glob(filepath.Join(cache, "."+name+"-*")) // by a build that was killed
	for _, folder := range left {
		os.RemoveAll(folder)
	}
	tmp, err := os.MkdirTemp(cache, "."+name+"-")
	if err != nil {
		return "", fmt.Errorf("making a folder to build in: %w", err)
	}
	defer os.RemoveAll(tmp)
	end := progress(announce)
	err = build(tmp)
	end(err)
	if err != nil {
		return "", fmt.Errorf("%s: %w", announce, err)
	}
	if err := os.Chmod(tmp, 0o755); err != nil { // MkdirTemp's 0700 would keep other users of an image out
		return "", err
	}
	return dir, os.Rename(tmp, dir)
}

// lock waits for the advisory lock on a file. The kernel lets go of it when this process ends,
// however it ends.
func lock(path, busy string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opening a lock: %w", err)
	}
	err = flock(f, syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		fmt.Fprintf(os.Stderr, "e2e: waiting: %s\n", busy)
		err = flock(f, syscall.LOCK_EX)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return func() { f.Close() }, nil
}

func flock(f *os.File, how int) error {
	for {
		err := syscall.Flock(int(f.Fd()), how)
		if err != syscall.EINTR {
			return err
		}
	}
}

// progress says on standard error what is being done, again every half minute, and how it ended.
func progress(what string) (end func(error)) {
	began := time.Now()
	fmt.Fprintf(os.Stderr, "e2e: %s\n", what)
	done := make(chan struct{})
	go func() {
		tick := time.NewTicker(30 * time.Second)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				fmt.Fprintf(os.Stderr, "e2e: still %s (%s)\n", what, time.Since(began).Round(time.Second))
			}
		}
	}()
	return func(err error) {
		close(done)
		word := "done"
		if err != nil {
			word = "failed"
		}
		fmt.Fprintf(os.Stderr, "e2e: %s: %s after %s\n", what, word, time.Since(began).Round(100*time.Millisecond))
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// fingerprint is a short hash of all files below the folders, names and contents.
func fingerprint(folders ...string) (string, error) {
	h := sha256.New()
	for _, folder := range folders {
		if err := hashFolder(h, folder); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil))[:12], nil
}

func hashFolder(h io.Writer, folder string) error {
	return filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		fmt.Fprintf(h, "%s %d\n", name, len(text))
		_, err = io.Copy(h, bytes.NewReader(text))
		return err
	})
}
