package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// fullSpeed ships every work's lines as fast as they go, each run beside one of the
// floor, and prints a row a run and what the least of them say.
func (b bench) fullSpeed(ctx context.Context) error {
	t := newTable("work", "lines", "lines/s", "CPU s per million", "floor", "× floor", "peak MiB", "requests", "MB sent")
	var all []measured
	for _, w := range works {
		if !b.wants(w.name) {
			continue
		}
		m, err := b.measure(ctx, w, t)
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		all = append(all, m)
	}
	summary(all)
	return nil
}

// measure runs a work, in turn with the floor.
func (b bench) measure(ctx context.Context, w work, t *table) (measured, error) {
	least := measured{work: w}
	dir := filepath.Join(b.dir, w.name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return least, err
	}
	defer os.RemoveAll(dir)
	if err := w.writeFiles(dir, b.lines); err != nil {
		return least, err
	}
	for run := range b.runs {
		floor, err := b.floor(ctx)
		if err != nil {
			return least, err
		}
		r, err := b.ship(ctx, dir, w)
		if err != nil {
			return least, err
		}
		m := measured{work: w, cpu: perMillion(r.cpu, b.lines), floor: floor, peak: r.peak}
		t.row(w.name, b.lines, fmt.Sprintf("%.0f", float64(b.lines)/r.wall.Seconds()), seconds2(m.cpu), seconds2(floor), times(m.ratio()),
			fmt.Sprintf("%.1f", mib(r.peak)), r.requests, fmt.Sprintf("%.1f", float64(r.sent)/1e6))
		if run == 0 {
			least = m
		}
		least.cpu, least.floor, least.peak = min(least.cpu, m.cpu), min(least.floor, floor), max(least.peak, m.peak)
	}
	return least, nil
}

// result is what one run took.
type result struct {
	usage
	wall     time.Duration
	requests int64
	sent     int64 // bytes of bodies
}

// ship runs the agent until the receiver has every line.
func (b bench) ship(ctx context.Context, dir string, w work) (result, error) {
	recv, err := newReceiver(int64(b.lines))
	if err != nil {
		return result{}, err
	}
	defer recv.close()
	a, err := startAgent(ctx, b.agent, b.dir, configOf(fileInput(dir), w.output, recv), w.workers)
	if err != nil {
		return result{}, err
	}
	select {
	case <-recv.all:
	case err := <-a.ended:
		return result{}, fmt.Errorf("the agent ended after %d of %d lines: %v\n%s", recv.lines.Load(), b.lines, err, a.out.Bytes())
	case <-ctx.Done():
		<-a.ended
		return result{}, ctx.Err()
	}
	wall := time.Since(a.began)
	took, err := a.stop()
	if err != nil {
		return result{}, err
	}
	if n := recv.lines.Load(); n != int64(b.lines) {
		return result{}, fmt.Errorf("%d lines came, want %d", n, b.lines)
	}
	return result{usage: took, wall: wall, requests: recv.requests.Load(), sent: recv.bytes.Load()}, nil
}

// configOf is the agent's config for an input and an output.
func configOf(input, output string, recv *receiver) string {
	return fmt.Sprintf("inputs: {bench: %s}\noutputs: {out: %s}\n", input, fmt.Sprintf(output, recv.address))
}

// fileInput is the input for the files of a folder.
func fileInput(dir string) string { return fmt.Sprintf(`{type: file, paths: ["%s/*.log"]}`, dir) }
