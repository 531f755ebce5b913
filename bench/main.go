// Command bench measures the whole program at work: it writes files of log
// lines, lets the agent ship them, pinned to one core, to a receiver that counts, and
// prints what the agent's process took; with -rivals, beside other log shippers.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) == 4 && os.Args[1] == floorCommand {
		if err := runFloor(os.Args[2], os.Args[3]); err != nil {
			fmt.Fprintln(os.Stderr, "bench floor:", err)
			os.Exit(1)
		}
		return
	}
	agent := flag.String("agent", "bin/longshore", "the agent's binary")
	lines := flag.Int("lines", 2_000_000, "lines to ship in each run")
	runs := flag.Int("runs", 3, "runs of each kind")
	only := flag.String("only", "", "run only what has a name that begins so")
	span := flag.Duration("span", 20*time.Second, "how long to watch the agent at a steady rate")
	versus := flag.Bool("rivals", false, "compare with other log shippers, and do nothing else")
	sources := flag.String("sources", "rivals", "the folder of the rivals that are built")
	profileTo := flag.String("profile", "", "write a profile of the agent's CPU time to this file, and do nothing else")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	b := bench{agent: *agent, lines: *lines, runs: *runs, only: *only, span: *span, sources: *sources,
		profileTo: *profileTo, claims: &claims{}}
	parts := []part{bench.fullSpeed, bench.steady, bench.beside, bench.watched, bench.containers, bench.idle,
		bench.begin, bench.agents}
	switch {
	case *versus:
		parts = []part{bench.versus}
	case *profileTo != "":
		parts = []part{bench.profile}
	}
	if err := b.run(ctx, parts); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type bench struct {
	agent       string
	dir         string // for all there is to write
	lines, runs int
	only        string
	span        time.Duration
	sources     string // of the rivals
	profileTo   string
	admin       string // where the agent serves HTTP; anywhere if empty
	claims      *claims
}

// A part of the benchmark prints a table.
type part func(b bench, ctx context.Context) error

func (b bench) wants(name string) bool { return strings.HasPrefix(name, b.only) }

func (b bench) run(ctx context.Context, parts []part) error {
	var err error
	if b.agent, err = filepath.Abs(b.agent); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", "longshore-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	if err := stayOff(0); err != nil {
		return err
	}
	for _, part := range parts {
		if err := part(b, ctx); err != nil {
			return err
		}
	}
	b.claims.print()
	return nil
}
