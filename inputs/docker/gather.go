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
	gatherTime = 20 * time.Millisecond

	// batchBytes is when a batch is full; memoryBytes bounds all those of an input
	// together, by making them smaller, down to leastBytes.
	batchBytes  = 256 << 10
	leastBytes  = 16 << 10
	memoryBytes = 16 << 20

	// quietBytes is how much is read of one stream until the cursor of the
	// other, silent one is moved, too: what is read again after a restart.
	quietBytes = 1 << 20
)

// errMoved says that the log is not the one that was read before: rotated or
// truncated in between. The position was corrected, and the log must be read
// again from there.
var errMoved = errors.New("the log has changed before the place where reading goes on")

// errGuess says that the place where reading was to go on was not in what was read, which may be for want of
// looking: the files must be read from their beginning, the API be asked again.
var errGuess = errors.New("the place where reading goes on is not where its time should be")

// A track is one stream of one container.
type track struct {
	stream logformat.Stream
	id     event.SourceID // 0 until the source is known
	key    string
	src    *event.Source // nil until it is open
	named  *identity     // whose labels src has

	at    position // behind the last line that was read
	sent  uint64   // where the batches sent end
	find  resume
	join  joiner
	batch *event.Batch // lines not yet sent, or nil
	lag   int          // bytes read of the container since the cursor moved
}

// A gatherer makes batches of the messages of one container and sends them. A
// batch leaves at once; while more is at hand, the next one gatherTime later or when it is full.
type gatherer struct {
	ctx     context.Context
	feed    pipeline.Feed
	log     *slog.Logger
	metrics *metrics
	held    *atomic.Int64 // batches that all gatherers of the input hold

	called atomic.Pointer[string] // a new name, from an event

	mu     sync.Mutex
	who    *identity
	tracks []track // stdout, and stderr unless there is a TTY
	cur    *track  // whose message is being read
	due    time.Time
	timer  *time.Timer
	armed  bool
	err    error // of a send by the timer
	taken  uint64
	gap    bool // one was reported for this connection
	guess  bool // what is looked for may be there although it is not in what is read
	skips  skipWatch
	joins  bool
	wg     sync.WaitGroup
}

var _ logformat.Receiver = (*gatherer)(nil)

// take decodes bytes into batches. now is the engine's time. With more, what comes next may be gathered
// with them; otherwise they leave at once.
func (g *gatherer) take(d logformat.Decoder, p []byte, now int64, more bool) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.skips.now = now
	if g.err != nil {
		return g.err
	}
	if err := d.Decode(p); err != nil {
		return err
	}
	if more {
		return g.gather()
	}
	return g.flush()
}

// latest gives the time of the newest message, or reports false if the gatherer is
// at work.
func (g *gatherer) latest() (ts int64, idle bool) {
	if !g.mu.TryLock() {
		return 0, false
	}
	defer g.mu.Unlock()
	return g.skips.prev, true
}

// broken ends a connection that broke: what came of the last message is taken, in
// case that there will be no other connection.
func (g *gatherer) broken(d logformat.Decoder) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err == nil {
		d.Abort()
	}
}

// close ends a connection that ended properly.
func (g *gatherer) close(d logformat.Decoder) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return d.Close()
}

// newest gives the time of the newest message.
func (g *gatherer) newest() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.skips.prev
}

// lines counts what was taken of the container.
func (g *gatherer) lines() uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.taken
}

// connected gets ready for a log that is read from since on. What was
// read of lines that had not ended is forgotten: it comes again. now is the engine's
// time; kept is how it keeps the log. With joins, a part of a line goes on with the next
// message, whatever its time.
func (g *gatherer) connected(now int64, kept rotation, joins bool) (since int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.gap, g.guess, g.cur, g.joins = false, false, nil, joins
	g.skips.connect(now, kept)
	for i := range g.tracks {
		t := &g.tracks[i]
		t.join.open = false
		t.find.find(t.at)
		if s := t.at.since(); i == 0 || s < since {
			since = s
		}
	}
	return since
}

// release sends what there is.
func (g *gatherer) release() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err != nil {
		return g.err
	}
	return g.flush()
}

// ended notes the end of a log whose container does not run. Lines that never
// got their newline are complete.
func (g *gatherer) ended() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range g.tracks {
		t := &g.tracks[i]
		if t.join.open {
			if err := g.lineEnd(t, false); err != nil {
				return err
			}
		}
		if t.find.passed && t.find.active {
			t.find.active = false
			t.at.count = t.find.match
			return errMoved
		}
	}
	return g.flush()
}

// setBack tells whether the engine's clock was set back since, or shortly before, the log
// was last read. Then times do not tell what was read: the log has to be read whole.
func (g *gatherer) setBack(now int64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range g.tracks {
		if at := &g.tracks[i].at; at.seen && (now > 0 && now < at.mark-sinceMargin || at.low < at.mark-stepMargin) {
			return true
		}
	}
	return false
}

// settle is called when a log was read whole, to its end of then. A place that was not
// in it is rotated away, and all that there is came after it. It reports whether that is so
// of a stream, which must then be read again.
func (g *gatherer) settle() (moved bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range g.tracks {
		t := &g.tracks[i]
		if !t.find.active || t.find.passed || !t.at.seen {
			continue
		}
		g.reportGap(t.find.want.mark, g.skips.now)
		t.at = position{last: t.at.last, next: t.at.next}
		moved = true
	}
	return moved
}

// stop waits for the timer and closes the sources.
func (g *gatherer) stop(gone bool) {
	g.mu.Lock()
	if g.armed && g.timer.Stop() {
		g.armed = false
		g.wg.Done()
	}
	g.mu.Unlock()
	g.wg.Wait()
	for i := range g.tracks {
		t := &g.tracks[i]
		if t.batch != nil {
			g.held.Add(-1)
			t.batch = nil
		}
		if gone && t.src == nil && t.id != 0 {
			g.reopen(t)
		}
		if t.src != nil {
			g.feed.Close(t.src, gone)
			t.src = nil
		}
	}
}

func (g *gatherer) Begin(s logformat.Stream, ts int64, stamped bool) error {
	t := g.track(s)
	if !stamped {
		ts = t.at.last
		if t.join.open {
			ts = t.join.ts
		}
	}
	if t.join.open && t.join.ts != ts && !g.joins {
		if err := g.lineEnd(t, false); err != nil {
			return err
		}
	}
	if err := g.see(ts); err != nil {
		return err
	}
	if !t.join.open {
		t.join.begin(ts)
	}
	g.cur = t
	return nil
}

func (g *gatherer) Append(p []byte) {
	g.skips.count(len(p))
	g.cur.join.more(p)
}

func (g *gatherer) End(newline bool) error {
	if !newline {
		return nil // the next part, or something else, follows
	}
	return g.lineEnd(g.cur, true)
}

func (g *gatherer) Message(s logformat.Stream, ts int64, p []byte) error {
	t := g.track(s)
	if t.join.open {
		if err := g.Begin(s, ts, true); err != nil {
			return err
		}
		t.join.more(p)
		return g.lineEnd(t, true)
	}
	if err := g.see(ts); err != nil {
		return err
	}
	g.skips.count(len(p))
	lost := max(0, len(p)-t.join.max)
	return g.line(t, ts, p[:len(p)-lost], lost, true)
}

// track gives the track of a stream. Frames of stderr where there is a TTY do
// not occur.
func (g *gatherer) track(s logformat.Stream) *track {
	return &g.tracks[min(int(s), len(g.tracks)-1)]
}

// see shows a message's time to all positions, before it is read.
func (g *gatherer) see(ts int64) error {
	before := g.skips.prev
	if skipped, read := g.skips.see(ts); skipped {
		g.metrics.skips.Inc()
		if read {
			return errSkipped
		}
		g.reportSkip(before, ts)
	}
	for i := range g.tracks {
		t := &g.tracks[i]
		if t.find.active {
			if t.find.see(ts) {
				if g.guess {
					return errGuess
				}
				g.reportGap(max(t.find.want.mark, t.find.want.last), ts)
			}
			if t.find.active {
				t.at.seeAgain(ts, t.find.passed)
				continue
			}
		}
		t.at.see(ts, t.join.open)
	}
	return nil
}

// reportSkip says once for a connection that lines may be missing which nobody can look for.
func (g *gatherer) reportSkip(from, to int64) {
	if g.gap {
		return
	}
	g.gap = true
	g.log.Warn("the engine has probably rotated away lines before they were read; allow this container more or larger log files (log-opts max-file, max-size)",
		"container", g.who.name, "from", time.Unix(0, from).UTC(), "to", time.Unix(0, to).UTC())
}

// guessed says, after connected, whether what is looked for may be there although it is not in what will be
// read.
func (g *gatherer) guessed(yes bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.guess = yes
}

// misguessed is called when all that there is was read. It gives errGuess if the place looked for was not
// in it, although reading did not begin with all that there is.
func (g *gatherer) misguessed() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range g.tracks {
		if find := &g.tracks[i].find; g.guess && find.active && !find.passed && find.want.seen {
			return errGuess
		}
	}
	return nil
}

// missed notes that the engine has rotated away what came after the latest message.
func (g *gatherer) missed(now int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.gap {
		g.metrics.gaps.Inc()
		return
	}
	g.reportGap(g.skips.prev, now)
}

func (g *gatherer) reportGap(from, to int64) {
	if g.gap {
		return
	}
	g.gap = true
	g.metrics.gaps.Inc()
	g.log.Warn("the engine has rotated away the place where reading goes on: lines may be missing; allow this container more or larger log files (log-opts max-file, max-size)",
		"container", g.who.name, "from", time.Unix(0, from).UTC(), "to", time.Unix(0, to).UTC())
}

func (g *gatherer) lineEnd(t *track, newline bool) error {
	line, lost := t.join.take()
	err := g.line(t, t.join.ts, line, lost, newline)
	t.join.rest()
	return err
}

// line takes a line that is complete.
func (g *gatherer) line(t *track, ts int64, line []byte, lost int, newline bool) error {
	if n := len(line); newline && lost == 0 && n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	if t.find.active {
		if !t.find.line(ts, line) {
			t.at.count = t.find.match
			return errMoved
		}
		return nil
	}
	if t.batch == nil {
		if err := g.open(t); err != nil {
			return err
		}
		t.batch = g.feed.Batch(t.src)
		t.batch.From = t.sent
		g.held.Add(1)
	}
	r := t.batch.Add(t.at.claim(ts), ts, t.batch.Put(line))
	t.at.last = ts
	t.at.count++
	g.taken++
	if lost > 0 {
		r.Flags |= event.Truncated
		g.metrics.cut.Add(float64(lost))
	}
	if len(t.batch.Arena) >= g.full() {
		return g.send(t)
	}
	return nil
}

// full is the size at which a batch leaves.
func (g *gatherer) full() int {
	share := memoryBytes / int(max(1, g.held.Load()))
	return min(max(share, leastBytes), batchBytes)
}

// open makes sure that a track's source is open, under the container's name
// of now. All tracks are opened together: of a stream that is known, it is
// known what was read.
func (g *gatherer) open(t *track) error {
	if name := g.called.Swap(nil); name != nil && *name != g.who.name {
		who := *g.who
		who.name = *name
		g.who = &who
	}
	if t.src != nil && t.named != g.who {
		g.feed.Close(t.src, false)
		t.src = nil
	}
	for i := range g.tracks {
		if g.tracks[i].src == nil {
			if err := g.reopen(&g.tracks[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (g *gatherer) reopen(t *track) error {
	src, err := g.feed.Open(t.id, t.key, g.who.labels(t.stream))
	if err != nil {
		return err
	}
	t.id, t.src, t.named = src.ID, src, g.who
	t.lag = quietBytes
	return nil
}

// gather sends what there is when its time has come.
func (g *gatherer) gather() error {
	if !g.pending() || g.armed {
		return nil
	}
	now := time.Now()
	if !now.Before(g.due) {
		return g.flush()
	}
	g.armed = true
	g.wg.Add(1)
	wait := g.due.Sub(now)
	if g.timer == nil {
		g.timer = time.AfterFunc(wait, g.fire)
	} else {
		g.timer.Reset(wait)
	}
	return nil
}

func (g *gatherer) pending() bool {
	for i := range g.tracks {
		if g.tracks[i].batch != nil {
			return true
		}
	}
	return false
}

func (g *gatherer) fire() {
	defer g.wg.Done()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.armed = false
	if g.err == nil {
		g.err = g.flush()
	}
}

// flush sends what there is.
func (g *gatherer) flush() error {
	for i := range g.tracks {
		if g.tracks[i].batch != nil {
			if err := g.send(&g.tracks[i]); err != nil {
				return err
			}
		}
	}
	g.due = time.Now().Add(gatherTime)
	return nil
}

func (g *gatherer) send(t *track) error {
	b := t.batch
	if t.at.count > 0 {
		t.at.sum = checksum(b.Line(len(b.Records) - 1))
	}
	lines, bytes := len(b.Records), len(b.Arena)
	t.batch = nil
	g.held.Add(-1)
	if err := g.hand(t, b, t.at.next); err != nil {
		return err
	}
	g.metrics.lines.Add(float64(lines))
	return g.moveQuiet(bytes)
}

// hand sends a batch that ends at a position of the source.
func (g *gatherer) hand(t *track, b *event.Batch, to uint64) error {
	t.at.next = to
	b.From, b.To = t.sent, to
	b.Cursor = t.at.appendCursor(b.Cursor[:0])
	if err := g.feed.Send(g.ctx, b); err != nil {
		return err
	}
	t.sent, t.lag = to, 0
	return nil
}

// moveQuiet moves the cursors of streams that were silent for long, by batches
// without records.
func (g *gatherer) moveQuiet(bytes int) error {
	for i := range g.tracks {
		t := &g.tracks[i]
		t.lag += bytes
		if t.lag < quietBytes || t.src == nil || t.batch != nil || t.find.active {
			continue
		}
		if err := g.moveCursor(t); err != nil {
			return err
		}
	}
	return nil
}

func (g *gatherer) moveCursor(t *track) error {
	to := t.at.quiet()
	if to <= t.sent {
		return nil
	}
	return g.hand(t, g.feed.Batch(t.src), to)
}

// startAt makes a log that was never read start at a time, and has that
// remembered.
func (g *gatherer) startAt(ts int64) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range g.tracks {
		g.tracks[i].at = positionAt(ts, 0)
	}
	if err := g.open(&g.tracks[0]); err != nil {
		return err
	}
	for i := range g.tracks {
		if err := g.moveCursor(&g.tracks[i]); err != nil {
			return err
		}
	}
	return nil
}

// rename takes note of what the container is called from now on.
func (g *gatherer) rename(who *identity) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.who = who
}
