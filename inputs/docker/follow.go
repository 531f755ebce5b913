package docker

import (
	"cmp"
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
	"github.com/longshore/longshore/pipeline/backoff"
)

// A connection starts with a small buffer, as most containers are mostly silent, and gets a larger
// one whenever a read fills it.
const (
	smallRead = 1 << 10
	largeRead = 16 << 10
)

// Pauses after failures double from the first to the longest.
const (
	firstPause = 100 * time.Millisecond
	longPause  = 30 * time.Second
)

// stableTime is how long a connection must have lasted for the backoff to start anew. Some proxies
// end idle connections after seconds.
const stableTime = 2 * time.Second

// A follower follows one container from its first line to its removal. One goroutine runs it; the
// others only signal.
type follower struct {
	in        *Input
	id        string
	woken     chan struct{} // holds one; signals that the container may have changed
	done      atomic.Bool   // run has ended
	unread    atomic.Bool   // the container ran since its log was last read to the end
	bytesRead atomic.Uint64 // of its log

	cancelStream   atomic.Pointer[context.CancelFunc] // ends the connection that follows the log, or nil
	followingFiles atomic.Bool                        // which do not show that the container has ended

	known       [2]*pipeline.Known // of its streams, by the ledger; the goroutine's once it runs
	hint        *identity          // by the event that announced the container, or nil
	readAtProbe uint64             // bytesRead at the last probe; owned by Run

	// Owned by the goroutine.
	batcher          batcher
	startLate        bool // start not at the log's beginning, see Config.ReadFrom
	fullyRead        bool // the whole log was read after the clock was set back
	warnedUnreadable bool // that the log cannot be read
	lastWarning      string
	failures         int   // in a row
	tail             *tail // the files being read, or nil
	maxFileSize      int64 // 0 if there is no limit
	fromFiles        bool  // the log was last read from its files
	missing          bool  // the position was not found, and is searched in the whole log
	warnedCorrupt    bool  // that the files are damaged
	backoff          backoff.Failures
	history          history
	lagging          laggards
}

func (in *Input) newFollower(ctx context.Context, id string) *follower {
	f := &follower{in: in, id: id, woken: make(chan struct{}, 1)}
	f.history.held, f.history.maxLine, f.history.spacing = &in.held, int(in.config.MaxLine), in.entrySpacing
	f.batcher = batcher{
		ctx: ctx, feed: in.feed, log: in.log, metrics: in.metrics, openBatches: &in.openBatches,
		sources: &in.sources, history: &f.history, panicked: in.panicked,
	}
	for s := range f.known {
		key := sourceKey(id, logformat.Stream(s))
		if k, found := in.known[key]; found {
			f.known[s] = &k
			delete(in.known, key)
		}
	}
	return f
}

// sourceKey returns the ledger's key for a stream of a container.
func sourceKey(id string, s logformat.Stream) string { return id + "/" + s.String() }

// An action is what a follower does after a step.
type action int

const (
	retry   action = iota // after a pause
	wait                  // until the container may have changed
	ignore                // the container is not to be followed
	removed               // the container does not exist any more
)

// run follows the container until it is removed or ctx ends.
func (f *follower) run(ctx context.Context) {
	last := f.loop(ctx)
	f.closeTail()
	if last == removed {
		f.awaitLagging(ctx)
	}
	f.batcher.stop(last == removed)
	f.history.clear()
	if f.batcher.identity != nil {
		f.in.metrics.containers.Dec()
	}
	f.done.Store(true)
}

func (f *follower) loop(ctx context.Context) action {
	for ctx.Err() == nil {
		next, err := f.step(ctx)
		if err != nil && ctx.Err() == nil {
			f.logFailure(err)
		}
		switch next {
		case retry:
			_ = backoff.Sleep(ctx, f.backoff.Next(firstPause, longPause), f.woken)
		case wait:
			f.await(ctx)
		case ignore, removed:
			return next
		}
	}
	return ignore
}

// step inspects the container and reads its log as far as it goes.
func (f *follower) step(ctx context.Context) (action, error) {
	c, err := f.in.engine.inspect(ctx, f.id)
	if errdefs.IsNotFound(err) {
		f.drain(ctx)
		f.warnUnread()
		return removed, errors.Join(f.batcher.endLog(), f.batcher.sendAll())
	}
	if err != nil {
		return retry, fmt.Errorf("inspecting container %s: %w", short(f.id), err)
	}
	if f.batcher.identity == nil && !f.start(c) {
		return ignore, nil
	}
	if f.startLate {
		if err := f.skipOldLines(ctx); err != nil {
			return retry, err
		}
		f.startLate = false
	}
	f.updateName(c)
	now := snapshotOf(c)
	switch {
	case now.status == "created":
		return wait, nil
	case now.dead:
		return wait, nil // its removal failed; its log cannot be read
	case now.driver == "none":
		f.warnUnreadable(now.driver, "")
		return wait, nil
	}
	return f.read(ctx, now)
}

// tailLines is how many lines of a container are read that it had written before, unless FromTail
// says otherwise.
const tailLines = 10

// skipOldLines moves a container's position over what it wrote before the agent's first start, but
// for its last lines if those are to be read.
func (f *follower) skipOldLines(ctx context.Context) error {
	start := f.in.firstStart
	at := start.UnixNano()
	if f.in.config.ReadFrom == fromTail {
		lines := cmp.Or(f.in.config.tail, tailLines)
		first, err := f.in.engine.tailTime(ctx, f.id, lines, start.Format(time.RFC3339Nano))
		switch {
		case err != nil && !hasNoLog(err):
			return fmt.Errorf("looking for the last lines of container %s: %w", f.batcher.identity.name, err)
		case err == nil && first > 0:
			at = min(at, first)
		}
	}
	return f.batcher.startAt(at)
}

// hasNoLog reports whether the engine says that a container's log cannot be read.
func hasNoLog(err error) bool {
	_, unreadable := isUnreadable(err)
	return unreadable || errdefs.IsConflict(err) || errdefs.IsNotFound(err)
}

// A snapshot is what reading needs of a container's state. The engine's whole answer would stay in
// memory as long.
type snapshot struct {
	status, driver     string
	running, dead, tty bool
	logPath            string
	rotation           rotation
}

func snapshotOf(c container.InspectResponse) snapshot {
	now := snapshot{
		status: string(c.State.Status), running: c.State.Running, dead: c.State.Dead,
		tty: c.Config.Tty, logPath: c.LogPath,
	}
	if c.HostConfig != nil {
		now.driver = c.HostConfig.LogConfig.Type
		now.rotation = rotationOf(now.driver, c.HostConfig.LogConfig.Config)
	}
	return now
}

// start decides whether to follow the container, and prepares for it.
func (f *follower) start(c container.InspectResponse) (follow bool) {
	ident := newIdentity(c, f.in.info.name)
	if f.in.self.is(c) {
		f.in.log.Debug("not following a container: it is the agent's own", "container", ident.name)
		return false
	}
	if reason, ok := f.in.config.follows(ident); !ok {
		f.in.log.Debug("not following a container: "+reason, "container", ident.name)
		return false
	}
	f.batcher.streams = []*streamState{f.restore(logformat.Stdout, ident)}
	if !c.Config.Tty {
		f.batcher.streams = append(f.batcher.streams, f.restore(logformat.Stderr, ident))
	}
	f.history.streams = len(f.batcher.streams)
	f.batcher.setIdentity(ident)
	fresh := f.known == [2]*pipeline.Known{}
	f.startLate = fresh && f.in.config.skipsOldLines() && f.in.predatesAgent(c)
	f.in.metrics.containers.Inc()
	return true
}

// restore returns a stream at the position that the ledger has.
func (f *follower) restore(s logformat.Stream, ident *identity) *streamState {
	st := &streamState{stream: s, key: sourceKey(f.id, s)}
	st.line.max = int(f.in.config.MaxLine)
	known := f.known[s]
	if known == nil {
		return st
	}
	pos := known.Cursor.Pos
	st.id, st.sentTo, st.at.next = known.ID, pos, pos
	if pos == 0 {
		return st
	}
	var ok bool
	if st.at, ok = parseCursor(known.Cursor.State, pos); !ok {
		f.in.log.Warn("the stored position in a container's log cannot be decoded; continuing by its time alone",
			"container", ident.name, "stream", s.String())
		st.at = positionAt(int64(min(pos, math.MaxInt64)), pos)
	}
	return st
}

// updateName updates the container's name.
func (f *follower) updateName(c container.InspectResponse) {
	if strings.TrimPrefix(c.Name, "/") != f.batcher.identity.name {
		f.batcher.setIdentity(newIdentity(c, f.in.info.name))
	}
}

// read reads the log until a connection or the files end, and decides what comes next.
func (f *follower) read(ctx context.Context, c snapshot) (action, error) {
	f.unread.Store(true)
	started, lines := time.Now(), f.batcher.lines()
	whole := f.tail == nil && f.batcher.clockSetBack(f.in.engine.clock()) && !f.fullyRead
	err := f.readLog(ctx, c, whole)
	if f.batcher.lines() > lines || time.Since(started) > stableTime {
		f.backoff.Reset()
		f.failures = 0
	}
	if err == nil && whole {
		f.fullyRead = true
		if f.batcher.endFullRead() || c.running {
			f.wake()
			return retry, nil
		}
	}
	f.fullyRead = false
	switch {
	case err == nil:
		return f.logEnded(ctx, c)
	case errors.Is(err, errSkipped), errors.Is(err, errDuplicates),
		errors.Is(err, errWoken), errors.Is(err, errNextFileMissing):
		f.wake() // at once: the files do not wait
		return retry, nil
	case errors.Is(err, errPositionMissing):
		f.missing = true
		f.wake()
		return retry, nil
	case errors.Is(err, errLogChanged), errdefs.IsNotFound(err):
		return retry, nil
	}
	if reason, yes := isUnreadable(err); yes {
		f.warnUnreadable(c.driver, reason)
		return wait, nil
	}
	if noFile, ok := errors.AsType[noFileError](err); ok {
		f.warnNoFiles(c, noFile)
		return retry, nil
	}
	if f.fromFiles {
		return retry, fmt.Errorf("reading the log files of container %s: %w", f.batcher.identity.name, err)
	}
	f.in.metrics.reconnects.Inc()
	if errdefs.IsConflict(err) {
		return retry, nil // it is being removed
	}
	return retry, fmt.Errorf("reading the log of container %s: %w", f.batcher.identity.name, err)
}

// readLog reads the log from its position, from the engine's files or through its API. With whole,
// it reads the whole log and does not follow.
func (f *follower) readLog(ctx context.Context, c snapshot, whole bool) (err error) {
	f.fromFiles, err = f.useFiles(c)
	switch {
	case err != nil:
		return err
	case f.fromFiles:
		return f.readFiles(ctx, c, whole)
	}
	f.leaveFiles()
	return f.readAPI(ctx, c, whole)
}

// warnNoFiles warns once that a log cannot be read from files, as mode files demands.
func (f *follower) warnNoFiles(c snapshot, err noFileError) {
	if f.lastWarning == err.Error() {
		return
	}
	f.lastWarning = err.Error()
	f.in.log.Warn("the log of a container cannot be read from the engine's files; "+err.advice(),
		"container", f.batcher.identity.name, "file", c.logPath, "error", err)
}

// logEnded handles the proper end of a log: the container has stopped, or the engine is about to.
func (f *follower) logEnded(ctx context.Context, before snapshot) (action, error) {
	f.failures, f.lastWarning = 0, ""
	if before.running {
		now, err := f.in.engine.inspect(ctx, f.id)
		if errdefs.IsNotFound(err) {
			f.unread.Store(false)
		}
		if err != nil || now.State.Running {
			return retry, nil
		}
		if f.in.engine.before23.Load() {
			f.wake()
			return retry, nil // it may have left out the last lines: read once more, without following
		}
	}
	if err := f.batcher.endLog(); err != nil {
		return retry, nil // the next step reads again, from the corrected position
	}
	f.unread.Store(false)
	f.backoff.Reset()
	return wait, nil
}

// readAPI is readLog through the API.
func (f *follower) readAPI(ctx context.Context, c snapshot, whole bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	options := container.LogsOptions{
		ShowStdout: true, ShowStderr: true, Timestamps: true,
		Follow: c.running && !whole,
	}
	c.rotation.before23 = f.in.engine.before23.Load()
	connected := f.in.engine.clock()
	since := f.batcher.connect(connected, c.rotation, f.in.engine.IsPodman())
	if since > 0 && !whole && !f.fullyRead && !f.missing {
		options.Since = fmt.Sprintf("%d.%09d", since/1e9, since%1e9)
		f.batcher.setPartial(c.rotation.leavesOutFiles())
	}
	f.missing = false
	body, err := f.in.engine.Client().ContainerLogs(ctx, f.id, options)
	if err != nil {
		return err
	}
	defer body.Close()
	if options.Follow {
		f.cancelStream.Store(&cancel)
		defer f.cancelStream.Store(nil)
	}
	var to logformat.Receiver = &f.batcher
	if options.Follow && c.rotation.before23 && c.rotation.size > 0 {
		to = newDuplicateFilter(to, connected)
	}
	var pace pacer
	if options.Follow && f.in.engine.IsPlainSocket() {
		pace = newPacer(f.in.ticker)
	}
	return errors.Join(f.copy(ctx, body, to, c.tty, pace), f.batcher.sendAll())
}

// copy decodes the stream until it ends.
func (f *follower) copy(ctx context.Context, body io.Reader, to logformat.Receiver, tty bool, pace pacer) error {
	var d logformat.Decoder
	buf := make([]byte, smallRead)
	for {
		n, err := body.Read(buf)
		ticks := pace.after(n, len(buf))
		if n > 0 {
			if d == nil {
				d = logformat.NewDecoder(to, buf[0], tty)
			}
			f.bytesRead.Add(uint64(n))
			if err := f.batcher.decode(d, buf[:n], f.in.engine.clock(), ticks == 0); err != nil {
				return err
			}
		}
		if n == len(buf) && n < largeRead {
			buf = make([]byte, 4*len(buf))
		}
		switch {
		case err == nil && ticks > 0:
			f.in.ticker.wait(ctx, ticks)
		case err == nil:
		case err == io.EOF && d == nil:
			return nil
		case err == io.EOF:
			return f.batcher.close(d)
		case d != nil:
			f.batcher.abort(d)
			return err
		default:
			return err
		}
	}
}

// logFailure warns once of a failure that persists. Connections break now and then.
func (f *follower) logFailure(err error) {
	f.failures++
	text := err.Error()
	if f.failures < 3 || text == f.lastWarning || !f.in.connected.Load() {
		f.in.log.Debug("trying again", "error", err)
		return
	}
	f.lastWarning = text
	f.in.log.Warn("the log of a container cannot be read; trying again", "error", err)
}

// warnUnreadable warns once that the log can never be read.
func (f *follower) warnUnreadable(driver, reason string) {
	f.unread.Store(false)
	if f.warnedUnreadable {
		return
	}
	f.warnedUnreadable = true
	f.in.log.Warn("this container's log cannot be read: its logging driver does not support it; "+
		"use json-file, local or journald",
		"container", f.batcher.identity.name, "driver", driver, "engine", reason)
}

// warnUnread warns if the container was removed before its log was read to the end.
func (f *follower) warnUnread() {
	if !f.unread.Load() || f.warnedUnreadable {
		return
	}
	ident := f.batcher.identity
	if ident == nil {
		ident = f.hint
	}
	if ident == nil || slices.Contains(f.in.self.ids, f.id) {
		return
	}
	if _, ok := f.in.config.follows(ident); !ok {
		return
	}
	f.in.metrics.unreadable.Inc()
	f.in.log.Warn("a container was removed before its log could be read to its end: lines may be missing",
		"container", ident.name, "lines read", f.batcher.lines())
}

// probe ends a stream that stands still although the log has grown, so that it is made anew. It
// asks for one line, which costs the engine next to nothing. read is bytesRead when the stream
// seemed silent.
func (f *follower) probe(ctx context.Context, read uint64) error {
	latest, idle := f.batcher.newestIfIdle()
	cancel := f.cancelStream.Load()
	if cancel == nil || !idle {
		return nil
	}
	last, err := f.in.engine.lastTime(ctx, f.id)
	if err != nil || last <= latest {
		return err
	}
	if _, idle := f.batcher.newestIfIdle(); !idle || f.bytesRead.Load() != read { // it may be waiting for the ticker
		return nil
	}
	f.in.metrics.skippedRanges.Inc()
	(*cancel)()
	return nil
}

// wake makes the follower inspect its container.
func (f *follower) wake() { signal(f.woken) }

func short(id string) string { return id[:min(12, len(id))] }

// known returns what the ledger remembers, by key; of two sources of a key, the one that is further
// on.
func known(feed pipeline.Feed) map[string]pipeline.Known {
	byKey := map[string]pipeline.Known{}
	for _, k := range feed.Known() {
		if before, found := byKey[k.Key]; !found || before.Cursor.Pos < k.Cursor.Pos {
			byKey[k.Key] = k
		}
	}
	return byKey
}
