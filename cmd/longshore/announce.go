package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/longshore/longshore/agent/graph"
	"github.com/longshore/longshore/agent/systemd"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
)

const (
	// lookingTime is how long the announcement of what is read waits for inputs that still look.
	lookingTime = 3 * time.Second
	// probeTime is how long a destination has to answer what it is.
	probeTime = 5 * time.Second
	// stoppingInterval is how often is said what a stop waits for.
	stoppingInterval = 5 * time.Second
)

// An announcer says at the start what is read and where it goes, and at the end what is waited
// for: in the log, and to the service manager that has started the program.
type announcer struct {
	log    *slog.Logger
	config atomic.Pointer[config.Config] // in force
	page   string                        // its URL
	found  chan finding

	manager *systemd.Manager // nil for none
}

// A finding is what an input found.
type finding struct{ input, what string }

func newAnnouncer(log *slog.Logger, cfg *config.Config) *announcer {
	// An input that says it more than once does not wait for anyone.
	a := &announcer{log: log, found: make(chan finding, len(cfg.Inputs))}
	a.use(cfg)
	return a
}

// use notes which config is in force.
func (a *announcer) use(cfg *config.Config) { a.config.Store(cfg) }

// note is graph.Options.Found.
func (a *announcer) note(input, what string) {
	select {
	case a.found <- finding{input, what}:
	default:
	}
}

// started says which program runs, by which config, and where it can be asked.
func (a *announcer) started(address string) {
	cfg := a.config.Load()
	a.log.Info("longshore is running", "version", versionText(), "config", cfg.File, "data_dir", cfg.DataDir,
		"http", cfg.HTTP.At(address, ""))
	a.page = pageURL(&cfg.HTTP, address)
}

// pageURL returns where a browser on this machine finds the page of a server.
func pageURL(server *config.HTTP, address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return server.At(address, "/")
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return server.At(net.JoinHostPort(host, port), "/")
}

// running says what is read and where it goes, once that is known.
func (a *announcer) running(ctx context.Context, probe func(context.Context) []graph.Probe) {
	a.manager.Ready()
	limit, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	probes := make(chan []graph.Probe, 1)
	go func() { probes <- probe(limit) }()
	a.reading(ctx)
	answers := <-probes
	if ctx.Err() == nil {
		a.sending(answers)
		a.log.Info("a page shows what flows, logs, and what is wrong", "page", a.page)
	}
}

// reading says what each input found, once all have or after a while.
func (a *announcer) reading(ctx context.Context) {
	found, inputs := map[string]string{}, a.config.Load().Inputs
	late := time.NewTimer(lookingTime)
	defer late.Stop()
	for waiting := true; waiting && len(found) < len(inputs); {
		select {
		case f := <-a.found:
			if found[f.input] == "" {
				found[f.input] = f.what
			}
		case <-late.C:
			waiting = false
		case <-ctx.Done():
			return
		}
	}
	var all []any
	for _, in := range inputs {
		what := found[in.Name]
		if what == "" {
			what = in.Type + ", still looking"
		}
		all = append(all, in.Name, what)
	}
	a.log.Info("reading", all...)
}

// sending says where the records go, and who answers there.
func (a *announcer) sending(probes []graph.Probe) {
	if len(probes) == 0 {
		a.log.Info("sending nowhere: there are no outputs; the newest records are kept to be looked at",
			"size", a.config.Load().Recent.String())
		return
	}
	var all []any
	for _, p := range probes {
		all = append(all, p.Output, describeProbe(p))
	}
	a.log.Info("sending", all...)
}

func describeProbe(p graph.Probe) string {
	switch {
	case p.Location == "":
		return p.Type
	case p.Err != nil:
		return "no answer yet, will be tried again: " + p.Err.Error()
	case p.Server == "":
		return p.Location + ", which answers"
	}
	return p.Location + ", " + p.Server
}

// stopping says what a stop waits for, until ctx ends.
func (a *announcer) stopping(ctx context.Context, pending func() uint64) {
	a.manager.Stopping(time.Duration(a.config.Load().ShutdownTimeout))
	a.log.Info("stopping: what was read is still delivered; "+a.secondSignal(),
		"for_at_most", a.config.Load().ShutdownTimeout.String(), "pending", pending())
	tick := time.NewTicker(stoppingInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			a.log.Info("still stopping", "pending", pending())
		}
	}
}

// secondSignal says what a second signal does.
func (a *announcer) secondSignal() string {
	for _, in := range a.config.Load().Inputs {
		if !in.Traits.Rereadable && !in.Traits.Observes {
			return "a second Ctrl-C ends at once, and what is pending then of the input " + in.Name + " is lost"
		}
	}
	return "a second Ctrl-C ends at once, and loses nothing: what is pending then is read again at the next start"
}

// writeSummary writes what became of the records, for people.
func writeSummary(w io.Writer, c graph.Counts) {
	printf(w, "read           %s\n", pipeline.Count(int(c.Read), "line"))
	printf(w, "delivered      %s\n", pipeline.Count(int(c.Delivered), "record"))
	printf(w, "not delivered  %d rejected, %d left out by a filter, %d lost\n", c.Rejected, c.Filtered, c.Lost)
	printf(w, "pending        %s\n", pendingText(c.Pending()))
}

func pendingText(n uint64) string {
	if n == 0 {
		return "nothing"
	}
	return fmt.Sprintf("%s, read again at the next start", pipeline.Count(int(n), "record"))
}
