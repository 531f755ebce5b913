package receive

import (
	"testing"

	"github.com/longshore/longshore/pipeline/pipetest"
)

// TestTurns: the requests of one sender go the same way, in order, also those that come again.
func TestTurns(t *testing.T) {
	feed := pipetest.NewFeed(t)
	h := newHub(t, feed)
	turns, err := h.BeginTurns("test")
	if err != nil {
		t.Fatal(err)
	}
	feed.AckAtOnce()
	for _, uncertain := range []bool{false, true, false, true} {
		if err := turns.Deliver(t.Context(), request(h, "1", "2"), "me", uncertain); err != nil {
			t.Fatal(err)
		}
	}
	got := feed.Got()
	if len(got) != 8 {
		t.Fatalf("%d records came", len(got))
	}
	for i, g := range got {
		if g.Of != got[i%4].Of || g.Pos != uint64(i/4*2+i%2) {
			t.Errorf("record %d is of %s at %d", i, g.Of, g.Pos)
		}
	}
	if got[0].Of == got[2].Of {
		t.Error("what may have come before is of the same source as what has not")
	}
	n := turns.all[0]
	if n.certain.src.ShardKey != n.uncertain.src.ShardKey {
		t.Error("what comes again goes another way")
	}
	h.End()
}
