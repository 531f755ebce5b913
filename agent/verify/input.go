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

// A reread is the config of an input that reads once more what it has read, as far as
// is wanted, and what came of it.
type reread struct {
	config config.Input
	quiet  time.Duration

	mu      sync.Mutex
	ends    map[event.SourceID]uint64 // how far each source is to be read
	reached map[event.SourceID]uint64
	left    int   // sources that are not there yet
	trouble error // what the input last said of its health
}

func newReread(c config.Input, quiet time.Duration, ends map[event.SourceID]uint64) *reread {
	return &reread{
		config: c, quiet: quiet, ends: ends, reached: map[event.SourceID]uint64{}, left: len(ends),
	}
}

// Input implements pipeline.InputConfig.
func (r *reread) Input(env pipeline.Env) (pipeline.Input, error) {
	env.Health = r.health
	in, err := r.config.Settings.Input(env)
	if err != nil {
		return nil, err
	}
	return &rereader{reread: r, input: in}, nil
}

func (r *reread) health(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.trouble = err
	}
}

// wanted says whether a source is to be read, and whether more of it is.
func (r *reread) wanted(id event.SourceID) (known, more bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	end, known := r.ends[id]
	return known, known && r.reached[id] < end
}

// reach notes how far a source is; over says that it was the last to get there.
func (r *reread) reach(id event.SourceID, to uint64) (over bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.reached[id]
	r.reached[id] = to
	if end := r.ends[id]; before >= end || to < end {
		return false
	}
	r.left--
	return r.left == 0
}

// gone notes that no more of a source is to be had.
func (r *reread) gone(id event.SourceID) (over bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.reached[id] >= r.ends[id] {
		return false
	}
	r.ends[id] = 0
	r.left--
	return r.left == 0
}

// A rereader runs its input until each source is where it should be, or nothing more
// comes.
type rereader struct {
	*reread
	input pipeline.Input
}

// Run implements pipeline.Input. Trouble of the input is in the report.
func (r *rereader) Run(ctx context.Context, feed pipeline.Feed) error {
	if r.left == 0 || !r.config.Traits.Rereadable {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f := &watchedFeed{Feed: feed, reread: r.reread, done: cancel, last: time.Now()}
	var watching sync.WaitGroup
	watching.Go(func() { f.watch(ctx) })
	if err := r.input.Run(ctx, f); err != nil {
		r.health(err)
	}
	cancel()
	watching.Wait()
	return nil
}

// A watchedFeed passes on what is wanted.
type watchedFeed struct {
	pipeline.Feed
	reread *reread
	done   func()

	mu   sync.Mutex
	busy int       // calls of Send under way
	last time.Time // that something was
}

// watch ends the input when nothing has happened for a while.
func (f *watchedFeed) watch(ctx context.Context) {
	tick := time.NewTicker(max(f.reread.quiet/8, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		f.mu.Lock()
		quiet := f.busy == 0 && time.Since(f.last) >= f.reread.quiet
		f.mu.Unlock()
		if quiet {
			f.done()
		}
	}
}

func (f *watchedFeed) step(sends int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.busy += sends
	f.last = time.Now()
}

// Open implements pipeline.Feed. What is not wanted is read for nobody.
func (f *watchedFeed) Open(id event.SourceID, key string, labels []event.Label) (*event.Source, error) {
	if known, _ := f.reread.wanted(id); !known {
		return event.NewSource(event.SourceID(rand.Uint64()), f.reread.config.Name, key, labels), nil
	}
	f.step(0)
	return f.Feed.Open(id, key, labels)
}

// Send implements pipeline.Feed.
func (f *watchedFeed) Send(ctx context.Context, b *event.Batch) error {
	id, to := b.Source.ID, b.To
	if _, more := f.reread.wanted(id); !more {
		return ctx.Err()
	}
	f.step(1)
	defer f.step(-1)
	if err := f.Feed.Send(ctx, b); err != nil {
		return err
	}
	if f.reread.reach(id, to) {
		f.done()
	}
	return nil
}

// Close implements pipeline.Feed.
func (f *watchedFeed) Close(src *event.Source, gone bool) {
	if known, _ := f.reread.wanted(src.ID); !known {
		return
	}
	f.Feed.Close(src, gone)
	if gone && f.reread.gone(src.ID) {
		f.done()
	}
}
