package docker

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// listEvery is how often all containers are listed although the events tell
// of each: they are a stream over a socket, after all.
const listEvery = 5 * time.Minute

// subscribeTime is how long to wait for the engine to begin the stream of
// events. Podman sends nothing, not even the header, before the first event.
const subscribeTime = 2 * time.Second

// Input follows the containers of one engine.
type Input struct {
	config  Config
	log     *slog.Logger
	health  func(error)
	metrics *metrics
	self    self
	dial    dialer // instead of the host's own, if not nil
	notify  func() *watcher

	engine *engine
	feed   pipeline.Feed
	up     atomic.Bool // the engine is connected

	// What follows is set before the first follower starts.
	about   about
	started time.Time // by the engine's clock

	// Of Run's goroutine alone.
	known     map[string]pipeline.Known
	followers map[string]*follower
	trouble   string // the last one that was logged
	latest    int64  // time of the last event, Unix nanoseconds

	following sync.WaitGroup
	held      atomic.Int64 // batches that the followers hold
	blocks    blocks
	beat      *beat
	watches   *watcher // nil if files are not read, or not watched
}

var (
	_ pipeline.Input    = (*Input)(nil)
	_ pipeline.Rereader = (*Input)(nil)
)

// Run implements pipeline.Input.
func (in *Input) Run(ctx context.Context, feed pipeline.Feed) error {
	in.engine, in.feed = newEngine(&in.config), feed
	in.engine.dial = in.dial
	in.beat = newBeat()
	in.self = findSelf("/proc/self")
	in.known = known(feed)
	if in.config.Mode != modeAPI {
		in.watches = in.notify()
	}
	in.followers = map[string]*follower{}
	var pauses backoff
	broken := 0 // sessions in a row that were short
	for ctx.Err() == nil {
		began := time.Now()
		err := in.session(ctx)
		if ctx.Err() != nil {
			break
		}
		if time.Since(began) > soundTime {
			pauses.reset()
			broken = 0
		}
		// A connection may break; not being able to make one is trouble.
		if broken++; !in.up.Swap(false) || broken > 3 {
			in.sick(err)
		}
		in.metrics.reconnects.Inc()
		pauses.pause(ctx, nil)
	}
	in.following.Wait()
	in.beat.stop()
	in.watches.close()
	in.engine.close()
	return nil
}

// session follows the engine's containers until the stream of events ends.
func (in *Input) session(ctx context.Context) error {
	now, err := in.engine.connect(ctx)
	if err != nil {
		return err
	}
	in.meet(now)
	sub := in.subscribe(ctx)
	defer sub.stop()
	select {
	case <-sub.begun:
	case <-time.After(subscribeTime):
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := in.reconcile(ctx); err != nil {
		return err
	}
	in.well()
	return in.watch(ctx, sub)
}

// meet notes what the engine says of itself, the first time.
func (in *Input) meet(now about) {
	if !in.started.IsZero() {
		return
	}
	in.about, in.started = now, now.time
	if now.time.IsZero() {
		in.started = time.Now()
	}
	if now.name == "" {
		in.log.Warn("the Docker Engine does not tell the name of its host; lines come without host.name (let GET /info through to the socket, or set labels)")
	}
}

// isOld tells whether a container was made before this program met the engine.
func (in *Input) isOld(c container.InspectResponse) bool {
	made, err := time.Parse(time.RFC3339Nano, c.Created)
	return err != nil || made.Before(in.started)
}

// watch handles events as they come.
func (in *Input) watch(ctx context.Context, sub *subscription) error {
	tick := time.NewTicker(listEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case m := <-sub.events:
			in.handle(ctx, m)
		case err := <-sub.errs:
			return fmt.Errorf("following the events of the Docker Engine at %s: %w", in.engine.host, err)
		case <-tick.C:
			if err := in.reconcile(ctx); err != nil {
				return err
			}
			in.probe(ctx)
		}
	}
}

// probe looks after followers of which nothing was heard lately.
func (in *Input) probe(ctx context.Context) {
	for _, f := range in.followers {
		read := f.read.Load()
		silent := read == f.checked
		f.checked = read
		if silent && f.stalled.Load() != nil {
			in.following.Go(func() {
				if err := f.probe(ctx, read); err != nil && ctx.Err() == nil {
					in.log.Debug("looking after a silent container", "container", short(f.id), "error", err)
				}
			})
		}
	}
}

// A subscription is the stream of the engine's events.
type subscription struct {
	begun  chan struct{} // closed when the engine has begun
	events chan events.Message
	errs   chan error
	cancel context.CancelFunc
	done   chan struct{}
}

func (s *subscription) stop() {
	s.cancel()
	<-s.done
}

// subscribe asks for the events of containers. Which of them matter is decided
// here, not by the engine: Podman calls some of them differently.
func (in *Input) subscribe(ctx context.Context) *subscription {
	ctx, cancel := context.WithCancel(ctx)
	s := &subscription{
		cancel: cancel,
		begun:  make(chan struct{}),
		events: make(chan events.Message),
		errs:   make(chan error, 1),
		done:   make(chan struct{}),
	}
	options := events.ListOptions{Filters: filters.NewArgs(filters.Arg("type", "container"))}
	if in.latest > 0 {
		options.Since = fmt.Sprintf("%d.%09d", in.latest/1e9, in.latest%1e9)
	}
	c := in.engine.now.Load()
	go func() {
		defer close(s.done)
		messages, errs := c.Events(ctx, options)
		close(s.begun)
		for {
			select {
			case m := <-messages:
				select {
				case s.events <- m:
				case <-ctx.Done():
				}
			case err := <-errs:
				s.errs <- err
				return
			}
		}
	}()
	return s
}

// handle acts on an event. A start is all that makes lines; the end of a
// container's lines shows in its log.
func (in *Input) handle(ctx context.Context, m events.Message) {
	again := m.TimeNano <= in.latest // it was told before the connection broke
	in.latest = max(in.latest, m.TimeNano)
	id := m.Actor.ID
	action, _, _ := strings.Cut(string(m.Action), ":")
	switch action {
	case "start", "restart":
		hint := identityOf(m, in.about.name)
		if again {
			hint = nil
		}
		in.follow(ctx, id, hint)
	case "unpause":
		in.follow(ctx, id, nil) // Podman ends the log of one that is paused
	case "rename":
		in.rename(ctx, id, m.Actor.Attributes["name"])
	case "die":
		in.ended(id)
	case "destroy", "remove":
		in.look(id)
	}
}

// ended has a follower look whether its container has stopped, if it cannot see that from its log.
func (in *Input) ended(id string) {
	if f := in.followers[id]; f != nil && f.filing.Load() {
		f.poke()
	}
}

// rename tells a follower the new name; a container that was left out may
// now be one to follow.
func (in *Input) rename(ctx context.Context, id, name string) {
	f := in.followers[id]
	if f == nil || f.over.Load() {
		in.follow(ctx, id, nil)
		return
	}
	if name != "" {
		f.out.called.Store(&name)
	}
}

// look has a follower look whether its container is still there.
func (in *Input) look(id string) {
	f := in.followers[id]
	if f == nil {
		return
	}
	if f.over.Load() {
		delete(in.followers, id)
		return
	}
	f.poke()
}

// reconcile brings the followers in line with what containers there are.
func (in *Input) reconcile(ctx context.Context) error {
	running, err := in.engine.list(ctx)
	if err != nil {
		return in.engine.explain(err)
	}
	for id := range running {
		if f := in.followers[id]; f == nil || (running[id] && !f.over.Load()) {
			in.follow(ctx, id, nil)
		} else if !running[id] {
			in.ended(id)
		}
	}
	for id := range in.followers {
		if _, there := running[id]; !there {
			in.look(id)
		}
	}
	in.forget(running)
	return nil
}

// forget ends the sources of containers that were removed while nobody looked.
func (in *Input) forget(there map[string]bool) {
	gone := map[string]bool{}
	defer func() {
		if len(gone) == 0 {
			return
		}
		in.metrics.unread.Add(float64(len(gone)))
		in.log.Warn("containers were removed while nobody looked: what they logged at last may be missing", "containers", len(gone))
	}()
	for key, k := range in.known {
		id, _, _ := strings.Cut(key, "/")
		if _, found := there[id]; found || in.followers[id] != nil {
			continue
		}
		delete(in.known, key)
		gone[id] = true
		src, err := in.feed.Open(k.ID, key, []event.Label{{Name: event.LabelContainerID, Value: id}})
		if err != nil {
			in.log.Warn("a removed container cannot be forgotten", "source", key, "error", err)
			continue
		}
		in.feed.Close(src, true)
	}
}

// follow starts following a container, or has its follower look at it anew. A hint
// comes with the news that it runs.
func (in *Input) follow(ctx context.Context, id string, hint *identity) {
	before := in.followers[id]
	if before != nil && !before.over.Load() {
		if hint != nil {
			before.ran.Store(true)
		}
		before.poke()
		return
	}
	f := in.newFollower(ctx, id)
	f.hint = hint
	f.ran.Store(hint != nil)
	if before != nil {
		f.before = before.before // it was left out under its former name
	}
	in.followers[id] = f
	in.following.Go(func() { f.run(ctx) })
}

// sick shows trouble with the engine, and logs it once.
func (in *Input) sick(err error) {
	in.health(err)
	if text := err.Error(); text != in.trouble {
		in.trouble = text
		in.log.Error("no logs can be read from containers; trying again", "error", err)
	}
}

func (in *Input) well() {
	in.up.Store(true)
	in.health(nil)
	if in.trouble != "" {
		in.trouble = ""
		in.log.Info("the Docker Engine is back")
	}
}

// Stride implements pipeline.Strider: positions are nanoseconds.
func (in *Input) Stride() uint64 { return uint64(time.Minute) }

// Impatient implements pipeline.Impatient: dockerd rotates what is not read in
// time.
func (in *Input) Impatient() bool { return true }

// Rereads implements pipeline.Rereader: a log is found by the container's id, and
// one of which nothing is done is read from its beginning.
func (in *Input) Rereads() {}
