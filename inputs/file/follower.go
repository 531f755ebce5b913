package file

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/longshore/longshore/inputs/file/notify"
)

const (
	// A rotation changes several names, so missing files are searched for once relocateDelay has
	// passed without another.
	relocateDelay = 5 * time.Millisecond
	rescanDelay   = 100 * time.Millisecond
	// How often all files are scanned, unless a setting says it: where the system reports all
	// changes; none; and where it may miss some, or names could not be looked at.
	pollSeldom    = time.Minute
	pollUnwatched = time.Second
	pollShared    = 10 * time.Second
)

// A follower looks after the names: it finds files, notices when they are renamed, and wakes those
// that have changed. All of it runs in one goroutine.
type follower struct {
	*core
	watcher *notify.Watcher

	round       int32             // of scans
	dirs        map[string]bool   // that the last scan went through
	names       []string          // that it found
	links       map[string]string // from what they lead to, where that is a file elsewhere
	unreadable  map[string]bool   // folders and names that cannot be looked at
	fastPoll    bool              // not all folders can be watched
	maybeShared bool              // others may write to a folder that is watched
	movedFrom   string            // the path that the last event said was renamed
	relocation  *time.Timer       // for missing
	rescan      *time.Timer
	overflowed  bool // a scan is due to find what lost notifications were about
}

// missingFiles are those that are not at their path.
type missingFiles struct {
	mu    sync.Mutex
	files map[*file]bool
	grown chan struct{}
}

// add has a file searched for.
func (m *missingFiles) add(f *file) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.files[f] = true
	select {
	case m.grown <- struct{}{}:
	default:
	}
}

func (m *missingFiles) remove(f *file) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.files, f)
}

func (m *missingFiles) take() []*file {
	m.mu.Lock()
	defer m.mu.Unlock()
	files := slices.Collect(maps.Keys(m.files))
	clear(m.files)
	return files
}

func (w *follower) startWatching() {
	watcher, err := w.settings.notify()
	if err != nil {
		w.fallBackToPolling("files", err)
		return
	}
	w.watcher = watcher
}

// fallBackToPolling logs once that not everything can be watched.
func (w *follower) fallBackToPolling(what string, err error) {
	if w.fastPoll {
		return
	}
	w.fastPoll = true
	args := []any{"what", what, "every", w.pollEvery(), "error", err}
	if advice := notify.Advice(err); advice != "" {
		args = append(args, "advice", advice)
	}
	w.log.Warn("the system cannot report changes, so files are polled", args...)
}

// run looks after the names until ctx ends.
func (w *follower) run(ctx context.Context) {
	w.firstScan(ctx)
	poll := time.NewTimer(w.pollEvery())
	w.relocation, w.rescan = stoppedTimer(), stoppedTimer()
	defer poll.Stop()
	defer w.relocation.Stop()
	defer w.rescan.Stop()
	events := newThrottle(w.watcher.Events(), w.schedule.ticks)
	defer events.stop()
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-events.channel():
			events.note(w.onEvent(e))
		case <-events.resumeAfter():
			events.resume()
		case err := <-w.watcher.Errors():
			w.onWatchError(err)
		case <-w.missing.grown:
			w.relocation.Reset(relocateDelay)
		case <-w.relocation.C:
			w.relocate(w.missing.take())
			w.wakeInOrder(w.findKnown(ctx))
		case <-w.rescan.C:
			w.scan(ctx)
		case <-poll.C:
			w.scan(ctx)
			poll.Reset(w.pollEvery())
		}
		w.metrics.followed.Set(float64(w.table.len()))
		w.metrics.open.Set(float64(w.open.len()))
	}
}

func (w *follower) pollEvery() time.Duration {
	every := pollSeldom
	if w.maybeShared || len(w.unreadable) > 0 {
		every = pollShared
	}
	if w.settings.PollInterval > 0 {
		every = time.Duration(w.settings.PollInterval)
	}
	if w.fastPoll {
		every = min(every, pollUnwatched)
	}
	return every
}

func stoppedTimer() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

func (w *follower) onWatchError(err error) {
	if errors.Is(err, fsnotify.ErrEventOverflow) {
		// Some notifications are lost. A scan finds what they were about; more losses do not delay
		// it.
		if !w.overflowed {
			w.overflowed = true
			w.rescan.Reset(rescanDelay)
		}
		return
	}
	w.log.Warn("the system's notifications of changed files fail", "error", err)
}

// onEvent handles one notification, and reports whether it brought news.
func (w *follower) onEvent(e fsnotify.Event) bool {
	movedFrom := w.movedFrom
	w.movedFrom = ""
	f := w.table.at(e.Name)
	switch {
	case e.Has(fsnotify.Create):
		w.onCreate(e.Name, movedFrom)
	case e.Has(fsnotify.Remove), e.Has(fsnotify.Rename):
		w.onRemove(e, f)
	case f != nil:
		f.scan.ignored, f.scan.handedOut = false, true
		return w.schedule.wake(f)
	case w.paths.Match(e.Name):
		w.wakeAll(w.consider(e.Name))
	default:
		return false
	}
	return true
}

// onCreate handles a name that is new, or is another file's now.
func (w *follower) onCreate(path, movedFrom string) {
	info, err := os.Lstat(path)
	if err != nil {
		return // gone again; whatever it was, its next name is reported too
	}
	if info.IsDir() {
		w.rescan.Reset(rescanDelay)
		return
	}
	if link := w.links[path]; link != "" {
		w.wakeAll(w.consider(link))
	}
	if w.paths.Match(path) {
		w.wakeAll(w.consider(path))
		return
	}
	if movedFrom == "" || !info.Mode().IsRegular() {
		return
	}
	// A file was renamed to what is none of the config's names. One that was never seen under its
	// old name was renamed too quickly, and is followed all the same.
	id := inodeOf(info)
	w.table.mu.Lock()
	f := w.table.byID[id]
	if f == nil && w.paths.Match(movedFrom) {
		f = w.add(id, movedFrom, path)
		f.updateStatLocked(statOf(info))
	}
	if f == nil {
		w.table.mu.Unlock()
		return
	}
	w.table.moveLocked(f, path, renamed)
	w.table.mu.Unlock()
	w.missing.remove(f)
	w.schedule.wake(f)
}

// onRemove handles a name that is gone.
func (w *follower) onRemove(e fsnotify.Event, f *file) {
	if e.Has(fsnotify.Rename) {
		w.movedFrom = e.Name
	}
	if w.watcher.Watches(e.Name) {
		w.watcher.Remove(e.Name)
		w.rescan.Reset(rescanDelay)
	}
	if f != nil {
		w.missing.add(f)
	}
}

// linkTarget returns what a symbolic link leads to in the end, or "" if path is none.
func linkTarget(path string) string {
	info, err := os.Lstat(path)
	if err != nil || info.Mode()&os.ModeSymlink == 0 {
		return ""
	}
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return ""
	}
	return target
}
