package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/longshore/longshore/pipeline/backoff"
	"github.com/longshore/longshore/pipeline/config"
	"github.com/longshore/longshore/pipeline/secrets"
)

const (
	// renewalPoll is how often the files that a config names are looked at.
	renewalPoll = 10 * time.Second
	// refusedAtMost is how often all secrets are read again since a destination refuses us.
	refusedAtMost = 15 * time.Second
	// filesQuiet is how long files must stay as they are before they are taken: a certificate and
	// its key are written one after the other.
	filesQuiet = 500 * time.Millisecond
)

// A renewal has a running agent go on by the secrets as they are now: those of files, and those
// that are kept elsewhere. The config itself stays the one in force, whatever is on disk.
type renewal struct {
	store  *secrets.Store
	config func() *config.Config // in force
	reload func(ctx context.Context)
	health func(error)
	log    *slog.Logger
	files  bool // whether files are looked at here
	// refused has a value once a destination has refused us.
	refused chan struct{}

	taken  string // the digest of the files when they last had the config read again
	missed string // what was told of a file that cannot be read
}

// note takes a note that a destination refuses us; it never waits.
func (r *renewal) note() {
	select {
	case r.refused <- struct{}{}:
	default:
	}
}

// run renews until ctx ends.
func (r *renewal) run(ctx context.Context) {
	var asked time.Time
	for {
		all := false
		select {
		case <-ctx.Done():
			return
		case <-r.refused:
			wait := refusedAtMost - time.Since(asked)
			if !asked.IsZero() && wait > 0 && backoff.Sleep(ctx, wait, nil) != nil {
				return
			}
			all, asked = true, time.Now()
		case <-time.After(r.pause()):
		}
		r.renew(ctx, all)
	}
}

// pause returns how long there is nothing to do.
func (r *renewal) pause() time.Duration {
	next := r.store.Next()
	if next.IsZero() {
		return renewalPoll
	}
	return min(renewalPoll, max(time.Until(next), time.Second))
}

// renew looks at everything once.
func (r *renewal) renew(ctx context.Context, all bool) {
	changed := r.store.Refresh(ctx, all)
	filesChanged, err := r.look(ctx)
	if changed || filesChanged {
		r.reload(ctx)
	}
	r.health(errors.Join(r.store.Failing(), err))
}

// look reports whether the files are others than the config in force was read with, and stay so.
// What did not make a good config is taken once. The error names one that cannot be read any more.
func (r *renewal) look(ctx context.Context) (changed bool, err error) {
	if !r.files {
		return false, nil
	}
	cfg := r.config()
	changed, now, err := cfg.FilesChanged()
	r.tell(err)
	if !changed || err != nil || now == r.taken || backoff.Sleep(ctx, filesQuiet, nil) != nil {
		return false, err
	}
	if _, later, err := cfg.FilesChanged(); err != nil || later != now {
		return false, nil // they are being written; the next look takes them
	}
	r.taken = now
	return true, nil
}

func (r *renewal) tell(err error) {
	why := ""
	if err != nil {
		why = err.Error()
	}
	if why != r.missed && err != nil {
		r.log.Warn("what it last held stays in force", "why", why)
	}
	r.missed = why
}

const (
	// secretsPatience is how long a start waits for secrets, as what has them may be starting, too.
	secretsPatience = time.Minute
	secretsPause    = 3 * time.Second
)

// loadPatiently is loadFor, which tries again for a while what a source of secrets does not answer.
func (a *app) loadPatiently(ctx context.Context, path, dataDir string) (*config.Config, error) {
	for began := time.Now(); ; {
		cfg, err := a.loadFor(path, dataDir)
		if err == nil || !a.secretsAway || time.Since(began) > secretsPatience {
			return cfg, err
		}
		a.logger().Warn("waiting for secrets", "for_at_most", secretsPatience.String(), "why", firstProblem(err))
		if backoff.Sleep(ctx, secretsPause, nil) != nil {
			return nil, err
		}
	}
}

// firstProblem returns one line about what is wrong with a config.
func firstProblem(err error) string {
	var problems config.Errors
	if errors.As(err, &problems) && len(problems) > 0 {
		return problems[0].What()
	}
	return err.Error()
}
