package verify

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/longshore/longshore/agent/ledger"
)

// Counts are of records. Checked is the sum of Found, Missing, Rejected, Spooled and Unknown.
type Counts struct {
	Checked  int `json:"checked"` // acknowledged, and looked up
	Found    int `json:"found"`
	Missing  int `json:"missing"`
	Rejected int `json:"rejected"` // dead letters
	Spooled  int `json:"spooled"`
	Unknown  int `json:"unknown"`

	Duplicates int `json:"duplicates"` // further copies of those found
	Resent     int `json:"resent"`     // of Found: were missing, and are not any more
}

func (c *Counts) add(o Counts) {
	c.Checked += o.Checked
	c.Found += o.Found
	c.Missing += o.Missing
	c.Rejected += o.Rejected
	c.Spooled += o.Spooled
	c.Unknown += o.Unknown
	c.Duplicates += o.Duplicates
	c.Resent += o.Resent
}

// A Row is about one source at one output.
type Row struct {
	Input    string `json:"input"`
	Source   string `json:"source"` // its key
	ID       string `json:"id"`
	Pipeline string `json:"pipeline"`
	Output   string `json:"output"`
	Counts
	// Reasons says why records are unknown or were not checked, with their number, or 0 where that
	// is not known.
	Reasons      map[string]int `json:"reasons,omitempty"`
	FirstMissing string         `json:"first_missing,omitempty"` // as it was to be sent

	missing ledger.Positions
	dropper string // a transform that may have dropped what is missing
}

// A Report is the result of a verification.
type Report struct {
	Since time.Time `json:"since"`
	// LeftOut are the outputs that cannot be asked what they hold.
	LeftOut []string `json:"left_out,omitempty"`
	Rows    []*Row   `json:"sources"`
	Totals  Counts   `json:"totals"`

	rows map[sourceRoute]*Row
}

func newReport(since time.Time) *Report {
	return &Report{Since: since, rows: map[sourceRoute]*Row{}}
}

// row returns the row of a source at a route, which is new at first.
func (r *Report) row(s *ledger.State, name string, of route) *Row {
	at := sourceRoute{s.ID, name}
	if r.rows[at] == nil {
		r.rows[at] = &Row{
			Input: s.Input, Source: s.Key, ID: s.ID.String(), Pipeline: of.pipeline, Output: of.output,
			Reasons: map[string]int{},
		}
		r.Rows = append(r.Rows, r.rows[at])
	}
	return r.rows[at]
}

// Clean reports whether all that was checked is there, and none of it twice.
func (r *Report) Clean() bool { return r.Totals.Missing == 0 && r.Totals.Duplicates == 0 }

// Inconclusive reports whether nothing at all could be looked up.
func (r *Report) Inconclusive() bool {
	return r.Totals.Checked > 0 && r.Totals.Unknown == r.Totals.Checked
}

// finish sorts the rows and adds them up.
func (r *Report) finish() {
	slices.SortFunc(r.Rows, func(a, b *Row) int {
		return cmp.Or(cmp.Compare(a.Input, b.Input), cmp.Compare(a.Source, b.Source), cmp.Compare(a.ID, b.ID),
			cmp.Compare(a.Output, b.Output), cmp.Compare(a.Pipeline, b.Pipeline))
	})
	r.Totals = Counts{}
	for _, row := range r.Rows {
		r.Totals.add(row.Counts)
	}
}

func (r *Report) missing() ranges {
	missing := ranges{}
	for at, row := range r.rows {
		if !row.missing.Empty() {
			missing[at] = &row.missing
		}
	}
	return missing
}

// mergeResent takes over what was found of the missing records after they were sent.
func (r *Report) mergeResent(after *Report) {
	for at, row := range r.rows {
		again := after.rows[at]
		if again == nil {
			continue
		}
		row.Resent = again.Found
		row.Found += again.Found
		row.Missing -= again.Found + again.Rejected + again.Spooled
		row.Rejected += again.Rejected
		row.Spooled += again.Spooled
		row.Duplicates += again.Duplicates
		if row.Missing == 0 {
			row.FirstMissing = ""
		}
	}
	r.finish()
}

// add counts a result.
func (row *Row) add(res result, u *undelivered) {
	id := res.run.Source.ID
	for i, item := range res.items {
		next := item.Pos + 1
		if i+1 < len(res.items) {
			next = res.items[i+1].Pos
		}
		row.Checked++
		switch p := res.presence[i]; {
		case p.Copies > 0:
			row.Found++
			row.Duplicates += p.Copies - 1
		case u.rejected.has(id, item.Pos):
			row.Rejected++
		case u.spooled.has(id, item.Pos):
			row.Spooled++
		case p.Uncertain != "":
			row.unknown(p.Uncertain)
		case row.dropper != "":
			row.unknown(row.dropper + " may have dropped it: what it drops depends on what came before")
		default:
			if row.Missing++; row.Missing == 1 {
				row.FirstMissing = shorten(res.text(i))
			}
			row.missing.Add(item.Pos, next)
		}
	}
}

func (row *Row) unknown(reason string) {
	row.Unknown++
	row.Reasons[reason]++
}

func shorten(text []byte) string {
	const most = 200
	if len(text) <= most {
		return strings.ToValidUTF8(string(text), "\ufffd")
	}
	return strings.ToValidUTF8(string(text[:most]), "") + "…"
}

// Summary returns the result in one sentence or two.
func (r *Report) Summary() string {
	t := r.Totals
	var said []string
	switch {
	case t.Checked == 0:
		return "Nothing to check: no sufficiently recent record was acknowledged whose source can still be read."
	case r.Inconclusive():
		return fmt.Sprintf("None of %s could be looked up.", records(t.Checked))
	case r.Clean():
		said = append(said, fmt.Sprintf("All records are there, exactly once: %s.", records(t.Found)))
	default:
		said = append(said, fmt.Sprintf("Of %s, %d are missing, and there are %d duplicates.", records(t.Checked),
			t.Missing, t.Duplicates))
	}
	for _, also := range []struct {
		n    int
		text string
	}{
		{t.Resent, "%s had been missing and were sent again."},
		{t.Rejected, "%s were rejected (see longshore replay --dry-run)."},
		{t.Spooled, "%s are in the spool."},
		{t.Unknown, "%s could not be looked up."},
	} {
		if also.n > 0 {
			said = append(said, fmt.Sprintf(also.text, records(also.n)))
		}
	}
	return strings.Join(said, " ")
}

func records(n int) string {
	if n == 1 {
		return "1 record"
	}
	return fmt.Sprintf("%d records", n)
}
