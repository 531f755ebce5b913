package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// begin prints how long it takes from the start of the agent to the first line
// that is delivered, and how large its binary is.
func (b bench) begin(ctx context.Context) error {
	const name = "start"
	if !b.wants(name) {
		return nil
	}
	dir := filepath.Join(b.dir, name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	if err := writeLines(filepath.Join(dir, "app.log"), 1, jsonLine); err != nil {
		return err
	}
	info, err := os.Stat(b.agent)
	if err != nil {
		return err
	}
	t := newTable("start", "to the first line", "binary MiB")
	best := time.Hour
	for range b.runs {
		took, err := b.firstLine(ctx, dir)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		best = min(best, took)
		t.row(name, round(took), fmt.Sprintf("%.1f", mib(info.Size())))
	}
	b.claims.add(name, "first line, ms", best.Seconds()*1e3, 100)
	b.claims.add("binary, stripped", "MiB", mib(info.Size()), 30)
	return nil
}

func (b bench) firstLine(ctx context.Context, dir string) (time.Duration, error) {
	recv, err := newReceiver(1)
	if err != nil {
		return 0, err
	}
	defer recv.close()
	a, err := b.startAgent(ctx, configOf(fileInput(dir), lokiOutput, recv), 1)
	if err != nil {
		return 0, err
	}
	select {
	case <-recv.all:
	case err := <-a.ended:
		return 0, fmt.Errorf("the agent ended: %v\n%s", err, a.out.Bytes())
	}
	took := time.Since(a.began)
	_, err = a.stop()
	return took, err
}
