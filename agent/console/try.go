package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/longshore/longshore/agent/admin"
	"github.com/longshore/longshore/agent/graph"
)

// Bounds on a trial, which anyone may ask for who may look.
const (
	maxTrials     = 2 // at a time
	maxTrialLines = 1000
	maxTrialTime  = 5 * time.Second
	maxTrialBytes = 4 << 20 // of an answer
	linesAtOnce   = 50
)

// A Trial is what became of lines.
type Trial struct {
	Records []TriedRecord `json:"records"`
	// Truncated says why not all lines were tried.
	Truncated string `json:"truncated,omitempty"`
}

// A TriedRecord is what became of one record.
type TriedRecord struct {
	Line     string   `json:"line"`   // as it was given; of joined lines, all of them
	Format   string   `json:"format"` // that was detected
	Steps    []Step   `json:"steps"`  // the first one is by the parsers
	Dropped  string   `json:"dropped,omitempty"`
	Rejected bool     `json:"rejected,omitempty"`
	Outputs  []string `json:"outputs"`
}

// A Step is a record as somebody left it.
type Step struct {
	By     string          `json:"by"`
	Record json.RawMessage `json:"record"`
}

// errTrialFull ends a trial that has told enough.
var errTrialFull = errors.New("the answer is large enough")

// Try takes lines through a pipeline of the config, the first one if none is named. Nothing is
// stored or sent.
func (c *Console) Try(ctx context.Context, lines, pipeline string) (any, error) {
	select {
	case c.trials <- struct{}{}:
		defer func() { <-c.trials }()
	default:
		return nil, admin.Busy("other lines are being tried; try again in a moment")
	}
	ctx, cancel := context.WithTimeout(ctx, maxTrialTime)
	defer cancel()
	trial, err := graph.NewTrial(c.Options.Config(), pipeline, nil, c.Log, time.Now)
	if err != nil {
		return nil, admin.Invalid(err.Error())
	}
	all := strings.Split(strings.TrimSuffix(strings.ReplaceAll(lines, "\r\n", "\n"), "\n"), "\n")
	answer := &Trial{Records: []TriedRecord{}}
	if len(all) > maxTrialLines {
		answer.Truncated = fmt.Sprintf("only the first %d of %d lines were tried", maxTrialLines, len(all))
		all = all[:maxTrialLines]
	}
	if err := answer.take(ctx, trial, all); err != nil {
		answer.Truncated = fmt.Sprintf("not all lines were tried: %v", err)
	}
	return answer, nil
}

// take tries lines until the answer is whole, ctx ends or there is too much of it.
func (t *Trial) take(ctx context.Context, trial *graph.Trial, lines []string) error {
	size := 0
	for len(lines) > 0 {
		n := min(len(lines), linesAtOnce)
		for _, o := range trial.Lines(lines[:n], time.Time{}) {
			size += t.add(o)
		}
		lines = lines[n:]
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case size > maxTrialBytes:
			return errTrialFull
		}
	}
	for _, o := range trial.End() {
		t.add(o)
	}
	return nil
}

// add adds a record, and returns its size.
func (t *Trial) add(o graph.Outcome) (size int) {
	r := TriedRecord{Line: o.Line, Format: o.Format.String(), Steps: []Step{}, Dropped: o.Dropped, Rejected: o.Rejected,
		Outputs: append([]string{}, o.Outputs...)}
	for _, s := range o.Steps {
		r.Steps = append(r.Steps, Step{s.By, s.Record})
		size += len(s.Record)
	}
	t.Records = append(t.Records, r)
	return size + len(o.Line)
}
