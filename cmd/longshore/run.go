package main

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"

	"github.com/longshore/longshore/agent/admin"
	"github.com/longshore/longshore/agent/graph"
	"github.com/longshore/longshore/pipeline/config"
)

func (a *app) runCommand() *cobra.Command {
	var path, dataDir string
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Ship logs until stopped",
		Long: "Ships logs as the config says, until SIGINT or SIGTERM. Without a config it takes all containers of the Docker " +
			"socket to LONGSHORE_LOKI_URL and LONGSHORE_ELASTICSEARCH_URL, or to standard output when neither is set.",
		Args: cobra.NoArgs,
		RunE: action(func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.loadFor(path, dataDir)
			if err != nil {
				return err
			}
			return a.runPipelines(cmd.Context(), cfg)
		}),
	}
	configFlag(cmd, &path)
	cmd.Flags().StringVar(&dataDir, "data-dir", "", "folder for what must survive a restart, instead of the config's data_dir")
	_ = cmd.MarkFlagDirname("data-dir") // the flag is there
	return cmd
}

// runPipelines runs what the config says until ctx ends.
func (a *app) runPipelines(ctx context.Context, cfg *config.Config) error {
	defer spareMemory(a.env)()
	log := a.logger()
	for _, w := range cfg.Warnings {
		log.Warn(w.What(), "at", w.Position())
	}
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	var health admin.Health
	g, err := graph.Build(graph.Options{Config: cfg, Log: log, Metrics: metrics, Health: health.Component, Vital: health.Vital, Now: time.Now})
	if err != nil {
		return err
	}
	server, err := admin.Listen(admin.Options{
		Address: cfg.HTTP.Listen, Token: cfg.HTTP.Token, Metrics: metrics, Health: &health,
		Status: func() any { return g.Status() }, Log: log,
	})
	if err != nil {
		return errors.Join(err, g.Close())
	}
	health.Ready(true)
	defer inBackground(func(ctx context.Context) {
		_ = server.Run(ctx) // it logs its own trouble, and the pipelines go on without it
	})()
	defer restWhenQuiet(func() uint64 { return g.Counts().Read }, debug.FreeOSMemory)()
	err = g.Run(ctx)
	goodbye(log, g.Counts())
	return err
}

// inBackground runs a function, whose context ends when the function it gives is called.
func inBackground(run func(ctx context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		run(ctx)
	}()
	return func() {
		cancel()
		<-ended
	}
}

// goodbye says what became of the records. What was read is due at each output of its
// pipelines, unless it was joined to the record of a line before; what was due was
// delivered, rejected, filtered, skipped as done before, or is pending.
func goodbye(log *slog.Logger, c graph.Counts) {
	log.Info("goodbye", "read", c.Read, "joined", c.Joined, "due", c.Due, "delivered", c.Delivered, "rejected", c.Rejected,
		"filtered", c.Filtered, "skipped", c.Skipped, "pending", c.Pending(), "retried", c.Retried)
}
