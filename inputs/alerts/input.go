package alerts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/inputs/journal"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/backoff"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/metric"
)

// An Input counts and concludes, and is read as its journal is.
type Input struct {
	*journal.Reader
	env    pipeline.Env
	engine *engine
	over   pipeline.Overview // nil before Begin
	now    func() time.Time
	pause  func(ctx context.Context, d time.Duration) error

	journal   *journal.Journal
	unhealthy bool
	held      bool      // it was said that the clock waits
	learned   time.Time // when what was learned was last stored
	crowded   map[string]bool

	clock         atomic.Int64 // of the engine, in Unix nanoseconds
	notifications *prometheus.CounterVec
	firing        *prometheus.GaugeVec
}

var _ pipeline.Observer = (*Input)(nil)

const (
	passEvery  = time.Second
	learnEvery = 10 * time.Minute
)

// Input implements pipeline.InputConfig.
func (c *Config) Input(env pipeline.Env) (pipeline.Input, error) {
	rules, err := newRules(c.Rules)
	if err != nil {
		return nil, err
	}
	host, _ := os.Hostname() // without a name there is no label
	reader, err := journal.NewReader(env, []event.Label{
		{Name: event.LabelHost, Value: host}, {Name: event.LabelService, Value: "longshore"},
	})
	if err != nil {
		return nil, err
	}
	in := &Input{
		Reader: reader, env: env, engine: newEngine(rules, host, c.Page), now: time.Now, crowded: map[string]bool{},
		pause: func(ctx context.Context, d time.Duration) error { return backoff.Sleep(ctx, d, nil) },
	}
	in.register()
	return in, nil
}

func (in *Input) register() {
	reg := in.env.Metrics
	in.notifications = metric.CounterVec(reg, "longshore_alert_notifications_total",
		"Records that alerts have made, by alert and status: firing (also when it rings again) or resolved.",
		"alert", "status")
	in.firing = metric.GaugeVec(reg, "longshore_alert_firing_groups", "Groups of an alert that fire.", "alert")
	metric.CounterOf(reg, "longshore_alert_late_records_total",
		"Records that do not count for alerts, as they were read when their window was over.", &in.engine.late)
	metric.CounterOf(reg, "longshore_alert_left_out_records_total",
		"Records that do not count for an alert, as it has too many groups (max_groups).", &in.engine.leftOut)
	metric.GaugeOf(reg, "longshore_alert_lag_seconds",
		"How far the time up to which alerts have seen everything is behind: about ten seconds, unless an input lags.",
		func() float64 {
			if clock := in.clock.Load(); clock != 0 {
				return time.Since(time.Unix(0, clock)).Seconds()
			}
			return 0
		})
	for _, r := range in.engine.rules {
		in.firing.WithLabelValues(r.name)
		for _, status := range []string{firing, resolved} {
			in.notifications.WithLabelValues(r.name, status)
		}
	}
}

// Begin implements pipeline.Observer.
func (in *Input) Begin(state []byte, over pipeline.Overview) (err error) {
	if in.journal, err = journal.Open(in.env.Folder); err != nil {
		return err
	}
	if err := in.engine.restore(state, over.Knows); err != nil {
		in.env.Log.Error("alerts count anew", "error", err)
	}
	in.restoreLearned()
	if err := in.journal.Lines(in.engine.recall); err != nil {
		return errors.Join(err, in.journal.Close())
	}
	in.engine.resolveRemoved(in.now())
	in.over = over
	return nil
}

// Observe implements pipeline.Observer.
func (in *Input) Observe(b *event.Batch) { in.engine.observe(b, in.now().UnixNano()) }

// State implements pipeline.Observer.
func (in *Input) State() []byte { return in.engine.state() }

// Run implements pipeline.Input. Without Begin it only reads what was concluded.
func (in *Input) Run(ctx context.Context, feed pipeline.Feed) error {
	if in.over == nil {
		return in.Reader.Run(ctx, feed)
	}
	in.env.Found(pipeline.Count(len(in.engine.rules), "alert"))
	var concluding sync.WaitGroup
	concluding.Go(func() {
		defer in.env.Panicked.Contain()
		in.conclude(ctx)
	})
	err := in.Reader.Run(ctx, feed)
	concluding.Wait()
	in.storeLearned()
	return errors.Join(err, in.journal.Close())
}

// conclude looks at what was counted again and again, until ctx ends.
func (in *Input) conclude(ctx context.Context) {
	pause := time.Duration(0)
	for in.pause(ctx, pause) == nil {
		pause = passEvery
		if in.engine.pass(in.now(), in.over) {
			pause = 0
		}
		in.write()
		in.show()
		if now := in.now(); now.Sub(in.learned) >= learnEvery {
			in.storeLearned()
			in.learned = now
			in.engine.forgetSources(in.over.Knows)
		}
	}
}

// write writes what was concluded into the journal. What cannot be written is tried again.
func (in *Input) write() {
	for {
		c, some := in.engine.next()
		if !some {
			return
		}
		line, err := c.line()
		if err == nil {
			err = in.journal.Append(line)
		}
		if err != nil || in.unhealthy {
			in.env.Health(err)
		}
		if in.unhealthy = err != nil; in.unhealthy {
			return
		}
		in.engine.written(&c)
		in.notifications.WithLabelValues(c.Alert, c.Status).Inc()
		in.env.Log.Info("alert "+c.Status, "alert", c.Alert, "group", c.named("group"), "count", c.Count)
	}
}

// next returns the first conclusion that is not in the journal.
func (e *engine) next() (c conclusion, some bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.outbox) == 0 {
		return c, false
	}
	return e.outbox[0], true
}

// written notes that a conclusion is in the journal.
func (e *engine) written(c *conclusion) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.outbox = deleteConclusion(e.outbox, c)
}

// show has the metrics say how it is, and the log what does not count.
func (in *Input) show() {
	e := in.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	in.clock.Store(e.clock)
	in.tellHold()
	for _, r := range e.rules {
		n := 0
		for _, g := range r.groups {
			if g.firing {
				n++
			}
		}
		in.firing.WithLabelValues(r.name).Set(float64(n))
		if r.crowded && !in.crowded[r.name] {
			in.crowded[r.name] = true
			in.env.Log.Warn("an alert has too many groups; records of more do not count: group by fewer names, or "+
				"raise max_groups", "alert", r.name, "max_groups", r.alert.MaxGroups)
		}
	}
}

// longHold is for how long absence and resolving may wait before that is said.
const longHold = 10 * time.Minute

// tellHold logs that alerts have waited for long for a source, once. The caller holds mu.
func (in *Input) tellHold() {
	held := in.engine.clock != 0 && in.now().Sub(time.Unix(0, in.engine.clock)) > longHold
	if held && !in.held {
		in.env.Log.Warn("alerts wait for a source that has something unread: until it is read, none rings for want of "+
			"records, and none is resolved", "source", in.engine.heldBy, "since", time.Unix(0, in.engine.clock).UTC())
	}
	in.held = held
}

// learned is what is stored of what is usual: by alert, its print, and by group.
type learned map[string]struct {
	Print  string               `json:"print"`
	Groups map[string]*baseline `json:"groups"`
}

func (in *Input) learnedPath() string { return filepath.Join(in.env.Folder, "learned.json") }

// storeLearned stores what is usual. It changes slowly, and the last minutes of it may be lost.
func (in *Input) storeLearned() {
	text, some := in.engine.learned()
	if !some {
		return
	}
	if err := replaceFile(in.learnedPath(), text); err != nil {
		in.env.Log.Warn("what is usual cannot be stored; it is tried again", "error", err)
	}
}

func replaceFile(path string, text []byte) error {
	next := path + ".next"
	f, err := pipeline.OpenDataFile(next, os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(next, path)
}

// learned returns what is usual, if any alert learns.
func (e *engine) learned() (text []byte, some bool) {
	all := e.copyLearned()
	text, err := json.Marshal(all)
	return text, err == nil && len(all) > 0
}

func (e *engine) copyLearned() learned {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := learned{}
	for _, r := range e.rules {
		if !r.learns() {
			continue
		}
		of := all[r.name]
		of.Print, of.Groups = r.print, map[string]*baseline{}
		for key, g := range r.groups {
			of.Groups[key] = g.base.clone()
		}
		all[r.name] = of
	}
	return all
}

// maxLearned bounds the file of what is usual.
const maxLearned = 256 << 20

func (in *Input) restoreLearned() {
	text, err := pipeline.ReadFile(in.learnedPath(), maxLearned)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err == nil {
		err = in.engine.learn(text)
	}
	if err != nil {
		in.env.Log.Warn("what is usual is learned anew", "error", err)
	}
}

// learn takes over what is usual of the groups that there are.
func (e *engine) learn(text []byte) error {
	var all learned
	if err := json.Unmarshal(text, &all); err != nil {
		return fmt.Errorf("reading what is usual: %w", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range e.rules {
		of := all[r.name]
		if !r.learns() || of.Print != r.print {
			continue
		}
		for key, base := range of.Groups {
			if g := r.groups[key]; g != nil && base != nil {
				base.hour, g.base = -1, base
			}
		}
	}
	return nil
}
