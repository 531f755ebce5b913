package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
	"unsafe"
)

// agentCore is the core the agent is pinned to; everything else runs on the
// others where there are any.
const agentCore = 0

// ship runs the agent until the receiver has every line.
func ship(ctx context.Context, agent, dir, input string, lines int, w work) (result, error) {
	recv, err := newReceiver(int64(lines))
	if err != nil {
		return result{}, err
	}
	defer recv.close()
	data, err := os.MkdirTemp(dir, "data-")
	if err != nil {
		return result{}, err
	}
	cfg := filepath.Join(data, "longshore.yml")
	if err := os.WriteFile(cfg, []byte(configOf(data, input, fmt.Sprintf(w.output, recv.address))), 0o600); err != nil {
		return result{}, err
	}
	cmd := exec.CommandContext(ctx, agent, "run", "-c", cfg)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	began := time.Now()
	if err := startPinned(cmd); err != nil {
		return result{}, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-recv.all:
	case err := <-ended:
		return result{}, fmt.Errorf("the agent ended after %d of %d lines: %v", recv.lines.Load(), lines, err)
	case <-ctx.Done():
		<-ended
		return result{}, ctx.Err()
	}
	wall := time.Since(began)
	cmd.Process.Signal(syscall.SIGTERM)
	if err := <-ended; err != nil {
		return result{}, fmt.Errorf("stopping the agent: %w", err)
	}
	if n := recv.lines.Load(); n != int64(lines) {
		return result{}, fmt.Errorf("%d lines came, want %d", n, lines)
	}
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return result{
		wall: wall, cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), peak: usage.Maxrss * 1024,
		requests: recv.requests.Load(), sent: recv.bytes.Load(),
	}, nil
}

func configOf(data, input, output string) string {
	return fmt.Sprintf(`version: 1
data_dir: %s
http: {listen: "127.0.0.1:0"}
inputs: {bench: {type: file, paths: [%s]}}
parsers: {default: {type: auto}}
outputs: {out: %s}
pipelines: {main: {inputs: [bench], parsers: [default], outputs: [out]}}
`, data, input, output)
}

// startPinned starts a command on the agent's core: a child inherits the mask
// of the thread that starts it.
func startPinned(cmd *exec.Cmd) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, err := affinity()
	if err != nil {
		return err
	}
	if err := setAffinity(cpuMask{1 << agentCore}); err != nil {
		return err
	}
	defer setAffinity(before)
	return cmd.Start()
}

type cpuMask [16]uint64

func affinity() (mask cpuMask, err error) {
	_, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_GETAFFINITY, 0, unsafe.Sizeof(mask), uintptr(unsafe.Pointer(&mask)))
	if errno != 0 {
		return mask, fmt.Errorf("reading the CPU affinity: %w", errno)
	}
	return mask, nil
}

func setAffinity(mask cpuMask) error {
	_, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, 0, unsafe.Sizeof(mask), uintptr(unsafe.Pointer(&mask)))
	if errno != 0 {
		return fmt.Errorf("setting the CPU affinity: %w", errno)
	}
	return nil
}
