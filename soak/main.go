// Command soak proves that nothing is lost and nothing repeated: it writes
// numbered lines to files that rotate, and to containers where there is a Docker
// Engine, kills the agent again and again while the destinations fail in every
// way, and at the end holds what arrived against what was written.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == containerCommand {
		if err := writeContainer(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "soak:", err)
			os.Exit(1)
		}
		return
	}
	o, err := parseFlags()
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		stop()
		os.Exit(1)
	}
}

// options are what the flags say.
type options struct {
	agent    string
	duration time.Duration
	rate     int
	files    int
	kills    int
	reloads  int
	seed     uint64
	faults   float64
	outage   time.Duration
	settle   time.Duration
	truncate bool
	docker   string
	loki     string
	elastic  string
	dir      string
	keep     bool
}

func parseFlags() (options, error) {
	var o options
	flag.StringVar(&o.agent, "agent", "bin/longshore", "the agent's binary")
	flag.DurationVar(&o.duration, "duration", 2*time.Minute, "how long to write lines")
	flag.IntVar(&o.rate, "rate", 20_000, "lines per second, in all")
	flag.IntVar(&o.files, "files", 4, "files to write to")
	flag.IntVar(&o.kills, "kills", 20, "how often to kill the agent")
	flag.IntVar(&o.reloads, "reloads", 0, "how often to have the agent reload its config, changed each time")
	flag.Uint64Var(&o.seed, "seed", 0, "what chance goes by; 0 for another one each time")
	flag.Float64Var(&o.faults, "faults", 0.1, "part of all requests that go wrong")
	flag.DurationVar(&o.outage, "outage", 0, "longest time in which a destination is away or silent; 0 for a "+
		"twentieth of the duration, 3 minutes at most")
	flag.DurationVar(&o.settle, "settle", 30*time.Second, "how long nothing may arrive before what has not is missing")
	flag.BoolVar(&o.truncate, "copytruncate", false, "rotate one file by copytruncate, whenever all of it has arrived")
	flag.StringVar(&o.docker, "docker", "auto", "Docker Engine in which to run containers: its address, auto "+
		"for the usual one if it is there, or off")
	flag.StringVar(&o.loki, "loki", "", "URL of a real Loki, instead of the receiver with its faults")
	flag.StringVar(&o.elastic, "elasticsearch", "", "URL of a real Elasticsearch, likewise")
	flag.StringVar(&o.dir, "dir", "", "folder for all files; empty for a temporary one")
	flag.BoolVar(&o.keep, "keep", false, "keep the folder even when all is well")
	flag.Parse()
	return o, o.check()
}

func (o *options) check() error {
	switch {
	case flag.NArg() > 0:
		return fmt.Errorf("%s: there are only flags", strings.Join(flag.Args(), " "))
	case o.rate < 1 || o.files < 1 || o.files > 64 || o.kills < 0 || o.reloads < 0 || o.duration <= 0 || o.settle <= 0:
		return errors.New("-rate, -files (64 at most), -duration and -settle must be above zero")
	case o.faults < 0 || o.faults > 0.9:
		return errors.New("-faults must be between 0 and 0.9")
	case (o.loki == "") != (o.elastic == ""):
		return errors.New("-loki and -elasticsearch go together")
	}
	if o.seed == 0 {
		o.seed = rand.Uint64()>>32 + 1
	}
	if o.outage == 0 {
		o.outage = min(max(o.duration/20, 2*time.Second), 3*time.Minute)
	}
	return nil
}
