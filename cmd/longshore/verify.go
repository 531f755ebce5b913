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
		Use:   "verify",
		Short: "Compare what was acknowledged with what Loki and Elasticsearch hold",
		Long: "Reads the known sources once more and asks each destination for every record that it has acknowledged: what is " +
			"missing, and what is there more than once. What is missing is sent again, unless --dry-run is given. The agent may go on " +
			"running meanwhile.\n\nThe exit code is 0 if all is there, 1 if something is missing or repeated, 69 if a destination " +
			"cannot be reached, 78 if the config is wrong.",
		Args: cobra.NoArgs,
		RunE: action(func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.loadFor(path, dataDir)
			if err != nil {
				return err
			}
			if o.Since, err = parseSince(since, time.Now()); err != nil {
				return &failure{exitUsage, err}
			}
			o.Config, o.Log, o.Patience = cfg, a.logger(), wait
			return a.verify(cmd.Context(), o, asJSON)
		}),
	}
	configFlag(cmd, &path)
	cmd.Flags().StringVar(&dataDir, "data-dir", "", "folder of the agent's ledger, instead of the config's data_dir")
	cmd.Flags().StringVar(&since, "since", "24h", "how old records may be, as 24h or 7d, or from when on, as 2026-10-01T00:00:00Z; all for any age")
	cmd.Flags().StringVar(&o.Output, "output", "", "only what went to this output")
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "do not send what is missing")
	cmd.Flags().DurationVar(&wait, "wait", 10*time.Second, "how long a destination may give no answer")
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
		return time.Time{}, fmt.Errorf("--since: %q is neither an age like 24h or 7d, nor a time like 2026-10-01T00:00:00Z, nor all", text)
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
	if err == nil && (!report.Clean() || report.Blind()) {
		return &failure{exitFailed, errors.New("not all that was acknowledged is there, and once")}
	}
	return err
}

func (a *app) printJSON(report *verify.Report) error {
	e := json.NewEncoder(a.stdout)
	e.SetIndent("", "  ")
	return e.Encode(struct {
		Clean bool `json:"clean"`
		*verify.Report
	}{report.Clean(), report})
}

// maxRows is up to how many sources are listed of which there is nothing to tell.
const maxRows = 40

func (a *app) printReport(report *verify.Report) {
	if len(report.Rows) > 0 {
		a.printRows(report)
		for _, why := range whys(report) {
			fmt.Fprintln(a.stdout, printable(why))
		}
		fmt.Fprintln(a.stdout)
	}
	s := a.styleOf(a.stdout)
	colour := s.green
	if !report.Clean() || report.Blind() {
		colour = s.red
	}
	fmt.Fprintln(a.stdout, colour(report.Verdict()))
}

func (a *app) printRows(report *verify.Report) {
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SOURCE\tOUTPUT\tCHECKED\tHELD\tMISSING\tREPEATED\tREFUSED\tWAITING\tUNKNOWN")
	left := 0
	for _, row := range report.Rows {
		if len(report.Rows) > maxRows && row.Held == row.Checked && row.Repeated == 0 && len(row.Why) == 0 {
			left++
			continue
		}
		printCounts(w, printable(row.Source), row.Output, row.Counts)
	}
	if len(report.Rows) > 1 {
		printCounts(w, "total", "", report.Totals)
	}
	w.Flush()
	if left > 0 {
		fmt.Fprintf(a.stdout, "Not listed: %d of which all is there.\n", left)
	}
}

func printCounts(w io.Writer, source, output string, c verify.Counts) {
	fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\n", source, output, c.Checked, c.Held, c.Missing, c.Repeated, c.Refused, c.Waiting, c.Unknown)
}

// whys explains what is missing or cannot be told, source by source.
func whys(report *verify.Report) (lines []string) {
	for _, row := range report.Rows {
		if row.FirstMissing != "" {
			lines = append(lines, fmt.Sprintf("%s: missing at %s first: %s", row.Source, row.Output, row.FirstMissing))
		}
		for _, why := range slices.Sorted(maps.Keys(row.Why)) {
			of := ""
			if n := row.Why[why]; n > 0 {
				of = " of " + count(n, "record")
			}
			lines = append(lines, fmt.Sprintf("%s: %s cannot tell%s: %s", row.Source, row.Output, of, strings.TrimSpace(why)))
		}
	}
	return lines
}
