package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// fullSpeed ships every work's lines as fast as they go, each run beside one of the
// floor, and prints a row a run and what the least of them say.
func (b bench) fullSpeed(ctx context.Context) error {
	t := newTable("work", "lines", "lines/s", "CPU s per million", "floor", "× floor", "peak MiB", "requests",
		"MB sent")
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
		b.claims.add(w.name, "peak MiB", mib(m.peak), 48)
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
	for range b.runs {
		floor, err := b.floor(ctx)
		if err != nil {
			return least, err
		}
		r, err := b.ship(ctx, dir, w)
		if err != nil {
			return least, err
		}
		m := measured{work: w, cpu: perMillion(r.cpu, b.lines), floor: floor, peak: r.peak}
		t.row(w.name, b.lines, fmt.Sprintf("%.0f", float64(b.lines)/r.wall.Seconds()), seconds2(m.cpu), seconds2(floor),
			times(m.ratio()),
			fmt.Sprintf("%.1f", mib(r.peak)), r.requests, fmt.Sprintf("%.1f", float64(r.sent)/1e6))
		least = least.with(m)
	}
	return least, nil
}

// result is what one run took.
type result struct {
	usage
	wall     time.Duration // from the start of the process
	busy     time.Duration // from the first request
	requests int64
	sent     int64 // bytes of bodies
}

// ship runs the agent until the receiver has every line.
func (b bench) ship(ctx context.Context, dir string, w work) (result, error) {
	input, closed, err := w.input(dir)
	if err != nil {
		return result{}, err
	}
	defer closed()
	return b.deliver(ctx, w.workers, func(recv *receiver) (*exec.Cmd, error) {
		config, err := w.config(input, recv)
		if err != nil {
			return nil, err
		}
		return b.agentCommand(config, w.workers)
	})
}

// deliver runs a command until the receiver has every line, once each.
func (b bench) deliver(ctx context.Context, workers int, command func(*receiver) (*exec.Cmd, error)) (result, error) {
	recv, err := newReceiver(int64(b.lines))
	if err != nil {
		return result{}, err
	}
	defer recv.close()
	cmd, err := command(recv)
	if err != nil {
		return result{}, err
	}
	a, err := start(ctx, cmd, workers)
	if err != nil {
		return result{}, err
	}
	if err := recv.wait(ctx, a, int64(b.lines)); err != nil {
		return result{}, err
	}
	now := time.Now()
	took, err := a.stop()
	if err != nil {
		return result{}, err
	}
	if n := recv.lines.Load(); n != int64(b.lines) {
		return result{}, fmt.Errorf("%d lines came, want %d\n%s", n, b.lines, a.out.Bytes())
	}
	return result{
		usage: took, wall: now.Sub(a.began), busy: now.Sub(time.Unix(0, recv.first.Load())),
		requests: recv.requests.Load(), sent: recv.bytes.Load(),
	}, nil
}

// configOf is the agent's config for an input and an output.
func configOf(input, output string, recv *receiver) string {
	return fmt.Sprintf("inputs: {bench: %s}\noutputs:\n  out: %s\n", input, fmt.Sprintf(output, recv.address))
}

// config is the agent's for an input and the work's output.
func (w work) config(input string, recv *receiver) (string, error) {
	if !w.kafka {
		return configOf(input, w.output, recv) + w.alerts, nil
	}
	broker, err := recv.kafka()
	return configOf(input, w.output, &receiver{address: broker}) + w.alerts, err
}

// fileInput is the input for the files of a folder.
func fileInput(dir string) string { return fmt.Sprintf(`{type: file, paths: ["%s/*.log"]}`, dir) }
