package main

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
)

const (
	// watchQuiet is how long nothing may happen to a config's files before they are read: an editor
	// writes in several steps. watchAtMost is how long that is waited for.
	watchQuiet  = 300 * time.Millisecond
	watchAtMost = 3 * time.Second
	// watchPoll is how often the files are looked at without a notice, which some file systems do
	// not give.
	watchPoll = 10 * time.Second
	// maxWatched bounds what is read of one file.
	maxWatched = 1 << 20
)

// A watch says when a config's files have changed.
type watch struct {
	log     *slog.Logger
	config  func() *config.Config // in force
	notices *fsnotify.Watcher     // nil where the system has none to give
	changed chan struct{}
	seen    [sha256.Size]byte // of what was on disk when last looked at
	folders map[string]bool   // that are watched
}

// newWatch begins to watch the files of a config. They are watched by their folders: editors write
// another file and rename it, and Kubernetes moves a link.
func newWatch(log *slog.Logger, of func() *config.Config) *watch {
	w := &watch{log: log, config: of, changed: make(chan struct{}), folders: map[string]bool{}}
	notices, err := fsnotify.NewWatcher()
	if err != nil {
		log.Warn("the config's files are only looked at from time to time: the system gives no notices", "error", err,
			"every", watchPoll.String())
	} else {
		w.notices = notices
	}
	w.seen, _ = w.look()
	return w
}

// run watches until ctx ends.
func (w *watch) run(ctx context.Context) {
	var events <-chan fsnotify.Event
	var errs <-chan error
	if w.notices != nil {
		defer w.notices.Close()
		events, errs = w.notices.Events, w.notices.Errors
	}
	poll := time.NewTicker(watchPoll)
	defer poll.Stop()
	quiet := time.NewTimer(time.Hour)
	quiet.Stop()
	var since time.Time // of the first event that was not followed by a look
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-events:
			if !w.concerns(e) {
				continue
			}
			if since.IsZero() {
				since = time.Now()
			}
			quiet.Reset(max(0, min(watchQuiet, time.Until(since.Add(watchAtMost)))))
			continue
		case <-errs: // such as events that were too many: look
		case <-quiet.C:
		case <-poll.C:
		}
		since = time.Time{}
		w.compare(ctx)
	}
}

// compare asks for a reload if the files are others than when last looked at. While one of them
// cannot be read, as it is just being replaced, nothing is asked for.
func (w *watch) compare(ctx context.Context) {
	now, err := w.look()
	if err != nil || now == w.seen {
		return
	}
	w.seen = now
	select {
	case w.changed <- struct{}{}:
	case <-ctx.Done():
	}
}

// look returns a digest of what is in the files, and watches their folders.
func (w *watch) look() (sum [sha256.Size]byte, err error) {
	cfg, all := w.config(), sha256.New()
	w.follow(cfg)
	content, err := pipeline.ReadFile(cfg.File, maxWatched)
	if err != nil {
		return sum, err
	}
	all.Write(content)
	for _, path := range cfg.Files() {
		content, _ := pipeline.ReadFile(path, maxWatched) // what cannot be read is for the reload to say
		one := sha256.Sum256(content)
		all.Write([]byte(path))
		all.Write(one[:])
	}
	return [sha256.Size]byte(all.Sum(nil)), nil
}

// watched returns the files of a config, and where those are that they are links to.
func watched(cfg *config.Config) (paths []string) {
	for _, path := range append([]string{cfg.File}, cfg.Files()...) {
		if path, err := filepath.Abs(path); err == nil {
			paths = append(paths, path)
		}
		if to, err := filepath.EvalSymlinks(path); err == nil {
			if to, err := filepath.Abs(to); err == nil {
				paths = append(paths, to)
			}
		}
	}
	return paths
}

// follow watches the folders of a config's files, and no others.
func (w *watch) follow(cfg *config.Config) {
	if w.notices == nil {
		return
	}
	folders := map[string]bool{}
	for _, path := range watched(cfg) {
		folders[filepath.Dir(path)] = true
	}
	for _, folder := range slices.Sorted(maps.Keys(folders)) {
		// One that was removed and made again is another one by now.
		if err := w.notices.Add(folder); err != nil && !w.folders[folder] {
			w.log.Warn("the config's folder is only looked at from time to time", "folder", folder, "error", err)
		}
	}
	for folder := range w.folders {
		if !folders[folder] {
			_ = w.notices.Remove(folder) // it may be gone
		}
	}
	w.folders = folders
}

// concerns reports whether an event may have to do with one of the files. Kubernetes moves the link
// ..data, through which all files of a folder lead.
func (w *watch) concerns(e fsnotify.Event) bool {
	if strings.HasPrefix(filepath.Base(e.Name), "..") {
		return true
	}
	return slices.Contains(watched(w.config()), filepath.Clean(e.Name))
}
