package deliver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/pipeline"
)

// A troubled destination fails one in ten of its requests and questions, does not acknowledge
// another that it has stored, and turns away one record in fifty of the others.
type troubled struct {
	*destination
	harmless bool // it takes nothing twice

	mu        sync.Mutex
	has       map[string]int
	requests  int
	questions int
	records   int
	last      time.Time
	gap       time.Duration // the longest time without a request or question
}

const troubledTakes = 5 * time.Millisecond

func (d *troubled) begin() {
	now := time.Now()
	if !d.last.IsZero() {
		d.gap = max(d.gap, now.Sub(d.last))
	}
	d.last = now
}

func (d *troubled) Send(_ context.Context, b *pipeline.Body) error {
	time.Sleep(troubledTakes)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.begin()
	d.requests++
	if d.requests%10 == 3 {
		return &pipeline.SendError{Outcome: pipeline.Retry, Uncertain: true, Status: 500, Reason: "internal error"}
	}
	var refused []pipeline.ItemError
	for i := range b.Items {
		line := string(b.Item(i))
		d.records++
		switch {
		case d.records%50 == 0:
			refused = append(refused, pipeline.ItemError{Index: i, Status: 429, Reason: "busy"})
		case !d.harmless || d.has[line] == 0:
			d.has[line]++
			d.stored = append(d.stored, line)
		}
	}
	switch {
	case d.requests%10 == 7:
		return &pipeline.SendError{Outcome: pipeline.Retry, Uncertain: true, Reason: "reset"}
	case refused != nil:
		return &pipeline.SendError{Items: refused, Status: 429, Reason: "busy"}
	}
	return nil
}

func (d *troubled) Stored(_ context.Context, b *pipeline.Body, stored []bool) error {
	time.Sleep(troubledTakes)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.begin()
	d.questions++
	if d.questions%10 == 5 {
		return errors.New("reset")
	}
	for i := range b.Items {
		stored[i] = d.has[string(b.Item(i))] > 0
	}
	return nil
}

func (d *troubled) RepeatsAreHarmless(*pipeline.Body) bool { return d.harmless }

// TestALittleTroubleHoldsNothingUp: while a destination stores most of what it gets, no pause
// grows, nothing is sent much more often than it has to be, and all is there soon after the last
// record.
func TestALittleTroubleHoldsNothingUp(t *testing.T) {
	tests := []struct {
		name              string
		inOrder, harmless bool
		requests          int // at most, where 400 batches come
		gap, after        time.Duration
	}{
		{"no order, and repeats are harmless", false, true, 450, 500 * time.Millisecond, time.Second},
		{"no order", false, false, 250, 1100 * time.Millisecond, 5 * time.Second},
		{"in order", true, false, 350, 1100 * time.Millisecond, 30 * time.Second},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				to := &troubled{destination: &destination{limits: pipeline.Limits{Records: 200, InOrder: test.inOrder}},
					harmless: test.harmless, has: map[string]int{}}
				r := newRig(t, to.destination, func(s *pipeline.OutputSettings) { s.Queue = 1 << 16 })
				o := r.d.Options
				o.Output = to
				r.d = New(o)
				want := numbered(20_000)
				var last time.Time
				r.run(func(ctx context.Context) {
					for lines := range slices.Chunk(want, 50) {
						r.put(ctx, source(1), lines...)
						time.Sleep(100 * time.Millisecond)
					}
					last = time.Now()
				})
				r.allDone()
				got := slices.Sorted(slices.Values(to.stored))
				slices.Sort(want)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("-want +got\n%.500s", diff)
				}
				if to.requests > test.requests || to.gap > test.gap || time.Since(last) > test.after {
					t.Errorf("%d requests, a gap of %v, the end %v after the last record", to.requests, to.gap,
						time.Since(last))
				}
				if test.harmless && to.questions > 0 {
					t.Errorf("%d questions about what may be repeated", to.questions)
				}
			})
		})
	}
}

// TestQuestionsThatFailAreAskedSoon: while others get through, a question that fails again and
// again is not put off for longer and longer.
func TestQuestionsThatFailAreAskedSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to, r := newLibrary(t, func(s *pipeline.OutputSettings) { s.Lanes = 2 })
		to.loses = func(try int) bool { return try == 1 }
		var last time.Time
		to.ask = func() error {
			if gap := time.Since(last); !last.IsZero() && gap > 2*reconcileDelay {
				t.Errorf("question %d came after %v", to.asks, gap)
			}
			last = time.Now()
			if to.asks < 30 {
				return errors.New("reset")
			}
			return nil
		}
		r.run(func(ctx context.Context) {
			r.put(ctx, source(1), "a")
			for i := range 600 {
				time.Sleep(100 * time.Millisecond)
				r.put(ctx, source(2), fmt.Sprint(i))
			}
		})
		r.allDone()
		if to.asks != 30 || len(to.stored) != 601 {
			t.Errorf("%d questions, %d stored", to.asks, len(to.stored))
		}
	})
}

// TestTheFirstQuestionAloneWaits: what was sent may be at work until then, and not afterwards.
func TestTheFirstQuestionAloneWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const initial = 50 * time.Millisecond
		to, r := newLibrary(t, func(s *pipeline.OutputSettings) {
			s.Retry = pipeline.RetrySettings{Initial: pipeline.Duration(initial), Max: pipeline.Duration(initial)}
		})
		to.loses = func(try int) bool { return try == 1 }
		last := time.Now()
		to.ask = func() error {
			gap := time.Since(last)
			if to.asks == 1 && gap < reconcileDelay || to.asks > 1 && gap > 2*initial {
				t.Errorf("question %d comes after %v", to.asks, gap)
			}
			if last = time.Now(); to.asks < 5 {
				return errors.New("reset")
			}
			return nil
		}
		r.run(func(ctx context.Context) { r.put(ctx, source(1), "a") })
		r.allDone()
		if to.asks != 5 || len(to.stored) != 1 {
			t.Errorf("%d questions, %d stored", to.asks, len(to.stored))
		}
	})
}

// TestABusyIndexHoldsUpNoOther: while a destination takes nothing of one kind, record by record,
// what comes of another kind gets through soon, whatever bodies they make.
func TestABusyIndexHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &destination{limits: pipeline.Limits{Records: 100}}
		var busy atomic.Bool
		busy.Store(true)
		to.answer = func(_ int, lines []string) error {
			var refused []pipeline.ItemError
			for i, line := range lines {
				if busy.Load() && strings.HasPrefix(line, "busy") {
					refused = append(refused, pipeline.ItemError{Index: i, Status: 429, Reason: "queue is full"})
				}
			}
			if refused == nil {
				return nil
			}
			return &pipeline.SendError{Items: refused, Status: 429, Reason: "queue is full"}
		}
		r := newRig(t, to, nil)
		look := func() (stored, tries int, said error) {
			synctest.Wait()
			to.mu.Lock()
			defer to.mu.Unlock()
			return len(to.stored), to.tries, r.health[len(r.health)-1]
		}
		r.run(func(ctx context.Context) {
			for i := range 300 {
				r.put(ctx, source(1), fmt.Sprint("busy ", i), fmt.Sprint("busy too ", i), fmt.Sprint("free ", i))
				time.Sleep(50 * time.Millisecond)
			}
			time.Sleep(2 * time.Second)
			stored, before, said := look()
			if stored != 300 {
				t.Errorf("%d of the 300 that are free are stored 2 s after the last", stored)
			}
			if said == nil {
				t.Error("it is not told that others are refused")
			}
			time.Sleep(10 * time.Minute)
			_, after, _ := look()
			if tries := after - before; tries > 100 {
				t.Errorf("%d requests in 10 minutes in which nothing was taken", tries)
			}
			busy.Store(false)
		})
		r.allDone()
		if len(to.stored) != 900 || r.health[len(r.health)-1] != nil {
			t.Errorf("%d are stored, and it says %v", len(to.stored), r.health[len(r.health)-1])
		}
	})
}
