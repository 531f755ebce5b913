package probe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/inputs/journal"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/backoff"
	"github.com/longshore/longshore/pipeline/dockerapi"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/metric"
)

// An Input probes, and is read as its journal is.
type Input struct {
	*journal.Reader
	config Config
	env    pipeline.Env
	engine *dockerapi.Engine
	check  checker
	now    func() time.Time
	pause  func(ctx context.Context) error

	journal *journal.Journal
	targets map[string]*target
	problem string // that was logged last
	// unhealthy: what was to be written last could not be.
	unhealthy bool

	up, duration    *prometheus.GaugeVec
	checks, actions *prometheus.CounterVec
}

var _ pipeline.InputConfig = (*Config)(nil)

// Input implements pipeline.InputConfig.
func (c *Config) Input(env pipeline.Env) (pipeline.Input, error) {
	host, _ := os.Hostname() // without a name there is no label
	reader, err := journal.NewReader(env, []event.Label{
		{Name: event.LabelHost, Value: host}, {Name: event.LabelService, Value: env.Name},
	})
	if err != nil {
		return nil, err
	}
	in := &Input{
		Reader: reader, config: *c, env: env, engine: newEngine(c), now: time.Now, targets: map[string]*target{},
		up: metric.GaugeVec(env.Metrics, "longshore_probe_up",
			"1 if what is probed is up, 0 if it is down; nothing before that is sure.", "target"),
		duration: metric.GaugeVec(env.Metrics, "longshore_probe_duration_seconds", "How long the last check took.",
			"target"),
		checks: metric.CounterVec(env.Metrics, "longshore_probe_checks_total",
			"Checks by result: success, failure, or error where nothing could be looked at.", "result"),
		actions: metric.CounterVec(env.Metrics, "longshore_probe_actions_total",
			"Actions by result: success, failure, refused, or limited where there were too many.", "result"),
	}
	in.check = c.checker(env.Name, in.engine)
	in.pause = func(ctx context.Context) error { return backoff.Sleep(ctx, time.Duration(c.Interval), nil) }
	for _, result := range []string{"success", "failure", "error"} {
		in.checks.WithLabelValues(result)
	}
	for _, result := range []string{"success", "failure", "refused", "limited"} {
		in.actions.WithLabelValues(result)
	}
	return in, nil
}

// Run implements pipeline.Input.
func (in *Input) Run(ctx context.Context, feed pipeline.Feed) (err error) {
	if in.journal, err = journal.Open(in.env.Folder); err != nil {
		return err
	}
	defer in.engine.Close()
	if err := in.recall(); err != nil {
		return errors.Join(err, in.journal.Close())
	}
	in.env.Found(in.config.what())
	var probing sync.WaitGroup
	probing.Go(func() {
		defer in.env.Panicked.Contain()
		in.probe(ctx)
	})
	err = in.Reader.Run(ctx, feed)
	probing.Wait()
	return errors.Join(err, in.journal.Close())
}

// A record is a line of the journal.
type record struct {
	Time     time.Time `json:"time"`
	Level    string    `json:"level"`
	Message  string    `json:"message"`
	Probe    string    `json:"probe"`
	Target   string    `json:"target"`
	State    state     `json:"state,omitempty"`
	Changed  bool      `json:"changed,omitempty"`
	Reason   string    `json:"reason,omitempty"`
	Failures int       `json:"failures,omitempty"`
	Millis   float64   `json:"duration_ms,omitempty"`
	// Action is what is done: restart or command. Outcome is "" before, and then what became of it.
	Action  string `json:"action,omitempty"`
	Outcome string `json:"outcome,omitempty"`
}

// recall finds in the journal what was known before a restart.
func (in *Input) recall() error {
	began := in.now()
	err := in.journal.Lines(func(line []byte) {
		var r record
		if json.Unmarshal(line, &r) != nil || r.Probe != in.env.Name {
			return
		}
		t := in.target(r.Target, began)
		if r.State != "" {
			t.state = r.State
		}
		if r.State == up {
			t.tries, t.next, t.limited = 0, time.Time{}, false
		}
		switch {
		case r.Action != "" && r.Outcome == "":
			at := r.Time
			if at.After(began) { // the clock was set back
				at = began
			}
			t.acted(&in.config.Action, at, time.Duration(in.config.StartPeriod))
		case r.Outcome == "limited":
			t.limited = true
		}
	})
	for name, t := range in.targets {
		if t.expire(&in.config.Action, began); t.state != "" {
			in.up.WithLabelValues(name).Set(gauge(t.state))
		}
		t.starting = began.Add(time.Duration(in.config.StartPeriod))
	}
	return err
}

func (in *Input) target(name string, now time.Time) *target {
	t := in.targets[name]
	if t == nil {
		t = &target{starting: now.Add(time.Duration(in.config.StartPeriod))}
		in.targets[name] = t
	}
	return t
}

// probe checks until ctx ends.
func (in *Input) probe(ctx context.Context) {
	for ctx.Err() == nil {
		in.round(ctx)
		if in.pause(ctx) != nil {
			return
		}
	}
}

// round checks all targets once.
func (in *Input) round(ctx context.Context) {
	checking, cancel := context.WithTimeout(ctx, time.Duration(in.config.Timeout))
	results, err := in.check(checking)
	cancel()
	if ctx.Err() != nil {
		return // what was cut short says nothing
	}
	if err != nil {
		in.checks.WithLabelValues("error").Inc()
		in.complain(err)
		return
	}
	in.problem = ""
	there := map[string]bool{}
	for _, r := range results {
		there[r.target] = true
		in.take(ctx, r)
	}
	for name := range in.targets {
		if !there[name] {
			delete(in.targets, name)
			in.up.DeleteLabelValues(name)
			in.duration.DeleteLabelValues(name)
		}
	}
}

// complain logs why nothing could be looked at, once.
func (in *Input) complain(err error) {
	if err.Error() != in.problem {
		in.problem = err.Error()
		in.env.Log.Warn("nothing can be probed for now", "error", err)
	}
}

// take notes a result, and does what is due.
func (in *Input) take(ctx context.Context, r result) {
	now := in.now()
	t := in.target(r.target, now)
	before := t.state
	changed := t.note(r, now, in.config.Retries)
	in.duration.WithLabelValues(r.target).Set(r.took.Seconds())
	if !r.unknown {
		in.checks.WithLabelValues(map[bool]string{true: "success", false: "failure"}[r.err == nil]).Inc()
	}
	if t.state != "" {
		in.up.WithLabelValues(r.target).Set(gauge(t.state))
	}
	if changed || in.config.Results && !r.unknown {
		if !in.write(in.describe(r, t, changed, now)) {
			t.state = before // so that it is said later
		}
	}
	if !in.config.Action.on() {
		return
	}
	switch t.due(&in.config.Action, now, in.config.Retries) {
	case act:
		in.act(ctx, r, t)
	case noMore:
		in.actions.WithLabelValues("limited").Inc()
		in.audit(record{
			Level: "error", Target: r.target, Action: in.config.Action.kind(), Outcome: "limited",
			Message: fmt.Sprintf("%s is still down, and nothing more is done: there were %d actions in %s", r.target,
				len(t.actions), in.config.Action.Window),
		})
	}
}

func gauge(s state) float64 {
	if s == up {
		return 1
	}
	return 0
}

// describe makes a record of a result.
func (in *Input) describe(r result, t *target, changed bool, now time.Time) record {
	rec := record{
		Time: now, Level: "info", Target: r.target, State: t.state, Changed: changed, Failures: t.failures,
		Millis: float64(r.took.Microseconds()) / 1000, Message: r.target + " is " + string(t.state),
	}
	if t.state == "" {
		rec.Message = "a check of " + r.target + " failed"
	}
	if r.err != nil {
		rec.Reason = r.err.Error()
		rec.Message += ": " + rec.Reason
		if rec.Level = "warn"; t.state == down {
			rec.Level = "error"
		}
	}
	return rec
}

func (a *Action) kind() string {
	if a.Restart {
		return "restart"
	}
	return "command"
}

// act does what the config says about a target that is down. That it will is on disk before, so
// that what counts against the limit is not forgotten by a crash; if it cannot be, nothing is done.
func (in *Input) act(ctx context.Context, r result, t *target) {
	a := &in.config.Action
	which := a.Container
	if r.container != "" {
		which = r.container
	}
	rec := record{
		Time: in.now(), Level: "warn", Target: r.target, Action: a.kind(),
		Message: fmt.Sprintf("%s is down: %s begins", r.target, a.kind()),
	}
	if !in.audit(rec) {
		return
	}
	t.acted(a, rec.Time, time.Duration(in.config.StartPeriod))
	ctx, cancel := context.WithTimeout(ctx, time.Duration(a.Timeout))
	defer cancel()
	var err error
	if a.Restart {
		err = restart(ctx, in.engine, which)
	} else {
		err = runCommand(ctx, a.Command, in.env.Name, r.target)
	}
	now := in.now()
	t.starting = now.Add(time.Duration(in.config.StartPeriod))
	rec.Time, rec.Outcome, rec.Message = now, "success", fmt.Sprintf("%s for %s is done", a.kind(), r.target)
	if err != nil {
		rec.Level, rec.Outcome, rec.Reason = "error", "failure", err.Error()
		if _, refused := errors.AsType[errRefused](err); refused {
			rec.Outcome = "refused"
		}
		rec.Message = fmt.Sprintf("%s for %s: %v", a.kind(), r.target, err)
	}
	in.actions.WithLabelValues(rec.Outcome).Inc()
	in.audit(rec)
}

// audit writes a record about an action, and logs it.
func (in *Input) audit(r record) (written bool) {
	if r.Time.IsZero() {
		r.Time = in.now()
	}
	level := slog.LevelWarn
	if r.Level == "error" {
		level = slog.LevelError
	}
	in.env.Log.Log(context.Background(), level, r.Message, "target", r.Target, "action", r.Action, "outcome", r.Outcome)
	return in.write(r)
}

// write writes a record into the journal, and reports whether it is there.
func (in *Input) write(r record) bool {
	r.Probe = in.env.Name
	line, err := json.Marshal(r)
	if err == nil {
		err = in.journal.Append(line)
	}
	if err != nil || in.unhealthy {
		in.env.Health(err)
	}
	in.unhealthy = err != nil
	return err == nil
}
