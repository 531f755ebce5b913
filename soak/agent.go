package main

import (
	"errors"
	"fmt"
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
	cpu          time.Duration
	peak         int64 // bytes
}

// requestTimeout is the agent's, the shortest there is; stalls are longer.
const requestTimeout = time.Second

const config = `version: 1
data_dir: %[1]s/data
http: {listen: "127.0.0.1:0"}
shutdown_timeout: 5s
inputs:
  files: {type: file, paths: [%[1]s/logs/*.log], poll_interval: 1s}
%[2]soutputs:
  loki:
    type: loki
    url: %[3]s
    timeout: %[5]s
    retry: {initial_backoff: 50ms, max_backoff: 1s}
  elastic:
    type: elasticsearch
    urls: [%[4]s]
    index: soak-{yyyy.MM.dd}
    timeout: %[5]s
    retry: {initial_backoff: 50ms, max_backoff: 1s}
pipelines:
  main: {inputs: [%[6]s], outputs: [loki, elastic]}
`

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
	text := fmt.Sprintf(config, s.dir, docker, loki, elastic, timeout, inputs)
	if err := os.WriteFile(a.config, []byte(text), 0o600); err != nil {
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
