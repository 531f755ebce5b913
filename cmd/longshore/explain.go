package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/longshore/longshore/agent/graph"
	"github.com/longshore/longshore/agent/ledger"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
	"github.com/longshore/longshore/pipeline/event"
)

// explainTime bounds what an engine is asked.
const explainTime = time.Minute

func (a *app) explainCommand() *cobra.Command {
	x := explaining{app: a}
	var path string
	cmd := &cobra.Command{
		Use:   "explain CONTAINER|FILE [config]",
		Short: "Show what becomes of the log of a container, or of a file, and why",
		Long: "Says which input takes a container (by its name or ID) or a file, or why none does; which of its " +
			"labels " +
			"decide; where it is read from, and how far it was read; through which pipelines it goes; and shows what " +
			"becomes of its last lines. Nothing is changed or sent, and a running agent is not disturbed.\n\n" +
			"The exit code is 0 if an input takes it, else 1.",
		Example: "  longshore explain web-1\n  longshore explain /var/log/nginx/access.log longshore.yml",
		Args:    cobra.RangeArgs(1, 2),
		RunE: action(func(cmd *cobra.Command, args []string) error {
			if err := configArgument(&path)(cmd, args[1:]); err != nil {
				return &failure{exitUsage, err}
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), explainTime)
			defer cancel()
			return x.run(ctx, args[0], path)
		}),
	}
	configFlag(cmd, &path)
	return cmd
}

// explaining is one invocation of the command.
type explaining struct {
	*app
	config *config.Config
	known  []ledger.State
	noted  string // why the ledger could not be read
}

func (x *explaining) run(ctx context.Context, name, path string) error {
	cfg, err := x.loadUnread(path)
	if err != nil {
		return err
	}
	x.config = cfg
	if x.known, err = ledger.Read(cfg.DataDir); err != nil {
		x.noted = err.Error()
	}
	taken := false
	for _, in := range cfg.Inputs {
		ok, err := x.input(ctx, in, sourceName(name))
		if err != nil {
			return err
		}
		taken = taken || ok
	}
	if !taken {
		return fmt.Errorf("no input takes %s", name)
	}
	return nil
}

// sourceName returns the absolute path of what is a file, or looks like one, and else the name.
func sourceName(name string) string {
	_, err := os.Stat(name)
	if err != nil && !strings.ContainsRune(strings.TrimPrefix(name, "/"), '/') {
		return name // engines themselves say /web-1
	}
	if abs, err := filepath.Abs(name); err == nil {
		return abs
	}
	return name
}

// input explains what one input does, and reports whether it takes the source.
func (x *explaining) input(ctx context.Context, in config.Input, name string) (taken bool, err error) {
	s := x.styleOf(x.stdout)
	made, err := in.Settings.Input(pipeline.NewEnv(in.Name, slog.New(slog.DiscardHandler)))
	if err != nil {
		return false, fmt.Errorf("input %s: %w", in.Name, err)
	}
	explainer, ok := made.(pipeline.Explainer)
	if !ok {
		printf(x.stdout, "%s (%s) reads neither containers nor files\n", s.bold("input "+in.Name), in.Type)
		return false, nil
	}
	e, err := explainer.Explain(ctx, name)
	if err != nil {
		printf(x.stdout, "%s (%s) cannot look: %s\n", s.bold("input "+in.Name), in.Type, err)
		return false, ctx.Err()
	}
	if !e.Taken {
		printf(x.stdout, "%s (%s) %s: %s\n", s.bold("input "+in.Name), in.Type, s.red("does not take it"), e.Why)
		return false, nil
	}
	printf(x.stdout, "%s (%s) %s the %s: %s\n", s.bold("input "+in.Name), in.Type, s.green("takes"), e.Is, e.Why)
	printf(x.stdout, "  read from: %s\n", e.ReadFrom)
	for _, source := range e.Sources {
		if err := x.source(in, source); err != nil {
			return true, err
		}
	}
	return true, nil
}

func (x *explaining) source(in config.Input, source pipeline.ExplainedSource) error {
	s := x.styleOf(x.stdout)
	printf(x.stdout, "\n  %s\n", s.bold(source.Name))
	var labels []string
	for _, l := range source.Labels {
		if isOption(l) {
			printf(x.stdout, "    its label %s=%s decides\n", l.Name, l.Value)
		} else if l.Value != "" {
			labels = append(labels, l.Name+"="+l.Value)
		}
	}
	for name, value := range in.Common.Labels {
		source.Labels = append(source.Labels, event.Label{Name: name, Value: value})
		labels = append(labels, name+"="+value)
	}
	slices.Sort(labels)
	printf(x.stdout, "    labels: %s\n", strings.Join(labels, ", "))
	printf(x.stdout, "    position: %s\n", x.position(in.Name, source))
	pipelines, err := graph.PipelinesOf(x.config, in.Name, source.Labels)
	if err != nil {
		printf(x.stdout, "    %s %v; those of the input are taken\n", s.yellow("!"), err)
	}
	for _, name := range pipelines {
		if err := x.pipeline(name, source); err != nil {
			return err
		}
	}
	return nil
}

// position says how far a source was read, by the ledger.
func (x *explaining) position(input string, source pipeline.ExplainedSource) string {
	if x.noted != "" {
		return "not known: " + x.noted
	}
	var found []string
	for _, state := range x.known {
		if state.Input == input && state.Key == source.Key {
			found = append(found, source.Position(state.Cursor.Pos))
		}
	}
	if found == nil {
		return "none yet in " + x.config.DataDir + ": it is new to the agent"
	}
	return "all outputs are done with " + strings.Join(found, "; and, under the same name before, with ")
}

// pipeline says what a pipeline does with the last lines.
func (x *explaining) pipeline(name string, source pipeline.ExplainedSource) error {
	s := x.styleOf(x.stdout)
	p := x.config.Pipelines[slices.IndexFunc(x.config.Pipelines,
		func(p config.Pipeline) bool { return p.Name == name })]
	printf(x.stdout, "    %s: parsers %s; transforms %s; outputs %s\n", s.bold("pipeline "+name),
		namesOrNone(p.Parsers),
		namesOrNone(p.Transforms), namesOrNone(p.Outputs))
	quiet := slog.New(slog.DiscardHandler)
	trial, err := graph.NewTrial(x.config, name, source.Labels, quiet, time.Now)
	if err != nil { // as the agent does, go on without the label
		printf(x.stdout, "      %s %s; it is not heeded\n", s.yellow("!"), err)
		plain := slices.DeleteFunc(slices.Clone(source.Labels), isOption)
		if trial, err = graph.NewTrial(x.config, name, plain, quiet, time.Now); err != nil {
			return err
		}
	}
	if len(source.Lines) == 0 {
		printf(x.stdout, "      no lines to show: %s\n", source.NoLines)
		return nil
	}
	outcomes := append(trial.Lines(source.Lines, time.Time{}), trial.End()...)
	var all []error
	for _, o := range outcomes {
		all = append(all, x.outcome(s, o))
	}
	return errors.Join(all...)
}

func isOption(l event.Label) bool { return slices.Contains(pipeline.SourceOptions[:], l.Name) }

func namesOrNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// outcome shows a line, what took it, and the record.
func (x *explaining) outcome(s style, o graph.Outcome) error {
	printf(x.stdout, "      %s\n", s.dim(strings.ReplaceAll(o.Line, "\n", "\n      ")))
	goes := "goes to " + namesOrNone(o.Outputs)
	switch {
	case o.Dropped != "":
		goes = "is dropped by " + o.Dropped
	case o.Rejected:
		goes = "would become a dead letter"
	case len(x.config.Outputs) == 0:
		goes = "is kept to be looked at"
	}
	_, err := printf(x.stdout, "        %s -> %s\n        %s\n", s.bold(o.Format.String()), string(o.Record()), goes)
	return err
}
