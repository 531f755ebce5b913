package file

import (
	"context"
	"errors"
	"maps"
	"math"
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
	watcher   notifier
	stopwatch stopwatch // runs during a scan

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
	review      *time.Timer // while there is something to be reviewed
	overflowed  bool        // a scan is due to find what lost notifications were about
	deleted     deletedFiles
	reviewing   bool      // the timer runs
	crowded     bool      // that is told
	crowdedFrom time.Time // since when not all files can be open that have something to read; or zero
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

// A notifier tells of changes in folders: *notify.Watcher, which may be nil.
type notifier interface {
	Events() <-chan fsnotify.Event
	Errors() <-chan error
	Watch(dir string) error
	Watches(path string) bool
	Remove(dir string)
	Close()
}

func (w *follower) startWatching() {
	w.watcher = (*notify.Watcher)(nil)
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
	w.review = stoppedTimer()
	defer w.review.Stop()
	defer poll.Stop()
	defer w.relocation.Stop()
	defer w.rescan.Stop()
	events := newThrottle(w.watcher.Events(), w.schedule.ticks)
	defer events.stop()
	w.report()
	for {
		w.stopwatch.End()
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
		case <-w.review.C:
			w.reviewing = false
			w.reviewDeleted(ctx)
		case <-w.rescan.C:
			w.scan(ctx)
		case <-poll.C:
			w.scan(ctx)
			poll.Reset(w.pollEvery())
		}
		w.report()
	}
}

// report tells how many files there are and how they are.
func (w *follower) report() {
	open, waiting := w.open.len()
	w.metrics.followed.Set(float64(w.table.len()))
	w.metrics.open.Set(float64(open))
	w.metrics.waiting.Set(float64(waiting))
	w.noteCrowded(open, waiting)
	w.known.losses.expire()
	if waiting > 0 || w.deleted.any() {
		w.reviewSoon()
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
		return w.onWrite(f, e.Name)
	case w.paths.Match(e.Name):
		w.wakeAll(w.consider(e.Name))
	default:
		return false
	}
	return true
}

// onWrite handles that a file was written to, and reports whether a reader will look at it at once.
// If none is free, its size is noted: should it be truncated or deleted now, it is known what it
// had.
func (w *follower) onWrite(f *file, path string) bool {
	held := w.open.hold(f)
	if w.schedule.wake(f) && held {
		return true
	}
	if w.table.noteSize(f, path) {
		w.schedule.expedite(f)
	}
	return false
}

// wake has a file read. It is opened at once, whether a reader is free or not.
func (w *follower) wake(f *file) {
	w.open.hold(f)
	w.schedule.wake(f)
	if src := w.table.where(f).src; src != nil && w.schedule.isUrgent(f) {
		w.feed.Behind(src, math.MaxUint64) // its reader may wait for an output that lags
	}
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
	if info.Mode()&os.ModeSymlink != 0 {
		w.rescan.Reset(rescanDelay) // it may lead to a folder of files, or to others than before
		return
	}
	if movedFrom == "" || !info.Mode().IsRegular() {
		w.table.mu.Lock()
		originals := w.expediteOriginalsLocked(path)
		w.table.mu.Unlock()
		w.wakeAll(originals)
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
	if before := w.table.byPath[path]; before != nil && before != f {
		w.missing.add(before) // it was replaced
	}
	w.table.moveLocked(f, path, renamed)
	w.table.mu.Unlock()
	w.missing.remove(f)
	w.open.rerank(f)
	w.wake(f)
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
