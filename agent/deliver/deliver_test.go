package deliver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// destination is an output whose answers a test decides. It keeps the lines it stored, in order.
type destination struct {
	limits pipeline.Limits
	answer func(try int, lines []string) error

	mu     sync.Mutex
	tries  int
	bodies [][]string
	stored []string
	at     []time.Time
}

func (d *destination) Encoder() pipeline.Encoder { return d }
func (d *destination) Limits() pipeline.Limits   { return d.limits }
func (d *destination) Close() error              { return nil }

func (d *destination) Encode(dst *pipeline.Body, b *event.Batch, i int) (uint32, error) {
	if string(b.Line(i)) == "cannot be encoded" {
		return 0, errors.New("no way to say this")
	}
	dst.Bytes = append(dst.Bytes, b.Line(i)...)
	return dst.Group([]byte(b.Source.Key)), nil
}

func (d *destination) Original(b *pipeline.Body, i int) []byte { return b.Item(i) }

func (d *destination) Send(ctx context.Context, b *pipeline.Body) error {
	var lines []string
	for i := range b.Items {
		lines = append(lines, string(b.Item(i)))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tries++
	d.bodies = append(d.bodies, lines)
	d.at = append(d.at, time.Now())
	var err error
	if d.answer != nil {
		err = d.answer(d.tries, lines)
	}
	d.store(lines, err)
	return err
}

func (d *destination) store(lines []string, err error) {
	var answer *pipeline.SendError
	if err != nil && (!errors.As(err, &answer) || answer.Items == nil) {
		return
	}
	for i, line := range lines {
		if answer == nil || !slices.ContainsFunc(answer.Items,
			func(e pipeline.ItemError) bool { return e.Index == i }) {
			d.stored = append(d.stored, line)
		}
	}
}

// track notes which positions are done, and that none is done twice.
type track struct {
	t    *testing.T
	mu   sync.Mutex
	done map[uint64]bool
	skip map[uint64]bool

	unsure   map[uint64]bool
	reserved uint64
	gone     atomic.Bool
}

func (k *track) Gone() bool { return k.gone.Load() }

func (k *track) Done(from, to uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for p := from; p < to; p++ {
		if k.done[p] {
			k.t.Errorf("position %d is done twice", p)
		}
		k.done[p] = true
	}
}

func (k *track) Skip(pos uint64) bool      { return k.skip[pos] }
func (k *track) Uncertain(pos uint64) bool { return k.unsure[pos] }

func (k *track) Reserve(to uint64) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.reserved = max(k.reserved, to)
	return nil
}

type deadLetterBox struct {
	mu      sync.Mutex
	letters []DeadLetter
	fail    error
}

func (b *deadLetterBox) Write(letters []DeadLetter) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fail != nil {
		return b.fail
	}
	b.letters = append(b.letters, letters...)
	return nil
}

// rig is a Deliverer with all its surroundings.
type rig struct {
	t       *testing.T
	d       *Deliverer
	to      *destination
	letters deadLetterBox
	tracks  map[*event.Source]*track
	ended   map[*event.Source]uint64
	health  []error
	free    atomic.Int64
	shared  int64
	more    bool // of the batches that are put
}

func newRig(t *testing.T, to *destination, change func(*pipeline.OutputSettings)) *rig {
	r := &rig{t: t, to: to, tracks: map[*event.Source]*track{}, ended: map[*event.Source]uint64{}}
	settings := pipeline.OutputSettings{
		Queue: 8 << 20, Lanes: 1,
		Batch: pipeline.BatchSettings{Linger: pipeline.Duration(50 * time.Millisecond)},
		Retry: pipeline.RetrySettings{Initial: pipeline.Duration(100 * time.Millisecond),
			Max: pipeline.Duration(10 * time.Second)},
	}
	if change != nil {
		change(&settings)
	}
	r.d = New(Options{
		Name: "out", Output: to, Settings: settings, Log: slog.New(slog.DiscardHandler),
		Health: func(err error) { r.health = append(r.health, err) }, DeadLetters: &r.letters,
	})
	return r
}

func source(id event.SourceID) *event.Source {
	src := event.NewSource(id, "in", fmt.Sprintf("source-%d", id), nil)
	src.ShardKey = uint64(id) // each in a lane of its own, as long as there are enough
	return src
}

// put sends lines of a source as one batch; each takes ten positions.
func (r *rig) put(ctx context.Context, src *event.Source, lines ...string) {
	b := &event.Batch{}
	b.Reset(src)
	b.From = r.ended[src]
	for i, line := range lines {
		rec := b.Add(b.From+uint64(10*i)+5, 1, b.PutString(line))
		rec.Level = event.LevelNamed(strings.SplitN(line, " ", 2)[0])
		switch line {
		case "dropped":
			rec.Flags |= event.Dropped
		case "rejected":
			rec.Flags |= event.Rejected
		case "elsewhere":
			rec.ExcludedOutputs = 1 << 3
		case "only others":
			rec.ExcludedOutputs = ^uint32(1 << 3)
		}
	}
	b.To, b.MorePending = b.From+uint64(10*len(lines)), r.more
	r.ended[src] = b.To
	if r.tracks[src] == nil {
		r.tracks[src] = &track{t: r.t, done: map[uint64]bool{}, skip: map[uint64]bool{}}
	}
	r.shared++
	r.d.Expect(len(b.Records))
	r.d.Put(ctx, Share(b, 1, func(*event.Batch) { r.free.Add(1) }), r.tracks[src])
}

// run runs the deliverer while feed feeds it, and returns when all is done.
func (r *rig) run(feed func(ctx context.Context)) {
	ctx := r.t.Context()
	stopped := make(chan struct{})
	go func() { r.d.Run(ctx); close(stopped) }()
	feed(ctx)
	r.d.Finish()
	<-stopped
	if c := r.d.Counts(); c.InFlight != 0 || c.Taken != c.Delivered+c.Rejected+c.Filtered+c.Skipped {
		r.t.Errorf("the sum does not close: %+v", c)
	}
	if n := r.free.Load(); n != r.shared {
		r.t.Errorf("%d batches were released, want %d", n, r.shared)
	}
}

func (r *rig) allDone() {
	r.t.Helper()
	for src, end := range r.ended {
		if n := len(r.tracks[src].done); uint64(n) != end {
			r.t.Errorf("%s: %d positions are done, want %d", src.Key, n, end)
		}
	}
}

func numbered(n int) []string {
	var lines []string
	for i := range n {
		lines = append(lines, fmt.Sprintf("line %03d", i))
	}
	return lines
}

func TestAnswers(t *testing.T) {
	reject := func(i int) pipeline.ItemError {
		return pipeline.ItemError{Index: i, Outcome: pipeline.Reject, Status: 400, Reason: "bad"}
	}
	retry := func(i int) pipeline.ItemError {
		return pipeline.ItemError{Index: i, Outcome: pipeline.Retry, Status: 429, Reason: "busy"}
	}
	first := func(err error) func(int, []string) error {
		return func(try int, _ []string) error {
			if try == 1 {
				return err
			}
			return nil
		}
	}
	tests := []struct {
		name    string
		answer  func(try int, lines []string) error
		bodies  [][]string
		letters []string
	}{
		{"all is well", nil, [][]string{{"a", "b", "c", "d"}}, nil},
		{"an error of no kind", first(errors.New("reset")), [][]string{{"a", "b", "c", "d"}, {"a", "b", "c", "d"}},
			nil},
		{"retry", first(&pipeline.SendError{Outcome: pipeline.Retry}),
			[][]string{{"a", "b", "c", "d"}, {"a", "b", "c", "d"}}, nil},
		{"hold", first(&pipeline.SendError{Outcome: pipeline.Hold, Status: 401}),
			[][]string{{"a", "b", "c", "d"}, {"a", "b", "c", "d"}}, nil},
		{"rejected whole", first(&pipeline.SendError{Outcome: pipeline.Reject, Reason: "no"}),
			[][]string{{"a", "b", "c", "d"}}, []string{"a", "b", "c", "d"}},
		{"split", first(&pipeline.SendError{Outcome: pipeline.Split}),
			[][]string{{"a", "b", "c", "d"}, {"a", "b"}, {"c", "d"}}, nil},
		{
			"split until there is nothing to split", func(_ int, lines []string) error {
				if slices.Contains(lines, "b") {
					return &pipeline.SendError{Outcome: pipeline.Split, Status: 413, Reason: "too large"}
				}
				return nil
			},
			[][]string{{"a", "b", "c", "d"}, {"a", "b"}, {"a"}, {"b"}, {"c", "d"}},
			[]string{"b"},
		},
		{
			"bisect", func(_ int, lines []string) error {
				if slices.Contains(lines, "c") {
					return &pipeline.SendError{Outcome: pipeline.Bisect, Status: 400, Reason: "something is bad"}
				}
				return nil
			},
			[][]string{{"a", "b", "c", "d"}, {"a", "b"}, {"c", "d"}, {"c"}, {"d"}},
			[]string{"c"},
		},
		{"items rejected", first(&pipeline.SendError{Items: []pipeline.ItemError{reject(1), reject(3)}}),
			[][]string{{"a", "b", "c", "d"}}, []string{"b", "d"}},
		{"items mixed", first(&pipeline.SendError{Items: []pipeline.ItemError{retry(0), reject(1), retry(3)}}),
			[][]string{{"a", "b", "c", "d"}, {"a", "d"}}, []string{"b"}},
		{"items that are not there", first(&pipeline.SendError{Items: []pipeline.ItemError{retry(-1), retry(9),
			retry(2)}}), [][]string{{"a", "b", "c", "d"}, {"c"}}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				to := &destination{answer: test.answer}
				r := newRig(t, to, nil)
				r.run(func(ctx context.Context) { r.put(ctx, source(1), "a", "b", "c", "d") })
				r.allDone()
				if diff := cmp.Diff(test.bodies, to.bodies); diff != "" {
					t.Errorf("requests: -want +got\n%s", diff)
				}
				var letters []string
				for _, l := range r.letters.letters {
					letters = append(letters, l.Record)
				}
				if diff := cmp.Diff(test.letters, letters); diff != "" {
					t.Errorf("dead letters: -want +got\n%s", diff)
				}
				if sum := len(to.stored) + len(letters); sum != 4 {
					t.Errorf("%d records stored or rejected, want 4", sum)
				}
				c := r.d.Counts()
				if c.Delivered != uint64(len(to.stored)) || c.Rejected != uint64(len(letters)) {
					t.Errorf("counts: %+v", c)
				}
			})
		})
	}
}

// TestFaultsAtRandom lets a destination answer anything, and holds what it stored and what became
// dead letters against what was sent.
func TestFaultsAtRandom(t *testing.T) {
	for seed := range uint64(50) {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 0))
			to := &destination{limits: pipeline.Limits{Records: 7, InOrder: true}}
			answers := rand.New(rand.NewPCG(seed, 1))
			to.answer = func(_ int, lines []string) error { return randomAnswer(answers, len(lines)) }
			r := newRig(t, to, func(s *pipeline.OutputSettings) { s.Lanes = 3; s.Queue = 64 })
			var want []string
			r.run(func(ctx context.Context) {
				want = r.putAtRandom(ctx, rnd, nil)
			})
			r.allDone()
			r.wantEndedOnce(seed, want, to.stored)
		})
	}
}

// putAtRandom puts batches of some lines, each of one of a few sources, and returns the lines.
// change may make another of a line.
func (r *rig) putAtRandom(ctx context.Context, rnd *rand.Rand, change func(line string) string) (all []string) {
	sources := []*event.Source{source(1), source(2), source(3), source(4)}
	for i := range 40 {
		var lines []string
		for k := range rnd.IntN(6) {
			line := fmt.Sprintf("%03d-%d", i, k)
			if change != nil {
				line = change(line)
			}
			lines = append(lines, line)
		}
		r.put(ctx, sources[rnd.IntN(len(sources))], lines...)
		all = append(all, lines...)
	}
	return all
}

// wantEndedOnce checks that each line, in ascending order, is stored or a dead letter, once.
func (r *rig) wantEndedOnce(seed uint64, want, stored []string) {
	r.t.Helper()
	got := slices.Clone(stored)
	for _, l := range r.letters.letters {
		got = append(got, l.Record)
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		r.t.Errorf("seed %d: -want +got\n%.2000s", seed, diff)
	}
}

func randomAnswer(rnd *rand.Rand, n int) error {
	outcome := pipeline.Outcome(rnd.IntN(5))
	switch rnd.IntN(4) {
	case 0:
		return &pipeline.SendError{Outcome: outcome, Reason: "whole"}
	case 1:
		var items []pipeline.ItemError
		for i := range n {
			if rnd.IntN(2) == 0 {
				items = append(items, pipeline.ItemError{Index: i,
					Outcome: []pipeline.Outcome{pipeline.Retry, pipeline.Hold, pipeline.Reject}[rnd.IntN(3)]})
			}
		}
		if items != nil {
			return &pipeline.SendError{Items: items}
		}
	}
	return nil
}

func TestOrderWithinASourceHoldsThroughRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &destination{limits: pipeline.Limits{Records: 3}}
		to.answer = func(try int, _ []string) error {
			if try%2 == 1 {
				return &pipeline.SendError{Outcome: pipeline.Retry}
			}
			return nil
		}
		r := newRig(t, to, nil)
		want := numbered(20)
		r.run(func(ctx context.Context) {
			src := source(1)
			for i := range 4 {
				r.put(ctx, src, want[5*i:5*i+5]...)
			}
		})
		if diff := cmp.Diff(want, to.stored); diff != "" {
			t.Error(diff)
		}
	})
}

func TestIdleOutputSendsAtOnceAndThenLingers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &destination{}
		r := newRig(t, to, nil)
		start := time.Now()
		r.run(func(ctx context.Context) {
			src := source(1)
			for i := range 10 {
				r.put(ctx, src, fmt.Sprint(i))
				time.Sleep(11 * time.Millisecond)
			}
			time.Sleep(time.Second)
		})
		if first := to.at[0].Sub(start); first != 0 {
			t.Errorf("the first record left after %v", first)
		}
		want := [][]string{{"0"}, {"1", "2", "3", "4"}, {"5", "6", "7", "8", "9"}}
		if diff := cmp.Diff(want, to.bodies); diff != "" {
			t.Error(diff)
		}
	})
}

func TestPauses(t *testing.T) {
	settings := pipeline.RetrySettings{Initial: pipeline.Duration(100 * time.Millisecond),
		Max: pipeline.Duration(time.Second)}
	within := func(t *testing.T, got, low, high time.Duration) {
		t.Helper()
		if got < low || got > high {
			t.Errorf("pause of %v, want %v to %v", got, low, high)
		}
	}
	b := pauses{settings: settings}
	for _, whole := range []time.Duration{100, 200, 400, 800, 1000, 1000} {
		within(t, b.next(&pipeline.SendError{}), whole*time.Millisecond/2, whole*time.Millisecond)
	}
	for range 100 {
		b.next(&pipeline.SendError{})
	}
	within(t, b.next(&pipeline.SendError{}), time.Second/2, time.Second)
	if got := b.next(&pipeline.SendError{RetryAfter: 7 * time.Second}); got != 7*time.Second {
		t.Errorf("pause of %v, want the 7s that were asked for", got)
	}
	b.Reset()
	within(t, b.next(&pipeline.SendError{Outcome: pipeline.Hold}), time.Second/2, time.Second)
}

func TestFullLaneBlocksAndOthersGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		free := make(chan struct{})
		to := &destination{limits: pipeline.Limits{Records: 1}}
		r := newRig(t, to, func(s *pipeline.OutputSettings) { s.Queue = 2; s.Lanes = 2 })
		r.d.Output = blocking{to, free}
		done := make(chan struct{})
		go func() { r.d.Run(t.Context()); close(done) }()
		slow, quick := source(2), source(1)
		blocked, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for range 10 {
			r.put(blocked, slow, "slow")
		}
		if blocked.Err() == nil {
			t.Error("a lane with nowhere to go took ten bodies")
		}
		r.put(t.Context(), quick, "quick")
		synctest.Wait()
		if diff := cmp.Diff([]string{"quick"}, to.stored); diff != "" {
			t.Error(diff)
		}
		close(free)
		r.d.Finish()
		<-done
	})
}

// blocking holds back bodies of "slow" until free is closed.
type blocking struct {
	*destination
	free chan struct{}
}

func (b blocking) Send(ctx context.Context, body *pipeline.Body) error {
	if string(body.Item(0)) == "slow" {
		<-b.free
	}
	return b.destination.Send(ctx, body)
}

func TestFilter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &destination{}
		r := newRig(t, to, func(s *pipeline.OutputSettings) { s.Filter.Level = "warn" })
		r.run(func(ctx context.Context) {
			r.put(ctx, source(1), "info a", "warn b", "none c", "fatal d", "debug e")
		})
		r.allDone()
		if diff := cmp.Diff([]string{"warn b", "fatal d"}, to.stored); diff != "" {
			t.Error(diff)
		}
		if c := r.d.Counts(); c.Filtered != 3 {
			t.Errorf("counts: %+v", c)
		}
	})
}

func TestWhatTransformsAndParsersDecided(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &destination{}
		r := newRig(t, to, nil)
		r.d.Number = 3
		r.run(func(ctx context.Context) {
			r.put(ctx, source(1), "a", "dropped", "elsewhere", "rejected", "only others", "b")
		})
		r.allDone()
		if diff := cmp.Diff([]string{"a", "only others", "b"}, to.stored); diff != "" {
			t.Error(diff)
		}
		if c := r.d.Counts(); c.Filtered != 2 || c.Rejected != 1 {
			t.Errorf("counts: %+v", c)
		}
		letters := r.letters.letters
		if len(letters) != 1 || letters[0].Record != "rejected" || !strings.Contains(letters[0].Reason, "on_error") {
			t.Errorf("dead letters: %+v", letters)
		}
	})
}

func TestLabelPatterns(t *testing.T) {
	for _, test := range []struct {
		pattern, value string
		want           bool
	}{
		{"web", "web", true}, {"web", "web-1", false}, {"web-*", "web-1", true}, {"*", "", true},
		{"*-1", "web-1", true}, {"a*b*c", "aXbYc", true}, {"a*b*c", "acb", false},
		{"aa*aa", "aaa", false}, {"", "", true}, {"", "x", false},
	} {
		if got := pipeline.Match(test.pattern, test.value); got != test.want {
			t.Errorf("%q matches %q: %v, want %v", test.pattern, test.value, got, test.want)
		}
	}
}

func TestSkipsWhatAnEarlierRunDid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &destination{}
		r := newRig(t, to, nil)
		src := source(1)
		r.tracks[src] = &track{t: t, done: map[uint64]bool{}, skip: map[uint64]bool{5: true, 25: true}}
		r.run(func(ctx context.Context) { r.put(ctx, src, "a", "b", "c", "d") })
		r.allDone()
		if diff := cmp.Diff([]string{"b", "d"}, to.stored); diff != "" {
			t.Error(diff)
		}
	})
}

func TestRejectedRecordsWaitUntilTheyCanBeKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &destination{answer: func(int, []string) error {
			return &pipeline.SendError{Outcome: pipeline.Reject, Reason: "no"}
		}}
		r := newRig(t, to, nil)
		r.letters.fail = errors.New("disk full")
		r.run(func(ctx context.Context) {
			src := source(1)
			r.put(ctx, src, "a")
			time.Sleep(time.Minute)
			if n := len(r.tracks[src].done); n > 0 {
				t.Errorf("%d positions of a rejected record are done before it is kept", n)
			}
			r.letters.mu.Lock()
			r.letters.fail = nil
			r.letters.mu.Unlock()
		})
		r.allDone()
		if len(r.letters.letters) != 1 {
			t.Errorf("%d dead letters, want 1", len(r.letters.letters))
		}
	})
}

func TestStopLeavesTheRestUndone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &destination{answer: func(int, []string) error {
			return &pipeline.SendError{Outcome: pipeline.Retry, Reason: "away"}
		}}
		r := newRig(t, to, nil)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { r.d.Run(ctx); close(done) }()
		src := source(1)
		r.put(ctx, src, "a", "b")
		time.Sleep(time.Minute)
		stop()
		<-done
		if n := len(r.tracks[src].done); n > 0 {
			t.Errorf("%d positions are done, though nothing was stored", n)
		}
		if len(r.health) == 0 || r.health[len(r.health)-1] == nil {
			t.Error("the output looks healthy though nothing was stored")
		}
	})
}

// TestGenerationsShareALane: what a rotated file goes on as takes the same way, so that its lines
// arrive behind those of the file before, in every run.
func TestGenerationsShareALane(t *testing.T) {
	r := newRig(t, &destination{}, func(s *pipeline.OutputSettings) { s.Lanes = 64 })
	lanes := map[*lane]bool{}
	for id := range event.SourceID(20) {
		lanes[r.d.laneOf(event.NewSource(id, "app", "/var/log/app.log", nil))] = true
	}
	if len(lanes) != 1 {
		t.Errorf("the generations of a file have %d lanes", len(lanes))
	}
	for id := range event.SourceID(200) {
		lanes[r.d.laneOf(event.NewSource(id, "app", fmt.Sprintf("/var/log/app-%d.log", id), nil))] = true
	}
	if len(lanes) < 40 {
		t.Errorf("200 files have %d lanes of 64", len(lanes))
	}
}
