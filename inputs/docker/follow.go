package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"

	"github.com/longshore/longshore/inputs/docker/logformat"
	"github.com/longshore/longshore/pipeline"
)

// A connection starts with a small buffer, as most containers are silent most
// of the time, and gets larger ones when it is filled at once. The kernel's is behind
// it.
const (
	smallRead = 1 << 10
	largeRead = 16 << 10
)

// soundTime is how long a connection must have lasted for the next to be made
// without a growing pause. Proxies cut idle ones after minutes, and some all of them after seconds.
const soundTime = 2 * time.Second

// A follower follows one container from its first line to its removal. One
// goroutine runs it; the others only signal.
type follower struct {
	in   *Input
	id   string
	wake chan struct{} // holds one: something has happened to the container
	over atomic.Bool   // run has ended: removed, or none of ours
	ran  atomic.Bool   // it has run since its log was last read to its end
	read atomic.Uint64 // bytes of its log

	stalled atomic.Pointer[context.CancelFunc] // ends the connection that follows the log, if there is one
	filing  atomic.Bool                        // it follows the log's files, in which nothing tells of the container's end

	before  [2]*pipeline.Known // what the ledger knows of its streams; the goroutine's once it runs
	hint    *identity          // what the event says of the container, if that is how it became known
	checked uint64             // bytes that were read when last looked at; Run's own

	// What follows belongs to the goroutine.
	out     gatherer
	atNow   bool // starts at the end of the log
	settled bool // the log was read whole after the clock was set back
	mute    bool // it was told that the log cannot be read
	told    string
	missed  int   // failures one after the other
	tail    *tail // the files that are read, or nil
	kept    int64 // how large each of those gets; 0 if there is no limit
	filed   bool  // it was last read from files
	strayed bool  // the place where reading goes on was not found, and is looked for once more
	garbled bool  // it was told that the files are damaged
	backoff backoff
}

func (in *Input) newFollower(ctx context.Context, id string) *follower {
	f := &follower{in: in, id: id, wake: make(chan struct{}, 1)}
	f.out = gatherer{ctx: ctx, feed: in.feed, log: in.log, metrics: in.metrics, held: &in.held}
	for s := range f.before {
		key := sourceKey(id, logformat.Stream(s))
		if k, found := in.known[key]; found {
			f.before[s] = &k
			delete(in.known, key)
		}
	}
	return f
}

// sourceKey is how the ledger knows a stream of a container.
func sourceKey(id string, s logformat.Stream) string { return id + "/" + s.String() }

// next is what a follower does after it has had its turn at a container.
type next int

const (
	retry   next = iota // after a pause
	wait                // until something happens to the container
	leave               // the container is none of ours
	removed             // the container is no more
)

// run follows the container until it is removed or ctx ends.
func (f *follower) run(ctx context.Context) {
	what := f.turns(ctx)
	f.closeTail()
	f.out.stop(what == removed)
	if f.out.who != nil {
		f.in.metrics.containers.Dec()
	}
	f.over.Store(true)
}

func (f *follower) turns(ctx context.Context) next {
	for ctx.Err() == nil {
		what, err := f.turn(ctx)
		if err != nil && ctx.Err() == nil {
			f.failed(err)
		}
		switch what {
		case retry:
			f.backoff.pause(ctx, f.wake)
		case wait:
			select {
			case <-f.wake:
			case <-ctx.Done():
			}
		case leave, removed:
			return what
		}
	}
	return leave
}

// turn looks at the container and reads its log as far as it goes.
func (f *follower) turn(ctx context.Context) (next, error) {
	c, err := f.in.engine.inspect(ctx, f.id)
	if errdefs.IsNotFound(err) {
		f.drain(ctx)
		f.lost()
		return removed, errors.Join(f.out.ended(), f.out.release())
	}
	if err != nil {
		return retry, fmt.Errorf("inspecting container %s: %w", short(f.id), err)
	}
	if f.out.who == nil && !f.begin(c) {
		return leave, nil
	}
	if f.atNow {
		if err := f.out.startAt(f.in.started.UnixNano()); err != nil {
			return retry, err
		}
		f.atNow = false
	}
	f.rename(c)
	now := conditionOf(c)
	switch {
	case now.status == "created":
		return wait, nil
	case now.dead:
		return wait, nil // its removal failed; its log cannot be read
	case now.driver == "none":
		f.unreadable(now.driver, "")
		return wait, nil
	}
	return f.connect(ctx, now)
}

// A condition is what matters of a container while it is read. All that
// the engine tells of it would be kept in memory as long.
type condition struct {
	status, driver     string
	running, dead, tty bool
	logPath            string
	rotation           rotation
}

func conditionOf(c container.InspectResponse) condition {
	now := condition{status: string(c.State.Status), running: c.State.Running, dead: c.State.Dead, tty: c.Config.Tty, logPath: c.LogPath}
	if c.HostConfig != nil {
		now.driver = c.HostConfig.LogConfig.Type
		now.rotation = rotationOf(now.driver, c.HostConfig.LogConfig.Config)
	}
	return now
}

// begin decides whether to follow the container, and gets ready.
func (f *follower) begin(c container.InspectResponse) (follow bool) {
	who := newIdentity(c, f.in.about.name)
	if f.in.self.is(c) {
		f.in.log.Debug("leaving out a container: it is this program's own", "container", who.name)
		return false
	}
	if reason, ok := f.in.config.follows(who); !ok {
		f.in.log.Debug("leaving out a container: "+reason, "container", who.name)
		return false
	}
	streams := []logformat.Stream{logformat.Stdout, logformat.Stderr}
	if c.Config.Tty {
		streams = streams[:1]
	}
	tracks := make([]track, len(streams))
	for i, s := range streams {
		f.restore(&tracks[i], s, who)
	}
	f.out.tracks = tracks
	f.out.rename(who)
	fresh := f.before == [2]*pipeline.Known{}
	f.atNow = fresh && f.in.config.ReadFrom == "end" && f.in.isOld(c)
	f.in.metrics.containers.Inc()
	return true
}

// restore puts a track where the ledger says that it is.
func (f *follower) restore(t *track, s logformat.Stream, who *identity) {
	t.stream, t.key = s, sourceKey(f.id, s)
	t.join.max = int(f.in.config.MaxLine)
	known := f.before[s]
	if known == nil {
		return
	}
	cursor := known.Cursor
	t.id, t.sent, t.at.next = known.ID, cursor.Pos, cursor.Pos
	if cursor.Pos == 0 {
		return
	}
	at, ok := parseCursor(cursor.State, cursor.Pos)
	if !ok {
		f.in.log.Warn("the place reached in a container's log cannot be understood; going on by time alone",
			"container", who.name, "stream", s.String())
		at = positionAt(int64(min(cursor.Pos, math.MaxInt64)), cursor.Pos)
	}
	t.at = at
}

// rename takes over what the container is called now.
func (f *follower) rename(c container.InspectResponse) {
	if strings.TrimPrefix(c.Name, "/") != f.out.who.name {
		f.out.rename(newIdentity(c, f.in.about.name))
	}
}

// connect makes one connection and reads it to its end.
func (f *follower) connect(ctx context.Context, c condition) (next, error) {
	f.ran.Store(true)
	started, lines := time.Now(), f.out.lines()
	whole := f.tail == nil && f.out.setBack(f.in.engine.clock()) && !f.settled
	err := f.readLog(ctx, c, whole)
	if f.out.lines() > lines || time.Since(started) > soundTime {
		f.backoff.reset()
		f.missed = 0
	}
	if err == nil && whole {
		f.settled = true
		if f.out.settle() || c.running {
			f.poke()
			return retry, nil
		}
	}
	f.settled = false
	switch {
	case err == nil:
		return f.atEnd(ctx, c)
	case errors.Is(err, errSkipped), errors.Is(err, errRepeated), errors.Is(err, errWoken), errors.Is(err, errAstray):
		f.poke() // at once: the files do not wait
		return retry, nil
	case errors.Is(err, errGuess):
		f.strayed = true
		if f.filed {
			f.poke()
		}
		return retry, nil
	case errors.Is(err, errMoved), errdefs.IsNotFound(err):
		return retry, nil
	}
	if reason, yes := isUnreadable(err); yes {
		f.unreadable(c.driver, reason)
		return wait, nil
	}
	if noFile, ok := errors.AsType[noFileError](err); ok {
		f.noFiles(c, noFile)
		return retry, nil
	}
	if f.filed {
		return retry, fmt.Errorf("reading the log files of container %s: %w", f.out.who.name, err)
	}
	f.in.metrics.reconnects.Inc()
	if errdefs.IsConflict(err) {
		return retry, nil // it is being removed
	}
	return retry, fmt.Errorf("reading the log of container %s: %w", f.out.who.name, err)
}

// readLog reads the log from where it stands, from the engine's files or through its API.
func (f *follower) readLog(ctx context.Context, c condition, whole bool) (err error) {
	f.filed, err = f.direct(c)
	switch {
	case err != nil:
		return err
	case f.filed:
		return f.readFiles(ctx, c, whole)
	}
	return f.stream(ctx, c, whole)
}

// noFiles says once that a log cannot be read in the way that is asked for.
func (f *follower) noFiles(c condition, err noFileError) {
	if f.told == err.Error() {
		return
	}
	f.told = err.Error()
	f.in.log.Warn("the log of a container cannot be read from the engine's files; "+err.advice(),
		"container", f.out.who.name, "file", c.logPath, "error", err)
}

// atEnd decides what the proper end of a log means: the container has stopped,
// or the engine is about to.
func (f *follower) atEnd(ctx context.Context, before condition) (next, error) {
	f.missed, f.told = 0, ""
	if before.running {
		now, err := f.in.engine.inspect(ctx, f.id)
		if errdefs.IsNotFound(err) {
			f.ran.Store(false)
		}
		if err != nil || now.State.Running {
			return retry, nil // the next turn sees
		}
		if f.in.engine.hasty() {
			f.poke()
			return retry, nil // what was not followed to its end is read to its end
		}
	}
	if err := f.out.ended(); err != nil {
		return retry, nil // the next turn reads again, from the corrected place
	}
	f.ran.Store(false)
	f.backoff.reset()
	return wait, nil
}

// stream reads the log from where it stands until the connection ends. With
// whole, it reads all that there is, and does not follow.
func (f *follower) stream(ctx context.Context, c condition, whole bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	options := container.LogsOptions{
		ShowStdout: true, ShowStderr: true, Timestamps: true,
		Follow: c.running && !whole,
	}
	c.rotation.hasty = f.in.engine.hasty()
	connected := f.in.engine.clock()
	if since := f.out.connected(connected, c.rotation, f.in.engine.podman.Load()); since > 0 && !whole && !f.settled {
		options.Since = fmt.Sprintf("%d.%09d", since/1e9, since%1e9)
	}
	// An engine that is just packing a file may leave it out: a place that is not there is looked for twice.
	f.out.guessed(!f.strayed)
	f.strayed = false
	body, err := f.in.engine.now.Load().ContainerLogs(ctx, f.id, options)
	if err != nil {
		return err
	}
	defer body.Close()
	if options.Follow {
		f.stalled.Store(&cancel)
		defer f.stalled.Store(nil)
	}
	var to logformat.Receiver = &f.out
	if options.Follow && c.rotation.hasty && c.rotation.size > 0 {
		to = newRepeatFilter(to, connected)
	}
	var pace pacer
	if options.Follow && f.in.engine.buffers() {
		pace = newPacer(f.in.beat)
	}
	return errors.Join(f.copy(ctx, body, to, c.tty, pace), f.out.release())
}

func (f *follower) copy(ctx context.Context, body io.Reader, to logformat.Receiver, tty bool, pace pacer) error {
	var d logformat.Decoder
	buf := make([]byte, smallRead)
	for {
		n, err := body.Read(buf)
		span := pace.after(n, len(buf))
		if n > 0 {
			if d == nil {
				d = logformat.NewDecoder(to, buf[0], tty)
			}
			f.read.Add(uint64(n))
			if err := f.out.take(d, buf[:n], f.in.engine.clock(), span == 0); err != nil {
				return err
			}
		}
		if n == len(buf) && n < largeRead {
			buf = make([]byte, 4*len(buf))
		}
		switch {
		case err == nil && span > 0:
			f.in.beat.wait(ctx, span)
		case err == nil:
		case err == io.EOF && d == nil:
			return nil
		case err == io.EOF:
			return f.out.close(d)
		case d != nil:
			f.out.broken(d)
			return err
		default:
			return err
		}
	}
}

// failed logs what keeps failing, once. A connection that breaks now and then is
// nothing to tell.
func (f *follower) failed(err error) {
	f.missed++
	text := err.Error()
	if f.missed < 3 || text == f.told || !f.in.up.Load() {
		f.in.log.Debug("trying again", "error", err)
		return
	}
	f.told = text
	f.in.log.Warn("the log of a container cannot be read; trying again", "error", err)
}

// unreadable says once that the log cannot be had.
func (f *follower) unreadable(driver, reason string) {
	f.ran.Store(false)
	if f.mute {
		return
	}
	f.mute = true
	f.in.log.Warn("this container's log cannot be read: its logging driver does not support it; use json-file, local or journald",
		"container", f.out.who.name, "driver", driver, "engine", reason)
}

// lost tells that the container is no more, and how far its log had been read.
func (f *follower) lost() {
	if !f.ran.Load() || f.mute {
		return
	}
	who := f.out.who
	if who == nil {
		who = f.hint
	}
	if who == nil || slices.Contains(f.in.self.ids, f.id) {
		return
	}
	if _, ok := f.in.config.follows(who); !ok {
		return
	}
	f.in.metrics.unread.Inc()
	f.in.log.Warn("a container was removed before its log could be read to its end: lines may be missing",
		"container", who.name, "lines read", f.out.lines())
}

// probe looks whether a log that seems silent has grown: then its stream has come
// to a standstill, and is cut off to be made anew. It asks for one line, which costs
// the engine next to nothing. read is how much had been read of the log when it seemed silent.
func (f *follower) probe(ctx context.Context, read uint64) error {
	latest, idle := f.out.latest()
	cut := f.stalled.Load()
	if cut == nil || !idle {
		return nil
	}
	last, err := f.in.engine.lastTime(ctx, f.id)
	if err != nil || last <= latest {
		return err
	}
	if _, idle := f.out.latest(); !idle || f.read.Load() != read { // it may be waiting for the beat
		return nil
	}
	f.in.metrics.skips.Inc()
	(*cut)()
	return nil
}

// poke has the follower look at its container anew.
func (f *follower) poke() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

func short(id string) string { return id[:min(12, len(id))] }

// known indexes what the ledger remembers; of two sources of a key, the one
// that is further on.
func known(feed pipeline.Feed) map[string]pipeline.Known {
	byKey := map[string]pipeline.Known{}
	for _, k := range feed.Known() {
		if before, found := byKey[k.Key]; !found || before.Cursor.Pos < k.Cursor.Pos {
			byKey[k.Key] = k
		}
	}
	return byKey
}
