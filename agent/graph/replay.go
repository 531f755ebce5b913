package graph

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/longshore/longshore/agent/deliver"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
)

// A Replay sends dead letters of an output to its destination again, beside whatever an agent sends
// there. What is rejected once more is a dead letter again.
type Replay struct {
	letters   *deliver.Replay
	output    pipeline.Output
	deliverer *deliver.Deliverer // nil: there are no dead letters
}

// OpenReplay takes the chosen dead letters of an output. health takes why they do not get through,
// or nil. Run may follow once, and Close must.
func OpenReplay(cfg *config.Config, c config.Output, chosen func(*deliver.DeadLetter) bool, log *slog.Logger,
	health func(error)) (*Replay, error) {
	redact, err := cfg.Redactor()
	if err != nil {
		return nil, err
	}
	file := deliver.NewDeadLetterFile(filepath.Join(cfg.DataDir, config.DeadLetterFolder), c.Name)
	letters, err := deliver.OpenReplay(file, chosen)
	if err != nil {
		return nil, err
	}
	r := &Replay{letters: letters}
	if letters.DeadLetters() == 0 {
		return r, nil
	}
	log = log.With(slog.String("output", c.Name))
	env := pipeline.NewEnv(c.Name, log)
	env.Folder = OutputFolder(cfg, c)
	if r.output, err = c.Settings.Output(env); err != nil {
		return nil, errors.Join(fmt.Errorf("output %s: %w", c.Name, err), letters.Close())
	}
	c.Common.Lanes = 1
	r.deliverer = deliver.New(deliver.Options{
		Name: c.Name, Type: c.Type, Output: r.output, Settings: c.Common, Log: log, Health: health,
		Redact:      redact,
		DeadLetters: file,
		Spool:       func(int) deliver.Spool { return letters },
	})
	r.deliverer.Finish()
	return r, nil
}

// DeadLetters returns how many there are to be sent.
func (r *Replay) DeadLetters() int { return r.letters.DeadLetters() }

// Run sends them, until all are dealt with or ctx ends. Those that are not are left to the next
// replay.
func (r *Replay) Run(ctx context.Context) {
	if r.deliverer != nil {
		r.deliverer.Run(ctx)
	}
}

// Counts returns what became of them so far.
func (r *Replay) Counts() deliver.Counts {
	if r.deliverer == nil {
		return deliver.Counts{}
	}
	return r.deliverer.Counts()
}

// Close ends the replay.
func (r *Replay) Close() error {
	var err error
	if r.output != nil {
		err = r.output.Close()
	}
	return errors.Join(err, r.letters.Close())
}
