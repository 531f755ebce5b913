package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"
	"unsafe"
)

// agentCores are the cores the agent is pinned to, as many as it has workers;
// everything else stays off the first of them.
func agentCores(workers int) cpuMask { return cpuMask{1<<max(1, workers) - 1} }

// An agent is a process that ships logs.
type agent struct {
	cmd   *exec.Cmd
	ended chan error
	out   bytes.Buffer // what it said
	began time.Time
}

// agentCommand is longshore with a config, and with a data folder of its own.
func (b bench) agentCommand(config string, workers int) (*exec.Cmd, error) {
	data, err := os.MkdirTemp(b.dir, "data-")
	if err != nil {
		return nil, err
	}
	file := filepath.Join(data, "longshore.yml")
	text := fmt.Sprintf("version: 1\ndata_dir: %s\nshutdown_timeout: 1s\nhttp: {listen: %q}\n%s", data,
		cmp.Or(b.admin, "127.0.0.1:0"), config)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command(b.agent, "run", "-c", file)
	cmd.Env = append(os.Environ(), "GOMAXPROCS="+strconv.Itoa(max(1, workers)))
	return cmd, nil
}

// startAgent starts longshore with a config.
func (b bench) startAgent(ctx context.Context, config string, workers int) (*agent, error) {
	cmd, err := b.agentCommand(config, workers)
	if err != nil {
		return nil, err
	}
	return start(ctx, cmd, workers)
}

// start starts a command, pinned. It ends with the context.
func start(ctx context.Context, cmd *exec.Cmd, workers int) (*agent, error) {
	a := &agent{cmd: cmd, ended: make(chan error, 1)}
	cmd.Stdout, cmd.Stderr = &a.out, &a.out
	a.began = time.Now()
	if err := startPinned(cmd, workers); err != nil {
		return nil, err
	}
	stopped := context.AfterFunc(ctx, a.end)
	go func() {
		err := cmd.Wait()
		stopped()
		a.ended <- err
	}()
	return a, nil
}

// end asks the process to end, and insists after a while.
func (a *agent) end() {
	const patience = 10 * time.Second
	a.cmd.Process.Signal(syscall.SIGTERM)
	time.AfterFunc(patience, func() { a.cmd.Process.Kill() })
}

// cpu gives the CPU time that the process has taken so far.
func (a *agent) cpu() (time.Duration, error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", a.cmd.Process.Pid))
	if err != nil || len(tasks) == 0 {
		return 0, fmt.Errorf("the agent has ended: %s", a.out.Bytes())
	}
	var sum time.Duration
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if err != nil {
			continue // the thread has ended
		}
		field, _, _ := bytes.Cut(text, []byte(" "))
		ns, err := strconv.ParseInt(string(field), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("reading %s: %w", task, err)
		}
		sum += time.Duration(ns)
	}
	return sum, nil
}

// stop ends the process and gives what it took.
func (a *agent) stop() (usage, error) {
	peak, err := a.peak()
	if err != nil {
		return usage{}, err
	}
	a.end()
	if err := <-a.ended; err != nil {
		return usage{}, fmt.Errorf("stopping the agent: %w\n%s", err, a.out.Bytes())
	}
	state := a.cmd.ProcessState
	return usage{cpu: state.UserTime() + state.SystemTime(), peak: peak}, nil
}

// peak gives the most memory that the process had at a time, in bytes. What the system tells at its
// end (ru_maxrss) is never less than what this program had when it started the other.
func (a *agent) peak() (int64, error) {
	kib, err := numberIn(fmt.Sprintf("/proc/%d/status", a.cmd.Process.Pid), "VmHWM:")
	return kib * 1024, err
}

// usage is what a process took.
type usage struct {
	cpu  time.Duration
	peak int64 // bytes
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

// startPinned starts a command on the agent's cores: a child inherits the mask
// of the thread that starts it.
func startPinned(cmd *exec.Cmd, workers int) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, err := affinity(0)
	if err != nil {
		return err
	}
	if err := setAffinity(0, agentCores(workers)); err != nil {
		return err
	}
	defer setAffinity(0, before)
	return cmd.Start()
}

// stayOff moves the threads of this process from the agent's core to the others, if
// there are any: the receiver shall not share its caches.
func stayOff(core int) error {
	others, err := affinity(0)
	if err != nil {
		return err
	}
	others[core/64] &^= 1 << (core % 64)
	if others == (cpuMask{}) {
		return nil
	}
	tasks, err := filepath.Glob("/proc/self/task/*")
	if err != nil {
		return err
	}
	for _, task := range tasks {
		thread, err := strconv.Atoi(filepath.Base(task))
		if err != nil {
			return err
		}
		if err := setAffinity(thread, others); err != nil {
			return err
		}
	}
	return nil
}

// cpuMask has a bit for each core.
type cpuMask [16]uint64

// affinity gives the cores that a thread may run on; 0 is the one that asks.
func affinity(thread int) (mask cpuMask, err error) {
	_, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_GETAFFINITY, uintptr(thread), unsafe.Sizeof(mask),
		uintptr(unsafe.Pointer(&mask)))
	if errno != 0 {
		return mask, fmt.Errorf("reading the CPU affinity: %w", errno)
	}
	return mask, nil
}

func setAffinity(thread int, mask cpuMask) error {
	_, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, uintptr(thread), unsafe.Sizeof(mask),
		uintptr(unsafe.Pointer(&mask)))
	if errno != 0 {
		return fmt.Errorf("setting the CPU affinity: %w", errno)
	}
	return nil
}
