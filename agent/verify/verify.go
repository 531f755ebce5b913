// Package verify audits the promise: it reads the sources that a ledger knows again, through the
// same pipelines, and looks up every acknowledged record at its destination. What is missing is
// then sent. It works beside a running agent: ledger and spool are only read, and what is
// acknowledged an agent never sends again.
//
// An audit is a run of the graph whose outputs look records up instead of sending them. Its ledger,
// in a temporary folder, is a copy of the agent's in which every source is at its beginning and
// everything but what is acknowledged is done; so identities, timestamps and documents come out as
// they did. Its clock stands at the epoch, which marks records without a timestamp. A second run,
// over the missing ranges and with the real outputs, sends what is missing as if it were uncertain.
// The ledger stores the origin of each route, so that what "read_from: end" skipped, or what came
// before an output was added, is not missing.
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
	"github.com/longshore/longshore/pipeline/backoff"
	"github.com/longshore/longshore/pipeline/config"
)

// Options are what to verify. Config, Log and Progress must be set.
type Options struct {
	Config *config.Config
	Log    *slog.Logger // of sending what is missing
	Since  time.Time    // older records are left out
	Output string       // only what went to this output; "" for all
	DryRun bool         // do not send what is missing
	// AnswerTimeout is after how long without an answer a destination counts as unreachable.
	AnswerTimeout time.Duration
	// Quiet is after how long with nothing more to read an input counts as finished.
	Quiet    time.Duration
	Progress *Progress
}

// visibleAfter is how long after an acknowledgement a record can be found at every destination.
const visibleAfter = time.Second

// ErrUnreachable is the error of a destination that gave no answer.
var ErrUnreachable = errors.New("the destination cannot be reached")

type verification struct {
	Options
	redact      func(string) string // see config.Config.Redactor
	outputs     []string            // names of those to verify
	states      []ledger.State
	targets     map[string][]byte // by output; see pipeline.Targeted
	undelivered map[string]*undelivered
}

// Run verifies, and sends what is missing. With ErrUnreachable the report has the results until
// then.
func Run(ctx context.Context, o Options) (*Report, error) {
	v := &verification{Options: o, undelivered: map[string]*undelivered{}}
	for _, c := range o.Config.Outputs {
		if o.Output == "" || o.Output == c.Name {
			v.outputs = append(v.outputs, c.Name)
		}
	}
	if len(v.outputs) == 0 && o.Output != "" {
		return nil, fmt.Errorf("there is no output %q in %s", o.Output, o.Config.File)
	}
	var err error
	if v.redact, err = o.Config.Redactor(); err != nil {
		return nil, err
	}
	if err := v.readState(); err != nil {
		return nil, err
	}
	report := newReport(o.Since)
	if len(v.states) == 0 {
		return report, nil
	}
	if report.LeftOut, err = v.readTargets(); err != nil {
		return nil, err
	}
	all := v.acknowledged(report)
	if len(all) == 0 {
		report.finish()
		return report, nil
	}
	if err := backoff.Sleep(ctx, visibleAfter, nil); err != nil {
		return nil, err
	}
	if err := v.audit(ctx, all, report); err != nil {
		return report, err
	}
	if missing := report.missing(); len(missing) > 0 && !o.DryRun {
		return report, v.resend(ctx, missing, report)
	}
	return report, nil
}

// readTargets asks the outputs for their targets by the present config. It leaves out those that
// cannot be asked what they hold, and returns their names; one that was named alone is an error.
func (v *verification) readTargets() (leftOut []string, err error) {
	v.targets = map[string][]byte{}
	for _, c := range v.Config.Outputs {
		if !slices.Contains(v.outputs, c.Name) {
			continue
		}
		out, err := c.Settings.Output(pipeline.NewEnv(c.Name, slog.New(slog.DiscardHandler)))
		if err != nil {
			return nil, fmt.Errorf("output %s: %w", c.Name, err)
		}
		if p, ok := out.(pipeline.Targeted); ok {
			v.targets[c.Name] = p.Target()
		}
		if _, ok := out.(pipeline.Auditor); !ok {
			leftOut = append(leftOut, c.Name)
		}
		if err := out.Close(); err != nil {
			return nil, fmt.Errorf("output %s: %w", c.Name, err)
		}
	}
	if v.Output != "" && len(leftOut) > 0 {
		return nil, fmt.Errorf("output %s: %w; verify another one", v.Output, errCannotAsk)
	}
	v.outputs = slices.DeleteFunc(v.outputs, func(name string) bool { return slices.Contains(leftOut, name) })
	return leftOut, nil
}

// readState reads what the agent stores. The spool is read after the ledger, so that what was
// acknowledged by being spooled is found there, or delivered by now.
func (v *verification) readState() (err error) {
	if v.states, err = ledger.Read(v.Config.DataDir); err != nil {
		return err
	}
	for _, c := range v.Config.Outputs {
		if slices.Contains(v.outputs, c.Name) {
			if v.undelivered[c.Name], err = readUndelivered(v.Config, c); err != nil {
				return fmt.Errorf("output %s: %w", c.Name, err)
			}
		}
	}
	return nil
}

// resend sends what is missing, and audits that again.
func (v *verification) resend(ctx context.Context, missing ranges, report *Report) error {
	if err := v.send(ctx, missing); err != nil {
		return err
	}
	if err := v.readState(); err != nil { // rejected records are dead letters now
		return err
	}
	if err := backoff.Sleep(ctx, visibleAfter, nil); err != nil {
		return err
	}
	after := newReport(v.Since)
	err := v.audit(ctx, missing, after)
	report.mergeResent(after)
	return err
}
