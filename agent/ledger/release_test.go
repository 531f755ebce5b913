package ledger

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/longshore/longshore/pipeline/event"
)

// release releases the sources of in, and reports what the ledger then holds of them.
func release(t *testing.T, l *Ledger) {
	t.Helper()
	if err := l.Release([]string{"in"}); err != nil {
		t.Fatal(err)
	}
}

// states returns what a ledger holds of its sources in memory, by their keys.
func states(l *Ledger) (all []State) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.sources {
		all = append(all, s.state())
	}
	slices.SortFunc(all, func(a, b State) int { return strings.Compare(a.Key, b.Key) })
	return all
}

// TestReleaseIsLikeARestart does the same at random to two ledgers, of which one is closed and
// opened where the sources of the other are released: they hold the same, and go on alike.
func TestReleaseIsLikeARestart(t *testing.T) {
	sameButIDs := cmp.Options{cmpopts.IgnoreFields(State{}, "ID"), cmp.AllowUnexported(span{}), cmpopts.EquateEmpty()}
	for seed := range uint64(30) {
		dirs := [2]string{t.TempDir(), t.TempDir()}
		ledgers := [2]*Ledger{open(t, dirs[0]), open(t, dirs[1])}
		steps := rand.New(rand.NewPCG(seed, 1)).IntN(60)
		for round := range 4 {
			for i, l := range ledgers {
				useAtRandom(t, l, rand.New(rand.NewPCG(seed, uint64(round))), steps)
				if i == 0 {
					ledgers[0] = reopen(t, l, dirs[0])
					continue
				}
				release(t, l)
				onDisk, err := Read(dirs[1])
				if err != nil {
					t.Fatal(err)
				}
				slices.SortFunc(onDisk, func(a, b State) int { return strings.Compare(a.Key, b.Key) })
				if diff := cmp.Diff(onDisk, states(l), sameButIDs); diff != "" {
					t.Fatalf("seed %d: on disk is something else than in memory (-disk +memory)\n%s", seed, diff)
				}
			}
			if diff := cmp.Diff(states(ledgers[0]), states(ledgers[1]), sameButIDs); diff != "" {
				t.Fatalf("seed %d, round %d: a release is no restart (-restart +release)\n%s", seed, round, diff)
			}
		}
		for _, l := range ledgers {
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// useAtRandom reads and sends of some sources as chance has it.
func useAtRandom(t *testing.T, l *Ledger, rnd *rand.Rand, steps int) {
	t.Helper()
	known := map[string]event.SourceID{}
	for _, k := range l.Known("in") {
		known[k.Key] = k.ID
	}
	routes := [][]string{{"p/x"}, {"p/x", "p/y"}}[rnd.IntN(2)]
	var sources []*Source
	for i := range 3 {
		key := fmt.Sprint("s", i)
		s := must[*Source](t)(l.Open(known[key], "in", key, routes, 50))
		for _, r := range routes {
			if err := s.SetTarget(r, []byte{byte('a' + rnd.IntN(2))}); err != nil {
				t.Fatal(err)
			}
		}
		sources = append(sources, s)
	}
	for range steps {
		s := sources[rnd.IntN(len(sources))]
		track := must[*Track](t)(s.Track(routes[rnd.IntN(len(routes))]))
		at := s.read
		switch rnd.IntN(5) {
		case 0, 1:
			s.Begin(at)
			s.Checkpoint(at+uint64(1+rnd.IntN(40)), fmt.Appendf(nil, "at %d", at))
		case 2:
			if err := track.Reserve(at); err != nil {
				t.Fatal(err)
			}
		case 3:
			from := uint64(rnd.IntN(int(at) + 1))
			track.Done(from, at)
		case 4:
			s.AddTimeoutBoundary(at + 1)
			s.AddTimeAnchor(TimeAnchor{Pos: at, Time: int64(at)})
		}
	}
}

// TestAReleasedSourceIsOver: who had it says nothing about it any more, and its next user goes on
// from the cut.
func TestAReleasedSourceIsOver(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	s := must[*Source](t)(l.Open(0, "in", "a.log", []string{"main/x"}, 100))
	other := must[*Source](t)(l.Open(0, "other", "b.log", []string{"main/x"}, 100))
	x := must[*Track](t)(s.Track("main/x"))
	s.Checkpoint(50, []byte("at 50"))
	s.Checkpoint(90, []byte("at 90"))
	if err := x.Reserve(80); err != nil {
		t.Fatal(err)
	}
	x.Done(0, 60)
	release(t, l)

	x.Done(60, 90)
	s.Checkpoint(200, []byte("at 200"))
	s.Close(true)
	if err := x.Reserve(200); !errors.Is(err, errReleased) {
		t.Errorf("a reservation after the release ends with %v", err)
	}
	again := must[*Source](t)(l.Open(s.ID(), "in", "a.log", []string{"main/x"}, 100))
	y := must[*Track](t)(again.Track("main/x"))
	if got := again.cursor(); got.Pos != 50 || string(got.State) != "at 50" {
		t.Errorf("the next user goes on at %+v", got)
	}
	if !y.Skip(55) || y.Skip(60) || !y.Uncertain(79) || y.Uncertain(80) {
		t.Error("what is done, uncertain and new is not that of the cut")
	}
	other.Checkpoint(10, []byte("at 10"))
	must[*Track](t)(other.Track("main/x")).Done(0, 10)
	if other.cursor().Pos != 10 {
		t.Error("the source of another input does not go on")
	}
	l = reopen(t, l, dir)
	defer l.Close()
	if got := cursorOf(t, l); got.Pos != 50 {
		t.Errorf("after a restart the cursor is at %d", got.Pos)
	}
}
