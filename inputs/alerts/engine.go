package alerts

import (
	"bytes"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// An engine counts records, and concludes what rings.
type engine struct {
	host, page string
	live       bool // times are held against the wall clock; not where past logs are replayed
	scratch    sync.Pool

	late, leftOut atomic.Uint64 // records that do not count

	mu      sync.Mutex
	rules   []*rule // the list and their settings do not change
	sources map[event.SourceID]*source
	active  []*source // those with records since the last pass
	clock   int64     // all before is complete, in Unix nanoseconds; 0 before that is known
	oldest  int64     // time of the oldest record while the clock is not known
	newest  int64     // the latest time of a record
	began   time.Time
	passed  time.Time // when the last pass was
	outbox  []conclusion
	ringing map[string]conclusion // by key, as the journal is recalled
	batches uint64                // that were observed
	heldBy  string                // the source for which the clock waits
}

// A source is what is known of one.
type source struct {
	key     string // "" before a record has come
	counted uint64 // records at positions below are counted
	time    int64  // of the last record in this run; 0: there was none
	before  int64  // the same at the last pass
	active  bool   // among engine.active
	behind  bool   // what comes is read late
}

const (
	// delay is how far behind the wall clock all is taken to be complete: lines are read, joined
	// and parsed meanwhile.
	delay = 10 * time.Second
	// settle is how long inputs have after a start to find what there is to read.
	settle = 10 * time.Second
	// maxAge is how old what rings may be.
	maxAge = 24 * time.Hour
	// A source that has not said how much it has to read is taken to be behind while its times run
	// faster than the clock, so many times, and are older than that.
	replaySpeed, replayAge = 3, 30 * time.Second
	// maxAhead is how far the clock may be ahead of the wall clock, should that be set back.
	maxAhead = 5 * time.Minute
	// looksAtOnce bounds for how long a pass holds the lock.
	looksAtOnce = 100_000
)

func newEngine(rules []*rule, host, page string) *engine {
	return &engine{
		rules: rules, host: host, page: page, live: true, sources: map[event.SourceID]*source{}, oldest: math.MaxInt64,
		ringing: map[string]conclusion{}, scratch: sync.Pool{New: func() any { return new(hits) }},
	}
}

// hits are the records of a batch that count, by rule.
type hits struct {
	all  []hit
	keys []byte
}

// A hit is some records of one rule, bucket and group, as they stand in a row.
type hit struct {
	rule   *rule
	k      int64
	at     int64 // of the first of them
	key    []byte
	record int // the last of them
	n      uint32
}

// collect finds what counts of the records at positions from on. None is of later than now.
func (h *hits) collect(rules []*rule, b *event.Batch, from uint64, now int64) {
	h.all, h.keys = h.all[:0], h.keys[:0]
	for _, r := range rules {
		first := len(h.all)
		for i := range b.Records {
			rec := &b.Records[i]
			if rec.Flags&event.Dropped != 0 || rec.Pos < from || r.when != nil && !r.when.Holds(b, i) {
				continue
			}
			at, start := min(rec.Time, now), len(h.keys)
			k := r.bucket(at)
			h.keys = r.appendKey(h.keys, b, i)
			key := h.keys[start:len(h.keys):len(h.keys)]
			if n := len(h.all); n > first && h.all[n-1].k == k && bytes.Equal(h.all[n-1].key, key) {
				h.all[n-1].n, h.all[n-1].record = h.all[n-1].n+1, i
				h.keys = h.keys[:start]
				continue
			}
			h.all = append(h.all, hit{r, k, at, key, i, 1})
		}
	}
}

// observe counts the records of a batch. now is the wall clock's time.
func (e *engine) observe(b *event.Batch, now int64) {
	src, from := e.source(b.CarriedBy().ID)
	h := e.scratch.Get().(*hits)
	h.collect(e.rules, b, from, now)
	last := int64(0)
	if n := len(b.Records); n > 0 && b.Records[n-1].Pos >= from {
		last = min(b.Records[n-1].Time, now)
	}
	e.mu.Lock()
	e.batches++
	for i := range h.all {
		e.count(src, b, &h.all[i])
	}
	src.counted = max(src.counted, b.To)
	if src.key = b.CarriedBy().Key; last != 0 {
		src.time, e.newest = last, max(e.newest, last)
		if !src.active {
			src.active = true
			e.active = append(e.active, src)
		}
	}
	e.mu.Unlock()
	e.scratch.Put(h)
}

// source returns what is known of a source, and up to which position it is counted: its worker
// alone moves that.
func (e *engine) source(id event.SourceID) (src *source, counted uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.sources[id] == nil {
		e.sources[id] = &source{behind: true}
	}
	return e.sources[id], e.sources[id].counted
}

// count counts a hit. The caller holds mu.
func (e *engine) count(src *source, b *event.Batch, h *hit) {
	r, k := h.rule, h.k
	if r.done == never {
		e.oldest = min(e.oldest, h.at)
	} else if k <= r.done {
		if r.done-k > r.n && src.behind {
			e.late.Add(uint64(h.n)) // it is of a window that is over
			return
		}
		k = r.done + 1 // it has come now, whatever its time is
	}
	g := r.groups[string(h.key)]
	if g == nil {
		g = r.group(string(h.key), k)
	}
	if g == nil {
		r.crowded = true
		e.leftOut.Add(uint64(h.n))
		return
	}
	if r.done == never {
		g.since = min(g.since, k)
	}
	g.add(k, h.n, r.keeps)
	if g.sampled != e.batches { // one of a batch will do
		g.sampled = e.batches
		text := b.AppendText(nil, b.MessageOf(h.record))
		g.sample = strings.ToValidUTF8(event.TruncateText(string(text), maxSample), "\uFFFD")
	}
}

// pass concludes what can be by now. It reports whether there is more to look at, at once.
func (e *engine) pass(now time.Time, over pipeline.Overview) (more bool) {
	lagging := map[event.SourceID]bool{}
	over.Lagging(func(id event.SourceID) { lagging[id] = true }) // without the lock
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.clock > now.Add(maxAhead).UnixNano() {
		e.setBack(now.UnixNano())
	}
	e.advance(now, lagging)
	left := looksAtOnce
	for _, r := range e.rules {
		if e.clock != 0 {
			e.start(r)
			more = !e.look(r, now, &left) || more
		}
		if r.risesOnly() && r.done != never && !more && now.Sub(e.began) >= settle {
			e.lookAhead(r, now, &left)
		}
	}
	return more
}

// advance moves the clock on.
func (e *engine) advance(now time.Time, lagging map[event.SourceID]bool) {
	if e.began.IsZero() {
		e.began = now
	}
	limit, hold := now.Add(-delay).UnixNano(), now.Sub(e.began) < settle
	elapsed := now.Sub(e.passed)
	for _, src := range e.active {
		run := time.Duration(src.time - src.before)
		if src.before == 0 {
			run = now.Sub(time.Unix(0, src.time))
		}
		src.behind = run > replaySpeed*elapsed+replayAge/replaySpeed && src.time < now.Add(-replayAge).UnixNano()
		if src.behind {
			limit = min(limit, src.time)
		}
		src.before, src.active = src.time, false
	}
	e.active = e.active[:0]
	for id := range lagging {
		src := e.sources[id]
		if src == nil || src.time == 0 {
			hold, e.heldBy = true, id.String()
			continue
		}
		src.behind = true
		if src.time < limit {
			limit, e.heldBy = src.time, src.key
		}
	}
	e.passed = now
	if hold || limit <= e.clock {
		return
	}
	if e.clock == 0 {
		e.clock = min(limit, e.oldest-1)
		e.clock = max(e.clock, now.Add(-maxAge).UnixNano())
	}
	e.clock = max(e.clock, limit)
}

// start has a new rule begin at the clock, or before the oldest record that has come for it.
func (e *engine) start(r *rule) {
	if r.done == never {
		first := r.bucket(e.clock)
		for _, g := range r.groups {
			if len(g.buckets) > 0 {
				first = min(first, g.buckets[0].k)
			}
		}
		r.done = first - 1
	}
	if len(r.alert.By) == 0 && len(r.groups) == 0 {
		r.group("", r.done+1)
	}
}

// look looks at all buckets that are complete, and reports whether it has come to the end.
func (e *engine) look(r *rule, now time.Time, left *int) bool {
	to := r.bucket(e.clock) - 1
	if e.live {
		r.done = max(r.done, r.bucket(now.Add(-maxAge).UnixNano()))
	}
	for r.done < to {
		if *left <= 0 {
			return false
		}
		if e.skip(r, to) {
			break
		}
		k := r.done + 1
		for key, g := range r.groups {
			e.lookAt(r, key, g, k, now)
			if e.isForgotten(r, g, k) {
				e.forget(r, key, g, k, now)
			}
		}
		*left -= len(r.groups) + 1
		r.done = k
	}
	return true
}

// skip passes over buckets in which nothing can be: where there is no group.
func (e *engine) skip(r *rule, to int64) bool {
	if len(r.groups) > 0 {
		return false
	}
	r.done = to
	return true
}

func (e *engine) lookAt(r *rule, key string, g *group, k int64, now time.Time) {
	r.learn(g, k)
	if k > g.decided {
		f := r.find(g, k)
		if what := r.next(&g.phase, k, f.holds); what != noRing {
			e.conclude(r, key, g, k, what, f, now)
		}
	}
	g.trim(k - r.n + 1)
}

// isForgotten reports whether nothing has come of a group for long enough.
func (e *engine) isForgotten(r *rule, g *group, k int64) bool {
	silent := time.Duration((k - g.last) * r.step)
	return len(r.alert.By) > 0 && len(g.buckets) == 0 && silent >= time.Duration(r.alert.Forget) &&
		(!g.firing || !r.risesOnly())
}

func (e *engine) forget(r *rule, key string, g *group, k int64, now time.Time) {
	if g.firing && g.resolve() != noRing {
		e.conclude(r, key, g, k, resolved, finding{}, now)
	}
	delete(r.groups, key)
}

// lookAhead looks at buckets that are not complete, for what rings by having too many records.
func (e *engine) lookAhead(r *rule, now time.Time, left *int) {
	to := r.bucket(min(e.newest, now.UnixNano()))
	for key, g := range r.groups {
		if g.firing || !g.touched && g.from == never {
			continue
		}
		if *left <= 0 {
			return
		}
		*left -= int(to - r.done)
		g.touched = false
		ahead := g.phase
		for k := max(r.done, g.decided) + 1; k <= to; k++ {
			f := r.find(g, k)
			if r.next(&ahead, k, f.holds) == firing {
				g.phase = ahead
				e.conclude(r, key, g, k, firing, f, now)
				break
			}
		}
	}
}

// setBack has everything go on at an earlier time: the wall clock was wrong.
func (e *engine) setBack(now int64) {
	e.clock, e.newest = now, min(e.newest, now)
	for _, r := range e.rules {
		if r.done == never {
			continue
		}
		k := r.bucket(now) - 1
		r.done = min(r.done, k)
		for _, g := range r.groups {
			n := len(g.buckets)
			for n > 0 && g.buckets[n-1].k > k+1 {
				n--
			}
			g.buckets = g.buckets[:n]
			g.decided, g.since, g.last = min(g.decided, k), min(g.since, k), min(g.last, k)
			g.from, g.held, g.fired, g.rung = min(g.from, k), min(g.held, k), min(g.fired, k), min(g.rung, k)
		}
	}
}
