package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	watchedContainers = 100
	// watchedLines are how many times the lines of other runs: the metrics are asked for when a run
	// has gone on for a while, and then as often as is usual.
	watchedLines = 4
	firstScrape  = 5 * time.Second
	scrapePause  = 15 * time.Second
	watchedMark  = 1.05
)

// watched measures JSON lines to Loki with metrics of the host and of 100 containers, which are
// asked for, and two alerts, in turn with the same without, and prints what that costs.
func (b bench) watched(ctx context.Context) error {
	const name = "watched"
	if !b.wants(name) {
		return nil
	}
	dir := filepath.Join(b.dir, name)
	b.lines *= watchedLines
	plain := work{name: "plain", format: jsonLine, output: lokiOutput}
	if err := plain.writeFiles(dir, b.lines); err != nil {
		return err
	}
	config, closed, err := watchConfig(dir)
	if err != nil {
		return err
	}
	defer closed()
	watched := plain
	watched.name, watched.alerts = "with metrics and alerts", twoAlerts+config
	t := newTable("json-to-loki", "CPU s per million", "scrapes", "× plain before it")
	var least [2]time.Duration
	var ratios []float64
	for range b.runs {
		var took [2]time.Duration
		for i, w := range []work{plain, watched} {
			cpu, scrapes, err := b.scraped(ctx, dir, w)
			if err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
			took[i] = cpu
			if least[i] == 0 || cpu < least[i] {
				least[i] = cpu
			}
			t.row(w.name, fmt.Sprintf("%.3f", cpu.Seconds()), scrapes, fmt.Sprintf("%.3f",
				cpu.Seconds()/took[0].Seconds()))
		}
		ratios = append(ratios, took[1].Seconds()/took[0].Seconds())
	}
	slices.Sort(ratios)
	b.claims.add(name, "CPU, least, × plain", least[1].Seconds()/least[0].Seconds(), watchedMark)
	b.claims.add(name, "CPU, median, × plain", ratios[len(ratios)/2], watchedMark)
	return nil
}

// watchConfig is the config that watches the host and containers of an engine of its own, whose
// numbers are in the kernel's files: all have those of this process.
func watchConfig(dir string) (config string, closed func(), err error) {
	sys, err := os.MkdirTemp(dir, "sys-")
	if err != nil {
		return "", nil, err
	}
	var all []*container
	for i := range watchedContainers {
		c := newContainer(i)
		all = append(all, c)
		if err := linkCgroups(filepath.Join(sys, "fs", "cgroup"), c.id); err != nil {
			return "", nil, err
		}
	}
	e, err := newEngine(dir, all)
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("watch: {max_age: 1s, mode: files, sys: %q, docker: {host: \"unix://%s\"}}\n", sys, e.socket),
		e.close, nil
}

// linkCgroups makes the cgroups of a container links to those of this process.
func linkCgroups(root, id string) error {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		for _, controller := range strings.Split(fields[1], ",") {
			const real = "/sys/fs/cgroup"
			own := filepath.Join(real, controller, fields[2])
			if _, err := os.Stat(own); err != nil { // in a container it is the root
				own = filepath.Join(real, controller)
			}
			link := filepath.Join(root, controller, "docker", id)
			if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
				return err
			}
			if err := os.Symlink(own, link); err != nil {
				return err
			}
		}
	}
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		return os.WriteFile(filepath.Join(root, "cgroup.controllers"), nil, 0o644)
	}
	return nil
}

// scraped ships a work's lines, while the agent's metrics are asked for if it has any to watch.
func (b bench) scraped(ctx context.Context, dir string, w work) (cpu time.Duration, scrapes int, err error) {
	if b.admin, err = freeAddress(); err != nil {
		return 0, 0, err
	}
	ctx, done := context.WithCancel(ctx)
	defer done()
	var scraping sync.WaitGroup
	var seen int
	r, err := b.deliver(ctx, 1, func(recv *receiver) (*exec.Cmd, error) {
		if w.alerts != "" {
			scraping.Go(func() { scrapes, seen = scrape(ctx, recv, "http://"+b.admin+"/metrics") })
		}
		return b.agentCommand(configOf(fileInput(dir), w.output, recv)+w.alerts, 1)
	})
	done()
	scraping.Wait()
	if err == nil && w.alerts != "" && seen != watchedContainers {
		err = fmt.Errorf("%d scrapes, the last of %d containers, want %d; a run has to take longer than %v: see -lines",
			scrapes, seen, watchedContainers, firstScrape)
	}
	return perMillion(r.cpu, b.lines), scrapes, err
}

// scrape asks for metrics from a while after the first lines on, until ctx ends, and says how often
// and of how many containers the last were.
func scrape(ctx context.Context, recv *receiver, url string) (scrapes, containers int) {
	for recv.lines.Load() == 0 {
		if wait(ctx, 100*time.Millisecond) != nil {
			return 0, 0
		}
	}
	for pause := firstScrape; wait(ctx, pause) == nil; pause = scrapePause {
		if text, err := get(ctx, url); err == nil {
			scrapes, containers = scrapes+1, strings.Count(text, "\ncontainer_cpu_usage_seconds_total{")
		}
	}
	return scrapes, containers
}

func get(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", errors.New(resp.Status)
	}
	text, err := io.ReadAll(resp.Body)
	return string(text), err
}
