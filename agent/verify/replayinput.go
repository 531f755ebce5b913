package verify

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
	"github.com/longshore/longshore/pipeline/event"
)

// A replayInput is the config of an input that reads known sources again up to their ends, and how
// far it came.
type replayInput struct {
	config config.Input
	quiet  time.Duration

	mu      sync.Mutex
	ends    map[event.SourceID]uint64
	reached map[event.SourceID]uint64
	left    int   // sources that are not at their ends
	problem error // the last one that the input reported
}

func newReplayInput(c config.Input, quiet time.Duration, ends map[event.SourceID]uint64) *replayInput {
	return &replayInput{config: c, quiet: quiet, ends: ends, reached: map[event.SourceID]uint64{}, left: len(ends)}
}

// Input implements pipeline.InputConfig.
func (r *replayInput) Input(env pipeline.Env) (pipeline.Input, error) {
	env.Health = r.health
	in, err := r.config.Settings.Input(env)
	if err != nil {
		return nil, err
	}
	return &replayRun{replayInput: r, input: in}, nil
}

func (r *replayInput) health(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.problem = err
	}
}

// wanted reports whether a source is to be read, and whether more of it is.
func (r *replayInput) wanted(id event.SourceID) (known, more bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	end, known := r.ends[id]
	return known, known && r.reached[id] < end
}

// reach notes how far a source was read, and reports whether it was the last to get to its end.
func (r *replayInput) reach(id event.SourceID, to uint64) (done bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before, end := r.reached[id], r.ends[id]
	r.reached[id] = to
	if before >= end || to < end {
		return false
	}
	r.left--
	return r.left == 0
}

// gone notes that a source has no more, and reports whether it was the last one.
func (r *replayInput) gone(id event.SourceID) (done bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.reached[id] >= r.ends[id] {
		return false
	}
	r.ends[id] = 0
	r.left--
	return r.left == 0
}

// A replayRun runs an input until all sources are at their ends, or nothing more comes.
type replayRun struct {
	*replayInput
	input pipeline.Input
}

// Run implements pipeline.Input. Problems of the input are in the report.
func (r *replayRun) Run(ctx context.Context, feed pipeline.Feed) error {
	if r.left == 0 || !r.config.Traits.Rereadable {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f := &replayFeed{Feed: feed, replay: r.replayInput, done: cancel, last: time.Now()}
	var watching sync.WaitGroup
	watching.Go(func() { f.stopWhenQuiet(ctx) })
	if err := r.input.Run(ctx, f); err != nil {
		r.health(err)
	}
	cancel()
	watching.Wait()
	return nil
}

// HeldUpUntil implements pipeline.Lookout.
func (r *replayRun) HeldUpUntil(src *event.Source) time.Time {
	if lookout, ok := r.input.(pipeline.Lookout); ok {
		return lookout.HeldUpUntil(src)
	}
	return time.Time{}
}

// A replayFeed forwards what is wanted.
type replayFeed struct {
	pipeline.Feed
	replay *replayInput
	done   func()

	mu      sync.Mutex
	sending int
	last    time.Time // of something wanted
}

// stopWhenQuiet ends the input when nothing has happened for a while.
func (f *replayFeed) stopWhenQuiet(ctx context.Context) {
	tick := time.NewTicker(max(f.replay.quiet/8, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		f.mu.Lock()
		quiet := f.sending == 0 && time.Since(f.last) >= f.replay.quiet
		f.mu.Unlock()
		if quiet {
			f.done()
		}
	}
}

func (f *replayFeed) step(sends int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sending += sends
	f.last = time.Now()
}

// Open implements pipeline.Feed. A source that is not wanted is one that nobody knows.
func (f *replayFeed) Open(id event.SourceID, key string, labels []event.Label) (*event.Source, error) {
	if known, _ := f.replay.wanted(id); !known {
		return event.NewSource(event.SourceID(rand.Uint64()), f.replay.config.Name, key, labels), nil
	}
	f.step(0)
	return f.Feed.Open(id, key, labels)
}

// Send implements pipeline.Feed.
func (f *replayFeed) Send(ctx context.Context, b *event.Batch) error {
	id, to := b.Source.ID, b.To
	if _, more := f.replay.wanted(id); !more {
		return ctx.Err()
	}
	f.step(1)
	defer f.step(-1)
	if err := f.Feed.Send(ctx, b); err != nil {
		return err
	}
	if f.replay.reach(id, to) {
		f.done()
	}
	return nil
}

// Close implements pipeline.Feed.
func (f *replayFeed) Close(src *event.Source, gone bool) {
	if known, _ := f.replay.wanted(src.ID); !known {
		return
	}
	f.Feed.Close(src, gone)
	if gone && f.replay.gone(src.ID) {
		f.done()
	}
}

// Hurry implements pipeline.Feed. Nothing is spooled.
func (f *replayFeed) Hurry(bool) {}
