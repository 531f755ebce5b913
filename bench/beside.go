package main

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"time"
)

// A company is an output beside the one that is measured, which must not suffer from it.
type company struct {
	name string
	url  string // empty: none
	best together
}

// together is the best of what several runs said.
type together struct {
	perLine, cpu   time.Duration // a million lines, at full speed
	cores          float64       // at a rate
	middle, slowly time.Duration // latencies at a rate: p50, p99
}

// besideMark is how many times as much a dead output beside it may cost the living one.
const besideMark = 1.05

// Latency is measured at a rate, of lines a second, once the dead output holds as much as it may.
const (
	besideRate   = 10000
	besideWarmUp = 5 * time.Second
)

// beside measures an output alone and beside one that is dead, in turn, and prints what that costs
// the living one: lines per second, CPU time and latency.
func (b bench) beside(ctx context.Context) error {
	const name = "beside"
	if !b.wants(name) {
		return nil
	}
	hanging, err := newHanging()
	if err != nil {
		return err
	}
	defer hanging.close()
	all := []*company{
		{name: "alone"},
		{name: "beside one refused", url: "http://127.0.0.1:1"}, // a port that nobody listens on
		{name: "beside one hanging", url: "http://" + hanging.Addr().String()},
	}
	dir := filepath.Join(b.dir, name)
	if err := writeLines(filepath.Join(dir, "app.log"), b.lines, jsonLine); err != nil {
		return err
	}
	t := newTable("a living output", "lines/s", "CPU s per million", "cores at a rate", "p50", "p99")
	for range b.runs {
		for _, c := range all {
			run, err := b.together(ctx, dir, c)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			t.row(c.name, fmt.Sprintf("%.0f", 1e6/run.perLine.Seconds()), seconds2(run.cpu),
				fmt.Sprintf("%.4f", run.cores), round(run.middle), round(run.slowly))
			c.best = c.best.with(run)
		}
	}
	for _, c := range all[1:] {
		b.claims.beside(c.name, c.best, all[0].best)
	}
	return nil
}

// together makes a run at full speed and one at a rate.
func (b bench) together(ctx context.Context, dir string, c *company) (together, error) {
	output := lokiOutput
	if c.url != "" {
		output += fmt.Sprintf("\n  dead: {type: loki, url: %q}", c.url)
	}
	r, err := b.ship(ctx, dir, work{output: output})
	if err != nil {
		return together{}, err
	}
	s, err := b.atRate(ctx, besideRate, output, besideWarmUp)
	if err != nil {
		return together{}, err
	}
	return together{
		perLine: perMillion(r.busy, b.lines), cpu: perMillion(r.cpu, b.lines), cores: s.cores(),
		middle: s.latency(0.5), slowly: s.latency(0.99),
	}, nil
}

// with takes in another run.
func (t together) with(run together) together {
	if t == (together{}) {
		return run
	}
	return together{
		perLine: min(t.perLine, run.perLine), cpu: min(t.cpu, run.cpu), cores: min(t.cores, run.cores),
		middle: min(t.middle, run.middle), slowly: min(t.slowly, run.slowly),
	}
}

// beside claims how many times as much each took beside another output as alone.
func (c *claims) beside(what string, t, alone together) {
	times := func(unit string, got, of time.Duration) {
		c.add(what, unit+", × alone", float64(got)/float64(of), besideMark)
	}
	times("time a line", t.perLine, alone.perLine)
	times("CPU", t.cpu, alone.cpu)
	c.add(what, "cores, × alone", t.cores/alone.cores, besideMark)
	times("p50", t.middle, alone.middle)
	times("p99", t.slowly, alone.slowly)
}

// hanging takes connections and says nothing.
type hanging struct {
	net.Listener
	ended chan struct{}
}

func newHanging() (*hanging, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	h := &hanging{Listener: l, ended: make(chan struct{})}
	go h.accept()
	return h, nil
}

func (h *hanging) accept() {
	defer close(h.ended)
	var open []net.Conn
	for {
		c, err := h.Accept()
		if err != nil {
			break
		}
		open = append(open, c)
	}
	for _, c := range open {
		c.Close()
	}
}

func (h *hanging) close() {
	h.Close()
	<-h.ended
}
