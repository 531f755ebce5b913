package docker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/backoff"
	"github.com/longshore/longshore/pipeline/event"
)

// listInterval is how often all containers are listed, in case that an event was lost.
const listInterval = 5 * time.Minute

// subscribeTimeout is how long to wait for the stream of events to begin. Podman sends nothing, not
// even the header, before the first event.
const subscribeTimeout = 2 * time.Second

// An Input follows the containers of one engine.
type Input struct {
	config   Config
	log      *slog.Logger
	health   func(error)
	found    func(string)
	folder   string // see pipeline.Env
	panicked pipeline.Panicked
	metrics  *metrics
	// What is read again counts for nothing.
	rereadMetrics *metrics
	self          self
	dial          dialer // for tests; nil otherwise
	notify        func() *watcher

	engine    *engine
	feed      pipeline.Feed
	connected atomic.Bool

	// Set before the first follower starts.
	info       engineInfo
	started    time.Time // by the engine's clock
	firstStart time.Time // with this data folder, see recallFirstStart

	// Owned by Run's goroutine.
	known       map[string]pipeline.Known
	followers   map[string]*follower
	lastError   string // that was logged
	latestEvent int64  // its time, Unix nanoseconds

	running     sync.WaitGroup
	openBatches atomic.Int64 // of all followers
	sources     pipeline.SourceMap[*batcher]
	blocks      blockPool
	ticker      *ticker
	watcher     *watcher     // nil if files are not read or cannot be watched
	held        atomic.Int64 // bytes in deleted files, of all followers

	entrySpacing int64 // see history
}

var (
	_ pipeline.Input      = (*Input)(nil)
	_ pipeline.Lookout    = (*Input)(nil)
	_ pipeline.Supervised = (*Input)(nil)
)

// HeldUpUntil implements pipeline.Lookout.
func (in *Input) HeldUpUntil(src *event.Source) time.Time {
	if b := in.sources.Of(src.ID); b != nil {
		return b.heldUpUntil()
	}
	return time.Time{}
}

// Run implements pipeline.Input.
func (in *Input) Run(ctx context.Context, feed pipeline.Feed) error {
	in.engine, in.feed = newEngine(&in.config), feed
	in.engine.Dial = in.dial
	in.ticker = newTicker()
	in.self = findSelf("/proc/self")
	in.known = known(feed)
	if in.config.Mode != modeAPI {
		in.watcher = in.notify()
	}
	in.followers = map[string]*follower{}
	var pauses backoff.Failures
	broken := 0 // short sessions in a row
	for ctx.Err() == nil {
		began := time.Now()
		err := in.session(ctx)
		if ctx.Err() != nil {
			break
		}
		if time.Since(began) > stableTime {
			pauses.Reset()
			broken = 0
		}
		// A connection may break; not being able to make one is a problem.
		if broken++; !in.connected.Swap(false) || broken > 3 {
			in.unhealthy(err)
		}
		in.metrics.reconnects.Inc()
		_ = backoff.Sleep(ctx, pauses.Next(firstPause, longPause), nil)
	}
	in.running.Wait()
	in.ticker.stop()
	in.watcher.close()
	in.engine.Close()
	return nil
}

// session follows the engine's containers until the stream of events ends.
func (in *Input) session(ctx context.Context) error {
	now, err := in.engine.connect(ctx)
	if err != nil {
		return err
	}
	in.recordEngine(now)
	sub := in.subscribe(ctx)
	defer sub.stop()
	select {
	case <-sub.ready:
	case <-time.After(subscribeTimeout):
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := in.reconcile(ctx); err != nil {
		return err
	}
	in.healthy()
	in.found(pipeline.Count(len(in.followers), "container"))
	return in.watch(ctx, sub)
}

// recordEngine notes what the engine says of itself, the first time.
func (in *Input) recordEngine(now engineInfo) {
	if !in.started.IsZero() {
		return
	}
	in.info, in.started = now, now.time
	if now.time.IsZero() {
		in.started = time.Now()
	}
	in.firstStart = in.started
	if in.config.skipsOldLines() {
		in.firstStart = in.recallFirstStart()
	}
	if now.name == "" {
		in.log.Warn("the Docker Engine does not report its host name, so records have no host.name " +
			"(allow GET /info on the socket, or set labels)")
	}
}

// firstStartFile is the file that has the time of the first start.
const firstStartFile = "first-start"

// recallFirstStart returns when the agent first reached an engine with this data folder, by the
// engine's clock. What is created while the agent is stopped is later than that.
func (in *Input) recallFirstStart() time.Time {
	if in.folder == "" {
		return in.started
	}
	path := filepath.Join(in.folder, firstStartFile)
	content, err := pipeline.ReadFile(path, 1<<10)
	if err == nil {
		if at, err := time.Parse(time.RFC3339Nano, strings.TrimSpace(string(content))); err == nil {
			return at
		}
	}
	if err := in.storeFirstStart(path); err != nil {
		in.log.Warn("the time of the first start cannot be stored: of containers that are created while the agent "+
			"is stopped only the last lines will be read", "error", err)
	}
	return in.started
}

func (in *Input) storeFirstStart(path string) error {
	if err := os.MkdirAll(in.folder, 0o750); err != nil {
		return err
	}
	f, err := pipeline.OpenDataFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	_, err = f.WriteString(in.started.Format(time.RFC3339Nano) + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return pipeline.SyncFolder(in.folder)
}

// predatesAgent reports whether a container was created before the agent first reached the engine.
func (in *Input) predatesAgent(c container.InspectResponse) bool {
	made, err := time.Parse(time.RFC3339Nano, c.Created)
	return err != nil || made.Before(in.firstStart)
}

// watch handles events as they come.
func (in *Input) watch(ctx context.Context, sub *subscription) error {
	tick := time.NewTicker(listInterval)
	defer tick.Stop()
	ready := sub.ready
	var messages <-chan events.Message
	var errs <-chan error
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ready:
			ready, messages, errs = nil, sub.events, sub.errs
		case m := <-messages:
			in.handle(ctx, m)
		case err := <-errs:
			return fmt.Errorf("following the events of the Docker Engine at %s: %w", in.engine.Host, err)
		case <-tick.C:
			if err := in.reconcile(ctx); err != nil {
				return err
			}
			in.probe(ctx)
		}
	}
}

// Stuck implements pipeline.Supervised.
func (in *Input) Stuck(now time.Time) bool {
	return in.sources.Any(func(b *batcher) bool { return b.busy.IsStuck(now) })
}

// probe checks followers from which nothing has come since the last probe.
func (in *Input) probe(ctx context.Context) {
	for _, f := range in.followers {
		read := f.bytesRead.Load()
		silent := read == f.readAtProbe
		f.readAtProbe = read
		if silent && f.cancelStream.Load() != nil {
			in.running.Go(func() {
				defer in.panicked.Contain()
				if err := f.probe(ctx, read); err != nil && ctx.Err() == nil {
					in.log.Debug("checking a silent container", "container", short(f.id), "error", err)
				}
			})
		}
	}
}

// A subscription is the stream of the engine's events.
type subscription struct {
	cancel context.CancelFunc
	ready  chan struct{} // closed when the stream has begun; guards the other channels
	events <-chan events.Message
	errs   <-chan error
}

func (s *subscription) stop() {
	s.cancel()
	<-s.ready
	for range s.errs { // until it is closed
	}
}

// subscribe requests the events of containers, from the last one on, or from when the engine was
// first reached: it begins to collect them only once it has answered. They are not filtered by the
// engine, as Podman names some differently.
func (in *Input) subscribe(ctx context.Context) *subscription {
	ctx, cancel := context.WithCancel(ctx)
	s := &subscription{cancel: cancel, ready: make(chan struct{})}
	options := events.ListOptions{Filters: filters.NewArgs(filters.Arg("type", "container"))}
	since := in.latestEvent
	if since == 0 && !in.info.time.IsZero() {
		since = in.info.time.UnixNano()
	}
	if since > 0 {
		options.Since = fmt.Sprintf("%d.%09d", since/1e9, since%1e9)
	}
	c := in.engine.Client()
	go func() {
		defer in.panicked.Contain()
		s.events, s.errs = c.Events(ctx, options)
		close(s.ready)
	}()
	return s
}

// handle acts on an event. Only a start leads to lines; their end shows in the log.
func (in *Input) handle(ctx context.Context, m events.Message) {
	seen := m.TimeNano <= in.latestEvent // before the connection broke
	in.latestEvent = max(in.latestEvent, m.TimeNano)
	id := m.Actor.ID
	action, _, _ := strings.Cut(string(m.Action), ":")
	switch action {
	case "start", "restart":
		hint := identityOf(m, in.info.name)
		if seen {
			hint = nil
		}
		in.follow(ctx, id, hint)
	case "unpause":
		in.follow(ctx, id, nil) // Podman ends the log of a paused container
	case "rename":
		in.rename(ctx, id, m.Actor.Attributes["name"])
	case "die":
		in.checkStopped(id)
	case "destroy", "remove":
		in.checkRemoved(id)
	}
}

// checkStopped makes a follower check its container if the log does not show its end.
func (in *Input) checkStopped(id string) {
	if f := in.followers[id]; f != nil && f.followingFiles.Load() {
		f.wake()
	}
}

// rename passes the new name on. A container that was not followed may have to be now.
func (in *Input) rename(ctx context.Context, id, name string) {
	f := in.followers[id]
	if f == nil || f.done.Load() {
		in.follow(ctx, id, nil)
		return
	}
	if name != "" {
		f.batcher.newName.Store(&name)
	}
	f.wake()
}

// checkRemoved makes a follower check whether its container still exists.
func (in *Input) checkRemoved(id string) {
	f := in.followers[id]
	if f == nil {
		return
	}
	if f.done.Load() {
		delete(in.followers, id)
		return
	}
	f.wake()
}

// reconcile compares the followers with the existing containers.
func (in *Input) reconcile(ctx context.Context) error {
	running, err := in.engine.list(ctx)
	if err != nil {
		return in.engine.WithAdvice(err)
	}
	for id := range running {
		if f := in.followers[id]; f == nil || (running[id] && !f.done.Load()) {
			in.follow(ctx, id, nil)
		} else if !running[id] {
			in.checkStopped(id)
		}
	}
	for id := range in.followers {
		if _, exists := running[id]; !exists {
			in.checkRemoved(id)
		}
	}
	in.forgetRemoved(running)
	return nil
}

// forgetRemoved ends the sources of containers that were removed while the agent was stopped.
func (in *Input) forgetRemoved(existing map[string]bool) {
	removed := map[string]bool{}
	defer func() {
		if len(removed) == 0 {
			return
		}
		in.metrics.unreadable.Add(float64(len(removed)))
		in.log.Warn("containers were removed while the agent was stopped or disconnected: "+
			"their last lines may be missing", "containers", len(removed))
	}()
	for key, k := range in.known {
		id, _, _ := strings.Cut(key, "/")
		if _, found := existing[id]; found || in.followers[id] != nil {
			continue
		}
		delete(in.known, key)
		removed[id] = true
		src, err := in.feed.Open(k.ID, key, []event.Label{{Name: event.LabelContainerID, Value: id}})
		if err != nil {
			in.log.Warn("the source of a removed container cannot be closed", "source", key, "error", err)
			continue
		}
		in.feed.Close(src, true)
	}
}

// follow starts to follow a container, or makes its follower check it. A hint comes with the event
// that it runs.
func (in *Input) follow(ctx context.Context, id string, hint *identity) {
	before := in.followers[id]
	if before != nil && !before.done.Load() {
		if hint != nil {
			before.unread.Store(true)
		}
		before.wake()
		return
	}
	f := in.newFollower(ctx, id)
	f.hint = hint
	f.unread.Store(hint != nil)
	if before != nil {
		f.known = before.known // it was not followed under its former name
	}
	in.followers[id] = f
	in.running.Go(func() {
		defer in.panicked.Contain()
		f.run(ctx)
	})
}

// unhealthy reports a problem with the engine, and logs it once.
func (in *Input) unhealthy(err error) {
	in.health(err)
	if text := err.Error(); text != in.lastError {
		in.lastError = text
		in.log.Error("cannot read container logs; trying again", "error", err)
	}
}

func (in *Input) healthy() {
	in.connected.Store(true)
	in.health(nil)
	if in.lastError != "" {
		in.lastError = ""
		in.log.Info("the Docker Engine is available again")
	}
}
