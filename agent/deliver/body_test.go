package deliver

import (
	"testing"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

func TestEncodingAllocatesNothingPerRecord(t *testing.T) {
	r := newRig(t, &destination{}, nil)
	l, src := r.d.lanes[0], source(1)
	b := &event.Batch{}
	b.Reset(src)
	for i, line := range numbered(1000) {
		b.Add(uint64(i), 1, b.PutString(line))
	}
	b.To = 1000
	dl := delivery{Share(b, 1<<20, func(*event.Batch) {}), &track{t: t}}
	allocs := testing.AllocsPerRun(100, func() {
		l.encode(t.Context(), dl)
		r.d.bodies.put(l.open)
		l.open = NewBody()
	})
	if allocs > 2 { // the next body, which is without memory, and the name of the group
		t.Errorf("%v allocations for 1000 records", allocs)
	}
}

// TestSourceOf finds the run of an item, also behind runs without any.
func TestSourceOf(t *testing.T) {
	a, b, c := source(1), source(2), source(3)
	body := NewBody()
	body.Items = make([]pipeline.Item, 4)
	body.Runs = Runs{{Source: a}, {Source: b, First: 2}, {Source: c, First: 2}, {Source: a, First: 3},
		{Source: b, First: 4}}
	for i, want := range []*event.Source{a, a, c, a} {
		if got := body.SourceOf(i); got != want {
			t.Errorf("item %d is of %s, want %s", i, got.Key, want.Key)
		}
	}
}
