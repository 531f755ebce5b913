package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"
)

// idle watches many files in which nothing happens, and then writes a line into
// one of them, again and again.
func (b bench) idle(ctx context.Context) error {
	const name = "idle-10000-files"
	if !b.wants(name) {
		return nil
	}
	dir := filepath.Join(b.dir, name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	const files = 10000
	for i := range files {
		if err := writeLines(idleFile(dir, i), 1, jsonLine); err != nil {
			return err
		}
	}
	recv, err := newReceiver(files)
	if err != nil {
		return err
	}
	defer recv.close()
	recv.timed = true
	a, err := b.startAgent(ctx, configOf(fileInput(dir), lokiOutput, recv), 1)
	if err != nil {
		return err
	}
	if err := recv.wait(ctx, a, files); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err := wait(ctx, warmUp); err != nil {
		return err
	}
	before, err := a.cpu()
	if err != nil {
		return err
	}
	if err := wait(ctx, b.span); err != nil {
		return err
	}
	after, err := a.cpu()
	if err != nil {
		return err
	}
	resident, err := numberIn(fmt.Sprintf("/proc/%d/status", a.cmd.Process.Pid), "VmRSS:")
	if err != nil {
		return err
	}
	longest, err := b.wake(ctx, dir, files, recv)
	if err != nil {
		return err
	}
	took, err := a.stop()
	if err != nil {
		return err
	}
	share, idle := 100*(after-before).Seconds()/b.span.Seconds(), mib(resident<<10)
	t := newTable("idle", "files", "% of a core", "MiB", "peak MiB, at the start", "longest wait for a line")
	t.row(name, files, fmt.Sprintf("%.2f", share), fmt.Sprintf("%.1f", idle), fmt.Sprintf("%.1f", mib(took.peak)),
		round(longest))
	b.claims.add(name, "% of a core", share, 0.5)
	b.claims.add(name, "MiB", idle, 64)
	b.claims.add(name, "longest wait, ms", longest.Seconds()*1e3, 1000)
	return nil
}

func idleFile(dir string, i int) string { return filepath.Join(dir, fmt.Sprintf("%05d.log", i)) }

// wake writes a line into files here and there, and gives the longest time that one took to arrive.
func (b bench) wake(ctx context.Context, dir string, files int, recv *receiver) (time.Duration, error) {
	rnd := rand.New(rand.NewPCG(3, 4))
	recv.takeLatencies()
	for range 20 {
		f, err := os.OpenFile(idleFile(dir, rnd.IntN(files)), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			return 0, err
		}
		_, err = f.Write(timedLine(nil, time.Now(), rnd))
		if err := f.Close(); err != nil {
			return 0, err
		}
		if err != nil {
			return 0, err
		}
		if err := wait(ctx, 200*time.Millisecond); err != nil {
			return 0, err
		}
	}
	if err := wait(ctx, 2*time.Second); err != nil {
		return 0, err
	}
	longest, got := time.Duration(0), recv.takeLatencies()
	if len(got) != 20 {
		return 0, fmt.Errorf("%d of 20 lines came", len(got))
	}
	for _, l := range got {
		longest = max(longest, l)
	}
	return longest, nil
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
