package deliver

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// shelf is a spool in memory.
type shelf struct {
	bodies []*Body
	given  int
	done   int // bodies of which all is done
	room   func() bool
	old    int // bodies from an earlier process
}

func (s *shelf) Append(b *Body) error {
	if s.room != nil && !s.room() {
		return errors.New("full")
	}
	kept := NewBody()
	copyItems(kept, b, func(int) bool { return true })
	s.bodies = append(s.bodies, kept)
	return nil
}

func (s *shelf) Next(b *Body) (earlier, ok bool, err error) {
	if s.Len() == 0 {
		return false, false, nil
	}
	copyItems(b, s.bodies[s.given], func(int) bool { return true })
	note := &receipt{shelf: s}
	for i := range b.Runs {
		b.Runs[i].Track = note
		note.left += b.Runs[i].To - b.Runs[i].From
	}
	s.given++
	return s.given <= s.old, true, nil
}

func (s *shelf) Len() int { return len(s.bodies) - s.given }

// receipt counts what of a body is not done.
type receipt struct {
	shelf *shelf
	left  uint64
}

func (r *receipt) Done(from, to uint64) {
	if r.left -= to - from; r.left == 0 {
		r.shelf.done++
	}
}
func (r *receipt) Skip(uint64) bool      { return false }
func (r *receipt) Uncertain(uint64) bool { return false }
func (r *receipt) Reserve(uint64) error  { return nil }

func newShelfRig(t *testing.T, to *destination, s *shelf, change func(*Options)) *rig {
	r := newRig(t, to, func(set *pipeline.OutputSettings) { set.Queue = 64; set.Batch.Records = 3 })
	o := r.d.Options
	o.Spool = func(int) Spool { return s }
	o.SpoolAfter = time.Second
	if change != nil {
		change(&o)
	}
	r.d = New(o)
	return r
}

// TestALongOutageGoesToDisk: sources are acknowledged while the destination is away, and all
// arrives in order when it is back.
func TestALongOutageGoesToDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var back atomic.Bool
		to := &destination{}
		to.answer = func(int, []string) error {
			if !back.Load() {
				return &pipeline.SendError{Outcome: pipeline.Retry, Reason: "away"}
			}
			return nil
		}
		s := &shelf{}
		r := newShelfRig(t, to, s, nil)
		want := numbered(300)
		r.run(func(ctx context.Context) {
			src := source(1)
			for i := range 100 {
				r.put(ctx, src, want[3*i:3*i+3]...)
			}
			time.Sleep(time.Second)
			synctest.Wait()
			if n := len(r.tracks[src].done); n < 2500 {
				t.Errorf("%d of 3000 positions are done while the destination is away: the source is held back", n)
			}
			back.Store(true)
		})
		r.allDone()
		if diff := cmp.Diff(want, to.stored); diff != "" {
			t.Error(diff)
		}
		if s.done != len(s.bodies) || s.done == 0 {
			t.Errorf("%d of %d spooled bodies are done", s.done, len(s.bodies))
		}
	})
}

func TestAShortPauseDoesNotGoToDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &destination{}
		to.answer = func(try int, _ []string) error {
			if try == 1 {
				return &pipeline.SendError{Outcome: pipeline.Retry, RetryAfter: 900 * time.Millisecond}
			}
			return nil
		}
		s := &shelf{}
		r := newShelfRig(t, to, s, nil)
		r.run(func(ctx context.Context) {
			for range 20 {
				r.put(ctx, source(1), "a", "b", "c")
			}
		})
		r.allDone()
		if len(s.bodies) > 0 {
			t.Errorf("%d bodies went to disk", len(s.bodies))
		}
	})
}

// TestWhatIsWaitedForGoesToDisk: the little that somebody waits for does not wait in memory for a
// destination that is away, and all arrives in order.
func TestWhatIsWaitedForGoesToDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var back atomic.Bool
		to := &destination{}
		to.answer = func(int, []string) error {
			if !back.Load() {
				return &pipeline.SendError{Outcome: pipeline.Retry, Reason: "away"}
			}
			return nil
		}
		s := &shelf{}
		r := newShelfRig(t, to, s, func(o *Options) {
			o.WaitedFor, o.HurriedSpoolAfter, o.SpoolAfter = true, 500*time.Millisecond, time.Hour
		})
		want := numbered(20)
		r.run(func(ctx context.Context) {
			src := source(1)
			for i, line := range want {
				r.put(ctx, src, line)
				time.Sleep(600 * time.Millisecond)
				synctest.Wait()
				if n := len(r.tracks[src].done); n != 10*(i+1) {
					t.Fatalf("after line %d there are %d positions done, want %d", i, n, 10*(i+1))
				}
			}
			back.Store(true)
		})
		r.allDone()
		if diff := cmp.Diff(want, to.stored); diff != "" {
			t.Error(diff)
		}
	})
}

// TestHurryGoesToDisk: while an input hurries, a full lane goes to disk soon. When it no longer
// does, sources wait again, and all arrives in order in the end.
func TestHurryGoesToDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var back atomic.Bool
		to := &destination{}
		to.answer = func(int, []string) error {
			if !back.Load() {
				return &pipeline.SendError{Outcome: pipeline.Retry, Reason: "away"}
			}
			return nil
		}
		s := &shelf{}
		r := newShelfRig(t, to, s, func(o *Options) {
			o.SpoolAfter, o.HurriedSpoolAfter = time.Hour, 100*time.Millisecond
		})
		want, src := numbered(300), source(1)
		r.run(func(ctx context.Context) {
			put := make(chan int)
			go func() {
				defer close(put)
				for i := range 100 {
					r.put(ctx, src, want[3*i:3*i+3]...)
					put <- i
				}
			}()
			heldUp := func() (last int) {
				for last = -1; ; {
					select {
					case i, ok := <-put:
						if !ok {
							return last
						}
						last = i
					case <-time.After(time.Second):
						return last
					}
				}
			}
			n := heldUp()
			synctest.Wait()
			if n > 10 || len(s.bodies) > 0 {
				t.Errorf("%d batches are taken, %d bodies are on disk before the input hurries", n, len(s.bodies))
			}
			r.d.Hurry(true)
			for range 30 {
				<-put
			}
			r.d.Hurry(false)
			n = heldUp()
			synctest.Wait()
			if n > 50 || len(s.bodies) == 0 {
				t.Errorf("%d batches are taken, %d bodies are on disk after it has hurried", n, len(s.bodies))
			}
			back.Store(true)
			for range put { // the pause may be longer than heldUp waits
			}
		})
		r.allDone()
		if diff := cmp.Diff(want, to.stored); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAFullSpoolHoldsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &destination{answer: func(int, []string) error {
			return &pipeline.SendError{Outcome: pipeline.Retry, Reason: "away"}
		}}
		s := &shelf{}
		s.room = func() bool { return len(s.bodies) < 2 }
		r := newShelfRig(t, to, s, nil)
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		done := make(chan struct{})
		go func() { r.d.Run(ctx); close(done) }()
		src := source(1)
		for range 100 {
			r.put(ctx, src, "a", "b", "c")
		}
		<-done
		if n := len(r.tracks[src].done); n != 60 {
			t.Errorf("%d positions are done, want the 60 of two bodies on disk", n)
		}
	})
}

func TestWhatAnEarlierRunLeftIsAskedForAndSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{old: 2}
		for _, lines := range [][]string{{"a", "b"}, {"c"}} {
			b := &Body{Runs: Runs{{Source: source(9), To: uint64(len(lines))}}}
			for i, line := range lines {
				b.Bytes = append(b.Bytes, line...)
				b.Items = append(b.Items, pipeline.Item{Pos: uint64(i), End: uint32(len(b.Bytes))})
			}
			s.bodies = append(s.bodies, b)
		}
		to := &library{destination: &destination{stored: []string{"a"}}}
		r := newShelfRig(t, to.destination, s, func(o *Options) { o.Output = to })
		r.run(func(ctx context.Context) { r.put(ctx, source(1), "d") })
		if diff := cmp.Diff([]string{"a", "b", "c", "d"}, to.stored); diff != "" {
			t.Error(diff)
		}
		if c := r.d.Counts(); c.Restored != 3 || c.Delivered != 4 || s.done != 2 {
			t.Errorf("%d bodies done, counts: %+v", s.done, c)
		}
	})
}

// TestSpillingAtRandom mixes a destination that fails in every way with a spool that is full now
// and then: each record arrives once, and in order where nothing was rejected.
func TestSpillingAtRandom(t *testing.T) {
	for seed := range uint64(50) {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 0))
			answers := rand.New(rand.NewPCG(seed, 1))
			to := &library{destination: &destination{}}
			to.answer = func(_ int, lines []string) error { return randomAnswer(answers, len(lines)) }
			to.loses = func(int) bool { return answers.IntN(3) == 0 }
			room := rand.New(rand.NewPCG(seed, 2))
			s := &shelf{room: func() bool { return room.IntN(3) > 0 }}
			r := newShelfRig(t, to.destination, s,
				func(o *Options) { o.Output = to; o.SpoolAfter = time.Duration(seed%3) * 100 * time.Millisecond })
			var want []string
			r.run(func(ctx context.Context) {
				sources := []*event.Source{source(1), source(2), source(3)}
				for i := range 60 {
					var lines []string
					for k := range rnd.IntN(6) {
						lines = append(lines, fmt.Sprintf("%03d-%d", i, k))
					}
					r.put(ctx, sources[rnd.IntN(len(sources))], lines...)
					want = append(want, lines...)
				}
			})
			r.allDone()
			if s.done != len(s.bodies) {
				t.Errorf("seed %d: %d of %d spooled bodies are done", seed, s.done, len(s.bodies))
			}
			r.wantEndedOnce(seed, want, to.stored)
		})
	}
}

// TestWhatRidesWithOthersIsNotAllOnDisk: a body of which a part is on disk only is one that a stop
// must not pass over.
func TestWhatRidesWithOthersIsNotAllOnDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newShelfRig(t, &destination{}, &shelf{}, nil)
		fromDisk := func() *Body {
			b := NewBody()
			b.Bytes, b.Items, b.spooled = []byte("x"), []pipeline.Item{{Pos: 1, End: 1}}, true
			b.Runs = Runs{{Source: source(1), Track: &receipt{shelf: &shelf{}, left: 1}, From: 1, To: 2}}
			return b
		}
		busy := &pipeline.SendError{Status: 429, Reason: "busy"}
		l := newLane(r.d)
		l.ride(fromDisk(), busy)
		l.ride(fromDisk(), busy)
		if !l.open.spooled || len(l.open.Items) != 2 {
			t.Error("what is on disk is taken for what is not")
		}
		l.startRun(source(2), &track{t: t}, 7)
		if l.open.spooled {
			t.Error("what comes in is taken for what is on disk")
		}
		l.ride(fromDisk(), busy)
		if l.open.spooled || len(l.open.Items) != 3 {
			t.Error("what came in is taken for what is on disk, as that rides with it")
		}
	})
}
