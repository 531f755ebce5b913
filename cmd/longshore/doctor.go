package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
	"github.com/longshore/longshore/pipeline/event"
)

func (a *app) doctorCommand() *cobra.Command { return a.doctorCommandOn(thisHost()) }

func (a *app) doctorCommandOn(h host) *cobra.Command {
	d := doctor{app: a, host: h}
	var path string
	cmd := &cobra.Command{
		Use:   "doctor [config]",
		Short: "Check all that a config depends on, and say what to do",
		Long: "Looks at what run would need, and changes nothing: the config, data_dir, the port, limits of the " +
			"system, what each input reads, and for each output the name, connection, certificate, clock, login, " +
			"server and the right to write. Beside a running agent it does no harm. --write also sends one record " +
			"to each destination, of the service longshore-doctor.\n\n" +
			"The exit code is 1 if anything failed, else 0, also with warnings.",
		Args: configArgument(&path),
		RunE: action(func(cmd *cobra.Command, _ []string) error {
			return d.run(cmd.Context(), path)
		}),
	}
	configFlag(cmd, &path)
	cmd.Flags().BoolVar(&d.json, "json", false, "print the findings as JSON")
	cmd.Flags().BoolVar(&d.write, "write", false, "send one record to each destination")
	cmd.Flags().DurationVar(&d.timeout, "timeout", time.Minute, "how long all of it may take")
	return cmd
}

// A doctor is one invocation of the command.
type doctor struct {
	*app
	host    host
	json    bool
	write   bool
	timeout time.Duration

	redact   func(string) string
	findings []diagnosis
	failed   int
	warnings int
}

// A diagnosis is a pipeline.Finding and what it is about.
type diagnosis struct {
	About  string `json:"about"` // config, data_dir, output loki
	What   string `json:"what"`
	State  string `json:"state"`
	Says   string `json:"says"`
	Advice string `json:"advice,omitempty"`
}

func (d *doctor) run(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	d.redact = func(text string) string { return text }
	cfg, err := d.load(path)
	if err != nil {
		d.configFailed(err)
		return d.sumUp()
	}
	if d.redact, err = cfg.Redactor(); err != nil {
		return err
	}
	d.config(cfg)
	d.secretsOf(cfg)
	d.dataDir(cfg)
	d.port(ctx, cfg)
	d.host.limits(d.about("system"))
	for _, in := range cfg.Inputs {
		d.input(ctx, in)
	}
	for _, out := range cfg.Outputs {
		d.output(ctx, out)
	}
	if ctx.Err() != nil {
		d.about("doctor")(pipeline.Finding{What: "time", State: pipeline.FoundBroken,
			Says: "not all was looked at in time", Advice: "give it more: --timeout"})
	}
	return d.sumUp()
}

// about returns what notes and shows findings about something.
func (d *doctor) about(subject string) func(pipeline.Finding) {
	return func(f pipeline.Finding) {
		found := diagnosis{subject, f.What, f.State.String(), d.redact(f.Says), f.Advice}
		switch f.State {
		case pipeline.FoundBroken:
			d.failed++
		case pipeline.FoundDoubtful:
			d.warnings++
		}
		if d.json {
			d.findings = append(d.findings, found)
			return
		}
		d.show(f.State, found)
	}
}

func (d *doctor) show(state pipeline.FindingState, f diagnosis) {
	s := d.styleOf(d.stdout)
	mark := [...]styled{s.green("✓"), s.dim("–"), s.yellow("!"), s.red("✗")}[state]
	printf(d.stdout, "%s %s, %s: %s\n", mark, s.bold(f.About), f.What, f.Says)
	if f.Advice != "" {
		printf(d.stdout, "    %s\n", f.Advice)
	}
}

func (d *doctor) sumUp() error {
	if d.json {
		enc := json.NewEncoder(jsonWriter{d.stdout})
		enc.SetIndent("", "  ")
		report := struct {
			Findings []diagnosis `json:"findings"`
			Failed   int         `json:"failed"`
			Warnings int         `json:"warnings"`
		}{d.findings, d.failed, d.warnings}
		if err := enc.Encode(report); err != nil {
			return fmt.Errorf("writing the findings: %w", err)
		}
	}
	warned := ""
	if d.warnings > 0 {
		warned = " and " + pipeline.Count(d.warnings, "warning")
	}
	if d.failed > 0 {
		return fmt.Errorf("%d failed%s", d.failed, warned)
	}
	if !d.json {
		printf(d.stdout, "%s%s\n", "nothing failed", warned)
	}
	return nil
}

func (d *doctor) configFailed(err error) {
	tell := d.about("config")
	var problems config.Errors
	if !errors.As(err, &problems) {
		tell(pipeline.Finding{What: "file", State: pipeline.FoundBroken, Says: err.Error()})
		return
	}
	for _, p := range problems {
		tell(pipeline.Finding{What: p.Position(), State: pipeline.FoundBroken, Says: p.What()})
	}
}

func (d *doctor) config(cfg *config.Config) {
	tell := d.about("config")
	tell(pipeline.Finding{What: cfg.File, Says: "valid"})
	for _, w := range cfg.Warnings {
		tell(pipeline.Finding{What: w.Position(), State: pipeline.FoundDoubtful, Says: w.What()})
	}
}

// secretsOf tells what could be read; what could not is an error of the config.
func (d *doctor) secretsOf(cfg *config.Config) {
	told := map[string]bool{}
	for _, ref := range cfg.Secrets() {
		if name := ref.String(); !told[name] {
			told[name] = true
			d.about("secrets")(pipeline.Finding{What: name, Says: "can be read"})
		}
	}
}

func (d *doctor) input(ctx context.Context, in config.Input) {
	if ctx.Err() != nil {
		return
	}
	tell := d.about("input " + in.Name)
	made, err := in.Settings.Input(pipeline.NewEnv(in.Name, slog.New(slog.DiscardHandler)))
	if err != nil {
		tell(pipeline.Finding{What: "settings", State: pipeline.FoundBroken, Says: err.Error()})
		return
	}
	if examiner, ok := made.(pipeline.Examiner); ok {
		examiner.Examine(ctx, tell)
	}
}

func (d *doctor) output(ctx context.Context, out config.Output) {
	if ctx.Err() != nil {
		return
	}
	tell := d.about("output " + out.Name)
	made, err := out.Settings.Output(pipeline.NewEnv(out.Name, slog.New(slog.DiscardHandler)))
	if err != nil {
		tell(pipeline.Finding{What: "settings", State: pipeline.FoundBroken, Says: err.Error()})
		return
	}
	defer made.Close()
	examiner, ok := made.(pipeline.Examiner)
	if !ok {
		return
	}
	failed := d.failed
	examiner.Examine(ctx, tell)
	if d.write {
		tell(writeTest(ctx, made, d.failed > failed))
	}
}

// writeTest sends one record, unless something on the way to there is broken.
func writeTest(ctx context.Context, out pipeline.Output, broken bool) pipeline.Finding {
	f := pipeline.Finding{What: "test record"}
	if broken {
		f.State, f.Says = pipeline.FoundUnknown, "not sent, as it would fail for what is said above"
		return f
	}
	body := &pipeline.Body{}
	if err := encodeTest(body, out.Encoder()); err != nil {
		f.State, f.Says = pipeline.FoundBroken, err.Error()
		return f
	}
	if err := out.Send(ctx, body); err != nil {
		f.State, f.Says = pipeline.FoundBroken, "not stored: "+reasonOf(err)
		f.Advice = "records would wait, or become dead letters, for the same reason; see the destination's own log"
		return f
	}
	f.Says = "stored; it is of the service " + testService
	return f
}

// reasonOf returns the destination's own words on a body of one record, or what went wrong.
func reasonOf(err error) string {
	var failure *pipeline.SendError
	switch {
	case !errors.As(err, &failure):
		return err.Error()
	case len(failure.Items) > 0:
		return failure.Items[0].Reason
	}
	return failure.Reason
}

const testService = "longshore-doctor"

func encodeTest(body *pipeline.Body, encoder pipeline.Encoder) error {
	now := time.Now()
	src := event.NewSource(event.SourceID(now.UnixNano()), "doctor", "doctor",
		[]event.Label{{Name: event.LabelService, Value: testService}})
	b := &event.Batch{}
	b.Reset(src)
	b.Add(0, now.UnixNano(), b.PutString("a test record of longshore doctor --write"))
	r := &b.Records[0]
	r.Time = now.UnixNano()
	body.Sources = oneSource{src}
	group, err := encoder.Encode(body, b, 0)
	if err != nil {
		return err
	}
	body.Items = append(body.Items, pipeline.Item{End: uint32(len(body.Bytes)), Group: group})
	return nil
}

// oneSource is pipeline.ItemSources of a single one.
type oneSource struct{ src *event.Source }

func (o oneSource) SourceOf(int) *event.Source { return o.src }

// nameOf returns a process for people.
func nameOf(pid string, command string) string {
	if command == "" {
		return "process " + pid
	}
	return fmt.Sprintf("%s (process %s)", strings.TrimSpace(command), pid)
}
