package docker

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/longshore/longshore/inputs/docker/logformat"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

const (
	// batchInterval is how long lines are collected after a batch while more are at hand, so that a
	// flood does not make a batch of each read.
	batchInterval = 20 * time.Millisecond

	// A batch is sent at maxBatchBytes. maxMemory bounds the batches of an input together, by
	// making them smaller, down to minBatchBytes.
	maxBatchBytes = 256 << 10
	minBatchBytes = 16 << 10
	maxMemory     = 16 << 20

	// heldUpAfter is how long a batch must wait for the pipeline for others to be late by it.
	heldUpAfter = 50 * time.Millisecond

	// idleBytes is how much is read of one stream until the cursor of the other, silent one moves
	// too: it bounds what a restart reads again.
	idleBytes = 1 << 20
)

// errLogChanged means that the log was rotated or truncated since it was read. The position was
// corrected, and the log must be read again from there.
var errLogChanged = errors.New("the log has changed before the position where reading continues")

// errPositionMissing means that the position was not in the part of the log that was read. The
// whole log must be searched.
var errPositionMissing = errors.New("the position where reading continues is not where its time should be")

// A streamState is one stream of one container.
type streamState struct {
	stream   logformat.Stream
	id       event.SourceID // 0 until the source is known
	key      string
	src      *event.Source // nil until it is open
	openedAs *identity     // whose labels src has

	at     position // after the last line that was read
	sentTo uint64   // where the last batch sent ends
	search search
	line   lineBuffer
	batch  *event.Batch // lines not yet sent, or nil
	raised bool         // its cursor was moved since the last line
	lag    int          // bytes read of the container since the cursor moved
}

// A batcher collects the messages of one container in batches and sends them. A batch is sent at
// once; while more is at hand, the next one batchInterval later or when it is full.
type batcher struct {
	ctx         context.Context
	feed        pipeline.Feed
	log         *slog.Logger
	metrics     *metrics
	openBatches *atomic.Int64 // of all batchers of the input
	sources     *pipeline.SourceMap[*batcher]
	panicked    pipeline.Panicked

	newName atomic.Pointer[string] // set by a rename event
	sending atomic.Bool
	busy    pipeline.Stopwatch        // runs while messages are decoded, but not while the feed is waited for
	late    atomic.Pointer[time.Time] // when the last batch was taken that had to wait; nil: none has

	mu        sync.Mutex
	identity  *identity
	streams   []*streamState // stdout, and stderr unless there is a TTY
	current   *streamState   // of the message being read
	due       time.Time
	timer     *time.Timer
	armed     bool
	err       error // of a send by the timer
	lineCount uint64
	warned    bool // that lines may be missing, for this connection
	partial   bool // reading did not begin at the log's beginning, so the position may lie before it
	skips     skipDetector
	only      *streamState // if it is read again, the stream that is wanted
	again     *history     // if it is read again, by which
	history   *history     // of what can be read again, or nil
	inOrder   bool         // a part of a line continues with the next message, whatever its time
	wg        sync.WaitGroup
}

var _ logformat.Receiver = (*batcher)(nil)

// decode turns bytes into batches. now is the engine's time. With more, the lines may wait for
// others.
func (b *batcher) decode(d logformat.Decoder, p []byte, now int64, more bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.busy.Begin()
	defer b.busy.End()
	b.skips.now = now
	if b.err != nil {
		return b.err
	}
	if err := d.Decode(p); err != nil {
		return err
	}
	if more {
		return b.sendWhenDue()
	}
	return b.flush()
}

// newestIfIdle returns the time of the newest message. It reports false if the batcher is at work.
func (b *batcher) newestIfIdle() (ts int64, idle bool) {
	if !b.mu.TryLock() {
		return 0, false
	}
	defer b.mu.Unlock()
	return b.skips.latest, true
}

// abort ends a connection that broke. What came of the last message is kept, in case there is no
// other connection.
func (b *batcher) abort(d logformat.Decoder) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		d.Abort()
	}
}

// close ends a connection that ended properly.
func (b *batcher) close(d logformat.Decoder) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return d.Close()
}

// newest returns the time of the newest message.
func (b *batcher) newest() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.skips.latest
}

// lines counts the lines read of the container.
func (b *batcher) lines() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lineCount
}

// connect prepares for a log that is read from the time it returns. Incomplete lines are discarded,
// as they come again. now is the engine's time.
func (b *batcher) connect(now int64, rot rotation, inOrder bool) (since int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.warned, b.partial, b.current, b.inOrder = false, false, nil, inOrder
	b.skips.connect(now, rot)
	since = math.MaxInt64
	for _, st := range b.streams {
		st.line.open = false
		st.search.start(st.at)
		since = min(since, st.at.since())
		if rot.leavesOutFiles() && !st.at.anchored {
			since = 0 // without an anchor, nothing would show that files were left out
		}
	}
	return since
}

// sendAll sends what there is.
func (b *batcher) sendAll() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return b.err
	}
	return b.flush()
}

// endLog is called at the end of a stopped container's log. Lines without a newline are complete.
func (b *batcher) endLog() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, st := range b.streams {
		if st.line.open {
			searched := st.search.active
			if err := b.endLine(st, false); err != nil {
				return err
			}
			if !searched {
				b.history.end(st.stream, st.at.next-1)
			}
		}
		if st.search.anchorFound && st.search.active {
			st.search.active = false
			st.at.count = st.search.matched
			return errLogChanged
		}
	}
	return b.flush()
}

// clockSetBack reports whether the engine's clock was set back since, or shortly before, the log
// was last read. Times then say nothing about what was read, and the whole log must be read.
func (b *batcher) clockSetBack(now int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, st := range b.streams {
		at := &st.at
		if at.anchored && (now > 0 && now < at.anchor-sinceMargin || at.earliest < at.anchor-stepMargin) {
			return true
		}
	}
	return false
}

// endFullRead is called when the whole log was read. A position that was not in it is rotated away,
// and the whole log is new. It reports whether that is so for a stream; the log must then be read
// again.
func (b *batcher) endFullRead() (moved bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, st := range b.streams {
		if !st.search.active || st.search.anchorFound || !st.at.anchored {
			continue
		}
		b.reportGap(st.search.want.anchor, b.skips.now)
		st.at = position{last: st.at.last, next: st.at.next}
		moved = true
	}
	return moved
}

// stop waits for the timer and closes the sources.
func (b *batcher) stop(gone bool) {
	b.mu.Lock()
	if b.armed && b.timer.Stop() {
		b.armed = false
		b.wg.Done()
	}
	b.mu.Unlock()
	b.wg.Wait()
	for _, st := range b.streams {
		if st.batch != nil {
			b.openBatches.Add(-1)
			st.batch = nil
		}
		if gone && st.src == nil && st.id != 0 {
			b.openStream(st)
		}
		if st.src != nil {
			b.sources.Remove(st.src.ID, b)
			b.feed.Close(st.src, gone)
			st.src = nil
		}
	}
}

func (b *batcher) Begin(s logformat.Stream, ts int64, timed bool) error {
	st := b.state(s)
	if !timed {
		ts = st.at.last
		if st.line.open {
			ts = st.line.ts
		}
	}
	if st.line.open && st.line.ts != ts && !b.inOrder {
		if err := b.endLine(st, false); err != nil {
			return err
		}
	}
	if err := b.observe(ts); err != nil {
		return err
	}
	if !st.line.open {
		st.line.begin(ts)
	}
	b.current = st
	return nil
}

func (b *batcher) Append(p []byte) {
	b.skips.add(len(p))
	b.current.line.append(p)
}

func (b *batcher) End(newline bool) error {
	if !newline {
		return nil // the next part, or something else, follows
	}
	return b.endLine(b.current, true)
}

func (b *batcher) Message(s logformat.Stream, ts int64, p []byte) error {
	st := b.state(s)
	if st.line.open {
		if err := b.Begin(s, ts, true); err != nil {
			return err
		}
		st.line.append(p)
		return b.endLine(st, true)
	}
	if err := b.observe(ts); err != nil {
		return err
	}
	b.skips.add(len(p))
	dropped := max(0, len(p)-st.line.max)
	return b.addLine(st, ts, p[:len(p)-dropped], dropped, true)
}

// state returns the state of a stream. With a TTY there are no frames of stderr.
func (b *batcher) state(s logformat.Stream) *streamState {
	return b.streams[min(int(s), len(b.streams)-1)]
}

// observe updates all positions with a message's time, before it is read.
func (b *batcher) observe(ts int64) error {
	before := b.skips.latest
	if skipped, read := b.skips.observe(ts); skipped {
		b.metrics.skippedRanges.Inc()
		if read {
			return errSkipped
		}
		b.warn("probably rotated away lines before they were read", before, ts)
	}
	for _, st := range b.streams {
		if st.search.active {
			if st.search.observe(ts) {
				if b.partial {
					return errPositionMissing
				}
				b.reportGap(max(st.search.want.anchor, st.search.want.last), ts)
			}
			if st.search.active {
				st.at.observeAgain(ts, st.search.anchorFound)
				continue
			}
		}
		st.at.observe(ts, st.line.open)
	}
	return nil
}

// warn logs, once for a connection, that lines may be missing. It reports whether it did.
func (b *batcher) warn(what string, from, to int64) bool {
	if b.warned {
		return false
	}
	b.warned = true
	b.log.Warn("the engine has "+what+"; allow this container more or larger log files (log-opts max-file, max-size)",
		"container", b.identity.name, "from", time.Unix(0, from).UTC(), "to", time.Unix(0, to).UTC())
	return true
}

// setPartial is called after connect.
func (b *batcher) setPartial(yes bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.partial = yes
}

// checkFound is called at the end of the log. It returns errPositionMissing if the position was not
// found and may lie before where reading began.
func (b *batcher) checkFound() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, st := range b.streams {
		if s := &st.search; b.partial && s.active && !s.anchorFound && s.want.anchored {
			return errPositionMissing
		}
	}
	return nil
}

// reportMissed reports that the engine has rotated away what came after the newest message.
func (b *batcher) reportMissed(now int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.metrics.gaps.Inc()
	b.warn(rotatedAway, b.skips.latest, now)
}

const rotatedAway = "rotated away the position where reading continues: lines may be missing"

func (b *batcher) reportGap(from, to int64) {
	if b.warn(rotatedAway, from, to) {
		b.metrics.gaps.Inc()
	}
}

func (b *batcher) endLine(st *streamState, newline bool) error {
	line, dropped := st.line.finish()
	err := b.addLine(st, st.line.ts, line, dropped, newline)
	st.line.release()
	return err
}

// addLine adds a complete line to the batch, unless it was read before.
func (b *batcher) addLine(st *streamState, ts int64, line []byte, dropped int, newline bool) error {
	if n := len(line); newline && dropped == 0 && n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	if st.search.active {
		if !st.search.matchLine(ts, line) {
			st.at.count = st.search.matched
			return errLogChanged
		}
		return nil
	}
	if b.again != nil && !b.wants(st, ts) {
		return nil
	}
	if st.batch == nil {
		if err := b.open(st); err != nil {
			return err
		}
		st.batch = b.feed.Batch(st.src)
		st.batch.From = st.sentTo
		b.openBatches.Add(1)
	}
	r := st.batch.Add(b.assign(st, ts), ts, st.batch.Put(line))
	b.lineCount++
	if dropped > 0 {
		r.Flags |= event.Truncated
		b.metrics.truncated.Add(float64(dropped))
	}
	if len(st.batch.Arena) >= b.batchSize() {
		return b.send(st)
	}
	return nil
}

// assign returns the position of a stream's next line, which it counts.
func (b *batcher) assign(st *streamState, ts int64) (pos uint64) {
	if st.raised {
		st.raised = false
		if uint64(max(ts, 0)) >= st.at.next {
			b.history.lower(st.stream, st.at.next) // it makes no difference
		}
	}
	pos = st.at.assign(ts)
	st.at.last = ts
	st.at.count++
	return pos
}

// wants reports whether a line that is read again is to be sent, and counts it if it is not.
func (b *batcher) wants(st *streamState, ts int64) bool {
	st.at.next = b.again.raisedFrom(st.stream, st.at.next)
	if st == b.only && max(uint64(max(ts, 0)), st.at.next) >= st.sentTo {
		return true
	}
	b.assign(st, ts)
	return false
}

// batchSize returns the size at which a batch is sent.
func (b *batcher) batchSize() int {
	share := maxMemory / int(max(1, b.openBatches.Load()))
	return min(max(share, minBatchBytes), maxBatchBytes)
}

// open makes sure that a stream's source is open, under the container's current name. All streams
// are opened together, as the position of each is known.
func (b *batcher) open(st *streamState) error {
	if b.only != nil {
		return nil
	}
	if name := b.newName.Swap(nil); name != nil && *name != b.identity.name {
		ident := *b.identity
		ident.name = *name
		b.identity = &ident
	}
	defer b.busy.Resume(b.busy.End())
	if st.src != nil && st.openedAs != b.identity {
		b.feed.Close(st.src, false)
		st.src = nil
	}
	for _, other := range b.streams {
		if other.src == nil {
			if err := b.openStream(other); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *batcher) openStream(st *streamState) error {
	src, err := b.feed.Open(st.id, st.key, b.identity.sourceLabels(st.stream))
	if err != nil {
		return err
	}
	st.id, st.src, st.openedAs = src.ID, src, b.identity
	b.sources.Set(src.ID, b)
	st.lag = idleBytes
	return nil
}

// sendWhenDue sends what there is, at once or by the timer.
func (b *batcher) sendWhenDue() error {
	if !b.hasBatch() || b.armed {
		return nil
	}
	now := time.Now()
	if !now.Before(b.due) {
		return b.flush()
	}
	b.armed = true
	b.wg.Add(1)
	wait := b.due.Sub(now)
	if b.timer == nil {
		b.timer = time.AfterFunc(wait, b.onTimer)
	} else {
		b.timer.Reset(wait)
	}
	return nil
}

func (b *batcher) hasBatch() bool {
	return slices.ContainsFunc(b.streams, func(st *streamState) bool { return st.batch != nil })
}

func (b *batcher) onTimer() {
	defer b.panicked.Contain()
	defer b.wg.Done()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.armed = false
	if b.err == nil {
		b.err = b.flush()
	}
}

func (b *batcher) flush() error {
	for _, st := range b.streams {
		if st.batch == nil {
			continue
		}
		if err := b.send(st); err != nil {
			return err
		}
	}
	b.due = time.Now().Add(batchInterval)
	return nil
}

func (b *batcher) send(st *streamState) error {
	batch := st.batch
	if st.at.count > 0 {
		st.at.sum = checksum(batch.Line(len(batch.Records) - 1))
	}
	lines, bytes := len(batch.Records), len(batch.Arena)
	st.batch = nil
	b.openBatches.Add(-1)
	if err := b.sendUpTo(st, batch, st.at.next); err != nil {
		return err
	}
	b.metrics.lines.Add(float64(lines))
	return b.moveIdleCursors(bytes)
}

// sendUpTo sends a batch that ends at a position of the source.
func (b *batcher) sendUpTo(st *streamState, batch *event.Batch, to uint64) error {
	st.at.next = to
	batch.From, batch.To = st.sentTo, to
	batch.Cursor = st.at.appendCursor(batch.Cursor[:0])
	defer b.busy.Resume(b.busy.End())
	began := time.Now()
	b.sending.Store(true)
	err := b.feed.Send(b.ctx, batch)
	if now := time.Now(); now.Sub(began) > heldUpAfter {
		b.late.Store(&now)
	}
	b.sending.Store(false)
	if err != nil {
		return err
	}
	st.sentTo, st.lag = to, 0
	return nil
}

// heldUpUntil returns until when the container was not read on, as a batch of it had to wait; zero
// if none has.
func (b *batcher) heldUpUntil() time.Time {
	if b.sending.Load() {
		return time.Now()
	}
	if late := b.late.Load(); late != nil {
		return *late
	}
	return time.Time{}
}

// moveIdleCursors moves the cursors of streams that were silent for long, by empty batches.
func (b *batcher) moveIdleCursors(bytes int) error {
	if b.only != nil {
		return nil
	}
	for _, st := range b.streams {
		st.lag += bytes
		if st.lag < idleBytes || st.src == nil || st.batch != nil || st.search.active {
			continue
		}
		if err := b.moveCursor(st); err != nil {
			return err
		}
	}
	return nil
}

func (b *batcher) moveCursor(st *streamState) error {
	to := st.at.idlePosition()
	if to <= st.sentTo {
		return nil
	}
	b.history.raise(st.stream, st.at.next, to)
	st.raised = true
	return b.sendUpTo(st, b.feed.Batch(st.src), to)
}

// startAt sets the beginning of a log that was never read to a time, and stores that.
func (b *batcher) startAt(ts int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, st := range b.streams {
		st.at = positionAt(ts, 0)
	}
	if err := b.open(b.streams[0]); err != nil {
		return err
	}
	for _, st := range b.streams {
		if err := b.moveCursor(st); err != nil {
			return err
		}
	}
	return nil
}

// setIdentity sets the container's current name and labels.
func (b *batcher) setIdentity(ident *identity) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.identity = ident
}
