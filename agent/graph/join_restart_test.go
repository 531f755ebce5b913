package graph

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// blocksConfig joins lines: what begins with a blank goes on with the record before; a line that
// begins with [ begins a block, which goes on to a line that begins with ]; one that begins with {
// is complete. It reads the time that stands in a record as t=N.
type blocksConfig struct {
	Lines int               `yaml:"lines" default:"9"`
	Bytes int               `yaml:"bytes" default:"1000"`
	Wait  pipeline.Duration `yaml:"wait" default:"1s"`
}

func (c *blocksConfig) Parser() (pipeline.NewParser, error) {
	return func(*event.Source) pipeline.Parser { return c }, nil
}

func (c *blocksConfig) Joiner() (pipeline.NewJoiner, pipeline.JoinLimits, error) {
	limits := pipeline.JoinLimits{Lines: c.Lines, Bytes: c.Bytes, Wait: c.Wait}
	return func(*event.Source) pipeline.Joiner { return &blocks{} }, limits, nil
}

func (c *blocksConfig) Parse(b *event.Batch, i int) bool {
	line, _, _ := strings.Cut(string(b.Line(i)), "\n")
	_, at, ok := strings.Cut(line, "t=")
	if n, err := strconv.Atoi(at); ok && err == nil {
		b.Records[i].Time = int64(n)
	}
	return true
}

type blocks struct{ inside bool }

func (j *blocks) End() { j.inside = false }

func (j *blocks) Line(line []byte) pipeline.JoinDecision {
	c := byte(0)
	if len(line) > 0 {
		c = line[0]
	}
	switch {
	case j.inside && c == ']':
		j.inside = false
		return pipeline.Continues | pipeline.Complete
	case j.inside, c == ' ':
		return pipeline.Continues
	case c == '[':
		j.inside = true
	case c == '{':
		return pipeline.Complete
	}
	return 0
}

// slowConfig reads the lines of the world as they come: in batches of any size, with pauses.
type slowConfig struct{ world *slowWorld }

// slowWorld is a world whose sources take their time.
type slowWorld struct {
	*world
	rnd  *rand.Rand
	read map[string]uint64 // how far a source was ever read

	sending   bool      // of some source: the others are not looked at
	heldUntil time.Time // when that last took a while
}

func (c *slowConfig) Input(pipeline.Env) (pipeline.Input, error) { return c, nil }

func (c *slowConfig) Run(ctx context.Context, feed pipeline.Feed) error {
	c.world.heldUntil = time.Time{} // of an earlier run
	known := map[string]pipeline.Known{}
	for _, k := range feed.Known() {
		known[k.Key] = k
	}
	at, sources, last := map[string]uint64{}, map[string]*event.Source{}, map[string]time.Time{}
	for _, key := range slices.Sorted(maps.Keys(c.world.sources)) {
		k := known[key]
		src, err := feed.Open(k.ID, key, []event.Label{{Name: "key", Value: key}})
		if err != nil {
			return err
		}
		at[key], sources[key], last[key] = k.Cursor.Pos, src, time.Now()
	}
	for len(sources) > 0 {
		keys := slices.Sorted(maps.Keys(sources))
		key := keys[c.world.rnd.IntN(len(keys))]
		oldest := slices.MinFunc(keys, func(a, b string) int { return last[a].Compare(last[b]) })
		if time.Since(last[oldest]) > slowest {
			key = oldest
		}
		last[key] = time.Now()
		src, lines := sources[key], c.world.sources[key]
		if at[key] >= uint64(len(lines)) {
			feed.Close(src, false)
			delete(sources, key)
			continue
		}
		if c.world.rnd.IntN(12) == 0 { // its labels have changed
			feed.Close(src, false)
			sources[key], _ = feed.Open(src.ID, key, []event.Label{{Name: "key", Value: key}})
		}
		b := c.batch(feed, sources[key], lines, at[key])
		at[key] = b.To
		if c.send(ctx, feed, b) != nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(c.pause()):
		}
	}
	return nil
}

// send sends a batch, and notes for how long that kept it from the other sources.
func (c *slowConfig) send(ctx context.Context, feed pipeline.Feed, b *event.Batch) error {
	w, began := c.world, time.Now()
	note := func(sending bool) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.sending = sending
		if now := time.Now(); !sending && now.After(began) {
			w.heldUntil = now
		}
	}
	note(true)
	defer note(false)
	return feed.Send(ctx, b)
}

// HeldUpUntil implements pipeline.Lookout, as an input must that reads its sources in turn: where
// one is held up for long, the records of the others would be split that an earlier run has joined.
func (c *slowConfig) HeldUpUntil(*event.Source) time.Time {
	c.world.mu.Lock()
	defer c.world.mu.Unlock()
	if c.world.sending {
		return time.Now()
	}
	return c.world.heldUntil
}

// Reread implements pipeline.Rereader.
func (c *slowConfig) Reread(ctx context.Context, from pipeline.Known, feed pipeline.Feed) error {
	src, err := feed.Open(from.ID, from.Key, nil)
	if err != nil {
		return err
	}
	lines := c.world.sources[from.Key]
	for at := from.Cursor.Pos; at < uint64(len(lines)); {
		b := feed.Batch(src)
		b.From, b.To = at, min(at+1+at%5, uint64(len(lines)))
		for i := b.From; i < b.To; i++ {
			b.Add(i, 0, b.PutString(lines[i]))
		}
		at = b.To
		b.Cursor = fmt.Appendf(b.Cursor, "at %d", b.To)
		if err := feed.Send(ctx, b); err != nil {
			return err
		}
	}
	return nil
}

// CanReread implements pipeline.Rereader.
func (c *slowConfig) CanReread(event.SourceID) bool { return true }

func (c *slowConfig) pause() time.Duration {
	return []time.Duration{0, 0, 0, 0, 50 * time.Millisecond, 400 * time.Millisecond,
		1500 * time.Millisecond}[c.world.rnd.IntN(7)]
}

// slowest is about how long a source may have no lines: much less than the replayWait times a
// second in which what an earlier run may have sent is not split.
const slowest = 4 * time.Second

// batch sends some lines, and now and then none. A line that was never read before may have been
// ended by time.
func (c *slowConfig) batch(feed pipeline.Feed, src *event.Source, lines []string, at uint64) *event.Batch {
	b := feed.Batch(src)
	b.From, b.To = at, min(at+c.world.rnd.Uint64N(7), uint64(len(lines)))
	for i := b.From; i < b.To; i++ {
		b.Add(i, 0, b.PutString(lines[i]))
		if c.world.rnd.IntN(2) == 0 {
			b.Arena = append(b.Arena, '\n') // as in a block of a file
		}
	}
	if b.To > max(b.From, c.world.read[src.Key]) && c.world.rnd.IntN(10) == 0 {
		b.EndedByTimeout = true
	}
	c.world.read[src.Key] = max(c.world.read[src.Key], b.To)
	b.Cursor = fmt.Appendf(b.Cursor, "at %d", b.To)
	return b
}

const (
	joining = `
shutdown_timeout: 1s
inputs: {in: {type: slow}}
parsers: {blocks: {type: blocks}, short: {type: blocks, lines: 3, bytes: 40, wait: 3s}}
outputs: {x: {type: memory, concurrency: 2}, y: {type: memory}, z: {type: memory}}
pipelines:
  joined: {inputs: [in], parsers: [blocks], outputs: [x, y]}
  shorter: {inputs: [in], parsers: [short], outputs: [z]}
`
	joiningAndNot = `
shutdown_timeout: 1s
inputs: {in: {type: slow}}
parsers: {blocks: {type: blocks}, none: {type: none}}
outputs: {x: {type: memory}, raw: {type: memory}}
pipelines:
  joined: {inputs: [in], parsers: [blocks], outputs: [x]}
  single: {inputs: [in], parsers: [none], outputs: [raw]}
`
)

func slowWorldAtRandom(rnd *rand.Rand) *slowWorld {
	w := &slowWorld{world: newWorld(), rnd: rnd, read: map[string]uint64{}}
	w.more = []pipeline.Spec{
		{Kind: pipeline.KindInput, Type: "slow", Traits: pipeline.Traits{ReserveAhead: 5},
			New: func() any { return &slowConfig{world: w} }},
		{Kind: pipeline.KindParser, Type: "blocks", New: func() any { return &blocksConfig{} }},
	}
	clock := time.Unix(100, 0)
	w.now = func() time.Time {
		w.mu.Lock()
		defer w.mu.Unlock()
		clock = clock.Add(90 * time.Millisecond)
		return clock
	}
	for i := range 5 {
		key := fmt.Sprint("s", i)
		for k := range 20 + rnd.IntN(100) {
			line := fmt.Sprintf("%s%s/%03d", []string{"-", "-", " ", " ", " ", "{", "[", "]"}[rnd.IntN(8)], key, k)
			if rnd.IntN(2) == 0 {
				line += fmt.Sprintf(" t=%d", k/6*1000)
			}
			w.sources[key] = append(w.sources[key], line)
		}
	}
	return w
}

// TestJoinedRecordsCrashAtRandom goes on from what was on disk and at the destinations at some
// moment of a run, again and again. All that is stored twice is the same to the byte, time and all,
// so that what destinations keep apart by it is there once; and no line is missing or in two
// records.
func TestJoinedRecordsCrashAtRandom(t *testing.T) {
	reread := int64(0)
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			reread += joinAtRandom(t, rand.New(rand.NewPCG(seed, 21)), true)
		})
	}
	wantReread(t, reread)
}

// TestJoinedRecordsRestartAtRandom: in order, nothing is stored twice.
func TestJoinedRecordsRestartAtRandom(t *testing.T) {
	reread := int64(0)
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			reread += joinAtRandom(t, rand.New(rand.NewPCG(seed, 22)), false)
		})
	}
	wantReread(t, reread)
}

// buildWithRests has a source rest as soon as another one of its worker has lines.
func (w *slowWorld) buildWithRests(t *testing.T, dir, yaml string) *Graph {
	g := w.build(t, dir, yaml)
	for _, worker := range g.workers {
		worker.recent.most = 1
	}
	g.haveLittleRoom()
	return g
}

func joinAtRandom(t *testing.T, rnd *rand.Rand, crash bool) (reread int64) {
	dir, w, yaml := t.TempDir(), slowWorldAtRandom(rnd), joining
	if rnd.IntN(2) == 0 {
		yaml = joiningAndNot
	}
	away := newAbsence("x", rnd)
	for range 5 {
		next, stored, requests := t.TempDir(), map[string][]string(nil), rnd.IntN(120)
		rnd := rand.New(rand.NewPCG(rnd.Uint64(), 1)) // the input has its own
		w.answer = func(output string, lines []string) error {
			if requests--; requests == 0 && crash {
				stored = copyOf(w.stored)
				if rnd.IntN(2) == 0 { // the answer was lost
					stored[output] = append(stored[output], lines...)
				}
				copyDir(t, next, dir)
			}
			if away.refuses(output) || rnd.IntN(4) == 0 {
				return errAway
			}
			return nil
		}
		limit := time.Duration(rnd.IntN(20000)) * time.Millisecond
		synctest.Test(t, func(t *testing.T) {
			ctx, stop := context.WithTimeout(t.Context(), limit)
			defer stop()
			g := w.buildWithRests(t, dir, yaml)
			away.begin(g)
			if err := g.Run(ctx); err != nil {
				t.Fatal(err)
			}
			joinedCloses(t, g)
		})
		if stored != nil {
			dir, w.stored = next, stored
		}
	}
	w.answer = nil
	synctest.Test(t, func(t *testing.T) {
		g := w.buildWithRests(t, dir, yaml)
		if err := g.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		joinedCloses(t, g)
		if c := g.Counts(); c.Pending() != 0 {
			t.Errorf("%d records are unfinished at the end", c.Pending())
		}
	})
	for output := range w.stored {
		w.checkJoined(t, output, crash)
	}
	return away.reread
}

// joinedCloses checks the account of a run that has ended.
func joinedCloses(t *testing.T, g *Graph) {
	t.Helper()
	s := g.Status()
	for i, p := range s.Pipelines {
		records := p.Read - p.Joined - uint64(p.Pending)
		for _, o := range g.pipelines[i].outputs {
			c := o.deliverer.Counts()
			if c.Taken > records+c.Restored {
				t.Errorf("pipeline %s: %+v, and %s has taken %d", p.Name, p, o.name, c.Taken)
			}
		}
		if in := s.Inputs[0]; p.Read != in.Read-uint64(in.InFlight) {
			t.Errorf("pipeline %s took %d lines, and the input gave %+v", p.Name, p.Read, in)
		}
	}
}

// checkJoined: each line is in one record, and equal records are equal to the byte.
func (w *slowWorld) checkJoined(t *testing.T, output string, repeats bool) {
	t.Helper()
	in, times := map[string]string{}, map[string]string{}
	for _, stored := range w.stored[output] {
		_, at, line := split(stored)
		key := line[1:3]
		if other, ok := times[key+at]; ok && (other != stored || !repeats) {
			t.Errorf("%s: of source %s, %q and %q have the same time", output, key, other, stored)
		}
		times[key+at] = stored
		for l := range strings.SplitSeq(line, "\n") {
			if other, ok := in[l]; ok && (other != stored || !repeats) {
				t.Errorf("%s: line %q is in %q and in %q", output, l, other, stored)
			}
			in[l] = stored
		}
	}
	for key, lines := range w.sources {
		for _, line := range lines {
			if in[line] == "" {
				t.Errorf("%s: line %q of %s is missing", output, line, key)
			}
		}
	}
}

// split returns the parts of a stored record.
func split(stored string) (level, at, line string) {
	level, rest, _ := strings.Cut(stored, "|")
	at, rest, _ = strings.Cut(rest, "|")
	_, line, _ = strings.Cut(rest, "|")
	return level, at, line
}
