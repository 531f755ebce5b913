package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// An agent is the program under test. It is used by one goroutine at a time.
type agent struct {
	journal *journal
	binary  string
	config  string
	log     *os.File

	cmd   *exec.Cmd
	ended chan error
	pid   atomic.Int64 // 0 while it does not run; for any goroutine

	kills, terms int
	ran          int // how often the log said that it runs, before it was last started
	asked        int // reloads
	before       int // reloads that were done when the last was asked for
	settings     settings
	cpu          time.Duration
	peak         int64 // bytes
}

// requestTimeout is the agent's, the shortest there is; stalls are longer.
const requestTimeout = time.Second

// settings are the parts of the config.
type settings struct {
	dir, docker, loki, elastic, inputs string
	timeout                            time.Duration

	// What a reload changes, and what makes no difference to what arrives.
	poll                 time.Duration
	lokiLanes, bulkLanes int
	queueKiB, spoolMiB   int
}

// text returns the config.
func (s *settings) text() string {
	return fmt.Sprintf(`version: 1
data_dir: %[1]s/data
http: {listen: "127.0.0.1:0"}
shutdown_timeout: 5s
inputs:
  files: {type: file, paths: [%[1]s/logs/*.log], poll_interval: %[7]s}
%[2]soutputs:
  loki:
    type: loki
    url: %[3]s
    timeout: %[5]s
    concurrency: %[8]d
    retry: {initial_backoff: 50ms, max_backoff: 1s}
  elastic:
    type: elasticsearch
    urls: [%[4]s]
    index: soak-{yyyy.MM.dd}
    timeout: %[5]s
    concurrency: %[9]d
    queue_size: %[10]dKiB
    spool_size: %[11]dMiB
    retry: {initial_backoff: 50ms, max_backoff: 1s}
pipelines:
  main: {inputs: [%[6]s], outputs: [loki, elastic]}
`, s.dir, s.docker, s.loki, s.elastic, s.timeout, s.inputs, s.poll, s.lokiLanes, s.bulkLanes, s.queueKiB, s.spoolMiB)
}

// change changes something at random.
func (s *settings) change(random *rand.Rand) {
	switch random.IntN(5) {
	case 0:
		s.poll = time.Duration(500+random.IntN(1000)) * time.Millisecond
	case 1:
		s.lokiLanes = 1 + random.IntN(8)
	case 2:
		s.bulkLanes = 1 + random.IntN(8)
	case 3:
		s.queueKiB = 1024 + random.IntN(8<<10)
	default:
		s.spoolMiB = 512 + random.IntN(512)
	}
}

func newAgent(s *soak) (*agent, error) {
	binary, err := filepath.Abs(s.options.agent)
	if err != nil {
		return nil, err
	}
	loki, elastic := s.places.urls()
	docker, inputs := "", "files"
	if text := s.containers.config(); text != "" {
		docker, inputs = text, "files, containers"
	}
	timeout := requestTimeout
	if s.loki != "" {
		timeout = 10 * time.Second // a real server that is busy is slow
	}
	a := &agent{journal: s.journal, binary: binary, config: filepath.Join(s.dir, "longshore.yml")}
	a.settings = settings{
		dir: s.dir, docker: docker, loki: loki, elastic: elastic, inputs: inputs, timeout: timeout,
		poll: time.Second, lokiLanes: 4, bulkLanes: 4, queueKiB: 8 << 10, spoolMiB: 512,
	}
	if err := os.WriteFile(a.config, []byte(a.settings.text()), 0o600); err != nil {
		return nil, err
	}
	a.log, err = os.Create(filepath.Join(s.dir, "agent.log"))
	return a, err
}

func (a *agent) start() error {
	a.cmd = exec.Command(a.binary, "run", "-c", a.config)
	a.cmd.Stdout, a.cmd.Stderr = a.log, a.log
	if err := a.cmd.Start(); err != nil {
		a.cmd = nil
		return fmt.Errorf("starting the agent: %w", err)
	}
	a.ran = a.said(runningMark)
	a.journal.note("the agent starts, process %d", a.cmd.Process.Pid)
	a.pid.Store(int64(a.cmd.Process.Pid))
	cmd, ended := a.cmd, make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	a.ended = ended
	return nil
}

// alive is an error if the agent has ended by itself.
func (a *agent) alive() error {
	select {
	case err := <-a.ended:
		a.settle()
		return fmt.Errorf("the agent ended by itself: %v; see its log %s", err, a.log.Name())
	default:
		return nil
	}
}

func (a *agent) kill() error {
	if err := a.alive(); err != nil {
		return err
	}
	a.kills++
	a.journal.note("SIGKILL")
	a.cmd.Process.Kill()
	<-a.ended
	a.settle()
	return nil
}

// What the agent logs when it is ready to reload, and has reloaded.
const (
	runningMark  = `"msg":"longshore is running"`
	reloadedMark = `"msg":"the config is reloaded"`
)

// said returns how often the agent has logged something.
func (a *agent) said(mark string) int {
	text, _ := os.ReadFile(a.log.Name())
	return bytes.Count(text, []byte(mark))
}

// reload changes the config and asks the agent to reload it.
func (a *agent) reload(ctx context.Context, random *rand.Rand) error {
	if err := a.waitFor(ctx, runningMark, a.ran+1); err != nil {
		return err
	}
	a.settings.change(random)
	if err := os.WriteFile(a.config, []byte(a.settings.text()), 0o600); err != nil {
		return err
	}
	a.before = a.said(reloadedMark)
	a.asked++
	a.journal.note("SIGHUP")
	return a.cmd.Process.Signal(syscall.SIGHUP)
}

// reloaded waits until the agent has reloaded.
func (a *agent) reloaded(ctx context.Context) error {
	err := a.waitFor(ctx, reloadedMark, a.before+1)
	a.journal.note("the agent has reloaded")
	return err
}

// waitFor waits until the agent has logged something a number of times.
func (a *agent) waitFor(ctx context.Context, mark string, times int) error {
	for began := time.Now(); a.said(mark) < times; pause(ctx, 20*time.Millisecond) {
		if err := a.alive(); err != nil {
			return err
		}
		if time.Since(began) > endsWithin {
			return fmt.Errorf("for %s the agent has not logged %s; see its log %s", endsWithin, mark, a.log.Name())
		}
		if ctx.Err() != nil {
			return nil
		}
	}
	return nil
}

// endsWithin is more than the agent's shutdown_timeout.
const endsWithin = 20 * time.Second

// terminate asks the agent to end, as a service manager does.
func (a *agent) terminate() error {
	if err := a.alive(); err != nil {
		return err
	}
	a.terms++
	a.journal.note("SIGTERM")
	a.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-a.ended:
		a.settle()
		a.journal.note("the agent has ended")
		if err != nil {
			return fmt.Errorf("after SIGTERM the agent ended with: %w; see its log %s", err, a.log.Name())
		}
		return nil
	case <-time.After(endsWithin):
		return errors.Join(fmt.Errorf("%s after SIGTERM the agent still runs; see its log %s", endsWithin,
			a.log.Name()), a.kill())
	}
}

// settle takes note of what a process that has ended has used.
func (a *agent) settle() {
	a.pid.Store(0)
	state := a.cmd.ProcessState
	a.cpu += state.UserTime() + state.SystemTime()
	a.peak = max(a.peak, peakOf(state))
	a.cmd = nil
}

// deletedMark is what the kernel adds to the path of an open file that is deleted.
const deletedMark = " (deleted)"

// hasOpen reports whether the agent runs and has a file open, where the system tells.
func (a *agent) hasOpen(path string) bool {
	return a.anyOpen(func(open string) bool { return open == path })
}

// holdsDeleted reports whether the agent has a log open that is deleted: it has yet to read it, or
// to put it on disk for an output that is away.
func (a *agent) holdsDeleted(folder string) bool {
	return a.anyOpen(func(open string) bool {
		return strings.HasPrefix(open, folder) && strings.HasSuffix(open, deletedMark)
	})
}

func (a *agent) anyOpen(is func(path string) bool) bool {
	folder := fmt.Sprintf("/proc/%d/fd", a.pid.Load())
	entries, _ := os.ReadDir(folder)
	return slices.ContainsFunc(entries, func(e os.DirEntry) bool {
		path, err := os.Readlink(filepath.Join(folder, e.Name()))
		return err == nil && is(path)
	})
}

func (a *agent) close() {
	if a.cmd != nil {
		a.cmd.Process.Kill()
		<-a.ended
		a.cmd = nil
	}
	a.log.Close()
}
