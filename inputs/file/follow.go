package file

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/longshore/longshore/inputs/file/glob"
	"github.com/longshore/longshore/inputs/file/notify"
	"github.com/longshore/longshore/pipeline"
)

const (
	// After a change of names, the names are looked at once more when
	// renameLull has passed without another: a rotation is several of them.
	renameLull = 5 * time.Millisecond
	rescanLull = 100 * time.Millisecond
	// How often files are looked at, if no setting says it: where the system tells
	// of all changes, of none, and where it may not tell of some, or names
	// could not be looked at before.
	pollSeldom = time.Minute
	pollBlind  = time.Second
	pollUnsure = 10 * time.Second
)

// A follower looks after the names: it finds files, notices when they move, and
// wakes those that have changed. All of it runs in one goroutine, but for
// astray.
type follower struct {
	settings *settings
	paths    glob.Set
	feed     pipeline.Feed
	log      *slog.Logger
	watcher  *notify.Watcher
	schedule *schedule
	table    *table
	open     *openFiles
	unpacks  *unpackSlots
	pasts    *pasts
	copies   *copyFinder
	troubles *troubles
	metrics  *metrics

	round      int32             // of scans
	dirs       map[string]bool   // that the last scan went through
	names      []string          // that it found
	links      map[string]string // what they lead to, where that is a file elsewhere
	ill        map[string]bool   // folders and names that cannot be looked at
	fastPoll   bool              // not all folders can be watched
	unsure     bool              // others may write to a folder that is watched
	movedFrom  string            // the path that the last event said was renamed
	lull       *time.Timer       // for missing
	rescan     *time.Timer
	overflowed bool // a scan is to find what notices were lost

	missingMu sync.Mutex
	missing   map[*file]bool // not where they were
	moved     chan struct{}  // missing has grown
}

// astray has a file looked for that is not at its path. Readers call it.
func (w *follower) astray(f *file) {
	w.missingMu.Lock()
	defer w.missingMu.Unlock()
	w.missing[f] = true
	select {
	case w.moved <- struct{}{}:
	default:
	}
}

func (w *follower) found(f *file) {
	w.missingMu.Lock()
	defer w.missingMu.Unlock()
	delete(w.missing, f)
}

func (w *follower) takeMissing() []*file {
	w.missingMu.Lock()
	defer w.missingMu.Unlock()
	var files []*file
	for f := range w.missing {
		files = append(files, f)
	}
	clear(w.missing)
	return files
}

func (w *follower) startNotify() {
	n, err := w.settings.notify()
	if err != nil {
		w.cannotWatch("files", err)
		return
	}
	w.watcher = n
}

// cannotWatch says once that polling has to do.
func (w *follower) cannotWatch(what string, err error) {
	if w.fastPoll {
		return
	}
	w.fastPoll = true
	args := []any{"what", what, "every", w.pollEvery(), "error", err}
	if advice := notify.Advice(err); advice != "" {
		args = append(args, "advice", advice)
	}
	w.log.Warn("the system cannot tell of changes, so files are polled", args...)
}

// run looks after the names until ctx ends.
func (w *follower) run(ctx context.Context) {
	w.firstScan(ctx)
	poll := time.NewTimer(w.pollEvery())
	w.lull, w.rescan = stoppedTimer(), stoppedTimer()
	defer stopAll(poll, w.lull, w.rescan)
	events := newThrottle(w.watcher.Events(), w.schedule.beats)
	defer events.stop()
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-events.channel():
			events.note(w.event(e))
		case <-events.over():
			events.open()
		case err := <-w.watcher.Errors():
			w.notifyError(err)
		case <-w.moved:
			w.lull.Reset(renameLull)
		case <-w.lull.C:
			w.locate(w.takeMissing())
			w.wakeInOrder(w.findPasts(ctx))
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
	if w.unsure || len(w.ill) > 0 {
		every = pollUnsure
	}
	if w.settings.poll > 0 {
		every = w.settings.poll
	}
	if w.fastPoll {
		every = min(every, pollBlind)
	}
	return every
}

func stoppedTimer() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

func stopAll(timers ...*time.Timer) {
	for _, t := range timers {
		t.Stop()
	}
}

// notifyError deals with what the system says of its own notices.
func (w *follower) notifyError(err error) {
	if errors.Is(err, fsnotify.ErrEventOverflow) {
		// It has lost some; a scan finds what they were, and is not put off by more of it.
		if !w.overflowed {
			w.overflowed = true
			w.rescan.Reset(rescanLull)
		}
		return
	}
	w.log.Warn("trouble with the system's notices of changed files", "error", err)
}

// event deals with one notice, and tells whether it brought news.
func (w *follower) event(e fsnotify.Event) bool {
	movedFrom := w.movedFrom
	w.movedFrom = ""
	f := w.table.at(e.Name)
	switch {
	case e.Has(fsnotify.Create):
		w.created(e.Name, movedFrom)
	case e.Has(fsnotify.Remove), e.Has(fsnotify.Rename):
		w.removed(e, f)
	case f != nil:
		f.ignored, f.taken = false, true
		return w.schedule.wake(f)
	case w.wanted(e.Name):
		w.wakeFound(w.consider(e.Name))
	default:
		return false
	}
	return true
}

// created deals with a name that is new, or has another file now.
func (w *follower) created(path, movedFrom string) {
	info, err := os.Lstat(path)
	if err != nil {
		return // gone again; whatever it was, its next name tells
	}
	if info.IsDir() {
		w.rescan.Reset(rescanLull)
		return
	}
	if link := w.links[path]; link != "" {
		w.wakeFound(w.consider(link))
	}
	if w.wanted(path) {
		w.wakeFound(w.consider(path))
		return
	}
	if movedFrom == "" || !info.Mode().IsRegular() {
		return
	}
	// A file was renamed to what is none of our names. If it was never seen
	// under its old one, it was too quick for us, and is ours all the same.
	id := inodeOf(info)
	w.table.mu.Lock()
	f := w.table.byID[id]
	if f == nil && w.wanted(movedFrom) {
		f = w.add(id, movedFrom, path)
		f.lookLocked(sightOf(info))
	}
	if f == nil {
		w.table.mu.Unlock()
		return
	}
	w.table.moveLocked(f, path, renamed)
	w.table.mu.Unlock()
	w.found(f)
	w.schedule.wake(f)
}

// removed deals with a name that is gone.
func (w *follower) removed(e fsnotify.Event, f *file) {
	if e.Has(fsnotify.Rename) {
		w.movedFrom = e.Name
	}
	if w.watcher.Watches(e.Name) {
		w.watcher.Remove(e.Name)
		w.rescan.Reset(rescanLull)
	}
	if f != nil {
		w.astray(f)
	}
}

// wanted reports whether the config asks for a path.
func (w *follower) wanted(path string) bool { return w.paths.Match(path) }

// linkTarget gives what a symbolic link leads to in the end, or "" if path is
// none.
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
