package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// agentOf is a stand-in for the agent: it makes a file once it listens to signals, and ends by the
// first one with a code that says whether the writing had ended by then.
const agentOf = `trap 'test -e "$QUICKSTART_DIR/quiet" && exit 3; exit 4' INT
touch "$QUICKSTART_DIR/listens"
while :; do sleep 0.01; done`

func TestTheWriterEndsBeforeTheAgent(t *testing.T) {
	for name, c := range map[string]struct {
		signals int
		quiet   time.Duration
	}{
		"one signal":             {1, time.Millisecond},
		"two, of one in a hurry": {2, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			dir, signals := t.TempDir(), make(chan os.Signal)
			go func() {
				for !exists(filepath.Join(dir, "listens")) {
					time.Sleep(time.Millisecond)
				}
				for range c.signals {
					signals <- os.Interrupt
				}
			}()
			f := follower{signals: signals, quiet: c.quiet, endWriting: func() {
				if err := os.WriteFile(filepath.Join(dir, "quiet"), nil, 0o600); err != nil {
					t.Error(err)
				}
			}}
			if code, err := f.follow([]string{"sh", "-c", agentOf}, dir); code != 3 || err != nil {
				t.Errorf("the agent ended with %d, %v; want 3: it was told to end after the writer", code, err)
			}
		})
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
