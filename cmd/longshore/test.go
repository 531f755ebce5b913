package main

import (
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/longshore/longshore/agent/graph"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
)

func (a *app) testCommand() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "test [config]",
		Short: "Run the tests in a config",
		Long: "Sends the lines of each case under tests in the config through its pipeline and compares the " +
			"records with what " +
			"the case expects. The exit code is 1 if any of them differ.",
		Args: configArgument(&path),
		RunE: action(func(*cobra.Command, []string) error {
			cfg, err := a.loadUnread(path)
			if err != nil {
				return err
			}
			return a.test(cfg)
		}),
	}
	configFlag(cmd, &path)
	return cmd
}

func (a *app) test(cfg *config.Config) error {
	if len(cfg.Tests) == 0 {
		return fmt.Errorf("%s has no tests; write some under \"tests:\", each with name, input and expect", cfg.File)
	}
	s, failed := a.styleOf(a.stdout), 0
	for _, c := range cfg.Tests {
		differences, err := differencesOf(cfg, c)
		if err != nil {
			return fmt.Errorf("test %s: %w", c.Name, err)
		}
		if len(differences) == 0 {
			printf(a.stdout, "%s %s\n", s.green("ok  "), c.Name)
			continue
		}
		failed++
		printf(a.stdout, "%s %s\n", s.red("FAIL"), c.Name)
		for _, d := range differences {
			d.write(a.stdout, s)
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %s failed", failed, pipeline.Count(len(cfg.Tests), "test"))
	}
	return nil
}

// A difference is between a record and what was expected.
type difference struct {
	record    int // from 1
	name      string
	want, got string
}

// absent is expected of a field that must not be there.
const absent = "absent"

func (d difference) write(w io.Writer, s style) {
	at := fmt.Sprintf("     record %d", d.record)
	if d.name != "" {
		at += ", " + d.name
	}
	printf(w, "%s\n", at)
	want, got := strings.Split(d.want, "\n"), strings.Split(d.got, "\n")
	head := 0
	for head < min(len(want), len(got)) && want[head] == got[head] {
		head++
	}
	writeLines(w, s.dim, " ", want[:head])
	want, got = want[head:], got[head:]
	tail := 0
	for tail < min(len(want), len(got)) && want[len(want)-1-tail] == got[len(got)-1-tail] {
		tail++
	}
	writeLines(w, s.red, "-", want[:len(want)-tail])
	writeLines(w, s.green, "+", got[:len(got)-tail])
	writeLines(w, s.dim, " ", want[len(want)-tail:])
}

func writeLines(w io.Writer, colour func(string) styled, mark string, lines []string) {
	for _, line := range lines {
		printf(w, "%s\n", colour("       "+mark+" "+printable(line)))
	}
}

func differencesOf(cfg *config.Config, c config.Case) ([]difference, error) {
	trial, err := graph.NewTrial(cfg, c.Pipeline, labelsOf(c.Labels), slog.New(slog.DiscardHandler), noTime)
	if err != nil {
		return nil, err
	}
	outcomes := append(trial.Lines(c.Input, c.At), trial.End()...)
	var records []graph.Outcome
	for _, o := range outcomes {
		if o.Dropped == "" && !o.Rejected {
			records = append(records, o)
		}
	}
	var all []difference
	for i := range max(len(records), len(c.Expect)) {
		switch {
		case i >= len(records):
			all = append(all, difference{record: i + 1, want: expected(c.Expect[i]), got: "no record"})
		case i >= len(c.Expect):
			all = append(all, difference{record: i + 1, want: "no record", got: string(records[i].Record())})
		default:
			all = append(all, compare(i+1, c.Expect[i], records[i].Record())...)
		}
	}
	return all, nil
}

// noTime is the reproducible time of lines that have none.
func noTime() time.Time { return time.Unix(0, 0) }

func expected(fields map[string]string) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		all = append(all, name+": "+fields[name])
	}
	return strings.Join(all, ", ")
}

// compare compares a record with the fields that it must have.
func compare(number int, want map[string]string, record []byte) []difference {
	got := map[string]string{}
	for _, f := range jsonFields(record) {
		got[f.name] = f.value
	}
	var all []difference
	for _, name := range slices.Sorted(maps.Keys(want)) {
		value, ok := got[name]
		if !ok {
			value = absent
		}
		if value != want[name] {
			all = append(all, difference{number, name, want[name], value})
		}
	}
	return all
}
