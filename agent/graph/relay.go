package graph

import (
	"context"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// A relay runs an input whose lines can be read only once, and hands them to one graph after the
// other: a reload does not stop it, and so loses nothing that it has in memory. Between two graphs
// it waits. Each graph sees sources of its own, which end for good with it: all of them is
// delivered by that graph, or in its spools.
type relay struct {
	input   pipeline.Input
	metrics *prometheus.Registry // its own, as it outlives graphs
	ctx     context.Context
	cancel  context.CancelFunc
	done    chan struct{} // the input has ended
	err     error         // with this

	started bool // for the graph's goroutine alone

	mu      sync.Mutex
	feed    *feed                       // of the graph; nil for none
	users   int                         // calls that use it now
	unused  chan struct{}               // closed when there is no call any more; nil while nobody waits for that
	between chan struct{}               // closed when there is another graph; nil while there is one
	open    map[event.SourceID]*relayed // by the ids that the input knows
}

// relayed is a source of the input in the graph of now.
type relayed struct {
	key    string
	labels []event.Label
	src    *event.Source
	base   uint64 // where it begins in the input's source
	to     uint64 // and where that has been handed on to
}

var _ pipeline.Feed = (*relay)(nil)

func newRelay(in pipeline.Input, metrics *prometheus.Registry) *relay {
	r := &relay{input: in, metrics: metrics, done: make(chan struct{}), open: map[event.SourceID]*relayed{}}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r
}

// serve hands the input's lines to a graph until ctx ends: for a reload that leaves the input to
// another graph, or for good. It returns the input's error if that ends.
func (r *relay) serve(ctx context.Context, f *feed, isReload func() bool) error {
	if err := r.attach(f); err != nil {
		return err
	}
	if !r.started {
		r.started = true
		go func() {
			defer close(r.done)
			r.err = r.run()
		}()
	}
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
	}
	if isReload() {
		r.detach()
		return nil
	}
	r.cancel()
	<-r.done
	return r.err
}

// run runs the input. What is in it when it panics cannot be read again, so it is not started anew.
func (r *relay) run() (err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			err = fmt.Errorf("it has panicked, which is a bug: %v\n%s", panicked, debug.Stack())
		}
	}()
	return r.input.Run(r.ctx, r)
}

// attach goes on by another graph.
func (r *relay) attach(f *feed) (err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.feed = f
	for _, s := range r.open {
		if s.src, err = f.Open(0, s.key, s.labels); err != nil {
			r.feed = nil
			r.cancel()
			err = fmt.Errorf("opening %s again: %w", s.key, err)
			break
		}
		s.base = s.to
	}
	r.goOn()
	return err
}

// goOn lets calls go on that wait for another graph. The caller holds mu.
func (r *relay) goOn() {
	if r.between != nil {
		close(r.between)
		r.between = nil
	}
}

// detach waits until what the input is sending is handed on, and holds it up from then on.
func (r *relay) detach() {
	r.mu.Lock()
	r.between = make(chan struct{})
	if r.users > 0 {
		unused := make(chan struct{})
		r.unused = unused
		r.mu.Unlock()
		<-unused
		r.mu.Lock()
	}
	f := r.feed
	r.feed = nil
	open := slices.Collect(maps.Values(r.open)) // no call changes them now
	r.mu.Unlock()
	for _, s := range open {
		f.leave(s.src)
		f.Close(s.src, true)
	}
}

// end ends an input that is between two graphs.
func (r *relay) end() {
	r.cancel()
	r.mu.Lock()
	r.goOn()
	r.mu.Unlock()
	if r.started {
		<-r.done
	}
}

// now returns the feed of now, and keeps it until release is called; nil at the end. Between two
// graphs it waits for the next.
func (r *relay) now() (f *feed, release func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.between != nil {
		next := r.between
		r.mu.Unlock()
		<-next
		r.mu.Lock()
	}
	r.users++
	return r.feed, r.release
}

func (r *relay) release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.users--; r.users == 0 && r.unused != nil {
		close(r.unused)
		r.unused = nil
	}
}

func (r *relay) source(id event.SourceID) *relayed {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.open[id]
}

// Known implements pipeline.Feed.
func (r *relay) Known() []pipeline.Known {
	f, release := r.now()
	defer release()
	if f == nil {
		return nil
	}
	return f.Known()
}

// Open implements pipeline.Feed.
func (r *relay) Open(id event.SourceID, key string, labels []event.Label) (*event.Source, error) {
	f, release := r.now()
	defer release()
	if f == nil {
		return nil, errEnded
	}
	src, err := f.Open(id, key, labels)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open[src.ID] = &relayed{key: key, labels: labels, src: src}
	return src, nil
}

// Adopt implements pipeline.Feed. What is kept elsewhere is there for the next graph, too, so
// that its input needs no relay.
func (r *relay) Adopt(
	at pipeline.Known, _ uint64, _ []event.Label,
) (*event.Source, pipeline.Cursor, error) {
	return nil, pipeline.Cursor{}, fmt.Errorf("BUG: adopting %s by an input that does not acknowledge", at.Key)
}

// Describe implements pipeline.Feed.
func (r *relay) Describe(id event.SourceID, key string, labels []event.Label) *event.Source {
	f, release := r.now()
	defer release()
	if f == nil {
		return event.NewSource(id, "", key, labels)
	}
	return f.Describe(id, key, labels)
}

// Batch implements pipeline.Feed.
func (r *relay) Batch(src *event.Source) *event.Batch {
	f, release := r.now()
	defer release()
	if f == nil {
		b := &event.Batch{}
		b.Reset(src)
		return b
	}
	return f.Batch(src)
}

// Send implements pipeline.Feed. Positions count from where the source has begun in the graph.
func (r *relay) Send(ctx context.Context, b *event.Batch) error {
	f, release := r.now()
	defer release()
	s := r.source(b.CarriedBy().ID)
	if f == nil || s == nil {
		return errEnded
	}
	to := b.To
	if b.Carrier != nil {
		b.Carrier = s.src
	} else {
		b.Source = s.src
	}
	b.From, b.To = b.From-s.base, b.To-s.base
	for i := range b.Records {
		b.Records[i].Pos -= s.base
	}
	if err := f.Send(ctx, b); err != nil {
		return err
	}
	s.to = to
	return nil
}

// Close implements pipeline.Feed.
func (r *relay) Close(src *event.Source, gone bool) {
	f, release := r.now()
	defer release()
	r.mu.Lock()
	s := r.open[src.ID]
	delete(r.open, src.ID)
	r.mu.Unlock()
	if f != nil && s != nil {
		f.Close(s.src, gone)
	}
}

// Hurry implements pipeline.Feed.
func (r *relay) Hurry(on bool) {
	f, release := r.now()
	defer release()
	if f != nil {
		f.Hurry(on)
	}
}

// Behind implements pipeline.Feed.
func (r *relay) Behind(src *event.Source, leavingTo uint64) (from uint64, behind bool) {
	f, release := r.now()
	defer release()
	s := r.source(src.ID)
	if f == nil || s == nil {
		return 0, false
	}
	from, behind = f.Behind(s.src, leavingTo-min(leavingTo, s.base))
	return from + s.base, behind
}

// SpoolRoom implements pipeline.Feed.
func (r *relay) SpoolRoom() int64 {
	f, release := r.now()
	defer release()
	if f == nil {
		return 0
	}
	return f.SpoolRoom()
}
