// Package verify audits the promise: it reads the sources that a ledger knows once
// more, through the same pipelines, and asks the destinations for every record
// that is acknowledged, instead of sending it. What is missing is then sent.
//
// It works beside a running agent: the ledger and the spool are only looked at, and
// what is acknowledged an agent never sends again.
package verify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/longshore/longshore/agent/ledger"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
)

// Options say what to verify. Config, Log and Progress must be set.
type Options struct {
	Config *config.Config
	Log    *slog.Logger // of what goes wrong when gaps are sent
	Since  time.Time    // records that are older are left out
	Output string       // only what went to this output; "" for all
	DryRun bool         // do not send what is missing
	// Patience is how long a destination may not answer before it counts as unreachable.
	Patience time.Duration
	// Quiet is how long an input may find nothing more to read before what it has
	// not found counts as gone.
	Quiet    time.Duration
	Progress *Progress
}

// settleTime is how long after an acknowledgement a record shows in every
// destination.
const settleTime = time.Second

// ErrUnreachable is the error of a destination that gave no answer.
var ErrUnreachable = errors.New("the destination cannot be reached")

// A verification is one call of Run.
type verification struct {
	Options
	names  []string // of the outputs that count
	states []ledger.State
	places map[string][]byte     // of the outputs that count; see pipeline.Targeted
	exempt map[string]*exemption // by output
}

// Run verifies, and sends what is missing. The error is that it could not be done;
// with ErrUnreachable the report has what was learnt until then.
func Run(ctx context.Context, o Options) (*Report, error) {
	v := &verification{Options: o, exempt: map[string]*exemption{}}
	for _, c := range o.Config.Outputs {
		if o.Output == "" || o.Output == c.Name {
			v.names = append(v.names, c.Name)
		}
	}
	if len(v.names) == 0 {
		return nil, fmt.Errorf("there is no output %q in %s", o.Output, o.Config.File)
	}
	if err := v.look(); err != nil {
		return nil, err
	}
	report := newReport(o.Since)
	if len(v.states) == 0 {
		return report, nil
	}
	if err := v.place(); err != nil {
		return nil, err
	}
	all := v.todo(report)
	if len(all) == 0 {
		report.finish()
		return report, nil
	}
	if err := pause(ctx, settleTime); err != nil {
		return nil, err
	}
	if err := v.audit(ctx, all, report); err != nil {
		return report, err
	}
	if gaps := report.gaps(); len(gaps) > 0 && !o.DryRun {
		return report, v.fill(ctx, gaps, report)
	}
	return report, nil
}

// place learns where the outputs put records by the config of now.
func (v *verification) place() error {
	v.places = map[string][]byte{}
	for _, c := range v.Config.Outputs {
		if !slices.Contains(v.names, c.Name) {
			continue
		}
		out, err := c.Settings.Output(pipeline.NewEnv(c.Name, slog.New(slog.DiscardHandler)))
		if err != nil {
			return fmt.Errorf("output %s: %w", c.Name, err)
		}
		if p, ok := out.(pipeline.Targeted); ok {
			v.places[c.Name] = p.Target()
		}
		if err := out.Close(); err != nil {
			return fmt.Errorf("output %s: %w", c.Name, err)
		}
	}
	return nil
}

// look reads what the agent keeps. The spool is read after the ledger, so that what was
// acknowledged by being put into the spool is found there, or delivered by now.
func (v *verification) look() (err error) {
	if v.states, err = ledger.Read(v.Config.DataDir); err != nil {
		return err
	}
	for _, c := range v.Config.Outputs {
		if slices.Contains(v.names, c.Name) {
			if v.exempt[c.Name], err = newExemption(v.Config, c); err != nil {
				return fmt.Errorf("output %s: %w", c.Name, err)
			}
		}
	}
	return nil
}

// fill sends what is missing, and verifies that alone once more.
func (v *verification) fill(ctx context.Context, gaps todo, report *Report) error {
	if err := v.send(ctx, gaps); err != nil {
		return err
	}
	if err := v.look(); err != nil { // what was refused is a dead letter now
		return err
	}
	if err := pause(ctx, settleTime); err != nil {
		return err
	}
	after := newReport(v.Since)
	err := v.audit(ctx, gaps, after)
	report.filled(after)
	return err
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
