// Package notify watches folders for changes.
package notify

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/fsnotify/fsnotify"
)

// A Watcher reports changes in folders. A nil Watcher never reports any.
type Watcher struct {
	watcher *fsnotify.Watcher
	dirs    map[string]bool
}

// New starts a watcher.
func New() (*Watcher, error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	return &Watcher{w, map[string]bool{}}, nil
}

// Events returns the channel of changes.
func (w *Watcher) Events() <-chan fsnotify.Event {
	if w == nil {
		return nil
	}
	return w.watcher.Events
}

// Errors returns the channel of errors.
func (w *Watcher) Errors() <-chan error {
	if w == nil {
		return nil
	}
	return w.watcher.Errors
}

// Watch adds a folder. Adding it again is cheap, and renews the watch of a folder that was deleted
// and made anew.
func (w *Watcher) Watch(dir string) error {
	if w == nil {
		return nil
	}
	if err := w.watcher.Add(dir); err != nil {
		return err
	}
	w.dirs[dir] = true
	return nil
}

// Watches reports whether a path is a watched folder.
func (w *Watcher) Watches(path string) bool { return w != nil && w.dirs[path] }

// Remove forgets a folder that no longer exists.
func (w *Watcher) Remove(dir string) { delete(w.dirs, dir) }

// Close stops the watcher.
func (w *Watcher) Close() {
	if w != nil {
		w.watcher.Close()
	}
}

// Advice says how to raise the limit of inotify that err is about; "" if it is about none.
func Advice(err error) string {
	sysctl := ""
	switch {
	case errors.Is(err, syscall.ENOSPC):
		sysctl = "fs.inotify.max_user_watches"
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		sysctl = "fs.inotify.max_user_instances"
	default:
		return ""
	}
	return fmt.Sprintf("raise it with: sysctl -w %s=524288", sysctl)
}
