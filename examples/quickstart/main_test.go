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

func TestArrivals(t *testing.T) {
	path := filepath.Join(t.TempDir(), "arrived.jsonl")
	if all, different, err := arrivals(path, "/logs"); all != 0 || different != 0 || err != nil {
		t.Errorf("without a file: %d, %d, %v", all, different, err)
	}
	const text = `{"file":"/logs/a.log","n":1}
{"container":"x"}
{"file":"/logs/a.log","n":2}
{"file":"/logs/a.log","n":2}
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if all, different, err := arrivals(path, "/logs"); all != 3 || different != 2 || err != nil {
		t.Errorf("%d, %d, %v; want 3, of which 2 are different", all, different, err)
	}
}

func TestTheAgentIsStartedAgainOnce(t *testing.T) {
	dir, restart, signals := t.TempDir(), make(chan time.Time), make(chan os.Signal)
	const agent = `trap 'exit 0' TERM; trap 'exit 3' INT; echo >> "$QUICKSTART_DIR/starts"
while :; do sleep 0.01; done`
	await := func(starts int) {
		for {
			if text, _ := os.ReadFile(filepath.Join(dir, "starts")); len(text) == starts {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}
	go func() {
		await(1)
		restart <- time.Now()
		await(2)
		signals <- os.Interrupt
	}()
	f := follower{signals: signals, quiet: 100 * time.Millisecond, endWriting: func() {}, restart: restart}
	if code, err := f.follow([]string{"sh", "-c", agent}, dir); code != 3 || err != nil {
		t.Errorf("the agent ended with %d, %v; want 3, of its second run", code, err)
	}
}
