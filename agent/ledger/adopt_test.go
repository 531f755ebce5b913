package ledger

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/pipeline"
)

var routes = []string{"main/x", "main/y"}

func TestCommitTellsWhereTheCursorIs(t *testing.T) {
	l := open(t, t.TempDir())
	defer l.Close()
	s := must[*Source](t)(l.Open(0, "in", "a", routes, 100))
	var told []uint64
	s.OnCommit(func(at pipeline.Cursor) {
		told = append(told, at.Pos)
		s.At() // no lock is held
	})
	x, y := must[*Track](t)(s.Track("main/x")), must[*Track](t)(s.Track("main/y"))
	s.Checkpoint(10, []byte("at 10"))
	s.Checkpoint(20, []byte("at 20"))
	s.Checkpoint(30, []byte("at 30"))
	x.Done(0, 30)
	y.Done(10, 20)
	y.Done(0, 10)
	y.Done(20, 25)
	y.Done(25, 30)
	s.Checkpoint(40, []byte("at 40"))
	x.Done(30, 40)
	if err := l.Release([]string{"in"}); err != nil {
		t.Fatal(err)
	}
	y.Done(30, 40) // by one that is void
	if want := []uint64{20, 30}; !slices.Equal(told, want) {
		t.Errorf("told of %d, want %d", told, want)
	}
}

// adopt adopts source 7 at a position.
func adopt(t *testing.T, l *Ledger, pos, uncertainTo uint64) (*Source, pipeline.Cursor) {
	t.Helper()
	at := pipeline.Known{ID: 7, Key: "logs/0", Cursor: pipeline.Cursor{Pos: pos, State: []byte("theirs")}}
	s, from, err := l.Adopt(at, "in", uncertainTo, routes, 100)
	if err != nil {
		t.Fatal(err)
	}
	return s, from
}

func TestAdoptGoesOnAtTheHigherPosition(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	s, from := adopt(t, l, 50, 80)
	theirs := pipeline.Cursor{Pos: 50, State: []byte("theirs")}
	if diff := cmp.Diff(theirs, from); diff != "" {
		t.Errorf("an unknown source: %s", diff)
	}
	x, y := must[*Track](t)(s.Track("main/x")), must[*Track](t)(s.Track("main/y"))
	for pos, want := range map[uint64]bool{50: true, 79: true, 80: false} {
		if x.Uncertain(pos) != want {
			t.Errorf("position %d is uncertain: %v", pos, !want)
		}
	}
	if err := y.Reserve(60); err != nil {
		t.Fatal(err)
	}
	s.Checkpoint(60, []byte("ours"))
	s.Checkpoint(90, []byte("ours later"))
	x.Done(50, 90)
	y.Done(50, 60)

	// It was given away, and comes back: what is known to be done stays so.
	s.Close(false)
	again, from := adopt(t, l, 55, 0)
	if diff := cmp.Diff(pipeline.Cursor{Pos: 60, State: []byte("ours")}, from); diff != "" {
		t.Errorf("the ledger is further on: %s", diff)
	}
	y.Done(60, 90) // an answer that comes late says nothing any more
	x, y = must[*Track](t)(again.Track("main/x")), must[*Track](t)(again.Track("main/y"))
	if !x.Skip(70) || y.Skip(70) || !y.Uncertain(70) || y.Uncertain(85) {
		t.Errorf("position 70: skipped %v and %v, uncertain %v; 85: %v", x.Skip(70), y.Skip(70), y.Uncertain(70),
			y.Uncertain(85))
	}

	l = reopen(t, l, dir)
	defer l.Close()
	_, from = adopt(t, l, 75, 75)
	if diff := cmp.Diff(pipeline.Cursor{Pos: 75, State: []byte("theirs")}, from); diff != "" {
		t.Errorf("others are further on: %s", diff)
	}
	if _, _, err := l.Adopt(pipeline.Known{ID: 7}, "other", 0, routes, 100); err == nil {
		t.Error("two inputs have the same source")
	}
}

func TestAdoptedIsOnDiskBeforeItIsSent(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	defer l.Close()
	s, _ := adopt(t, l, 50, 80)
	if err := must[*Track](t)(s.Track("main/x")).Reserve(60); err != nil {
		t.Fatal(err)
	}
	onDisk, err := Read(dir)
	if err != nil || len(onDisk) != 1 || onDisk[0].ID != 7 || onDisk[0].Cursor.Pos != 50 {
		t.Errorf("on disk is %+v (%v)", onDisk, err)
	}
}
