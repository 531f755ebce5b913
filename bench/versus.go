package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/longshore/longshore/bench/rivals"
)

// A contender is a log shipper that does the work of the comparison.
type contender struct {
	name, version, sends string
	bulk                 bool // sends bulk requests, and is compared with longshore doing so
	command              func(log string, recv *receiver) (*exec.Cmd, error)

	missing error // why it cannot run
	least   measured
	speed   float64 // lines a second, of its fastest run
	steady  steadiness
}

// versus has the agent and its rivals ship the same file, in turn, and then the same
// lines at a rate, each pinned to the same core.
func (b bench) versus(ctx context.Context) error {
	all := b.contenders()
	log := filepath.Join(b.dir, "versus", "app.log")
	if err := writeLines(log, b.lines, jsonLine); err != nil {
		return err
	}
	t := newTable("run", "lines/s", "CPU s per million", "floor", "× floor", "peak MiB", "requests", "MB sent")
	for range b.runs {
		for _, c := range all {
			if err := b.compete(ctx, c, log, t); err != nil {
				return err
			}
		}
	}
	const rate = 10000
	steady := newSteadyTable("at a rate")
	for _, c := range all {
		if err := b.competeAtRate(ctx, c, rate, steady); err != nil {
			return err
		}
	}
	standing(all)
	return nil
}

// contenders gets all there are. One that cannot be had is in the table with the reason,
// and stops nobody else.
func (b bench) contenders() []*contender {
	longshore := func(name, output string) *contender {
		return &contender{name: name, version: "this", command: func(log string, recv *receiver) (*exec.Cmd, error) {
			return b.agentCommand(configOf(fileInput(filepath.Dir(log)), output, recv), 1)
		}}
	}
	toLoki, toElastic := longshore("longshore", lokiOutput), longshore("longshore, bulk", works[1].output)
	toLoki.sends, toElastic.sends, toElastic.bulk = "Loki, snappy", "bulk, none", true
	all := []*contender{toLoki, toElastic}
	for _, r := range rivals.All() {
		if b.wants(r.Name) {
			all = append(all, b.rival(r))
		}
	}
	return all
}

func (b bench) rival(r rivals.Rival) *contender {
	c := &contender{name: r.Name, sends: r.Sends, bulk: r.Bulk}
	installed, err := r.Install(b.sources)
	if err != nil {
		c.missing = err
		return c
	}
	c.version = installed.Version
	c.command = func(log string, recv *receiver) (*exec.Cmd, error) {
		dir, err := os.MkdirTemp(b.dir, "rival-")
		if err != nil {
			return nil, err
		}
		cmd, err := installed.Command(rivals.Job{Dir: dir, Log: log, Receiver: recv.address})
		if err != nil {
			return nil, err
		}
		cmd.Env = append(cmd.Environ(), "GOMAXPROCS=1")
		return cmd, nil
	}
	return c
}

// compete makes one run at full speed.
func (b bench) compete(ctx context.Context, c *contender, log string, t *table) error {
	if c.missing != nil {
		return nil
	}
	floor, err := b.floor(ctx)
	if err != nil {
		return err
	}
	r, err := b.deliver(ctx, 1, func(recv *receiver) (*exec.Cmd, error) { return c.command(log, recv) })
	if err != nil {
		c.missing = err
		return ctx.Err()
	}
	m := measured{cpu: perMillion(r.cpu, b.lines), floor: floor, peak: r.peak}
	speed := float64(b.lines) / r.busy.Seconds()
	t.row(c.name, fmt.Sprintf("%.0f", speed), seconds2(m.cpu), seconds2(floor), times(m.ratio()),
		fmt.Sprintf("%.1f", mib(r.peak)), r.requests, fmt.Sprintf("%.1f", float64(r.sent)/1e6))
	c.least = c.least.with(m)
	c.speed = max(c.speed, speed)
	return nil
}

// competeAtRate makes one run at a rate. Some look for files only now and then, so all
// have long to warm up.
func (b bench) competeAtRate(ctx context.Context, c *contender, rate int, t *table) error {
	if c.missing != nil {
		return nil
	}
	dir, err := os.MkdirTemp(b.dir, "rate-")
	if err != nil {
		return err
	}
	path := filepath.Join(dir, "app.log")
	if err := writeLines(path, 0, jsonLine); err != nil {
		return err
	}
	write := func(ctx context.Context, span time.Duration) (int, error) { return writeAtRate(ctx, path, rate, span) }
	const warmUp = 12 * time.Second
	s, err := b.watch(ctx, warmUp, func(recv *receiver) (*exec.Cmd, error) { return c.command(path, recv) }, write)
	if err != nil {
		c.missing = err
		return ctx.Err()
	}
	c.steady = s
	t.steady(c.name, rate, s)
	return nil
}

// standing prints what all took, and how often that is what longshore took.
func standing(all []*contender) {
	t := newTable("least of all runs", "version         ", "sends       ", "lines/s", "CPU s per million",
		"× longshore", "× floor", "peak MiB", "cores at a rate", "× longshore", "MiB")
	for _, c := range all {
		if c.missing != nil {
			fmt.Printf("%s: %v\n", c.name, c.missing)
			continue
		}
		ours := all[0]
		if c.bulk {
			ours = all[1]
		}
		t.row(c.name, c.version, c.sends, fmt.Sprintf("%.0f", c.speed), seconds2(c.least.cpu),
			times(float64(c.least.cpu)/float64(ours.least.cpu)), times(c.least.ratio()),
			fmt.Sprintf("%.1f", mib(c.least.peak)),
			fmt.Sprintf("%.4f", c.steady.cores()), times(c.steady.cores()/ours.steady.cores()), fmt.Sprintf("%.1f",
				mib(c.steady.peak)))
	}
}
