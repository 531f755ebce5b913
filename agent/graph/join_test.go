package graph

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

func TestBlocksKeepTheContract(t *testing.T) {
	newJoiner, _, _ := (&blocksConfig{}).Joiner()
	pipetest.TestJoiner(t, newJoiner, "a", " b", "[c", "d", " e", "]", " f", "{g", " h", "]", "[i", "[j")
}

// newTestJoin returns a join of blocks.
func newTestJoin(limits pipeline.JoinLimits, bounds ...uint64) *join {
	return &join{joiner: &blocks{}, limits: limits, bounds: bounds}
}

// joinBatches takes lines, the one at position i being lines[i], through a join in batches that end
// at the given positions. It shows the records of each batch as "pos:line", with a + where lines
// are joined.
func joinBatches(j *join, lines []string, ends ...uint64) (batches [][]string) {
	from := uint64(0)
	for _, to := range ends {
		b := &event.Batch{From: from, To: to}
		for pos := from; pos < to; pos++ {
			b.Add(pos, 0, b.PutString(lines[pos]))
		}
		j.joinLines(b)
		batches = append(batches, recordsOf(b))
		from = to
	}
	return batches
}

func recordsOf(b *event.Batch) (records []string) {
	for i := range b.Records {
		records = append(records, fmt.Sprintf("%d:%s", b.Records[i].Pos,
			strings.ReplaceAll(string(b.Line(i)), "\n", "+")))
	}
	return records
}

func TestJoin(t *testing.T) {
	wide := pipeline.JoinLimits{Lines: 100, Bytes: 1000}
	tests := []struct {
		name   string
		lines  string
		limits pipeline.JoinLimits
		bounds []uint64
		ends   []uint64
		want   string
	}{
		{"the last is pending", "a|.b|c", wide, nil, []uint64{3}, "0:a+.b"},
		{"and goes on", "a|.b|c|.d|.e|f", wide, nil, []uint64{3, 6}, "0:a+.b/2:c+.d+.e"},
		{"over many batches", "a|.b|.c|.d|e", wide, nil, []uint64{1, 2, 2, 3, 4, 5}, "/////0:a+.b+.c+.d"},
		{"what is complete is not pending", "a|{b", wide, nil, []uint64{2}, "0:a 1:{b"},
		{"one more record than lines", "a|{b", wide, nil, []uint64{1, 2}, "/0:a 1:{b"},
		{"nothing continues what is complete", "{a|.b|c", wide, nil, []uint64{3}, "0:{a 1:.b"},
		{"complete at the end of a block", "[a|b|]c|.d|e", wide, nil, []uint64{3, 5}, "0:[a+b+]c/3:.d"},
		{"too many lines", "[a|b|c|d|e|]", pipeline.JoinLimits{Lines: 3, Bytes: 99}, nil, []uint64{6},
			"0:[a+b+c 3:d 4:e"},
		{"too many bytes", "[a|bb|cc|.d|e", pipeline.JoinLimits{Lines: 9, Bytes: 5}, nil, []uint64{5},
			"0:[a+bb 2:cc+.d"},
		{"what is full is not pending", "[a|b|c", pipeline.JoinLimits{Lines: 2, Bytes: 99}, nil, []uint64{2, 3},
			"0:[a+b/"},
		{"a bound", "[a|b|c|.d|e", wide, []uint64{2}, []uint64{5}, "0:[a+b 2:c+.d"},
		{"a bound that is no news", "a|.b|c|.d|e", wide, []uint64{2}, []uint64{5}, "0:a+.b 2:c+.d"},
		{"a bound at the end of a batch", "[a|b|c|d", wide, []uint64{2}, []uint64{2, 4}, "0:[a+b/2:c"},
		{"a bound in what is pending", "[a|b|c|d", wide, []uint64{1, 3}, []uint64{2, 3, 4}, "0:[a/1:b 2:c/"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			lines := strings.Split(strings.ReplaceAll(test.lines, ".", " "), "|")
			var got []string
			for _, batch := range joinBatches(newTestJoin(test.limits, test.bounds...), lines, test.ends...) {
				for i := range batch {
					batch[i] = strings.ReplaceAll(batch[i], " ", ".")
				}
				got = append(got, strings.Join(batch, " "))
			}
			if got := strings.Join(got, "/"); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// TestJoinInAnyBatches: records do not depend on the batches that the lines come in, nor on the
// record that reading begins with.
func TestJoinInAnyBatches(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		var lines []string
		for i := range 1 + rnd.IntN(30) {
			lines = append(lines, []string{"", "-", " ", " ", "{", "[", "]"}[rnd.IntN(7)]+
				strings.Repeat(fmt.Sprint(i), rnd.IntN(3)))
		}
		end := uint64(len(lines))
		limits := pipeline.JoinLimits{Lines: 1 + rnd.IntN(6), Bytes: rnd.IntN(40)}
		bounds := positionsAtRandom(rnd, end, 3)
		all := func(ends ...uint64) []string {
			j := newTestJoin(limits, bounds...)
			got := slices.Concat(joinBatches(j, lines, append(ends, end)...)...)
			if b := (&event.Batch{}); j.pending() {
				j.release(b, end)
				got = append(got, recordsOf(b)...)
			}
			return got
		}
		ends := positionsAtRandom(rnd, end, 8)
		if diff := cmp.Diff(all(), all(ends...)); diff != "" {
			t.Fatalf("%q with %+v, bounds %v, ends %v:\n%s", lines, limits, bounds, ends, diff)
		}
	}
}

func positionsAtRandom(rnd *rand.Rand, end uint64, most int) (at []uint64) {
	for range rnd.IntN(most) {
		at = append(at, rnd.Uint64N(end+1))
	}
	slices.Sort(at)
	return slices.Compact(at)
}

// TestJoinCopiesNothingItNeedNot: lines that stand behind each other, as in a block of a file, stay
// where they are.
func TestJoinCopiesNothingItNeedNot(t *testing.T) {
	b := &event.Batch{To: 6}
	for pos, line := range []string{"{a", "b", " c", " d", "{e", "{f"} {
		b.Add(uint64(pos), 0, b.PutString(line))
		b.Arena = append(b.Arena, '\n')
	}
	b.Records[2].Flags = event.Truncated
	size := len(b.Arena)
	newTestJoin(pipeline.JoinLimits{Lines: 9, Bytes: 99}).joinLines(b)
	if len(b.Arena) != size || len(b.Records) != 4 || string(b.Line(1)) != "b\n c\n d" {
		t.Errorf("the arena grew by %d bytes, and holds %d records, of which the second is %q",
			len(b.Arena)-size, len(b.Records), b.Line(1))
	}
	if b.Records[1].Flags != event.Truncated || b.Records[3].Flags != 0 {
		t.Errorf("flags: %v, %v", b.Records[1].Flags, b.Records[3].Flags)
	}
}

// steps is an input that does what a test wants, to one source.
type steps struct {
	*testing.T
	w    *world
	feed pipeline.Feed
	ctx  context.Context
	src  *event.Source
	at   uint64

	graph *Graph
}

// runSteps runs a graph whose input takes these steps, in a bubble.
func (w *world) runSteps(t *testing.T, dir string, do func(s *steps, stop func())) (g *Graph) {
	w.more = []pipeline.Spec{{Kind: pipeline.KindParser, Type: "blocks", New: func() any { return &blocksConfig{} }}}
	synctest.Test(t, func(t *testing.T) {
		g = w.build(t, dir, `
shutdown_timeout: 1s
inputs: {in: {type: script}}
parsers: {blocks: {type: blocks}}
outputs: {out: {type: memory, queue_size: 64KiB}}
pipelines: {main: {inputs: [in], parsers: [blocks], outputs: [out]}}
`)
		g.inputs[0].feed.workers = g.workers[:1]
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		g.inputs[0].input = inputFunc(func(ctx context.Context, feed pipeline.Feed) error {
			s := &steps{T: t, w: w, feed: feed, ctx: ctx, graph: g}
			for _, k := range feed.Known() {
				s.at = k.Cursor.Pos
				s.src, _ = feed.Open(k.ID, k.Key, nil)
			}
			if s.src == nil {
				s.src, _ = feed.Open(0, "a", nil)
			}
			do(s, stop)
			return nil
		})
		if err := g.Run(ctx); err != nil {
			t.Fatal(err)
		}
	})
	return g
}

func (s *steps) send(lines ...string) { s.sendBatch(false, lines) }

func (s *steps) sendBatch(timed bool, lines []string) {
	s.Helper()
	b := batchOf(s.feed, s.src, s.at, lines...)
	b.EndedByTimeout = timed
	s.at = b.To
	if err := s.feed.Send(s.ctx, b); err != nil {
		s.Error(err)
	}
}

func (s *steps) boundaries(want ...uint64) {
	s.Helper()
	synctest.Wait()
	if got := s.feed.Known()[0].TimeoutBoundaries; !slices.Equal(got, want) {
		s.Errorf("the ledger has the boundaries %v, want %v", got, want)
	}
}

func (s *steps) stored(want ...string) {
	s.Helper()
	if diff := cmp.Diff(want, s.lines()); diff != "" {
		s.Errorf("-want +got\n%s", diff)
	}
}

// lines returns the records that are stored.
func (s *steps) lines() (lines []string) {
	synctest.Wait()
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	for _, stored := range s.w.stored["out"] {
		_, _, line := split(stored)
		lines = append(lines, line)
	}
	return lines
}

func (s *steps) away(away bool) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	s.w.away["out"] = away
}

// TestTimeoutEndsARecord, and only when nothing of it came for that long.
func TestTimeoutEndsARecord(t *testing.T) {
	w := newWorld()
	w.runSteps(t, t.TempDir(), func(s *steps, _ func()) {
		s.send("a", " b")
		time.Sleep(900 * time.Millisecond)
		s.send(" c")
		time.Sleep(900 * time.Millisecond)
		s.send()
		time.Sleep(90 * time.Millisecond)
		s.stored()
		time.Sleep(100 * time.Millisecond)
		s.stored("a\n b\n c")
		s.send("{d")
		time.Sleep(60 * time.Millisecond)
		s.stored("a\n b\n c", "{d")
	})
}

// TestTimeoutBoundariesAreKeptWhereTheyMatter: where the next line would have continued the record.
func TestTimeoutBoundariesAreKeptWhereTheyMatter(t *testing.T) {
	w := newWorld()
	w.away["out"] = true
	w.runSteps(t, t.TempDir(), func(s *steps, _ func()) {
		s.send("a")
		s.boundaries()
		time.Sleep(1100 * time.Millisecond)
		s.boundaries(1)
		s.send("b")
		s.boundaries()
		time.Sleep(1100 * time.Millisecond)
		s.boundaries(2)
		s.send(" c")
		s.boundaries(2)
		time.Sleep(1100 * time.Millisecond)
		s.boundaries(2, 3)
		s.sendBatch(true, []string{"d", "e"})
		s.boundaries(2, 5)
		s.send("f")
		s.boundaries(2, 5) // the input's own is its own
		s.away(false)
		time.Sleep(time.Minute)
		s.stored("a", "b", " c", "d", "e", "f")
		s.boundaries()
	})
}

// TestBatchEndedByTimeoutEndsItsRecord, as the line that it ends with is known to end there.
func TestBatchEndedByTimeoutEndsItsRecord(t *testing.T) {
	w := newWorld()
	w.runSteps(t, t.TempDir(), func(s *steps, _ func()) {
		s.send("a")
		s.sendBatch(true, []string{" b"})
		time.Sleep(60 * time.Millisecond)
		s.stored("a\n b")
		s.send(" c", "d")
		time.Sleep(60 * time.Millisecond)
		s.stored("a\n b", " c")
	})
}

// TestPendingRecordAtTheEnd of a source that ends for good, of all sources, and of the run.
func TestPendingRecordAtTheEnd(t *testing.T) {
	w, dir := newWorld(), t.TempDir()
	g := w.runSteps(t, dir, func(s *steps, stop func()) {
		s.send("a", "b", " c")
		time.Sleep(60 * time.Millisecond)
		s.stored("a")
		s.feed.Close(s.src, false)
		stop()
	})
	if c := g.Counts(); c.Pending() != 2 || c.Joined != 0 || c.Read != 3 {
		t.Errorf("a stop leaves two lines to the next run: %+v", c)
	}
	w.runSteps(t, dir, func(s *steps, _ func()) {
		s.at = 0 // batches are read again whole, and what is done of them is skipped
		s.send("a", "b", " c", " d")
		s.feed.Close(s.src, true)
		time.Sleep(60 * time.Millisecond)
		s.stored("a", "b\n c\n d")
	})
	g = w.runSteps(t, dir, func(s *steps, _ func()) { s.send("e", " f") })
	if c := g.Counts(); c.Pending() != 0 || c.Joined != 1 || c.Delivered != 1 {
		t.Errorf("the input has ended: %+v", c)
	}
}

// TestBlockedWorkerSplitsNoRecord: a destination that is away for long holds up all, and what waits
// behind it is not missing.
func TestBlockedWorkerSplitsNoRecord(t *testing.T) {
	w := newWorld()
	w.runSteps(t, t.TempDir(), func(s *steps, _ func()) {
		other, _ := s.feed.Open(0, "b", nil)
		s.send("a")
		s.away(true)
		time.AfterFunc(5*time.Second, func() { s.away(false) })
		flood := strings.Repeat("x", 1<<20)
		for at := range uint64(8) {
			if err := s.feed.Send(s.ctx, batchOf(s.feed, other, at, "{"+flood)); err != nil {
				t.Error(err)
			}
		}
		s.send(" b", "c")
		time.Sleep(time.Minute)
		if !slices.Contains(s.lines(), "a\n b") {
			t.Error("a record was split since its worker was held up")
		}
	})
}

// TestManyShortWaitsSplitNoRecord: what waits to be taken is not missing, though it stands behind
// many others that each take little time.
func TestManyShortWaitsSplitNoRecord(t *testing.T) {
	w := newWorld()
	w.now = func() time.Time { // which the worker asks once for a batch
		time.Sleep(150 * time.Millisecond)
		return time.Now()
	}
	w.runSteps(t, t.TempDir(), func(s *steps, _ func()) {
		s.send("a")
		var others sync.WaitGroup
		for i := range 40 {
			src, _ := s.feed.Open(0, fmt.Sprint("other ", i), nil)
			others.Go(func() {
				if err := s.feed.Send(s.ctx, batchOf(s.feed, src, 0, "{")); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		s.send(" b", "c")
		others.Wait()
		time.Sleep(time.Minute)
		if !slices.Contains(s.lines(), "a\n b") {
			t.Error("a record was split while its next line waited to be taken")
		}
	})
}

// A lookout is an input that says what a test wants of whether it has looked.
type lookout struct {
	inputFunc
	until func() time.Time
}

func (l lookout) HeldUpUntil(*event.Source) time.Time { return l.until() }

// TestTimeDoesNotEndARecordThatItsInputCannotReadOn, and does once the input has looked, whatever
// waits of other sources.
func TestTimeDoesNotEndARecordThatItsInputCannotReadOn(t *testing.T) {
	w := newWorld()
	w.runSteps(t, t.TempDir(), func(s *steps, _ func()) {
		var until atomic.Pointer[time.Time]
		until.Store(&time.Time{})
		s.graph.inputs[0].input = lookout{until: func() time.Time { return *until.Load() }}
		s.send("a")
		for range 100 {
			time.Sleep(100 * time.Millisecond)
			now := time.Now()
			until.Store(&now)
		}
		s.stored()
		time.Sleep(900 * time.Millisecond)
		s.send(" b")
		time.Sleep(900 * time.Millisecond)
		s.stored()
		time.Sleep(200 * time.Millisecond)
		s.stored("a\n b")
		s.send("c")
		time.Sleep(1100 * time.Millisecond)
		s.stored("a\n b", "c")
	})
}

// TestASlowDestinationDoesNotHideTheLastRecord of a source that its input has looked at in time.
func TestASlowDestinationDoesNotHideTheLastRecord(t *testing.T) {
	w := newWorld()
	w.now = func() time.Time { // which the worker asks once for a batch
		time.Sleep(300 * time.Millisecond)
		return time.Now()
	}
	w.runSteps(t, t.TempDir(), func(s *steps, _ func()) {
		s.graph.inputs[0].input = lookout{until: func() time.Time { return time.Time{} }}
		s.send("a", " b")
		other, _ := s.feed.Open(0, "other", nil)
		for at := range uint64(20) {
			if err := s.feed.Send(s.ctx, batchOf(s.feed, other, at, "{")); err != nil {
				t.Error(err)
			}
		}
		if !slices.Contains(s.lines(), "a\n b") {
			t.Error("a record of another source is not there after six seconds")
		}
	})
}

// TestAStalledProgramSplitsNoRecord: when the worker had nothing to do and its timer fires late,
// the program was stopped, and what it reads with it.
func TestAStalledProgramSplitsNoRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorker(&batchPool{}, time.Now)
		j := newTestJoin(pipeline.JoinLimits{Lines: 9, Bytes: 99, Wait: pipeline.Duration(time.Second)})
		looks := lookout{until: func() time.Time { return time.Time{} }}
		s := &sourceState{
			of:        &openSource{feed: &feed{in: &input{input: looks}}},
			pipelines: []*pipelineInstance{{join: j}},
		}
		joinBatches(j, []string{"a"}, 1)
		s.startWait()
		w.deadlines.add(s)
		time.Sleep(5 * time.Second)
		w.noteStall(time.Now())
		if w.deadlines.next(w.since, w.stalled) != nil {
			t.Error("a record has ended although the program stood still")
		}
		time.Sleep(time.Second)
		w.noteStall(time.Now())
		if w.deadlines.next(w.since, w.stalled) != s {
			t.Error("a record does not end")
		}
	})
}

// TestJoinedOtherwise: after a change of how lines are joined, or whether, a line may be in two
// records, but none is missing.
func TestJoinedOtherwise(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { joinOtherwise(t, rand.New(rand.NewPCG(seed, 23))) })
	}
}

func joinOtherwise(t *testing.T, rnd *rand.Rand) {
	dir, w := t.TempDir(), slowWorldAtRandom(rnd)
	for i := range 8 {
		next, stored, requests := t.TempDir(), map[string][]string(nil), 1+rnd.IntN(60)
		w.answer = func(output string, _ []string) error {
			if requests--; requests == 0 {
				stored = copyOf(w.stored)
				copyDir(t, next, dir)
			}
			if requests > 0 && requests%20 > 4 && output == "y" {
				return &pipeline.SendError{Outcome: pipeline.Retry, Reason: "away"}
			}
			return nil
		}
		if i == 7 {
			w.answer = nil // the last run ends well
		}
		joiner := []string{"{type: blocks, lines: 1}", "{type: blocks, lines: 5}", "{type: none}",
			"{type: blocks, lines: 9}"}[i%4]
		yaml := strings.Replace(joining, "{type: blocks}", joiner, 1)
		synctest.Test(t, func(t *testing.T) {
			if err := w.build(t, dir, yaml).Run(t.Context()); err != nil {
				t.Fatal(err)
			}
		})
		if stored != nil {
			dir, w.stored = next, stored
		}
	}
	for _, output := range []string{"x", "y", "z"} {
		all := strings.Join(w.stored[output], "\n") + "\n"
		for _, lines := range w.sources {
			for _, line := range lines {
				if !strings.Contains(all, line+"\n") {
					t.Errorf("%s: line %q is missing", output, line)
				}
			}
		}
	}
}

type lineByLine struct{ decision pipeline.JoinDecision }

func (l lineByLine) Line([]byte) pipeline.JoinDecision { return l.decision }
func (l lineByLine) End()                              {}

// BenchmarkJoin is what joining costs a line beside the joiner, of batches of 1000 lines.
func BenchmarkJoin(b *testing.B) {
	for name, decision := range map[string]pipeline.JoinDecision{"complete": pipeline.Complete, "single": 0} {
		b.Run(name, func(b *testing.B) {
			j := &join{joiner: lineByLine{decision}, limits: pipeline.JoinLimits{Lines: 500, Bytes: 1 << 18}}
			batch, lines := &event.Batch{}, make([]event.Record, 1000)
			line := batch.PutString(strings.Repeat("x", 200))
			b.ReportAllocs()
			for i := 0; i < b.N; i += len(lines) {
				batch.From, batch.To, batch.Arena = 0, 1000, batch.Arena[:200]
				batch.Records = append(batch.Records[:0], lines...)
				for k := range batch.Records {
					batch.Records[k].Pos, batch.Records[k].Line = uint64(k), line
				}
				j.joinLines(batch)
			}
		})
	}
	b.Run("none", func(b *testing.B) {
		batch, lines := &event.Batch{}, make([]event.Record, 1000)
		line := batch.PutString(strings.Repeat("x", 200))
		for i := 0; i < b.N; i += len(lines) {
			batch.Records = append(batch.Records[:0], lines...)
			for k := range batch.Records {
				batch.Records[k].Pos, batch.Records[k].Line = uint64(k), line
			}
		}
	})
}
