// Command bench measures the whole program at work: it writes a file of log
// lines, lets the agent ship them, pinned to one core, to a receiver that counts, and
// prints the CPU time and the peak memory of the agent's process.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"text/tabwriter"
	"time"
)

func main() {
	agent := flag.String("agent", "bin/longshore", "the agent's binary")
	lines := flag.Int("lines", 2_000_000, "lines to ship in each run")
	runs := flag.Int("runs", 3, "runs of each kind")
	only := flag.String("only", "", "run only the kind of work with this name")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	b := bench{agent: *agent, lines: *lines, runs: *runs, only: *only}
	if err := b.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type bench struct {
	agent       string
	lines, runs int
	only        string
}

func (b bench) run(ctx context.Context) error {
	agent, err := filepath.Abs(b.agent)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "longshore-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "work\tlines\tlines/s\tCPU s per million\tpeak MiB\trequests\tMB sent\t")
	for _, w := range works {
		if b.only != "" && b.only != w.name {
			continue
		}
		input := filepath.Join(dir, w.name+".log")
		if err := writeLines(input, b.lines, w.line); err != nil {
			return err
		}
		for range b.runs {
			r, err := ship(ctx, agent, dir, input, b.lines, w)
			if err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
			fmt.Fprintf(out, "%s\t%d\t%.0f\t%.2f\t%.1f\t%d\t%.1f\t\n", w.name, b.lines,
				float64(b.lines)/r.wall.Seconds(), r.cpu.Seconds()/float64(b.lines)*1e6, float64(r.peak)/(1<<20), r.requests, float64(r.sent)/1e6)
			out.Flush()
		}
		os.Remove(input)
	}
	return nil
}

// result is what one run took.
type result struct {
	wall, cpu time.Duration
	peak      int64 // bytes
	requests  int64
	sent      int64 // bytes of bodies
}
