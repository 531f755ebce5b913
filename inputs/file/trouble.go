package file

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
)

// troubles are the paths that cannot be read at present. Each is logged once
// when it begins and once when it has passed; all show in the input's health.
type troubles struct {
	log    *slog.Logger
	health func(error)

	mu  sync.Mutex
	ill map[string]string
}

func newTroubles(log *slog.Logger, health func(error)) *troubles {
	return &troubles{log: log, health: health, ill: map[string]string{}}
}

// set notes that a path is in trouble.
func (t *troubles) set(path string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, known := t.ill[path]; !known {
		t.log.Warn("cannot read, will try again", "path", path, "error", err)
	}
	t.ill[path] = err.Error()
	t.show()
}

// clear notes that a path is well, or of no interest any more.
func (t *troubles) clear(path string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, known := t.ill[path]; !known {
		return
	}
	delete(t.ill, path)
	t.log.Info("trouble has passed", "path", path)
	t.show()
}

// show tells the first trouble by name, and how many there are besides.
func (t *troubles) show() {
	first := ""
	for path := range t.ill {
		if first == "" || path < first {
			first = path
		}
	}
	switch n := len(t.ill); n {
	case 0:
		t.health(nil)
	case 1:
		t.health(errors.New(t.ill[first]))
	default:
		t.health(fmt.Errorf("%s, and %d more", t.ill[first], n-1))
	}
}
