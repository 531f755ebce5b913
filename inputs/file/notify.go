package file

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/fsnotify/fsnotify"
)

// notify tells of changes in folders. A nil notify never tells of any.
type notify struct {
	watcher *fsnotify.Watcher
	dirs    map[string]bool
}

func startNotify() (*notify, error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	return &notify{w, map[string]bool{}}, nil
}

func (n *notify) events() <-chan fsnotify.Event {
	if n == nil {
		return nil
	}
	return n.watcher.Events
}

func (n *notify) errors() <-chan error {
	if n == nil {
		return nil
	}
	return n.watcher.Errors
}

// watch adds a folder. Adding it again is cheap, and mends the watch of a folder
// that was deleted and made anew.
func (n *notify) watch(dir string) error {
	if n == nil {
		return nil
	}
	if err := n.watcher.Add(dir); err != nil {
		return err
	}
	n.dirs[dir] = true
	return nil
}

// watches tells whether a path is a watched folder.
func (n *notify) watches(path string) bool { return n != nil && n.dirs[path] }

// drop forgets a folder that is no longer there.
func (n *notify) drop(dir string) { delete(n.dirs, dir) }

func (n *notify) close() {
	if n != nil {
		n.watcher.Close()
	}
}

// notifyAdvice says what to do about a limit of inotify, or "" if err is
// something else.
func notifyAdvice(err error) string {
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
