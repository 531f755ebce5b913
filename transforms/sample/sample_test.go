package sample

import (
	"testing"

	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

func TestConformance(t *testing.T) {
	pipetest.TestTransform(t, Spec(), "rate: 0.5")
}

func batch(id event.SourceID, n int, trace func(i int) byte) *event.Batch {
	b := &event.Batch{}
	b.Reset(event.NewSource(id, "app", "k", nil))
	for i := range n {
		r := b.Add(uint64(i), 1, b.PutString("x"))
		if trace != nil {
			r.TraceID, r.Flags = [16]byte{3, 15: trace(i)}, event.HasTrace
		}
	}
	return b
}

func kept(b *event.Batch) []bool {
	var all []bool
	for _, r := range b.Records {
		all = append(all, r.Flags&event.Dropped == 0)
	}
	return all
}

func TestAPartIsKept(t *testing.T) {
	const n = 20000
	for _, rate := range []float64{0, 0.01, 0.5, 1} {
		b := batch(7, n, nil)
		pipetest.MustTransform(t, &Config{Rate: rate}, nil).Apply(b)
		count := 0
		for _, yes := range kept(b) {
			if yes {
				count++
			}
		}
		if off := float64(count)/n - rate; off > 0.01 || off < -0.01 {
			t.Errorf("rate %v keeps %d of %d", rate, count, n)
		}
	}
}

// TestTracesAreWhole: what is kept of a trace does not depend on the source, nor on the position,
// nor on the run.
func TestTracesAreWhole(t *testing.T) {
	one, other := batch(1, 200, func(i int) byte { return byte(i) }),
		batch(2, 200, func(i int) byte { return byte(199 - i) })
	pipetest.MustTransform(t, &Config{Rate: 0.5}, nil).Apply(one)
	pipetest.MustTransform(t, &Config{Rate: 0.5}, nil).Apply(other)
	a, b := kept(one), kept(other)
	for i := range a {
		if a[i] != b[199-i] {
			t.Fatalf("trace %d is cut in two", i)
		}
	}
}
