package deliver

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/pipeline"
)

// library is a destination that can be asked what it holds.
type library struct {
	*destination
	loses func(try int) bool // the acknowledgement of this try
	ask   func() error
	asks  int
}

func (l *library) Encoder() pipeline.Encoder { return l.destination }

func (l *library) Send(ctx context.Context, b *pipeline.Body) error {
	err := l.destination.Send(ctx, b)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.loses != nil && l.loses(l.tries) {
		return &pipeline.SendError{Outcome: pipeline.Retry, Uncertain: true, Reason: "timeout"}
	}
	return err
}

func (l *library) Stored(_ context.Context, b *pipeline.Body, stored []bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asks++
	if l.ask != nil {
		if err := l.ask(); err != nil {
			return err
		}
	}
	for i := range b.Items {
		stored[i] = slices.Contains(l.destination.stored, string(b.Item(i)))
	}
	return nil
}

func newLibrary(t *testing.T, change func(*pipeline.OutputSettings)) (*library, *rig) {
	to := &library{destination: &destination{}}
	r := newRig(t, to.destination, change)
	o := r.d.Options
	o.Output = to
	r.d = New(o)
	return to, r
}

func TestLostAcknowledgementsAreAskedFor(t *testing.T) {
	tests := []struct {
		name   string
		ask    func(to *library) func() error
		want   []string
		repeat bool
	}{
		{"nothing is sent twice", nil, []string{"a", "b"}, false},
		{"asking is tried again", func(to *library) func() error {
			return func() error {
				if to.asks < 4 {
					return &pipeline.SendError{Outcome: pipeline.Retry, Reason: "busy"}
				}
				return nil
			}
		}, []string{"a", "b"}, false},
		{"who cannot be asked may get it twice", func(*library) func() error {
			return func() error { return fmt.Errorf("queries are off: %w", pipeline.ErrUnknowable) }
		}, []string{"a", "b", "a", "b"}, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				to, r := newLibrary(t, nil)
				to.loses = func(try int) bool { return try == 1 }
				if test.ask != nil {
					to.ask = test.ask(to)
				}
				r.run(func(ctx context.Context) { r.put(ctx, source(1), "a", "b") })
				r.allDone()
				if diff := cmp.Diff(test.want, to.stored); diff != "" {
					t.Error(diff)
				}
				c := r.d.Counts()
				if c.Delivered != 2 || (c.Reconciled == 2) == test.repeat {
					t.Errorf("counts: %+v", c)
				}
			})
		})
	}
}

func TestUncertainRecordsOfAnEarlierRunAreAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to, r := newLibrary(t, nil)
		to.stored = []string{"a", "c"}
		src := source(1)
		r.tracks[src] = &track{t: t, done: map[uint64]bool{}, unsure: map[uint64]bool{5: true, 15: true, 25: true}}
		start := time.Now()
		r.run(func(ctx context.Context) { r.put(ctx, src, "a", "b", "c", "d") })
		r.allDone()
		if diff := cmp.Diff([]string{"a", "c", "b", "d"}, to.stored); diff != "" {
			t.Error(diff)
		}
		if took := time.Since(start); took < reconcileDelay {
			t.Errorf("it was asked after %v: what the earlier run sent may still be under way", took)
		}
	})
}

// TestExactlyOnceAtRandom lets a destination fail in every way, lose acknowledgements of what it
// stored among them: each record is there once.
func TestExactlyOnceAtRandom(t *testing.T) {
	for seed := range uint64(50) {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 0))
			answers := rand.New(rand.NewPCG(seed, 1))
			to, r := newLibrary(t, func(s *pipeline.OutputSettings) { s.Lanes, s.Queue, s.Batch.Records = 3, 64, 7 })
			to.answer = func(_ int, lines []string) error { return randomAnswer(answers, len(lines)) }
			to.loses = func(int) bool { return answers.IntN(3) == 0 }
			to.ask = func() error {
				if answers.IntN(4) == 0 {
					return errors.New("reset")
				}
				return nil
			}
			var want []string
			r.run(func(ctx context.Context) {
				want = r.putAtRandom(ctx, rnd, nil)
			})
			r.allDone()
			r.wantEndedOnce(seed, want, to.stored)
		})
	}
}

// TestHalvesOfAnUncertainBodyAreAskedFor: of a request that was too large for one part of the
// destination, another may have taken some.
func TestHalvesOfAnUncertainBodyAreAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to, r := newLibrary(t, nil)
		to.answer = func(try int, lines []string) error {
			if try > 1 {
				return nil
			}
			to.stored = append(to.stored, "b", "c")
			return &pipeline.SendError{Outcome: pipeline.Split, Uncertain: true, Status: 500, Reason: "larger than max"}
		}
		r.run(func(ctx context.Context) { r.put(ctx, source(1), "a", "b", "c", "d") })
		r.allDone()
		if diff := cmp.Diff([]string{"b", "c", "a", "d"}, to.stored); diff != "" {
			t.Error(diff)
		}
		if c := r.d.Counts(); to.asks != 2 || c.Reconciled != 2 || c.Delivered != 4 {
			t.Errorf("asked %d times: %+v", to.asks, c)
		}
	})
}

// TestLateAnswerIsCheckedAgain: a destination that stood still answers as soon as it goes on, and
// has by then not yet stored what it was sent before.
func TestLateAnswerIsCheckedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to, r := newLibrary(t, nil)
		stands := &standing{library: to}
		o := r.d.Options
		o.Output = stands
		r.d = New(o)
		r.run(func(ctx context.Context) {
			r.put(ctx, source(1), "a", "b")
			time.Sleep(time.Minute)
		})
		r.allDone()
		if diff := cmp.Diff([]string{"a", "b"}, to.stored); diff != "" {
			t.Error(diff)
		}
		if to.asks != 2 {
			t.Errorf("it was asked %d times", to.asks)
		}
	})
}

// standing stands still from its first request on, until some time into the first question.
type standing struct {
	*library
	moving bool
}

func (s *standing) Send(ctx context.Context, b *pipeline.Body) error {
	if s.moving {
		return s.library.Send(ctx, b)
	}
	late := &pipeline.Body{Bytes: slices.Clone(b.Bytes), Items: slices.Clone(b.Items), Groups: slices.Clone(b.Groups)}
	time.AfterFunc(4*time.Second, func() { _ = s.library.Send(ctx, late) })
	return &pipeline.SendError{Outcome: pipeline.Retry, Uncertain: true, Reason: "timeout"}
}

func (s *standing) Stored(ctx context.Context, b *pipeline.Body, stored []bool) error {
	if !s.moving {
		s.moving = true
		time.Sleep(3*time.Second - reconcileDelay/2)
	}
	return s.library.Stored(ctx, b, stored)
}

func TestNothingIsSentBeforeItIsReserved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &destination{}
		r := newRig(t, to, nil)
		src := source(1)
		to.answer = func(int, []string) error {
			if got := r.tracks[src].reserved; got < 20 {
				t.Errorf("records up to 20 are sent, and reserved up to %d", got)
			}
			return nil
		}
		r.run(func(ctx context.Context) { r.put(ctx, src, "a", "b") })
		r.allDone()
	})
}
