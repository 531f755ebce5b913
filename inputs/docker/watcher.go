package docker

import (
	"sync"

	"github.com/fsnotify/fsnotify"
)

// A watcher signals changes of silent files. Busy files are not watched: each line would be an
// event. A nil watcher watches nothing.
type watcher struct {
	mu     sync.Mutex
	notify *fsnotify.Watcher
	files  map[string]chan struct{} // by path; each holds one signal
	done   sync.WaitGroup
}

// startWatcher returns nil if the system has no room for another one.
func startWatcher() *watcher {
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		return nil
	}
	w := &watcher{notify: notify, files: map[string]chan struct{}{}}
	w.done.Go(w.run)
	return w
}

func (w *watcher) run() {
	for {
		select {
		case e, ok := <-w.notify.Events:
			if !ok {
				return
			}
			w.mu.Lock()
			signal(w.files[e.Name])
			w.mu.Unlock()
		case _, ok := <-w.notify.Errors:
			if !ok {
				return
			}
			w.signalAll() // events were lost
		}
	}
}

func (w *watcher) signalAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, changed := range w.files {
		signal(changed)
	}
}

// signal sends to a channel that holds one signal, unless it does already.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// add watches a file. It returns nil if that is not possible.
func (w *watcher) add(path string) (changed <-chan struct{}) {
	if w == nil {
		return nil
	}
	c := make(chan struct{}, 1)
	w.mu.Lock()
	w.files[path] = c
	w.mu.Unlock()
	if w.notify.Add(path) != nil {
		w.remove(path)
		return nil
	}
	return c
}

func (w *watcher) remove(path string) {
	w.mu.Lock()
	delete(w.files, path)
	w.mu.Unlock()
	w.notify.Remove(path)
}

func (w *watcher) close() {
	if w == nil {
		return
	}
	w.notify.Close()
	w.done.Wait()
}
