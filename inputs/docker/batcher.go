package docker

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/longshore/longshore/inputs/docker/logformat"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

const (
	// gatherTime is how long lines gather after a batch where more is at hand, so that a
	// flood does not make a batch of each read.
	batchInterval = 20 * time.Millisecond

	// batchBytes is when a batch is full; memoryBytes bounds all those of an input
	// together, by making them smaller, down to leastBytes.
	maxBatchBytes = 256 << 10
	minBatchBytes = 16 << 10
	maxMemory     = 16 << 20

	// quietBytes is how much is read of one stream until the cursor of the
	// other, silent one is moved, too: what is read again after a restart.
	idleBytes = 1 << 20
)

// errMoved says that the log is not the one that was read before: rotated or
// truncated in between. The position was corrected, and the log must be read
// again from there.
var errLogChanged = errors.New("the log has changed before the place where reading goes on")

// errGuess says that the place where reading was to go on was not in what was read, which may be for want of
// looking: the files must be read from their beginning, the API be asked again.
var errPositionMissing = errors.New("the place where reading goes on is not where its time should be")

// A track is one stream of one container.
type streamState struct {
	stream   logformat.Stream
	id       event.SourceID // 0 until the source is known
	key      string
	src      *event.Source // nil until it is open
	openedAs *identity     // whose labels src has

	at     position // behind the last line that was read
	sentTo uint64   // where the batches sent end
	search search
	line   lineBuffer
	batch  *event.Batch // lines not yet sent, or nil
	lag    int          // bytes read of the container since the cursor moved
}

// A gatherer makes batches of the messages of one container and sends them. A
// batch leaves at once; while more is at hand, the next one gatherTime later or when it is full.
type batcher struct {
	ctx         context.Context
	feed        pipeline.Feed
	log         *slog.Logger
	metrics     *metrics
	openBatches *atomic.Int64 // batches that all gatherers of the input hold

	newName atomic.Pointer[string] // a new name, from an event

	mu        sync.Mutex
	identity  *identity
	streams   []streamState // stdout, and stderr unless there is a TTY
	current   *streamState  // whose message is being read
	due       time.Time
	timer     *time.Timer
	armed     bool
	err       error // of a send by the timer
	lineCount uint64
	warned    bool // one was reported for this connection
	partial   bool // what is looked for may be there although it is not in what is read
	skips     skipDetector
	inOrder   bool
	wg        sync.WaitGroup
}

var _ logformat.Receiver = (*batcher)(nil)

// take decodes bytes into batches. now is the engine's time. With more, what comes next may be gathered
// with them; otherwise they leave at once.
func (b *batcher) decode(d logformat.Decoder, p []byte, now int64, more bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
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

// latest gives the time of the newest message, or reports false if the gatherer is
// at work.
func (b *batcher) newestIfIdle() (ts int64, idle bool) {
	if !b.mu.TryLock() {
		return 0, false
	}
	defer b.mu.Unlock()
	return b.skips.latest, true
}

// broken ends a connection that broke: what came of the last message is taken, in
// case that there will be no other connection.
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

// newest gives the time of the newest message.
func (b *batcher) newest() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.skips.latest
}

// lines counts what was taken of the container.
func (b *batcher) lines() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lineCount
}

// connected gets ready for a log that is read from since on. What was
// read of lines that had not ended is forgotten: it comes again. now is the engine's
// time; kept is how it keeps the log. With joins, a part of a line goes on with the next
// message, whatever its time.
func (b *batcher) connect(now int64, kept rotation, joins bool) (since int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.warned, b.partial, b.current, b.inOrder = false, false, nil, joins
	b.skips.connect(now, kept)
	for i := range b.streams {
		t := &b.streams[i]
		t.line.open = false
		t.search.start(t.at)
		if s := t.at.since(); i == 0 || s < since {
			since = s
		}
	}
	return since
}

// release sends what there is.
func (b *batcher) sendAll() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return b.err
	}
	return b.flush()
}

// ended notes the end of a log whose container does not run. Lines that never
// got their newline are complete.
func (b *batcher) endLog() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.streams {
		t := &b.streams[i]
		if t.line.open {
			if err := b.endLine(t, false); err != nil {
				return err
			}
		}
		if t.search.anchorFound && t.search.active {
			t.search.active = false
			t.at.count = t.search.matched
			return errLogChanged
		}
	}
	return b.flush()
}

// setBack tells whether the engine's clock was set back since, or shortly before, the log
// was last read. Then times do not tell what was read: the log has to be read whole.
func (b *batcher) clockSetBack(now int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.streams {
		if at := &b.streams[i].at; at.anchored && (now > 0 && now < at.anchor-sinceMargin || at.earliest < at.anchor-stepMargin) {
			return true
		}
	}
	return false
}

// settle is called when a log was read whole, to its end of then. A place that was not
// in it is rotated away, and all that there is came after it. It reports whether that is so
// of a stream, which must then be read again.
func (b *batcher) endFullRead() (moved bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.streams {
		t := &b.streams[i]
		if !t.search.active || t.search.anchorFound || !t.at.anchored {
			continue
		}
		b.reportGap(t.search.want.anchor, b.skips.now)
		t.at = position{last: t.at.last, next: t.at.next}
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
	for i := range b.streams {
		t := &b.streams[i]
		if t.batch != nil {
			b.openBatches.Add(-1)
			t.batch = nil
		}
		if gone && t.src == nil && t.id != 0 {
			b.openStream(t)
		}
		if t.src != nil {
			b.feed.Close(t.src, gone)
			t.src = nil
		}
	}
}

func (b *batcher) Begin(s logformat.Stream, ts int64, timed bool) error {
	t := b.state(s)
	if !timed {
		ts = t.at.last
		if t.line.open {
			ts = t.line.ts
		}
	}
	if t.line.open && t.line.ts != ts && !b.inOrder {
		if err := b.endLine(t, false); err != nil {
			return err
		}
	}
	if err := b.observe(ts); err != nil {
		return err
	}
	if !t.line.open {
		t.line.begin(ts)
	}
	b.current = t
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
	t := b.state(s)
	if t.line.open {
		if err := b.Begin(s, ts, true); err != nil {
			return err
		}
		t.line.append(p)
		return b.endLine(t, true)
	}
	if err := b.observe(ts); err != nil {
		return err
	}
	b.skips.add(len(p))
	lost := max(0, len(p)-t.line.max)
	return b.addLine(t, ts, p[:len(p)-lost], lost, true)
}

// track gives the track of a stream. Frames of stderr where there is a TTY do
// not occur.
func (b *batcher) state(s logformat.Stream) *streamState {
	return &b.streams[min(int(s), len(b.streams)-1)]
}

// see shows a message's time to all positions, before it is read.
func (b *batcher) observe(ts int64) error {
	before := b.skips.latest
	if skipped, read := b.skips.observe(ts); skipped {
		b.metrics.skips.Inc()
		if read {
			return errSkipped
		}
		b.reportSkip(before, ts)
	}
	for i := range b.streams {
		t := &b.streams[i]
		if t.search.active {
			if t.search.observe(ts) {
				if b.partial {
					return errPositionMissing
				}
				b.reportGap(max(t.search.want.anchor, t.search.want.last), ts)
			}
			if t.search.active {
				t.at.observeAgain(ts, t.search.anchorFound)
				continue
			}
		}
		t.at.observe(ts, t.line.open)
	}
	return nil
}

// reportSkip says once for a connection that lines may be missing which nobody can look for.
func (b *batcher) reportSkip(from, to int64) {
	if b.warned {
		return
	}
	b.warned = true
	b.log.Warn("the engine has probably rotated away lines before they were read; allow this container more or larger log files (log-opts max-file, max-size)",
		"container", b.identity.name, "from", time.Unix(0, from).UTC(), "to", time.Unix(0, to).UTC())
}

// guessed says, after connected, whether what is looked for may be there although it is not in what will be
// read.
func (b *batcher) setPartial(yes bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.partial = yes
}

// misguessed is called when all that there is was read. It gives errGuess if the place looked for was not
// in it, although reading did not begin with all that there is.
func (b *batcher) checkFound() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.streams {
		if find := &b.streams[i].search; b.partial && find.active && !find.anchorFound && find.want.anchored {
			return errPositionMissing
		}
	}
	return nil
}

// missed notes that the engine has rotated away what came after the latest message.
func (b *batcher) reportMissed(now int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.warned {
		b.metrics.gaps.Inc()
		return
	}
	b.reportGap(b.skips.latest, now)
}

func (b *batcher) reportGap(from, to int64) {
	if b.warned {
		return
	}
	b.warned = true
	b.metrics.gaps.Inc()
	b.log.Warn("the engine has rotated away the place where reading goes on: lines may be missing; allow this container more or larger log files (log-opts max-file, max-size)",
		"container", b.identity.name, "from", time.Unix(0, from).UTC(), "to", time.Unix(0, to).UTC())
}

func (b *batcher) endLine(t *streamState, newline bool) error {
	line, lost := t.line.finish()
	err := b.addLine(t, t.line.ts, line, lost, newline)
	t.line.release()
	return err
}

// line takes a line that is complete.
func (b *batcher) addLine(t *streamState, ts int64, line []byte, lost int, newline bool) error {
	if n := len(line); newline && lost == 0 && n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	if t.search.active {
		if !t.search.matchLine(ts, line) {
			t.at.count = t.search.matched
			return errLogChanged
		}
		return nil
	}
	if t.batch == nil {
		if err := b.open(t); err != nil {
			return err
		}
		t.batch = b.feed.Batch(t.src)
		t.batch.From = t.sentTo
		b.openBatches.Add(1)
	}
	r := t.batch.Add(t.at.assign(ts), ts, t.batch.Put(line))
	t.at.last = ts
	t.at.count++
	b.lineCount++
	if lost > 0 {
		r.Flags |= event.Truncated
		b.metrics.truncated.Add(float64(lost))
	}
	if len(t.batch.Arena) >= b.batchSize() {
		return b.send(t)
	}
	return nil
}

// full is the size at which a batch leaves.
func (b *batcher) batchSize() int {
	share := maxMemory / int(max(1, b.openBatches.Load()))
	return min(max(share, minBatchBytes), maxBatchBytes)
}

// open makes sure that a track's source is open, under the container's name
// of now. All tracks are opened together: of a stream that is known, it is
// known what was read.
func (b *batcher) open(t *streamState) error {
	if name := b.newName.Swap(nil); name != nil && *name != b.identity.name {
		ident := *b.identity
		ident.name = *name
		b.identity = &ident
	}
	if t.src != nil && t.openedAs != b.identity {
		b.feed.Close(t.src, false)
		t.src = nil
	}
	for i := range b.streams {
		if b.streams[i].src == nil {
			if err := b.openStream(&b.streams[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *batcher) openStream(t *streamState) error {
	src, err := b.feed.Open(t.id, t.key, b.identity.sourceLabels(t.stream))
	if err != nil {
		return err
	}
	t.id, t.src, t.openedAs = src.ID, src, b.identity
	t.lag = idleBytes
	return nil
}

// gather sends what there is when its time has come.
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
	for i := range b.streams {
		if b.streams[i].batch != nil {
			return true
		}
	}
	return false
}

func (b *batcher) onTimer() {
	defer b.wg.Done()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.armed = false
	if b.err == nil {
		b.err = b.flush()
	}
}

// flush sends what there is.
func (b *batcher) flush() error {
	for i := range b.streams {
		if b.streams[i].batch != nil {
			if err := b.send(&b.streams[i]); err != nil {
				return err
			}
		}
	}
	b.due = time.Now().Add(batchInterval)
	return nil
}

func (b *batcher) send(t *streamState) error {
	batch := t.batch
	if t.at.count > 0 {
		t.at.sum = checksum(batch.Line(len(batch.Records) - 1))
	}
	lines, bytes := len(batch.Records), len(batch.Arena)
	t.batch = nil
	b.openBatches.Add(-1)
	if err := b.sendUpTo(t, batch, t.at.next); err != nil {
		return err
	}
	b.metrics.lines.Add(float64(lines))
	return b.moveIdleCursors(bytes)
}

// hand sends a batch that ends at a position of the source.
func (b *batcher) sendUpTo(t *streamState, batch *event.Batch, to uint64) error {
	t.at.next = to
	batch.From, batch.To = t.sentTo, to
	batch.Cursor = t.at.appendCursor(batch.Cursor[:0])
	if err := b.feed.Send(b.ctx, batch); err != nil {
		return err
	}
	t.sentTo, t.lag = to, 0
	return nil
}

// moveQuiet moves the cursors of streams that were silent for long, by batches
// without records.
func (b *batcher) moveIdleCursors(bytes int) error {
	for i := range b.streams {
		t := &b.streams[i]
		t.lag += bytes
		if t.lag < idleBytes || t.src == nil || t.batch != nil || t.search.active {
			continue
		}
		if err := b.moveCursor(t); err != nil {
			return err
		}
	}
	return nil
}

func (b *batcher) moveCursor(t *streamState) error {
	to := t.at.idlePosition()
	if to <= t.sentTo {
		return nil
	}
	return b.sendUpTo(t, b.feed.Batch(t.src), to)
}

// startAt makes a log that was never read start at a time, and has that
// remembered.
func (b *batcher) startAt(ts int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.streams {
		b.streams[i].at = positionAt(ts, 0)
	}
	if err := b.open(&b.streams[0]); err != nil {
		return err
	}
	for i := range b.streams {
		if err := b.moveCursor(&b.streams[i]); err != nil {
			return err
		}
	}
	return nil
}

// rename takes note of what the container is called from now on.
func (b *batcher) setIdentity(ident *identity) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.identity = ident
}
