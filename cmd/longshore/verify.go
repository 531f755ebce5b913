package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/longshore/longshore/agent/verify"
	"github.com/longshore/longshore/pipeline"
)

func (a *app) verifyCommand() *cobra.Command {
	var path, dataDir, since string
	var wait time.Duration
	var asJSON bool
	o := verify.Options{Quiet: 5 * time.Second, Progress: &verify.Progress{}}
	cmd := &cobra.Command{
		Use:   "verify [config]",
		Short: "Check that every acknowledged record is at its destination, once",
		Long: "Reads the known sources again and looks up every acknowledged record at its destination, to find " +
			"missing ones and " +
			"duplicates. What is missing is sent again, unless --dry-run is given. The agent may keep running " +
			"meanwhile.\n\n" +
			"The exit code is 0 if all records are there, 1 if any are missing or duplicated, 69 if a " +
			"destination cannot be " +
			"reached, 78 if the config is not valid.",
		Args: configArgument(&path),
		RunE: action(func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.loadFor(path, dataDir)
			if err != nil {
				return err
			}
			if o.Since, err = parseSince(since, time.Now()); err != nil {
				return &failure{exitUsage, err}
			}
			o.Config, o.Log, o.AnswerTimeout = cfg, a.logger(), wait
			ctx, stop := a.untilSignal(cmd, true)
			defer stop()
			return a.verify(ctx, o, asJSON)
		}),
	}
	configFlag(cmd, &path)
	cmd.Flags().StringVar(&dataDir, "data-dir", "", "folder of the agent's ledger, instead of the config's data_dir")
	cmd.Flags().StringVar(&since, "since", "24h", "maximum age, such as 24h or 7d, or a start such as "+
		"2026-10-01T00:00:00Z; all for any age")
	cmd.Flags().StringVar(&o.Output, "output", "", "only what went to this output")
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "do not send what is missing")
	cmd.Flags().DurationVar(&wait, "wait", 10*time.Second, "how long to wait for an answer of a destination")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	return cmd
}

// parseSince reads an age, a time or "all".
func parseSince(text string, now time.Time) (time.Time, error) {
	if text == "all" {
		return time.Unix(0, 0), nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	age, err := pipeline.ParseDuration(text)
	if err != nil {
		return time.Time{}, fmt.Errorf("--since: %q is neither an age like 24h or 7d, nor a time like "+
			"2026-10-01T00:00:00Z, nor all", text)
	}
	return now.Add(-time.Duration(age)), nil
}

func (a *app) verify(ctx context.Context, o verify.Options, asJSON bool) error {
	var report *verify.Report
	var err error
	checked := func() string { return fmt.Sprintf("%d records checked", o.Progress.Checked()) }
	a.watch(checked, func() { report, err = verify.Run(ctx, o) })
	if err != nil {
		if errors.Is(err, verify.ErrUnreachable) {
			return &failure{exitUnreachable, err}
		}
		return err
	}
	if asJSON {
		err = a.printJSON(report)
	} else {
		a.printReport(report)
	}
	switch {
	case err != nil:
		return err
	case report.Inconclusive():
		return &failure{exitFailed, errors.New("no acknowledged record could be looked up")}
	case !report.Clean():
		return &failure{exitFailed, errors.New("some acknowledged records are missing or duplicated")}
	}
	return nil
}

func (a *app) printJSON(report *verify.Report) error {
	e := json.NewEncoder(a.stdout)
	e.SetIndent("", "  ")
	return e.Encode(struct {
		Clean bool `json:"clean"`
		*verify.Report
	}{report.Clean(), report})
}

// maxRows is up to how many sources are listed that are complete.
const maxRows = 40

func (a *app) printReport(report *verify.Report) {
	if len(report.Rows) > 0 {
		a.printRows(report)
		for _, line := range reasonLines(report) {
			printf(a.stdout, "%s\n", printable(line))
		}
		printf(a.stdout, "\n")
	}
	if len(report.LeftOut) > 0 {
		printf(a.stdout, "Left out, as such outputs cannot be asked what they hold: %s.\n",
			strings.Join(report.LeftOut, ", "))
	}
	s := a.styleOf(a.stdout)
	colour := s.green
	if !report.Clean() || report.Inconclusive() {
		colour = s.red
	}
	printf(a.stdout, "%s\n", colour(report.Summary()))
}

func (a *app) printRows(report *verify.Report) {
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	printf(w, "%s\n", "SOURCE\tOUTPUT\tCHECKED\tFOUND\tMISSING\tDUPLICATES\tREJECTED\tSPOOLED\tUNKNOWN")
	omitted := 0
	for _, row := range report.Rows {
		if len(report.Rows) > maxRows && row.Found == row.Checked && row.Duplicates == 0 && len(row.Reasons) == 0 {
			omitted++
			continue
		}
		printCounts(w, printable(row.Source), row.Output, row.Counts)
	}
	if len(report.Rows) > 1 {
		printCounts(w, "total", "", report.Totals)
	}
	w.Flush()
	if omitted > 0 {
		printf(a.stdout, "Not listed: %d that are complete.\n", omitted)
	}
}

func printCounts(w io.Writer, source, output string, c verify.Counts) {
	printf(w, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\n", source, output, c.Checked, c.Found, c.Missing,
		c.Duplicates, c.Rejected, c.Spooled, c.Unknown)
}

// reasonLines describes what is missing or unknown, source by source.
func reasonLines(report *verify.Report) (lines []string) {
	for _, row := range report.Rows {
		if row.FirstMissing != "" {
			lines = append(lines, fmt.Sprintf("%s: first record missing at %s: %s", row.Source, row.Output,
				row.FirstMissing))
		}
		for _, reason := range slices.Sorted(maps.Keys(row.Reasons)) {
			of := ""
			if n := row.Reasons[reason]; n > 0 {
				of = " for " + pipeline.Count(n, "record")
			}
			lines = append(lines, fmt.Sprintf("%s: unknown at %s%s: %s", row.Source, row.Output, of,
				strings.TrimSpace(reason)))
		}
	}
	return lines
}
