// Command quickstart shows Longshore at work with nothing set up: it appends the logs of a made-up
// web shop to files, a few lines a second, and runs the agent that its arguments name beside it:
//
//	quickstart bin/longshore run -c examples/quickstart/longshore.yml
//
// First it shows what becomes of a line. After a while it stops the agent and starts it again, and
// at the end it counts: everything written has arrived, once.
//
// Logs and the agent's data stand in a folder of their own, which the agent finds
// in QUICKSTART_DIR and which is removed at the end. Ctrl-C ends both. Without
// arguments it only writes logs, into the folder that -dir names.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

func main() {
	dir := flag.String("dir", "", "`folder` to work in, and to keep; empty for one that is removed at the end")
	rate := flag.Float64("rate", 5, "`entries` a second")
	flag.Parse()
	if *rate <= 0 || *rate > 1000 {
		fmt.Fprintln(os.Stderr, "quickstart: -rate must be above 0 and at most 1000")
		os.Exit(2)
	}
	code, err := quickstart(*dir, *rate, flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
	}
	os.Exit(code)
}

// quickstart gives the exit code: the agent's own, if there is one.
func quickstart(dir string, rate float64, agent []string) (int, error) {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)

	dir, remove, err := workFolder(dir)
	if err != nil {
		return 1, err
	}
	defer remove()

	stories, err := readStories(samples)
	if err != nil {
		return 1, err
	}
	g := generator{dir: filepath.Join(dir, "logs"), stories: stories, pause: time.Duration(float64(time.Second) / rate)}
	if err := g.makeFiles(); err != nil {
		return 1, err
	}
	fmt.Fprintf(os.Stderr, "The logs of a made-up web shop, in %s. Ctrl-C ends it.\n", g.dir)
	ctx, stop := context.WithCancel(context.Background())
	written := make(chan error, 1)
	go func() { written <- g.run(ctx) }()

	showLine(agent, dir)
	f := follower{signals: signals, endWriting: stop, quiet: quiet, restart: time.After(restartAfter)}
	code, err := f.follow(agent, dir)
	stop()
	if writeErr := <-written; err == nil && writeErr != nil {
		return 1, writeErr
	}
	if err == nil && code == 0 && len(agent) > 0 {
		err = count(os.Stderr, dir, g.told.Load())
	}
	return code, err
}

// workFolder makes the folder and the logs folder in it. remove takes away what it
// made, if nobody named a folder to keep.
func workFolder(dir string) (path string, remove func(), err error) {
	remove = func() {}
	if dir == "" {
		if dir, err = os.MkdirTemp("", "longshore-quickstart-"); err != nil {
			return "", nil, err
		}
		remove = func() { os.RemoveAll(dir) }
	}
	if err := os.MkdirAll(filepath.Join(dir, "logs"), 0o755); err != nil {
		remove()
		return "", nil, err
	}
	return dir, remove, nil
}

// A follower runs the agent beside the writer of its logs.
type follower struct {
	signals    <-chan os.Signal
	endWriting func()
	quiet      time.Duration // between the writer's end and the agent's
	// restart is when to stop the agent and start it again, once.
	restart <-chan time.Time
}

// quiet is longer than the agent waits for further lines of a record (300 ms). What it waits for
// when it is told to end it leaves to its next run, and here there is none.
const quiet = time.Second

// follow runs the agent to its end, or waits for a signal if there is none. A first signal ends the
// writing, and then the agent; the next ones the agent at once.
func (f *follower) follow(agent []string, dir string) (int, error) {
	if len(agent) == 0 {
		<-f.signals
		return 0, nil
	}
	runtime.LockOSThread() // apart ties the agent's life to this thread's
	cmd, ended, err := startAgent(agent, dir)
	if err != nil {
		return 1, err
	}
	var first os.Signal
	var isQuiet <-chan time.Time
	again := false
	for {
		select {
		case <-f.restart:
			if first == nil {
				again = true
				say("The agent is stopped, and started again: it reads on where it stood.")
				cmd.Process.Signal(syscall.SIGTERM)
			}
		case s := <-f.signals:
			if first == nil {
				first = s
				f.endWriting()
				isQuiet = time.After(f.quiet)
				continue
			}
			isQuiet = nil
			cmd.Process.Signal(s)
		case <-isQuiet:
			cmd.Process.Signal(first)
		case err := <-ended:
			if again && err == nil && first == nil {
				again = false
				if cmd, ended, err = startAgent(agent, dir); err != nil {
					return 1, err
				}
				continue
			}
			var exit *exec.ExitError
			if errors.As(err, &exit) {
				return max(exit.ExitCode(), 1), nil
			}
			return 0, err
		}
	}
}

// startAgent starts the agent; ended has how it ended.
func startAgent(agent []string, dir string) (cmd *exec.Cmd, ended <-chan error, err error) {
	cmd = exec.Command(agent[0], agent[1:]...)
	cmd.Env = append(os.Environ(), "QUICKSTART_DIR="+dir)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = apart()
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	return cmd, done, nil
}

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, "\n"+format+"\n\n", args...) }
