package file

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/longshore/longshore/pipeline/pipetest"
)

// TestWhatAppearsDuringAWalk makes a file at the moment when its folder, or that in which the
// folder is missing, is watched: from then on the system reports new files, so the walk must find
// this one.
func TestWhatAppearsDuringAWalk(t *testing.T) {
	for _, tt := range []struct{ glob, at, file string }{
		{"*.log", ".", "app.log"},
		{"app.log", ".", "app.log"},
		{"sub/*.log", ".", "sub/app.log"},
		{"sub/deep/app.log", ".", "sub/deep/app.log"},
		{"sub/deep/app.log", "sub", "sub/deep/app.log"},
		{"*/app.log", ".", "sub/app.log"},
		{"*/app.log", "sub", "sub/app.log"},
		{"**/*.log", ".", "sub/app.log"},
		{"**/*.log", "sub", "sub/app.log"},
	} {
		dir := t.TempDir()
		at := filepath.Join(dir, tt.at)
		os.MkdirAll(at, 0o755)
		w := watcher(t, filepath.Join(dir, tt.glob))
		walk := w.walk()
		watch := walk.Dir
		walk.Dir = func(path string) {
			watch(path)
			if path != at {
				return
			}
			file := filepath.Join(dir, tt.file)
			os.MkdirAll(filepath.Dir(file), 0o755)
			os.WriteFile(file, nil, 0o644)
		}
		walk.File = func(path string) {
			if !w.watcher.Watches(filepath.Dir(path)) {
				t.Errorf("%s: %s is found in a folder that is not watched", tt.glob, path)
			}
			w.names = append(w.names, path)
		}
		walk.Visit(w.paths.Include[0])
		if !slices.ContainsFunc(w.names, func(path string) bool { return strings.HasSuffix(path, tt.file) }) {
			t.Errorf("%s: %s is not found when it appears as %s is watched", tt.glob, tt.file, tt.at)
		}
	}
}

// watcher returns a follower that watches and does not run.
func watcher(t *testing.T, path string) *follower {
	made, err := testConfig(t, path).Input(pipetest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	core, err := made.(*input).core(pipetest.NewFeed(t))
	if err != nil {
		t.Fatal(err)
	}
	w := newFollower(core)
	w.startWatching()
	t.Cleanup(w.watcher.Close)
	w.dirs = map[string]bool{}
	return w
}
