package deliver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// narrow is a destination that serves so many requests at a time, each in a tenth of a second, and
// has no time for more.
type narrow struct {
	*destination
	takes int // 0: any number

	at       sync.Mutex
	inFlight int
	highest  int
	busy     int
	wait     map[string]time.Duration // the longest time a source had no record stored
	last     map[string]time.Time
}

const service = 100 * time.Millisecond

func (n *narrow) Send(ctx context.Context, b *pipeline.Body) error {
	if !n.begin() {
		n.change(-1)
		return &pipeline.SendError{Outcome: pipeline.Retry, Status: 429, Reason: "busy", RetryAfter: service}
	}
	defer n.change(-1)
	select {
	case <-time.After(service):
	case <-ctx.Done():
		return ctx.Err()
	}
	n.note(b.SourceOf(0).Key)
	return n.destination.Send(ctx, b)
}

func (n *narrow) begin() bool {
	n.at.Lock()
	defer n.at.Unlock()
	n.inFlight++
	n.highest = max(n.highest, n.inFlight)
	if n.takes > 0 && n.inFlight > n.takes {
		n.busy++
		return false
	}
	return true
}

func (n *narrow) change(by int) {
	n.at.Lock()
	defer n.at.Unlock()
	n.inFlight += by
}

func (n *narrow) note(key string) {
	n.at.Lock()
	defer n.at.Unlock()
	now := time.Now()
	n.wait[key] = max(n.wait[key], now.Sub(n.last[key]))
	n.last[key] = now
}

// flood keeps every lane of an output busy for a while.
func flood(t *testing.T, to *narrow, lanes int, long time.Duration) {
	to.destination = &destination{limits: pipeline.Limits{Records: 1}}
	to.wait, to.last = map[string]time.Duration{}, map[string]time.Time{}
	r := newRig(t, to.destination, func(s *pipeline.OutputSettings) { s.Lanes, s.Queue = lanes, 64 })
	o := r.d.Options
	o.Output = to
	r.d = New(o)
	ctx, stop := context.WithTimeout(t.Context(), long)
	defer stop()
	var feeding sync.WaitGroup
	for i := range lanes {
		to.last[source(event.SourceID(i)).Key] = time.Now()
	}
	for i := range lanes {
		feeding.Go(func() { keepFeeding(ctx, t, r.d, source(event.SourceID(i))) })
	}
	r.d.Run(ctx)
	feeding.Wait()
}

func keepFeeding(ctx context.Context, t *testing.T, d *Deliverer, src *event.Source) {
	track := &track{t: t, done: map[uint64]bool{}}
	for n := uint64(0); ctx.Err() == nil; n++ {
		b := &event.Batch{}
		b.Reset(src)
		b.From, b.To = n, n+1
		b.Add(n, 1, b.PutString("info"))
		d.Expect(len(b.Records))
		d.Put(ctx, Share(b, 1, func(*event.Batch) {}), track)
	}
}

// TestConcurrencyFindsWhatTheDestinationTakes: as many requests are in flight as are served, with
// few turned away; more is stored than one after the other would be; and no lane is forgotten.
func TestConcurrencyFindsWhatTheDestinationTakes(t *testing.T) {
	const long, lanes = 100 * time.Second, 16
	for _, takes := range []int{1, 2, 3, 5, 8, 16, 0} {
		t.Run(fmt.Sprint("takes ", takes), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				to := &narrow{takes: takes}
				flood(t, to, lanes, long)
				can := takes
				if can == 0 {
					can = lanes
				}
				if to.highest > can+1 || to.highest < can {
					t.Errorf("%d requests were in flight at most", to.highest)
				}
				one := int(long / service)
				stored := len(to.stored)
				if least := one * can * 7 / 10; stored < least || stored < one*9/10 {
					t.Errorf("%d bodies are stored, one after the other would be %d", stored, one)
				}
				if to.busy*7 > stored { // every eighth round probes for more
					t.Errorf("%d requests were turned away, for %d that were served", to.busy, stored)
				}
				if len(to.wait) != lanes {
					t.Errorf("%d of %d lanes had a turn", len(to.wait), lanes)
				}
				for key, wait := range to.wait {
					if wait > 4*lanes*service {
						t.Errorf("%s waited for %v", key, wait)
					}
				}
			})
		})
	}
}

// TestConcurrencyComesDownAndUpAgain follows a destination that has less room for a while.
func TestConcurrencyComesDownAndUpAgain(t *testing.T) {
	g := newLimiter(8)
	var all []*permit
	for range 8 {
		all = append(all, g.newPermit())
	}
	answer := func(rounds int, said signal) {
		for range rounds {
			var inFlight []*permit
			for _, p := range all {
				if p.acquire() {
					inFlight = append(inFlight, p)
				}
			}
			for _, p := range inFlight {
				p.releaseAfter(said)
			}
		}
	}
	want := func(when string, limit int) {
		t.Helper()
		if got := g.current(); got != limit {
			t.Errorf("%s: a limit of %d, want %d", when, got, limit)
		}
	}
	want("at first", 2)
	answer(30, success)
	want("when all is well", 8)
	answer(1, overload)
	want("after a round of which each request was too much", 4)
	answer(1, noSignal)
	want("after errors that say nothing of it", 4)
	answer(1, overload)
	answer(5, overload)
	want("when it is always too much", 1)
	answer(20*roundsAfterDecrease, success)
	want("when all is well again", 8)
}

// TestLanesTakeTurns: the lane that waits longest is let in first; one that gives up is passed
// over.
func TestLanesTakeTurns(t *testing.T) {
	g := newLimiter(1)
	first, second, third, fourth := g.newPermit(), g.newPermit(), g.newPermit(), g.newPermit()
	if !first.acquire() || second.acquire() || third.acquire() || fourth.acquire() {
		t.Fatal("not one is let in")
	}
	second.release()
	first.releaseAfter(success)
	<-third.granted
	if first.acquire() || !third.acquire() || fourth.acquire() {
		t.Fatal("the third had its turn")
	}
	third.release()
	<-fourth.granted
	if !fourth.acquire() {
		t.Fatal("the fourth had its turn")
	}
	fourth.releaseAfter(success)
	<-first.granted
	if !first.acquire() || g.inFlight != 1 || len(g.waiting) != 0 {
		t.Errorf("%d in flight, %d wait", g.inFlight, len(g.waiting))
	}
}

// TestAnIdleOutputSendsAtOnce: what comes first waits for nobody.
func TestAnIdleOutputSendsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &destination{}
		r := newRig(t, to, func(s *pipeline.OutputSettings) { s.Lanes = 4 })
		start := time.Now()
		r.run(func(ctx context.Context) {
			r.put(ctx, source(1), "a")
			r.put(ctx, source(2), "b")
			synctest.Wait()
			if took := time.Since(start); len(to.stored) != 2 || took != 0 {
				t.Errorf("%v are stored after %v", to.stored, took)
			}
		})
	})
}

// TestBlockedLaneHoldsNoPermit: lanes that wait for room for their dead letters do not keep others
// from sending.
func TestBlockedLaneHoldsNoPermit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		free := make(chan struct{})
		to := &destination{}
		r := newRig(t, to, func(s *pipeline.OutputSettings) { s.Lanes = 5 })
		o := r.d.Options
		o.Output = blocking{to, free}
		r.d = New(o)
		r.letters.fail = errors.New("disk full")
		r.run(func(ctx context.Context) {
			sources := []*event.Source{source(0), source(1), source(2), source(3), source(4)}
			r.put(ctx, sources[0], "slow")
			r.put(ctx, sources[1], "slow")
			synctest.Wait() // they are all that may be in flight
			for _, src := range sources[2:] {
				r.put(ctx, src, "waits")
				synctest.Wait()
				r.put(ctx, src, "cannot be encoded")
			}
			close(free)
			time.Sleep(time.Minute)
			r.put(ctx, sources[0], "quick")
			time.Sleep(time.Minute)
			to.mu.Lock()
			if !slices.Contains(to.stored, "quick") {
				t.Errorf("stored: %v", to.stored)
			}
			to.mu.Unlock()
			r.letters.mu.Lock()
			r.letters.fail = nil
			r.letters.mu.Unlock()
		})
		r.allDone()
	})
}

func TestSignals(t *testing.T) {
	item := func(status int) *pipeline.SendError {
		return &pipeline.SendError{Items: []pipeline.ItemError{{Status: 400, Outcome: pipeline.Reject},
			{Status: status}}}
	}
	tests := []struct {
		name string
		err  error
		want signal
	}{
		{"stored", nil, success},
		{"429", &pipeline.SendError{Status: 429}, overload},
		{"503", &pipeline.SendError{Status: 503}, overload},
		{"504", &pipeline.SendError{Status: 504}, overload},
		{"500", &pipeline.SendError{Status: 500}, noSignal},
		{"413", &pipeline.SendError{Status: 413, Outcome: pipeline.Split}, success},
		{"401", &pipeline.SendError{Status: 401, Outcome: pipeline.Hold}, noSignal},
		{"an item's 429", item(429), overload},
		{"an item's 400", item(400), success},
		{"timeout", &pipeline.SendError{Err: fmt.Errorf("reading: %w", os.ErrDeadlineExceeded)}, overload},
		{"timeout of no kind", context.DeadlineExceeded, overload},
		{"called off", context.Canceled, noSignal},
		{"reset", errors.New("reset"), noSignal},
	}
	for _, test := range tests {
		if got := signalOf(test.err, 2); got != test.want {
			t.Errorf("%s: %d, want %d", test.name, got, test.want)
		}
	}
	if got := signalOf(item(429), 100); got != success {
		t.Errorf("one item's 429 of a hundred: %d, want %d", got, success)
	}
}

func TestConcurrencyMetric(t *testing.T) {
	reg := prometheus.NewRegistry()
	(&metrics{}).register(reg, newLimiter(4))
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "longshore_output_concurrency" && f.Metric[0].GetGauge().GetValue() == 2 {
			return
		}
	}
	t.Error("longshore_output_concurrency is not among the metrics")
}
