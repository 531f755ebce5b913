package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// steadiness is what the agent takes while lines come at a rate.
type steadiness struct {
	counts                  // of the time that was watched
	floor     time.Duration // per million lines, just before
	peak      int64
	span      time.Duration
	requests  int64
	latencies []time.Duration // ascending
}

func (s steadiness) cores() float64 { return s.cpu.Seconds() / s.span.Seconds() }

// latency gives the time that this share of the lines took at most; 0 if none of them tells.
func (s steadiness) latency(share float64) time.Duration {
	if len(s.latencies) == 0 {
		return 0
	}
	return s.latencies[int(share*float64(len(s.latencies)-1))]
}

// warmUp is left out of what is measured.
const warmUp = 2 * time.Second

// A writer writes lines for a while.
type writer func(ctx context.Context, span time.Duration) (lines int, err error)

// watchAgent watches the agent with an input.
func (b bench) watchAgent(ctx context.Context, input string, write writer) (steadiness, error) {
	return b.watch(ctx, warmUp, func(recv *receiver) (*exec.Cmd, error) {
		return b.agentCommand(configOf(input, lokiOutput, recv), 1)
	}, write)
}

// watch lets a command work at what write writes, and gives what it took for the last
// span of that. Every line must come.
func (b bench) watch(ctx context.Context, warmUp time.Duration, command func(*receiver) (*exec.Cmd, error),
	write writer) (steadiness, error) {
	floor, err := b.floor(ctx)
	if err != nil {
		return steadiness{}, err
	}
	recv, err := newReceiver(1 << 62)
	if err != nil {
		return steadiness{}, err
	}
	defer recv.close()
	recv.timed = true
	cmd, err := command(recv)
	if err != nil {
		return steadiness{}, err
	}
	a, err := start(ctx, cmd, 1)
	if err != nil {
		return steadiness{}, err
	}
	warm, err := write(ctx, warmUp)
	if err != nil {
		return steadiness{}, err
	}
	recv.takeLatencies()
	requests := recv.requests.Load()
	before, err := a.counts()
	if err != nil {
		return steadiness{}, err
	}
	began := time.Now()
	lines, err := write(ctx, b.span)
	if err != nil {
		return steadiness{}, err
	}
	after, err := a.counts()
	if err != nil {
		return steadiness{}, err
	}
	s := steadiness{floor: floor, counts: after.minus(before), span: time.Since(began),
		requests: recv.requests.Load() - requests}
	if err := recv.wait(ctx, a, int64(warm+lines)); err != nil {
		return s, err
	}
	took, err := a.stop()
	if err != nil {
		return s, err
	}
	s.peak = took.peak
	s.latencies = recv.takeLatencies()
	slices.Sort(s.latencies)
	if n := recv.lines.Load(); n != int64(warm+lines) {
		return s, fmt.Errorf("%d lines came, want %d\n%s", n, warm+lines, a.out.Bytes())
	}
	return s, nil
}

// counts are what the kernel has counted of a process.
type counts struct {
	cpu           time.Duration
	reads, writes int64 // system calls, on sockets too
	wakeups       int64 // times that a thread began to run after it had waited
}

func (c counts) minus(d counts) counts {
	return counts{c.cpu - d.cpu, c.reads - d.reads, c.writes - d.writes, c.wakeups - d.wakeups}
}

func (a *agent) counts() (c counts, err error) {
	if c.cpu, err = a.cpu(); err != nil {
		return c, err
	}
	folder := fmt.Sprintf("/proc/%d", a.cmd.Process.Pid)
	if c.reads, err = numberIn(folder+"/io", "syscr:"); err != nil {
		return c, err
	}
	if c.writes, err = numberIn(folder+"/io", "syscw:"); err != nil {
		return c, err
	}
	tasks, err := filepath.Glob(folder + "/task/*/status")
	for _, task := range tasks {
		n, err := numberIn(task, "voluntary_ctxt_switches:")
		if err != nil {
			continue // the thread has ended
		}
		c.wakeups += n
	}
	return c, err
}

// numberIn gives the number behind a word at the start of a line of a file.
func numberIn(path, word string) (int64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(text) {
		if rest, found := bytes.CutPrefix(line, []byte(word)); found {
			number, _, _ := bytes.Cut(bytes.TrimSpace(rest), []byte(" ")) // before the unit
			return strconv.ParseInt(string(number), 10, 64)
		}
	}
	return 0, fmt.Errorf("no %s in %s", word, path)
}

// newSteadyTable is a table for what was watched.
func newSteadyTable(name string) *table {
	return newTable(name, "lines/s", "cores", "floor", "peak MiB", "p50", "p99", "longest", "requests/s", "reads/s",
		"writes/s", "wakeups/s")
}

func (t *table) steady(name string, rate int, s steadiness) {
	perSecond := func(n int64) string { return fmt.Sprintf("%.0f", float64(n)/s.span.Seconds()) }
	t.row(name, rate, fmt.Sprintf("%.4f", s.cores()), seconds2(s.floor), fmt.Sprintf("%.1f", mib(s.peak)),
		round(s.latency(0.5)), round(s.latency(0.99)), round(s.latency(1)),
		perSecond(s.requests), perSecond(s.reads), perSecond(s.writes), perSecond(s.wakeups))
}

func round(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }
