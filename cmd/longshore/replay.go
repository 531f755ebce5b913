package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/longshore/longshore/agent/deliver"
	"github.com/longshore/longshore/agent/graph"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
)

// replayOptions select dead letters.
type replayOptions struct {
	output, reason string
	dry            bool
}

// wants returns a function that selects dead letters for an output.
func (o replayOptions) wants(c config.Output) func(*deliver.DeadLetter) bool {
	return func(l *deliver.DeadLetter) bool { return l.Fits(c.Type) && strings.Contains(l.Reason, o.reason) }
}

func (a *app) replayCommand() *cobra.Command {
	var path, dataDir string
	var o replayOptions
	cmd := &cobra.Command{
		Use:   "replay [config]",
		Short: "Send dead letters again",
		Long: "Sends the records that a destination has rejected again. Those that it rejects once more are " +
			"kept. The agent may " +
			"keep running meanwhile; an interrupted replay is resumed by the next.",
		Args: configArgument(&path),
		RunE: action(func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.loadFor(path, dataDir)
			if err != nil {
				return err
			}
			ctx, stop := a.untilSignal(cmd, true)
			defer stop()
			return a.replay(ctx, cfg, o)
		}),
	}
	configFlag(cmd, &path)
	cmd.Flags().StringVar(&dataDir, "data-dir", "", "folder of the dead letters, instead of the config's data_dir")
	cmd.Flags().StringVar(&o.output, "output", "", "only those of this output")
	cmd.Flags().StringVar(&o.reason, "reason", "", "only those whose reason contains this text")
	cmd.Flags().BoolVar(&o.dry, "dry-run", false, "only show what would be sent")
	return cmd
}

func (a *app) replay(ctx context.Context, cfg *config.Config, o replayOptions) error {
	outputs := cfg.Outputs
	if o.output != "" {
		outputs = slices.DeleteFunc(slices.Clone(outputs), func(c config.Output) bool { return c.Name != o.output })
		if len(outputs) == 0 {
			return fmt.Errorf("there is no output %q in %s", o.output, cfg.File)
		}
	}
	var errs []error
	for _, c := range outputs {
		file := deliver.NewDeadLetterFile(filepath.Join(cfg.DataDir, config.DeadLetterFolder), c.Name)
		if o.dry {
			errs = append(errs, a.showDeadLetters(c, file, o))
		} else {
			errs = append(errs, a.replayOutput(ctx, cfg, c, file, o))
		}
		errs = append(errs, a.showDamaged(c, file))
	}
	return errors.Join(errs...)
}

// showDeadLetters prints how many dead letters there are, by reason.
func (a *app) showDeadLetters(c config.Output, file *deliver.DeadLetterFile, o replayOptions) error {
	byReason, wants, others := map[string]int{}, o.wants(c), 0
	err := file.Each(func(l *deliver.DeadLetter) error {
		if wants(l) {
			byReason[l.Reason]++
		}
		if !l.Fits(c.Type) {
			others++
		}
		return nil
	})
	if err != nil {
		return err
	}
	reasons := slices.SortedFunc(maps.Keys(byReason), func(x, y string) int { return byReason[y] - byReason[x] })
	total := 0
	for _, n := range byReason {
		total += n
	}
	printf(a.stdout, "%s: %s would be sent\n", c.Name, pipeline.Count(total, "record"))
	if others > 0 {
		printf(a.stdout, "  %8d  stay: encoded for another type of output\n", others)
	}
	for _, reason := range reasons {
		printf(a.stdout, "  %8d  %s\n", byReason[reason], printable(reason))
	}
	return nil
}

// showDamaged prints how many lines cannot be read.
func (a *app) showDamaged(c config.Output, file *deliver.DeadLetterFile) error {
	n, err := file.Damaged()
	if n > 0 {
		printf(a.stdout, "%s: %s of %s cannot be read and stay there\n", c.Name, pipeline.Count(n, "line"), file.Path())
	}
	return err
}

func (a *app) replayOutput(ctx context.Context, cfg *config.Config, c config.Output, file *deliver.DeadLetterFile,
	o replayOptions) (err error) {
	r, err := graph.OpenReplay(cfg, c, o.wants(c), a.logger(), func(error) {})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	total := r.DeadLetters()
	if total == 0 {
		printf(a.stdout, "%s: no dead letters\n", c.Name)
		return nil
	}
	a.watch(func() string {
		n := r.Counts()
		return c.Name + " " + bar(int(n.Delivered+n.Rejected), total)
	}, func() { r.Run(ctx) })
	n := r.Counts()
	printf(a.stdout, "%s: %d delivered, %d rejected again, %d left\n", c.Name, n.Delivered, n.Rejected,
		uint64(total)-n.Delivered-n.Rejected)
	if n.Delivered < uint64(total) {
		return &failure{exitFailed, fmt.Errorf("output %s: not all dead letters were delivered; the others are "+
			"kept in %s", c.Name, filepath.Dir(file.Path()))}
	}
	return nil
}
