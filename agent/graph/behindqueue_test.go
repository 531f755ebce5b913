package graph

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestBehindQueueAgainstASlice: whatever becomes due, is put back or must hurry, the next is that
// which a look at all of them finds.
func TestBehindQueueAgainstASlice(t *testing.T) {
	for seed := range uint64(50) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		now := time.Unix(1000, 0)
		var q behindQueue
		var all []*behindRoute // by order of adding
		sources := []*openSource{{}, {}, {}, {}, {}}
		best := func() *behindRoute {
			due := slices.DeleteFunc(slices.Clone(all), func(r *behindRoute) bool { return r.turn.due.After(now) })
			slices.SortStableFunc(due, func(a, b *behindRoute) int { return a.turn.due.Compare(b.turn.due) })
			i := slices.IndexFunc(due, func(r *behindRoute) bool { return r.of.leaving.Load() })
			if len(due) == 0 {
				return nil
			}
			return due[max(i, 0)]
		}
		for step := range 300 {
			now = now.Add(time.Duration(rnd.IntN(3)) * time.Second)
			switch rnd.IntN(5) {
			case 0, 1:
				r := &behindRoute{of: sources[rnd.IntN(len(sources))]}
				r.retryAt = now.Add(time.Duration(rnd.IntN(9)-4) * time.Second)
				q.add(r, now)
				all = append(all, r)
			case 2, 3:
				want := best()
				got, wait := q.next(now)
				if got != want || got == nil && wait <= 0 {
					t.Fatalf("seed %d, step %d: got %p, want %p; wait %v", seed, step, got, want, wait)
				}
				all = slices.DeleteFunc(all, func(r *behindRoute) bool { return r == got })
			case 4:
				if rnd.IntN(10) > 0 {
					continue
				}
				o := sources[rnd.IntN(len(sources))]
				o.leaving.Store(true)
				q.hurry(o)
			}
			if q.len() != len(all) {
				t.Fatalf("seed %d, step %d: %d are queued, want %d", seed, step, q.len(), len(all))
			}
		}
	}
}

// TestManySourcesBehind: what it costs to find the next hardly grows with their number.
func TestManySourcesBehind(t *testing.T) {
	steps := func(n int) int {
		var q behindQueue
		now := time.Unix(1000, 0)
		for i := range n {
			r := &behindRoute{of: &openSource{}}
			if i%2 > 0 { // the worker is in the middle of a record, say
				r.retryAt = now.Add(time.Duration(i) * time.Millisecond)
			}
			q.add(r, now)
			if i%3 == 0 {
				r.of.leaving.Store(true)
				q.hurry(r.of)
			}
		}
		for range 3 { // each is read in several slices
			for range n {
				now = now.Add(time.Millisecond)
				if r, _ := q.next(now); r != nil {
					q.add(r, now)
				}
			}
		}
		return q.leaving.compared + q.usual.compared
	}
	few, many := steps(2_000), steps(20_000)
	t.Logf("%d comparisons for 2,000 sources, %d for 20,000", few, many)
	if many > 20*few {
		t.Errorf("ten times as many sources took %d times the comparisons", many/few)
	}
}
