package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/agent/verify"
)

func TestPrintReport(t *testing.T) {
	report := &verify.Report{Rows: []*verify.Row{
		{Source: "/var/log/a.log", Output: "loki",
			Counts: verify.Counts{Checked: 5_000, Found: 4_990, Missing: 4, Rejected: 3, Spooled: 2, Unknown: 1,
				Duplicates: 7},
			FirstMissing: "{\"level\":\"info\"}\x1b[31m", Reasons: map[string]int{"it is too old": 1}},
		{Source: "/var/log/b.log", Output: "loki", Reasons: map[string]int{"it no longer exists": 0}},
	}, Totals: verify.Counts{Checked: 5_000, Found: 4_990, Missing: 4, Rejected: 3, Spooled: 2, Unknown: 1,
		Duplicates: 7}}
	var out bytes.Buffer
	a := app{stdout: &out}
	a.printReport(report)
	want := `SOURCE          OUTPUT  CHECKED  FOUND  MISSING  DUPLICATES  REJECTED  SPOOLED  UNKNOWN
/var/log/a.log  loki    5000     4990   4        7           3         2        1
/var/log/b.log  loki    0        0      0        0           0         0        0
total                   5000     4990   4        7           3         2        1
/var/log/a.log: first record missing at loki: {"level":"info"}·[31m
/var/log/a.log: unknown at loki for 1 record: it is too old
/var/log/b.log: unknown at loki: it no longer exists

Of 5000 records, 4 are missing, and there are 7 duplicates. 3 records were rejected (see longshore replay --dry-run). 2 records are in the spool. 1 record could not be looked up.
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
	out.Reset()
	report = &verify.Report{}
	for range maxRows + 2 {
		report.Rows = append(report.Rows, &verify.Row{Source: "s", Output: "o",
			Counts: verify.Counts{Checked: 1, Found: 1}})
		report.Totals.Checked++
		report.Totals.Found++
	}
	a.printReport(report)
	want = `SOURCE  OUTPUT  CHECKED  FOUND  MISSING  DUPLICATES  REJECTED  SPOOLED  UNKNOWN
total           42       42     0        0           0         0        0
Not listed: 42 that are complete.

All records are there, exactly once: 42 records.
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestParseSince(t *testing.T) {
	now := time.Date(2026, 10, 2, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"24h": now.Add(-24 * time.Hour), "7d": now.Add(-7 * 24 * time.Hour), "all": time.Unix(0, 0),
		"2026-10-01T00:00:00Z": time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC),
	} {
		if got, err := parseSince(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%s: %s, %v", text, got, err)
		}
	}
}
