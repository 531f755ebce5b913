package verify

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/longshore/longshore/agent/ledger"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// Counts are of records. Checked is the sum of Held, Missing, Refused, Waiting and
// Unknown.
type Counts struct {
	Checked int `json:"checked"` // acknowledged, and asked for
	Held    int `json:"held"`
	Missing int `json:"missing"`
	Refused int `json:"refused"` // dead letters
	Waiting int `json:"waiting"` // in the spool
	Unknown int `json:"unknown"` // it cannot be told

	Repeated int `json:"repeated"` // held once too often, for each time
	Resent   int `json:"resent"`   // of Held: were missing, and are not any more
}

func (c *Counts) add(o Counts) {
	c.Checked += o.Checked
	c.Held += o.Held
	c.Missing += o.Missing
	c.Refused += o.Refused
	c.Waiting += o.Waiting
	c.Unknown += o.Unknown
	c.Repeated += o.Repeated
	c.Resent += o.Resent
}

// A Row is what became of one source at one output.
type Row struct {
	Input    string `json:"input"`
	Source   string `json:"source"` // the input's own name for it
	ID       string `json:"id"`
	Pipeline string `json:"pipeline"`
	Output   string `json:"output"`
	Counts
	// Why says, for what cannot be told, why: with the number of records, 0 where
	// that is not known.
	Why map[string]int `json:"why,omitempty"`
	// FirstMissing is the record that is missing first, as it was to be sent.
	FirstMissing string `json:"first_missing,omitempty"`

	gaps    ledger.Positions
	dropper string // what may have dropped what is missing
}

// A Report is what a verification has found.
type Report struct {
	Since  time.Time `json:"since"`
	Rows   []*Row    `json:"sources"`
	Totals Counts    `json:"totals"`

	rows map[place]*Row
}

func newReport(since time.Time) *Report { return &Report{Since: since, rows: map[place]*Row{}} }

// row gives the row of a source at a route, which is new at first.
func (r *Report) row(s *ledger.State, name string, of route) *Row {
	at := place{s.ID, name}
	if r.rows[at] == nil {
		r.rows[at] = &Row{Input: s.Input, Source: s.Key, ID: s.ID.String(), Pipeline: of.pipeline, Output: of.output, Why: map[string]int{}}
		r.Rows = append(r.Rows, r.rows[at])
	}
	return r.rows[at]
}

// Clean says that all that was checked is there, and nothing of it twice.
func (r *Report) Clean() bool { return r.Totals.Missing == 0 && r.Totals.Repeated == 0 }

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

// gaps gives what is missing.
func (r *Report) gaps() todo {
	gaps := todo{}
	for at, row := range r.rows {
		if !row.gaps.Empty() {
			gaps[at] = &row.gaps
		}
	}
	return gaps
}

// filled takes over what a second look at the gaps has found.
func (r *Report) filled(after *Report) {
	for at, row := range r.rows {
		again := after.rows[at]
		if again == nil {
			continue
		}
		row.Resent = again.Held
		row.Held += again.Held
		row.Missing -= again.Held + again.Refused + again.Waiting
		row.Refused += again.Refused
		row.Waiting += again.Waiting
		row.Repeated += again.Repeated
		if row.Missing == 0 {
			row.FirstMissing = ""
		}
	}
	r.finish()
}

// note counts what a destination holds of a run of records.
func (row *Row) note(a answer, e *exemption) {
	for i, item := range a.items {
		next := item.Pos + 1
		if i+1 < len(a.items) {
			next = a.items[i+1].Pos
		}
		v := e.judge(a.run.Source.ID, item.Pos, a.held[i])
		if v.outcome == missing && row.dropper != "" {
			v = verdict{outcome: unknown, why: row.dropper + " may have dropped it: what it drops depends on what came before"}
		}
		if v.outcome == missing && row.Missing == 0 {
			row.FirstMissing = shorten(a.text(i))
		}
		row.count(v, item.Pos, next)
	}
}

// shorten cuts a text for people.
func shorten(text []byte) string {
	const most = 200
	if len(text) <= most {
		return strings.ToValidUTF8(string(text), "\ufffd")
	}
	return strings.ToValidUTF8(string(text[:most]), "") + "…"
}

// count counts one record.
func (row *Row) count(v verdict, pos, next uint64) {
	row.Checked++
	switch v.outcome {
	case held:
		row.Held++
		row.Repeated += v.repeats
	case refused:
		row.Refused++
	case waiting:
		row.Waiting++
	case unknown:
		row.Unknown++
		row.Why[v.why]++
	case missing:
		row.Missing++
		row.gaps.Add(pos, next)
	}
}

// A verdict is what is known of one record.
type verdict struct {
	outcome outcome
	repeats int
	why     string
}

type outcome uint8

const (
	held outcome = iota
	missing
	refused
	waiting
	unknown
)

// judge gives the verdict on a record.
func (e *exemption) judge(id event.SourceID, pos uint64, h pipeline.Presence) verdict {
	switch {
	case h.Copies > 0:
		return verdict{outcome: held, repeats: h.Copies - 1}
	case has(e.refused, id, pos):
		return verdict{outcome: refused}
	case has(e.waiting, id, pos):
		return verdict{outcome: waiting}
	case h.Uncertain != "":
		return verdict{outcome: unknown, why: h.Uncertain}
	}
	return verdict{outcome: missing}
}

// Blind says that nothing at all could be told.
func (r *Report) Blind() bool { return r.Totals.Checked > 0 && r.Totals.Unknown == r.Totals.Checked }

// Verdict gives the result in one sentence or two.
func (r *Report) Verdict() string {
	t := r.Totals
	var said []string
	switch {
	case t.Checked == 0:
		return "There is nothing to check: no record that is young enough was acknowledged by a route whose source is still there."
	case r.Blind():
		return fmt.Sprintf("Of none of %s it can be told whether it is there.", records(t.Checked))
	case t.Missing == 0 && t.Repeated == 0:
		said = append(said, fmt.Sprintf("All is there, and once: %s.", records(t.Held)))
	default:
		said = append(said, fmt.Sprintf("Not all is well: of %s, %d are missing, and %d are there once too often.", records(t.Checked), t.Missing, t.Repeated))
	}
	if t.Resent > 0 {
		said = append(said, fmt.Sprintf("%s had been missing, and were sent again.", records(t.Resent)))
	}
	if t.Refused > 0 {
		said = append(said, fmt.Sprintf("%s were refused (see longshore replay --dry-run).", records(t.Refused)))
	}
	if t.Waiting > 0 {
		said = append(said, fmt.Sprintf("%s wait in the spool.", records(t.Waiting)))
	}
	if t.Unknown > 0 {
		said = append(said, fmt.Sprintf("Of %s it cannot be told.", records(t.Unknown)))
	}
	return strings.Join(said, " ")
}

func records(n int) string {
	if n == 1 {
		return "1 record"
	}
	return fmt.Sprintf("%d records", n)
}
