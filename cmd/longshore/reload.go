package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/agent/graph"
	"github.com/longshore/longshore/pipeline/config"
	"github.com/longshore/longshore/pipeline/metric"
	"github.com/longshore/longshore/pipeline/secrets"
)

// errNothingToReload is what becomes of a reload where no file was named and none was found.
var errNothingToReload = errors.New("there is nothing to reload: longshore runs without a config file, by the " +
	"built-in config; write one and start with it")

var errStopping = errors.New("longshore is stopping, and reloads nothing any more")

// A reloader has a running agent go on by the config as it is on disk now, or by the one it has
// where that one is not good.
type reloader struct {
	log  *slog.Logger
	load func() (*config.Config, error)
	// loadAgain reads a config as it was written, with other secrets.
	loadAgain func(*config.Config) (*config.Config, error)
	secrets   *secrets.Store
	graphs    *graph.Graphs
	front     *front
	announce  *announcer
	watched   *watching
	metrics   reloadMetrics

	turn  sync.Mutex // of one reload at a time
	ended bool       // no more of them
	mu    sync.Mutex
	of    *config.Config // in force
	last  *reloadState   // nil before the first
}

// A reloadState is what the last reload came to, for /api/v1/status and who asked for it.
type reloadState struct {
	Time       time.Time `json:"time"`
	By         string    `json:"by"` // signal, api, watch or secrets
	Successful bool      `json:"successful"`
	Error      string    `json:"error,omitempty"`
	graph.Changes
}

// reloadMetrics tell how reloads went. The start counts as a success.
type reloadMetrics struct {
	total             *prometheus.CounterVec
	successful, since prometheus.Gauge
}

func newReloadMetrics(reg prometheus.Registerer) reloadMetrics {
	m := reloadMetrics{
		total: metric.CounterVec(reg, "longshore_config_reloads_total",
			"Reloads of the config, by result: success or failure.", "result"),
		successful: metric.Gauge(reg, "longshore_config_last_reload_successful",
			"1 if the config was good when it was last read, 0 if the one before it is still in force."),
		since: metric.Gauge(reg, "longshore_config_last_reload_success_timestamp_seconds",
			"When a config was last put in force, as Unix time."),
	}
	m.total.WithLabelValues("success")
	m.total.WithLabelValues("failure")
	m.successful.Set(1)
	m.since.SetToCurrentTime()
	return m
}

func (m *reloadMetrics) note(err error) {
	if err != nil {
		m.total.WithLabelValues("failure").Inc()
		m.successful.Set(0)
		return
	}
	m.total.WithLabelValues("success").Inc()
	m.successful.Set(1)
	m.since.SetToCurrentTime()
}

// run reloads when it is asked to, until ctx ends.
func (r *reloader) run(ctx context.Context, again reloading, renew *renewal) {
	if r.config().File != config.BuiltinName {
		var renewing sync.WaitGroup
		defer renewing.Wait()
		renewing.Go(func() { renew.run(ctx) })
	}
	if !again.watches || r.config().File == config.BuiltinName {
		r.serve(ctx, again.hangups, nil)
		return
	}
	w := newWatch(r.log, r.config)
	var watching sync.WaitGroup
	defer watching.Wait()
	watching.Go(func() { w.run(ctx) })
	r.serve(ctx, again.hangups, w.changed)
}

// serve reloads whenever one of the channels says so, until ctx ends. A nil channel never does.
func (r *reloader) serve(ctx context.Context, hangups <-chan os.Signal, changed <-chan struct{}) {
	for {
		select {
		case <-hangups:
			_, _ = r.reload(ctx, "signal") // it is logged
		case <-changed:
			_, _ = r.reload(ctx, "watch")
		case <-ctx.Done():
			return
		}
	}
}

// reload reads the config and has the agent go on by it. The error is why it goes on as before.
func (r *reloader) reload(ctx context.Context, by string) (reloadState, error) {
	r.turn.Lock()
	defer r.turn.Unlock()
	r.announce.manager.Reloading()
	defer r.announce.manager.Ready()
	state := reloadState{Time: time.Now().UTC(), By: by}
	if r.config().File == config.BuiltinName {
		r.log.Warn(errNothingToReload.Error(), "by", by)
		return state, errNothingToReload
	}
	if r.ended {
		return state, errStopping
	}
	cfg, err := r.read(by)
	if err == nil {
		state.Changes, err = r.apply(ctx, cfg)
	}
	if ctx.Err() != nil {
		return state, errStopping
	}
	r.metrics.note(err)
	if state.Successful = err == nil; err != nil {
		state.Error = err.Error()
		r.logFailure(err, by)
	} else {
		r.log.Info("the config is reloaded", "by", by, "config", cfg.File, "restarted", listed(state.Restarted),
			"removed", listed(state.Removed), "untouched", listed(state.Untouched))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = &state
	if err == nil {
		r.of = cfg
		r.secrets.Keep(cfg.Secrets())
	}
	return state, err
}

// bySecrets is who asks for a reload since secrets have changed.
const bySecrets = "secrets"

// read reads the config as it is on disk; or the one in force, where only secrets have changed.
func (r *reloader) read(by string) (*config.Config, error) {
	if by == bySecrets {
		return r.loadAgain(r.config())
	}
	return r.load()
}

// close ends reloading, and then the HTTP server, which may be answering who asked for one.
func (r *reloader) close() {
	r.turn.Lock()
	r.ended = true
	r.turn.Unlock()
	r.front.close()
}

// apply puts a config in force, whole or not at all.
func (r *reloader) apply(ctx context.Context, cfg *config.Config) (graph.Changes, error) {
	warnOf(r.log, cfg)
	if err := r.checkRecent(cfg); err != nil {
		return graph.Changes{}, err
	}
	next, err := r.front.prepare(cfg.HTTP)
	if err != nil {
		return graph.Changes{}, err
	}
	changes, err := r.graphs.Reload(ctx, cfg)
	if err != nil {
		next.cancel()
		return changes, err
	}
	next.commit()
	r.announce.use(cfg)
	r.watched.use(cfg.Watch)
	r.keep(cfg)
	return changes, nil
}

// keep keeps a config that is in force, for longshore rollback.
func (r *reloader) keep(cfg *config.Config) {
	if err := keepGood(cfg); err != nil {
		r.log.Warn("the config is not kept for longshore rollback", "error", err)
	}
}

// checkRecent tells of a change of the store of recent records, which is there from start to end.
func (r *reloader) checkRecent(cfg *config.Config) error {
	was := r.config()
	switch {
	case was.Recent == cfg.Recent:
		return nil
	case was.Recent == 0 && len(cfg.Outputs) == 0:
		return errors.New("without an output, records are only kept to be looked at, and the store for them (recent) " +
			"is opened at the start: restart longshore to apply this")
	}
	r.log.Warn("recent has changed: that takes effect at the next start")
	return nil
}

// logFailure logs why a config is not put in force.
func (r *reloader) logFailure(err error, by string) {
	const message = "the config is not reloaded, and the one before stays in force"
	var problems config.Errors
	if !errors.As(err, &problems) {
		r.log.Error(message, "by", by, "why", err)
		return
	}
	for _, p := range problems[:min(len(problems), maxLogged)] {
		r.log.Error(message, "by", by, "why", p.What(), "at", p.Position())
	}
}

// listed returns names for people.
func listed(names []string) string {
	if len(names) == 0 {
		return "nothing"
	}
	return strings.Join(names, ", ")
}

// maxLogged is how many problems of one config are logged.
const maxLogged = 10

// config returns the config in force.
func (r *reloader) config() *config.Config {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.of
}

// status returns what the last reload came to; nil if there was none.
func (r *reloader) status() any {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last == nil {
		return nil
	}
	return r.last
}

// warnOf logs what a config warns of.
func warnOf(log *slog.Logger, cfg *config.Config) {
	for _, w := range cfg.Warnings {
		log.Warn(w.What(), "at", w.Position())
	}
}
