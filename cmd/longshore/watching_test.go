package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/longshore/longshore/pipeline/config"
)

// TestWatching: a reload changes what is watched, and only then is anything begun anew.
func TestWatching(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "loadavg"), []byte("1 2 3 4/5 6\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	host := config.Watch{Host: true, Proc: dir, Sys: dir, Root: dir}
	w := &watching{log: slog.New(slog.DiscardHandler)}
	defer w.close()
	for i, step := range []struct {
		of      config.Watch
		anew    bool
		watches bool
	}{
		{config.Watch{}, false, false}, {host, true, true}, {host, false, true}, {config.Watch{}, true, false},
		{host, true, true},
	} {
		before := w.now
		w.use(step.of)
		if anew := w.now != before; anew != step.anew {
			t.Errorf("step %d: begun anew: %t", i, anew)
		}
		families, err := w.Gather()
		if err != nil || len(families) > 0 != step.watches {
			t.Errorf("step %d: %d metrics: %v", i, len(families), err)
		}
	}
}
