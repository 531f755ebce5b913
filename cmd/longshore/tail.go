package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/longshore/longshore/agent/graph"
	"github.com/longshore/longshore/agent/recent"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
	"github.com/longshore/longshore/pipeline/event"
)

func (a *app) tailCommand() *cobra.Command {
	t := tailing{app: a}
	cmd := &cobra.Command{
		Use:   "tail [container|file…]",
		Short: "Show the records of containers and files as they come",
		Long: "Shows the records of containers and files, parsed, merged and coloured: those of the config's " +
			"inputs, or of all containers if there is no config. Arguments choose others: a file, by its path " +
			"(or a glob), or containers, by a part of their names (or a pattern with *). Nothing is shipped or " +
			"stored, and no position moves: it may run beside an agent, and without one. Secrets are redacted.",
		Example: "  longshore tail\n  longshore tail web worker --level warn\n" +
			"  longshore tail /var/log/nginx/access.log -n 100 --no-follow\n" +
			"  longshore tail --since 1h --trace 4bf92f3577b34da6a3ce929d0e0e4736\n" +
			"  longshore tail -o json | jq .message",
		RunE: action(func(cmd *cobra.Command, args []string) error {
			ctx, stop := a.untilSignal(cmd, true)
			defer stop()
			return t.run(ctx, args)
		}),
	}
	configFlag(cmd, &t.path)
	f := cmd.Flags()
	f.BoolVarP(&t.follow, "follow", "f", true, "go on until stopped")
	f.BoolVar(&t.noFollow, "no-follow", false, "end with what is there now")
	f.StringVarP(&t.lines, "lines", "n", "",
		"lines of each source to begin with, or all (default 10; all with --since)")
	f.StringVar(&t.level, "level", "",
		"this level and those above (records without one count as info), or several with commas")
	f.StringVar(&t.trace, "trace", "", "only records of this trace id")
	f.StringVar(&t.since, "since", "",
		"only records since a time, such as 2026-01-31T12:00:00Z, or 15m for that long ago")
	f.StringVar(&t.grep, "grep", "", "only records whose text matches a regular expression")
	f.StringVarP(&t.output, "output", "o", "text", "text, json (as the API has it) or raw (lines as they were written)")
	f.BoolVar(&t.unfold, "unfold", false, "show all lines of stack traces, and of long messages")
	return cmd
}

// tailing is one invocation of the command.
type tailing struct {
	*app
	path                                     string
	follow, noFollow, unfold                 bool
	lines, level, trace, since, grep, output string

	filter  recent.Filter
	pattern *regexp.Regexp // nil for none
	limit   int            // lines of each source to begin with; -1 for all
	files   []string       // those named as arguments
	globs   bool           // and not only by their names
	merger  *merger
}

func (t *tailing) run(ctx context.Context, args []string) error {
	if err := t.readFlags(); err != nil {
		return &failure{exitUsage, err}
	}
	cfg, err := t.configToTail(args)
	if err != nil {
		return err
	}
	if cfg.DataDir, err = temporaryDir(cfg.DataDir); err != nil {
		return err
	}
	defer os.RemoveAll(cfg.DataDir)
	// Who reads the output may go at any time (| head): that is an error of writing then, and not
	// the end, at which the folder would stay.
	signal.Ignore(syscall.SIGPIPE)
	defer signal.Reset(syscall.SIGPIPE)
	t.merger = newMerger(newTailView(t.app, t.output, t.unfold).show, len(cfg.Inputs), len(t.files) > 0 && !t.globs)
	return t.follows(ctx, cfg)
}

func (t *tailing) readFlags() error {
	t.noFollow = t.noFollow || !t.follow
	levels, err := levelsFrom(t.level)
	if err != nil {
		return err
	}
	q := map[string][]string{"level": levels, "trace": {t.trace}, "since": {t.since}}
	if t.filter, err = recent.ParseFilter(q, time.Now()); err != nil {
		return fmt.Errorf("--%w", err)
	}
	if t.grep != "" {
		if t.pattern, err = regexp.Compile(t.grep); err != nil {
			return fmt.Errorf("--grep: %w", err)
		}
	}
	if !slices.Contains([]string{"text", "json", "raw"}, t.output) {
		return fmt.Errorf("--output: there is no form %q; there are text, json and raw", t.output)
	}
	t.limit = defaultTail
	switch {
	case t.lines == "all", t.lines == "-1", t.lines == "" && t.since != "":
		t.limit = -1
	case t.lines != "":
		if t.limit, err = strconv.Atoi(t.lines); err != nil || t.limit < 0 || t.limit > maxTail {
			return fmt.Errorf("--lines: %q is neither a number up to %d nor all", t.lines, maxTail)
		}
	}
	return nil
}

const defaultTail, maxTail = 10, 100_000

// levelsFrom returns the levels that a flag asks for: the one named and those above, or those
// listed.
func levelsFrom(text string) ([]string, error) {
	names := []string{"trace", "debug", "info", "warn", "error", "fatal"}
	text = strings.ToLower(strings.TrimSpace(text))
	if text == "" || strings.Contains(text, ",") || text == "none" {
		return []string{text}, nil
	}
	at := slices.Index(names, text)
	if at < 0 {
		return nil, fmt.Errorf("--level: there is no level %q; there are %s", text, strings.Join(names, ", "))
	}
	levels := names[at:]
	if at <= slices.Index(names, "info") {
		levels = append(slices.Clone(levels), "none")
	}
	return levels, nil
}

// temporaryDir makes a folder for what the pipelines note while they run. Where there is none for
// such (an image from scratch), it is one in the config's data folder.
func temporaryDir(dataDir string) (string, error) {
	var errs []error
	for _, dir := range []string{os.TempDir(), "/dev/shm", dataDir} {
		made, err := os.MkdirTemp(dir, "longshore-tail-")
		if err == nil {
			return made, nil
		}
		errs = append(errs, err)
	}
	return "", fmt.Errorf("making a temporary folder (set TMPDIR to one that can be written to): %w",
		errors.Join(errs...))
}

// configToTail returns the config whose inputs are shown: with arguments, one for them alone.
func (t *tailing) configToTail(args []string) (*config.Config, error) {
	var cfg *config.Config
	var err error
	if len(args) > 0 {
		cfg, err = t.configOf(args)
	} else {
		cfg, err = t.loadUnread(t.path)
	}
	if err != nil {
		return nil, err
	}
	cfg.Inputs = slices.DeleteFunc(cfg.Inputs, func(in config.Input) bool {
		if in.Traits.Observes {
			return true
		}
		if !in.Traits.Rereadable {
			printf(t.stderr, "%s is left out: what it reads, nobody else can\n", "input "+in.Name)
		}
		return !in.Traits.Rereadable
	})
	if len(cfg.Inputs) == 0 {
		return nil, fmt.Errorf("%s has no input that can be shown; name containers or files", cfg.File)
	}
	for _, in := range cfg.Inputs {
		if s, ok := in.Settings.(interface{ FromTail(lines int) }); ok {
			s.FromTail(t.limit)
		}
	}
	cfg.ShutdownTimeout = pipeline.Duration(time.Second)
	return cfg, nil
}

// filesInput is the name of the input of files that are named as arguments.
const filesInput = "files"

// configOf returns a config for containers and files.
func (t *tailing) configOf(args []string) (*config.Config, error) {
	var paths, names []string
	for _, arg := range args {
		path, isFile, err := t.fileOf(arg)
		switch {
		case err != nil:
			return nil, err
		case isFile:
			paths = append(paths, path)
		case strings.Contains(arg, "*"):
			names = append(names, arg)
		default:
			names = append(names, "*"+arg+"*")
		}
	}
	inputs := map[string]any{}
	if len(paths) > 0 {
		inputs[filesInput] = map[string]any{"type": "file", "paths": paths, "line_timeout": "500ms"}
	}
	if len(names) > 0 {
		inputs["containers"] = map[string]any{"type": "docker", "include": map[string]any{"names": names}}
	}
	text, err := json.Marshal(map[string]any{"inputs": inputs, "recent": "on"})
	if err != nil {
		return nil, err
	}
	loader := config.Loader{Components: t.components, LookupEnv: t.env}
	return loader.Load("the arguments", []byte(escapeVariables(text)))
}

// escapeVariables has a config take all as it stands.
func escapeVariables(text []byte) string { return strings.ReplaceAll(string(text), "${", "$${") }

// fileOf returns the path that an argument names, as a glob, if it is one of a file.
func (t *tailing) fileOf(arg string) (path string, isFile bool, err error) {
	info, err := os.Stat(arg)
	switch {
	case err == nil && info.IsDir():
		return "", false, &failure{exitUsage, fmt.Errorf("%s is a folder; name its files, such as %s", arg,
			filepath.Join(arg, "*.log"))}
	case err == nil && !info.Mode().IsRegular():
		return "", false, &failure{exitUsage, fmt.Errorf("%s is no regular file", arg)}
	case err == nil:
		path, err = filepath.Abs(arg)
		t.files = append(t.files, path)
		return literal.Replace(path), true, err
	case !strings.Contains(arg, "/") && !slices.Contains(logEndings, filepath.Ext(arg)):
		return "", false, nil
	case !strings.ContainsAny(arg, "*?["):
		return "", false, fmt.Errorf("reading %s: %w", arg, errors.Unwrap(err))
	}
	t.globs = true
	path, err = filepath.Abs(arg)
	return path, true, err
}

// literal escapes what means something in a glob.
var literal = strings.NewReplacer("*", `\*`, "?", `\?`, "[", `\[`, `\`, `\\`)

// logEndings are those by which a name without a folder is a file's, also where there is none.
var logEndings = []string{".log", ".json", ".jsonl", ".txt", ".out", ".err"}

// sizes returns the sizes of the files named as arguments, as their input finds them: up to there
// they are shown by a tail that does not follow.
func (t *tailing) sizes(input string) map[string]int64 {
	if input != filesInput {
		return nil
	}
	sizes := map[string]int64{}
	for _, path := range t.files {
		if info, err := os.Stat(path); err == nil {
			sizes[path] = info.Size()
		}
	}
	return sizes
}

// follows shows what the config's pipelines make of its inputs, until ctx ends or, without follow,
// all that is there is shown.
func (t *tailing) follows(ctx context.Context, cfg *config.Config) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	g, err := graph.Build(graph.Options{
		Config: cfg, Log: t.log(), Metrics: prometheus.NewRegistry(),
		Health: func(kind pipeline.Kind, name string) func(error) {
			return t.health(cancel, string(kind)+" "+name)
		},
		Vital: func(name string) func(error) { return t.health(cancel, name) },
		Found: func(input, _ string) { t.merger.inputFound(t.sizes(input)) },
		Now:   time.Now, Recent: recent.Show(t.take), OnlyRecent: true,
	})
	if err != nil {
		return err
	}
	flushed, endFlushing := context.WithCancel(context.Background())
	var flushing sync.WaitGroup
	flushing.Go(func() { t.flush(flushed, cancel, g) })
	err = g.Run(ctx)
	endFlushing()
	flushing.Wait()
	cause := context.Cause(ctx)
	if err == nil && !errors.Is(cause, errAllShown) && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	err = errors.Join(err, t.merger.flush())
	if errors.Is(err, syscall.EPIPE) {
		return nil // who read has seen enough
	}
	return err
}

// errAllShown ends a tail that does not follow.
var errAllShown = errors.New("all is shown")

// take takes a record off a pipeline, or the end of a batch.
func (t *tailing) take(r *recent.Record) {
	if r.IsNone() {
		t.merger.arrived(r.Source.Label(event.LabelFile), r.End)
		return
	}
	isLater := t.noFollow && t.merger.isLater(r.Source.Label(event.LabelFile), r.Position())
	if isLater || !t.filter.Matches(r) {
		return
	}
	record := newTailRecord(r.Append(nil))
	if t.pattern == nil || t.pattern.MatchString(record.Message) || t.pattern.MatchString(record.Raw) {
		t.merger.add(record)
	}
}

// log returns what tells of trouble. Who does not follow is told by the error that ends the
// command.
func (t *tailing) log() *slog.Logger {
	if t.noFollow {
		return slog.New(slog.DiscardHandler)
	}
	level := max(t.logLevel, slog.LevelWarn)
	return slog.New(&lineHandler{out: t.stderr, level: level, style: t.styleOf(t.stderr), mu: new(sync.Mutex)})
}

// health returns what takes the health of a part. Who does not follow waits for none.
func (t *tailing) health(cancel context.CancelCauseFunc, part string) func(error) {
	return func(err error) {
		if err != nil && t.noFollow {
			cancel(fmt.Errorf("%s: %w", part, err))
		}
	}
}

// flush shows what has come, from time to time, until ctx ends.
func (t *tailing) flush(ctx context.Context, cancel context.CancelCauseFunc, g *graph.Graph) {
	tick := time.NewTicker(mergeEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if t.merger.holds() {
			continue
		}
		if err := t.merger.flush(); err != nil {
			cancel(err)
		}
		if t.noFollow && t.merger.isComplete() && !isPending(g) {
			cancel(errAllShown)
		}
	}
}

// isPending reports whether lines are on their way, or wait for more that may belong to them.
func isPending(g *graph.Graph) bool {
	s := g.Status()
	return slices.ContainsFunc(s.Inputs, func(i graph.InputStatus) bool { return i.InFlight > 0 }) ||
		slices.ContainsFunc(s.Pipelines, func(p graph.PipelineStatus) bool { return p.Pending > 0 })
}
