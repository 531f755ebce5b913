package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"

	"github.com/longshore/longshore/agent/admin"
	"github.com/longshore/longshore/agent/console"
	"github.com/longshore/longshore/agent/disk"
	"github.com/longshore/longshore/agent/graph"
	"github.com/longshore/longshore/agent/recent"
	"github.com/longshore/longshore/agent/systemd"
	"github.com/longshore/longshore/pipeline/config"
)

func (a *app) runCommand() *cobra.Command {
	var path, dataDir string
	var quiet, watches bool
	cmd := &cobra.Command{
		Use:   "run [config]",
		Short: "Ship logs until stopped",
		Long: "Ships logs by the config until SIGINT or SIGTERM. Without a config it ships the logs of all " +
			"containers, through " +
			"the Docker socket, to LONGSHORE_LOKI_URL and LONGSHORE_ELASTICSEARCH_URL, or to standard output if " +
			"neither is set.\n\n" +
			"The config is reloaded on SIGHUP, on POST /api/v1/reload with the token of http.token, and with --watch " +
			"whenever it has changed. Only what has changed in it is restarted; one that is not good changes nothing.",
		Args: configArgument(&path),
		RunE: action(func(cmd *cobra.Command, _ []string) error {
			if quiet {
				a.logLevel = max(a.logLevel, slog.LevelWarn)
			}
			hangups, stopReloads := a.hangups() // before all else: nobody else handles one
			defer stopReloads()
			cfg, err := a.loadPatiently(cmd.Context(), path, dataDir)
			if err != nil {
				return err
			}
			ctx, stop := a.untilSignal(cmd, hangups == nil)
			defer stop()
			load := func() (*config.Config, error) {
				a.store().Stale()
				return a.loadFor(cfg.File, dataDir)
			}
			return a.runPipelines(ctx, cfg, reloading{load, hangups, watches})
		}),
	}
	configFlag(cmd, &path)
	cmd.Flags().StringVar(&dataDir, "data-dir", "", "folder for persistent data, instead of the config's data_dir")
	_ = cmd.MarkFlagDirname("data-dir") // the flag is there
	cmd.Flags().BoolVar(&quiet, "quiet", false, "log warnings and errors only")
	cmd.Flags().BoolVar(&watches, "watch", false,
		"reload the config when its file, or a file that it reads, has changed")
	cmd.Flags().TextVar(&a.logLevel, "log-level", slog.LevelInfo, "lowest level to log: debug, info, warn or error")
	return cmd
}

// reloading is how the config of a run is read again, and when.
type reloading struct {
	load    func() (*config.Config, error)
	hangups <-chan os.Signal // nil for none
	watches bool
}

// runPipelines runs the pipelines of a config until ctx ends.
func (a *app) runPipelines(ctx context.Context, cfg *config.Config, again reloading) error {
	defer tuneMemory(a.env)()
	log := a.logger()
	warnOf(log, cfg)
	if disk.OthersMayWrite(cfg.DataDir) {
		log.Warn(openDataDir, "data_dir", cfg.DataDir)
	}
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	registerBuildInfo(metrics)
	var health admin.Health
	announce := newAnnouncer(log, cfg)
	announce.manager = systemd.Find(a.env, func(err error) { log.Warn(err.Error()) })
	kept := openRecent(cfg, log, metrics)
	renew := &renewal{store: a.store(), log: log, health: health.Component("secrets", "secrets"), files: !again.watches,
		refused: make(chan struct{}, 1)}
	g, err := graph.BuildAll(graph.Options{Config: cfg, Log: log, Metrics: metrics, Health: health.Component,
		Vital: health.Vital, Found: announce.note, Now: time.Now, Recent: kept, Refused: renew.note})
	if err != nil {
		return err
	}
	defer keepRecent(cfg, log, kept)() // now that the data folder is locked
	watched := &watching{log: log}
	defer watched.close()
	watched.use(cfg.Watch)
	r := &reloader{
		log: log, load: again.load, loadAgain: a.loadAgain, secrets: a.store(), graphs: g, announce: announce,
		watched: watched, of: cfg, metrics: newReloadMetrics(metrics),
	}
	renew.config, renew.reload = r.config, func(ctx context.Context) { _, _ = r.reload(ctx, bySecrets) } // it is logged
	shown := console.New(console.Options{Version: versionText(), Config: r.config, Status: g.Status,
		Reload: r.status, Health: &health, Metrics: metrics, Log: log})
	defer shown.Close()
	r.front, err = listen(admin.Options{
		Metrics: prometheus.Gatherers{metrics, watched}, Health: &health, Status: shown.Status, Recent: kept,
		Console: shown, Log: log,
		Reload: func() (any, error) { return r.reload(ctx, "api") },
	}, cfg)
	if err != nil {
		return errors.Join(err, g.Close())
	}
	r.keep(cfg)
	health.Ready(true)
	announce.started(r.front.server.Addr())
	r.front.run()
	defer r.close()
	defer releaseMemoryWhenIdle(func() uint64 { return g.Counts().Read }, debug.FreeOSMemory)()
	defer inBackground(func(ctx context.Context) {
		announce.manager.Run(ctx, func() string { return serviceStatus(g, &health) })
	})()
	err = a.runGraph(ctx, g, announce, func(ctx context.Context) { r.run(ctx, again, renew) })
	a.summarize(log, g.Counts())
	return err
}

// openRecent opens the store of recent records, if the config has one. The pipelines do without it
// where it cannot be opened.
func openRecent(cfg *config.Config, log *slog.Logger, metrics prometheus.Registerer) *recent.Store {
	if cfg.Recent == 0 {
		return nil
	}
	store, err := recent.Open(recent.Options{DataDir: cfg.DataDir, Size: cfg.Recent, Log: log, Metrics: metrics})
	if err != nil {
		log.Warn("recent records are not kept", "error", err)
		return nil
	}
	return store
}

// keepRecent runs a store until stop is called. Where the config has none, what is left of one is
// removed.
func keepRecent(cfg *config.Config, log *slog.Logger, store *recent.Store) (stop func()) {
	if store != nil {
		return inBackground(store.Run)
	}
	if cfg.Recent == 0 {
		if err := recent.Remove(cfg.DataDir); err != nil {
			log.Warn("recent records of an earlier run are still there", "error", err)
		}
	}
	return func() {}
}

// runGraph runs the graphs, says what they do meanwhile, and reloads them.
func (a *app) runGraph(
	ctx context.Context, g *graph.Graphs, announce *announcer, reload func(context.Context),
) error {
	running, ended := context.WithCancel(context.Background())
	var saying sync.WaitGroup
	defer saying.Wait()
	defer ended()
	saying.Go(func() { announce.running(ctx, g.Probe) })
	reloads, endReloads := context.WithCancel(ctx)
	defer endReloads()
	saying.Go(func() { reload(reloads) })
	saying.Go(func() {
		select {
		case <-ctx.Done():
			announce.stopping(running, func() uint64 { return g.Counts().Pending() })
		case <-running.Done():
		}
	})
	return g.Run(ctx)
}

// inBackground runs a function in the background; stop ends its context and waits for it.
func inBackground(run func(ctx context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { run(ctx) })
	return func() {
		cancel()
		running.Wait()
	}
}

// summarize says what became of the records: as a few lines on a terminal, otherwise as one of the
// log.
func (a *app) summarize(log *slog.Logger, c graph.Counts) {
	switch {
	case !isTerminal(a.stderr):
		logSummary(log, c)
	case log.Enabled(context.Background(), slog.LevelInfo):
		writeSummary(a.stderr, c)
	}
}

// logSummary logs what became of the records. What was read is due at each output of its pipelines,
// unless it was joined to an earlier line; what was due was delivered, rejected, filtered, skipped
// as done before, or is pending.
func logSummary(log *slog.Logger, c graph.Counts) {
	log.Info("stopped", "read", c.Read, "joined", c.Joined, "due", c.Due, "delivered", c.Delivered, "rejected",
		c.Rejected,
		"filtered", c.Filtered, "skipped", c.Skipped, "pending", c.Pending(), "retried", c.Retried)
}
