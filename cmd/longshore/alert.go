package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/longshore/longshore/agent/graph"
	"github.com/longshore/longshore/inputs/alerts"
	"github.com/longshore/longshore/inputs/stdin"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
	"github.com/longshore/longshore/pipeline/event"
)

func (a *app) alertCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "alert", Short: "See what the alerts of a config would do"}
	cmd.AddCommand(a.alertTestCommand())
	return cmd
}

func (a *app) alertTestCommand() *cobra.Command {
	t := alertTest{app: a}
	var path string
	cmd := &cobra.Command{
		Use:   "test file...",
		Short: "Show when alerts would have rung over past logs",
		Long: "Reads files, or standard input for -, as a pipeline of the config would, and prints when the config's " +
			"alerts would have rung and been resolved, by the times of the lines. Nothing is sent or stored. Lines " +
			"without a time of their own count as of now.",
		Example: "  longshore alert test -c longshore.yml /var/log/app.log\n" +
			"  docker logs -t web 2>&1 | longshore alert test -c longshore.yml -",
		Args: cobra.MinimumNArgs(1),
		RunE: action(func(cmd *cobra.Command, args []string) error {
			cfg, err := a.load(path)
			if err != nil {
				return err
			}
			return t.run(cmd.Context(), cfg, args)
		}),
	}
	configFlag(cmd, &path)
	cmd.Flags().StringVar(&t.pipeline, "pipeline", "", "the pipeline to use (default: the first)")
	cmd.Flags().StringToStringVar(&t.labels, "label", nil, "a label of the files, such as container.name=web-1")
	cmd.Flags().StringVarP(&t.output, "output", "o", "text", "text, or json (the records that alerts make)")
	return cmd
}

// alertTest is one invocation of the command.
type alertTest struct {
	*app
	pipeline, output string
	labels           map[string]string
}

func (t *alertTest) run(ctx context.Context, cfg *config.Config, files []string) error {
	if t.output != "text" && t.output != "json" {
		return &failure{exitUsage, fmt.Errorf("--output: there is no form %q; there are text and json", t.output)}
	}
	rehearsal, err := rehearsalOf(cfg)
	if err != nil {
		return err
	}
	if err := t.onlyFiles(cfg, files, rehearsal); err != nil {
		return err
	}
	if cfg.DataDir, err = temporaryDir(cfg.DataDir); err != nil {
		return err
	}
	defer os.RemoveAll(cfg.DataDir)
	g, err := graph.Build(graph.Options{
		Config: cfg, Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(),
		Health: func(pipeline.Kind, string) func(error) { return func(error) {} },
		Vital:  func(string) func(error) { return func(error) {} },
		Found:  func(string, string) {}, Now: time.Now, OnlyRecent: true,
	})
	if err != nil {
		return err
	}
	if err := g.Run(ctx); err != nil {
		return err
	}
	return t.show(rehearsal, g.Counts().Read)
}

// rehearsalOf returns a rehearsal of a config's alerts.
func rehearsalOf(cfg *config.Config) (*alerts.Rehearsal, error) {
	for _, in := range cfg.Inputs {
		if c, ok := in.Settings.(*alerts.Config); ok {
			return alerts.NewRehearsal(c)
		}
	}
	return nil, &failure{exitConfig, fmt.Errorf("%s has no alerts; add a section alerts", cfg.File)}
}

// onlyFiles has a config read files alone, by one of its pipelines, before a rehearsal.
func (t *alertTest) onlyFiles(cfg *config.Config, files []string, rehearsal *alerts.Rehearsal) error {
	i := 0
	if t.pipeline != "" {
		i = slices.IndexFunc(cfg.Pipelines, func(p config.Pipeline) bool { return p.Name == t.pipeline })
	}
	if i < 0 {
		return &failure{exitUsage, fmt.Errorf("there is no pipeline %q", t.pipeline)}
	}
	p := cfg.Pipelines[i]
	p.Inputs, p.Outputs = nil, nil
	settings, err := config.Settings(stdin.Spec(), "")
	if err != nil {
		return err
	}
	cfg.Inputs = []config.Input{{
		Name: config.Alerts, Type: alerts.Spec().Type, Traits: alerts.Spec().Traits, Settings: rehearsal,
	}}
	for k, file := range files {
		name := fmt.Sprintf("file-%d", k+1)
		labels := maps.Clone(t.labels)
		if labels == nil {
			labels = map[string]string{}
		}
		if _, given := labels[event.LabelFile]; !given && file != "-" {
			labels[event.LabelFile] = file
		}
		if _, given := labels[event.LabelService]; !given && file != "-" {
			labels[event.LabelService] = strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
		}
		cfg.Inputs = append(cfg.Inputs, config.Input{
			Name: name, Type: stdin.Spec().Type, Traits: stdin.Spec().Traits,
			Common: pipeline.InputSettings{Labels: labels}, Settings: &pastLog{t.stdin, settings.(*stdin.Config), file},
		})
		p.Inputs = append(p.Inputs, name)
	}
	cfg.Pipelines = []config.Pipeline{p}
	return nil
}

// pastLog is the config of an input that reads a file to its end.
type pastLog struct {
	stdin    io.Reader
	settings *stdin.Config
	path     string // "-" for standard input
}

// Input implements pipeline.InputConfig.
func (p *pastLog) Input(env pipeline.Env) (pipeline.Input, error) { return &pastLogInput{*p, env}, nil }

type pastLogInput struct {
	pastLog
	env pipeline.Env
}

// Run implements pipeline.Input.
func (p *pastLogInput) Run(ctx context.Context, feed pipeline.Feed) error {
	if p.path == "-" {
		return p.settings.From(p.stdin, p.env).Run(ctx, feed)
	}
	f, err := os.Open(p.path)
	if err != nil {
		return fmt.Errorf("reading past logs: %w", err)
	}
	defer f.Close()
	return p.settings.From(f, p.env).Run(ctx, feed)
}

// show prints what would have rung.
func (t *alertTest) show(rehearsal *alerts.Rehearsal, lines uint64) error {
	s, rang := t.styleOf(t.stdout), 0
	first, last, err := rehearsal.Conclude(func(r alerts.Ring) error {
		if r.Status == "firing" {
			rang++
		}
		if t.output == "json" {
			_, err := printf(t.stdout, "%s\n", r.JSON)
			return err
		}
		status := s.green(fmt.Sprintf("%-8s", r.Status))
		if r.Status == "firing" {
			status = s.red(fmt.Sprintf("%-8s", r.Status))
		}
		_, err := printf(t.stdout, "%s  %s  %s\n", r.Time.Format(time.RFC3339), status, printable(r.Message))
		return err
	})
	if err != nil {
		return err
	}
	if first.IsZero() {
		printf(t.stderr, "nothing would have rung: no alert counts any of %s\n", pipeline.Count(int(lines), "line"))
		return nil
	}
	printf(t.stderr, "%s would have rung, from %s to %s, of %s\n", pipeline.Count(rang, "time"),
		first.Format(time.RFC3339), last.Format(time.RFC3339), pipeline.Count(int(lines), "line"))
	return nil
}
