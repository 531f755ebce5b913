package docker

import (
	"sync"

	"github.com/fsnotify/fsnotify"
)

// A watch signals the first change of a file and is then over. Busy files are not watched: each
// line would be an event.
type watch struct {
	path    string
	changed chan struct{} // holds one
}

// A watcher has the watches of an input. A nil one watches nothing.
type watcher struct {
	mu     sync.Mutex
	notify *fsnotify.Watcher
	files  map[string]*watch
	done   sync.WaitGroup
}

// startWatcher returns nil if the system has no room for another one.
func startWatcher() *watcher {
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		return nil
	}
	w := &watcher{notify: notify, files: map[string]*watch{}}
	w.done.Go(w.run)
	return w
}

func (w *watcher) run() {
	events, errs := w.notify.Events, w.notify.Errors
	for events != nil {
		select {
		case e, ok := <-events:
			if !ok {
				return
			}
			w.signal(e.Name)
		case _, ok := <-errs:
			if !ok {
				return
			}
			w.signalAll() // events were lost
		}
	}
}

func (w *watcher) signal(path string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if one := w.files[path]; one != nil {
		one.signal()
	}
}

func (w *watcher) signalAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, one := range w.files {
		one.signal()
	}
}

func (w *watch) signal() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// add watches a file. It returns nil if that is not possible.
func (w *watcher) add(path string) *watch {
	if w == nil {
		return nil
	}
	added := &watch{path, make(chan struct{}, 1)}
	w.mu.Lock()
	w.files[path] = added
	w.mu.Unlock()
	if w.notify.Add(path) != nil {
		w.remove(added)
		return nil
	}
	return added
}

func (w *watcher) remove(removed *watch) {
	w.mu.Lock()
	delete(w.files, removed.path)
	w.mu.Unlock()
	w.notify.Remove(removed.path)
}

func (w *watcher) close() {
	if w == nil {
		return
	}
	w.notify.Close()
	w.done.Wait()
}
