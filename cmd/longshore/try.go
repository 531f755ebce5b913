package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/longshore/longshore/agent/graph"
	"github.com/longshore/longshore/inputs/stdin"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
	"github.com/longshore/longshore/pipeline/event"
)

func (a *app) tryCommand() *cobra.Command {
	t := trying{app: a}
	var path string
	cmd := &cobra.Command{
		Use:   "try [file]",
		Short: "Show how the lines of a file, or of standard input, are processed",
		Long: "Sends lines through a pipeline of the config, or through the auto parser if no config is named, " +
			"and shows the result. Nothing is shipped. On a terminal it shows what each step changes; " +
			"otherwise it " +
			"prints the records, one line of JSON each.",
		Example: "  longshore try app.log\n  docker logs web 2>&1 | longshore try\n" +
			"  longshore try -c longshore.yml --pipeline main app.log",
		Args: cobra.MaximumNArgs(1),
		RunE: action(func(cmd *cobra.Command, args []string) error {
			cfg, err := a.configToTry(path)
			if err != nil {
				return err
			}
			if len(args) == 0 || args[0] == "-" {
				return t.run(cmd.Context(), cfg, a.stdin)
			}
			return t.file(cmd.Context(), cfg, args[0])
		}),
	}
	configFlag(cmd, &path)
	cmd.Flags().StringVar(&t.pipeline, "pipeline", "", "the pipeline to use (default: the first)")
	cmd.Flags().StringToStringVar(&t.labels, "label", nil, "a label of the source, such as container.name=web-1")
	cmd.Flags().BoolVar(&t.format, "format", false, "add the detected format of each line, as _format")
	return cmd
}

// withoutConfig is the config if none is named.
const withoutConfig = "inputs: {try: {type: stdin}}\noutputs: {try: {type: stdout}}\n"

func (a *app) configToTry(path string) (*config.Config, error) {
	if path != "" {
		return a.loadUnread(path)
	}
	loader := config.Loader{Components: a.components, LookupEnv: a.env}
	return loader.Load("built-in", []byte(withoutConfig))
}

// trying is one invocation of the command.
type trying struct {
	*app
	pipeline string
	labels   map[string]string
	format   bool

	dropped, rejected int
}

// file shows the lines of a file.
func (t *trying) file(ctx context.Context, cfg *config.Config, name string) error {
	if ext := filepath.Ext(name); ext == ".yml" || ext == ".yaml" {
		return &failure{exitUsage, fmt.Errorf("%s looks like a config; name it with -c, and the file of lines "+
			"after it, or send the lines to standard input", name)}
	}
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("reading the lines: %w", err)
	}
	defer f.Close()
	return t.run(ctx, cfg, f)
}

func (t *trying) run(ctx context.Context, cfg *config.Config, lines io.Reader) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	trial, err := graph.NewTrial(cfg, t.pipeline, labelsOf(t.labels), t.logger(), time.Now)
	if err != nil {
		return err
	}
	settings, err := config.Settings(stdin.Spec(), "")
	if err != nil {
		return err
	}
	in := settings.(*stdin.Config).From(lines, pipeline.NewEnv("try", t.logger()))
	read := make(chan error, 1)
	go func() { read <- in.Run(ctx, trial) }()
	err = trial.Run(ctx, t.show)
	cancel()
	if readErr := <-read; err == nil {
		err = readErr
	}
	t.sumUp()
	return err
}

func labelsOf(m map[string]string) []event.Label {
	var labels []event.Label
	for name, value := range m {
		labels = append(labels, event.Label{Name: name, Value: value})
	}
	return labels
}

// sumUp prints what was not shipped to standard error.
func (t *trying) sumUp() {
	if t.dropped > 0 {
		printf(t.stderr, "%s dropped\n", pipeline.Count(t.dropped, "record"))
	}
	if t.rejected > 0 {
		printf(t.stderr, "%s would become dead letters\n", pipeline.Count(t.rejected, "record"))
	}
}

func (t *trying) show(o graph.Outcome) error {
	if o.Dropped != "" {
		t.dropped++
	}
	if o.Rejected {
		t.rejected++
	}
	if isTerminal(t.stdout) {
		return t.showSteps(t.styleOf(t.stdout), o)
	}
	if o.Dropped != "" || o.Rejected {
		return nil
	}
	record := o.Record()
	if t.format {
		record = fmt.Appendf(bytes.TrimSuffix(record, []byte("}")), ",%q:%q}", formatField, o.Format)
	}
	_, err := printf(t.stdout, "%s\n", record)
	return err
}

const formatField = "_format"

// showSteps shows what each step changes.
func (t *trying) showSteps(s style, o graph.Outcome) error {
	var b strings.Builder
	printf(&b, "%s\n", s.dim(block(o.Line)))
	var before []jsonField
	for i, step := range o.Steps {
		by := step.By
		if i == 0 {
			by = o.Format.String()
		}
		after := jsonFields(step.Record)
		printf(&b, "  %s\n", s.bold(by))
		writeChanges(&b, s, before, after)
		before = after
	}
	switch {
	case o.Dropped != "":
		printf(&b, "  %s\n", s.red("dropped by "+o.Dropped))
	case o.Rejected:
		printf(&b, "  %s\n", s.red("would become a dead letter"))
	case len(o.Outputs) == 0:
		printf(&b, "  %s\n", s.red("goes to no output"))
	}
	_, err := io.WriteString(t.stdout, b.String()+"\n")
	return err
}

func writeChanges(w io.Writer, s style, before, after []jsonField) {
	for _, f := range before {
		if !slices.Contains(after, f) {
			printf(w, "  %s\n", s.red("- "+printable(f.name)+": "+block(f.value)))
		}
	}
	for _, f := range after {
		if !slices.Contains(before, f) {
			printf(w, "  %s\n", s.green("+ "+printable(f.name)+": "+block(f.value)))
		}
	}
}

// block indents all lines of a text but the first.
func block(text string) string { return strings.ReplaceAll(text, "\n", "\n    ") }
