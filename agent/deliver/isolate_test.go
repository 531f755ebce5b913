package deliver

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// A firewall is in front of a destination, and refuses each request with "bad" in it until it is
// lifted.
type firewall struct {
	*library
	refusal pipeline.SendError
	lifted  bool
	away    bool // all is refused
	refused []string
}

func (f *firewall) Send(ctx context.Context, b *pipeline.Body) error {
	f.mu.Lock()
	refused := f.away || !f.lifted && strings.Contains(string(b.Bytes), "bad")
	f.tries++
	if refused && len(b.Items) == 1 {
		f.refused = append(f.refused, string(b.Bytes))
	}
	f.mu.Unlock()
	if refused {
		answer := f.refusal
		return &answer
	}
	return f.library.Send(ctx, b)
}

// turn changes what the firewall or its destination does.
func (f *firewall) turn(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *firewall) lift() { f.turn(func() { f.lifted = true }) }

func newFirewall(
	t *testing.T, inOrder bool, refusal pipeline.SendError, change func(*pipeline.OutputSettings),
) (*firewall, *rig) {
	to := &firewall{library: &library{destination: &destination{}}, refusal: refusal}
	to.limits = pipeline.Limits{Records: 100, InOrder: inOrder}
	r := newRig(t, to.destination, change)
	o := r.d.Options
	o.Output = to
	o.Aside = NewDeadLetterFile(t.TempDir(), "out")
	r.d = New(o)
	return to, r
}

// refusals are what a record can be refused with, by something that does not know our outputs.
var refusals = map[string]pipeline.SendError{
	"403":   {Outcome: pipeline.Hold, Status: 403, Reason: "blocked"},
	"406":   {Outcome: pipeline.Hold, Status: 406, Reason: "blocked"},
	"500":   {Outcome: pipeline.Retry, Status: 500, Uncertain: true, Reason: "blocked"},
	"502":   {Outcome: pipeline.Retry, Status: 502, Uncertain: true, Reason: "blocked"},
	"reset": {Outcome: pipeline.Retry, Uncertain: true, Reason: "blocked"},
}

// TestARefusedRecordWaitsAside: wherever in its file it is, and whatever it is refused with, all
// else of its file and its lane goes on, in order, and it is delivered when it is taken.
func TestARefusedRecordWaitsAside(t *testing.T) {
	places := map[string][]int{
		"the first": {0}, "the last": {299}, "amid": {57}, "the first two": {0, 1}, "a row": {100, 101, 102, 103},
		"all over": {3, 99, 100, 200},
	}
	for name, refusal := range refusals {
		for place, bad := range places {
			for _, inOrder := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s %s, in order %v", name, place, inOrder), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { testRefused(t, refusal, bad, inOrder) })
				})
			}
		}
	}
}

func testRefused(t *testing.T, refusal pipeline.SendError, bad []int, inOrder bool) {
	to, r := newFirewall(t, inOrder, refusal, func(s *pipeline.OutputSettings) {
		s.Retry.Initial, s.Retry.Max = pipeline.Duration(250*time.Millisecond), pipeline.Duration(30*time.Second)
	})
	lines := numbered(300)
	var good []string
	for i := range lines {
		if slices.Contains(bad, i) {
			lines[i] = "bad " + lines[i]
		} else {
			good = append(good, lines[i])
		}
	}
	r.run(func(ctx context.Context) {
		for some := range slices.Chunk(lines, 30) {
			r.put(ctx, source(1), some...)
		}
		r.put(ctx, source(2), "of another file")
		time.Sleep(time.Minute)
		synctest.Wait()
		got := slices.DeleteFunc(slices.Clone(to.stored), func(s string) bool { return s == "of another file" })
		if !inOrder {
			slices.Sort(got)
		}
		if diff := cmp.Diff(good, got); diff != "" {
			t.Errorf("stored: -want +got\n%.600s", diff)
		}
		if c := r.d.Counts(); c.InFlight != int64(len(bad)) || c.Aside != c.InFlight {
			t.Errorf("%d records are refused: %+v", len(bad), c)
		}
		if said := fmt.Sprint(r.health[len(r.health)-1]); !strings.Contains(said, fmt.Sprintf("%d records are refused",
			len(bad))) || !strings.Contains(said, "blocked") {
			t.Errorf("it says %s", said)
		}
		to.lift()
		time.Sleep(2 * time.Minute)
		synctest.Wait()
	})
	r.allDone()
	if got := slices.Sorted(slices.Values(to.stored)); len(slices.Compact(got)) != 301 || len(to.stored) != 301 {
		t.Errorf("%d of 301 records are stored", len(to.stored))
	}
	if last := r.health[len(r.health)-1]; last != nil {
		t.Errorf("all is delivered, and it says %v", last)
	}
}

var DBG = false

// TestAnOutageIsNoRefusal: while nothing gets through, nothing is suspected, few requests are made,
// and afterwards all is there, in order.
func TestAnOutageIsNoRefusal(t *testing.T) {
	for name, refusal := range refusals {
		for _, lanes := range []int{1, 3} {
			t.Run(fmt.Sprint(name, " ", lanes), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					to, r := newFirewall(t, true, refusal, func(s *pipeline.OutputSettings) { s.Lanes = lanes })
					r.run(func(ctx context.Context) {
						send := func(from int) {
							for id := range event.SourceID(lanes) {
								var lines []string
								for i := range 150 {
									lines = append(lines, fmt.Sprintf("%d %04d", id, from+i))
								}
								r.put(ctx, source(id), lines...)
							}
						}
						send(0)
						time.Sleep(time.Second)
						to.turn(func() { to.away, to.tries = true, 0 })
						send(200)
						time.Sleep(10 * time.Minute)
						to.turn(func() {
							if most := lanes * 240; to.tries > most {
								t.Errorf("%d requests in ten minutes", to.tries)
							}
							to.away = false
						})
						time.Sleep(time.Minute)
						synctest.Wait()
						if c := r.d.Counts(); c.InFlight > 0 {
							t.Errorf("a minute after it is back: %+v", c)
						}
					})
					r.allDone()
					for id := range lanes {
						var got []string
						for _, line := range to.stored {
							if strings.HasPrefix(line, fmt.Sprint(id, " ")) {
								got = append(got, line)
							}
						}
						if len(got) != 300 || !slices.IsSorted(got) {
							t.Errorf("source %d: %d records are stored, in order: %v", id, len(got),
								slices.IsSorted(got))
						}
					}
				})
			})
		}
	}
}

// TestAsideIsFull: what finds no room holds up its lane, as before, and /ready tells.
func TestAsideIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to, r := newFirewall(t, false, refusals["403"], nil)
		r.run(func(ctx context.Context) {
			if err := os.MkdirAll(r.d.Aside.Path(), 0o750); err != nil { // a folder takes no records
				t.Fatal(err)
			}
			r.put(ctx, source(1), "a", "bad", "b")
			time.Sleep(time.Minute)
			r.put(ctx, source(1), "c")
			time.Sleep(time.Minute)
			synctest.Wait()
			if n := len(r.tracks[source1(r)].done); n >= 40 {
				t.Errorf("%d positions are done", n)
			}
			if last := r.health[len(r.health)-1]; last == nil {
				t.Error("it is said to be well")
			}
			to.lift()
		})
		r.allDone()
		if got := slices.Sorted(slices.Values(to.stored)); !slices.Equal(got, []string{"a", "b", "bad", "c"}) {
			t.Errorf("stored: %v", got)
		}
	})
}

func source1(r *rig) *event.Source {
	for src := range r.tracks {
		return src
	}
	return nil
}

// TestRefusedAtRandom mixes failures of all kinds, lost acknowledgements among them, with records
// that are refused until late: each is there once.
func TestRefusedAtRandom(t *testing.T) {
	for seed := range uint64(40) {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 0))
			answers := rand.New(rand.NewPCG(seed, 1))
			names := slices.Sorted(maps.Keys(refusals))
			to, r := newFirewall(t, seed%2 == 0, refusals[names[int(seed)%len(names)]],
				func(s *pipeline.OutputSettings) { s.Lanes, s.Queue, s.Batch.Records = 3, 1<<12, 7 })
			to.answer = func(_ int, lines []string) error { return randomAnswer(answers, len(lines)) }
			to.loses = func(int) bool { return answers.IntN(6) == 0 }
			var want []string
			r.run(func(ctx context.Context) {
				want = r.putAtRandom(ctx, rnd, func(line string) string {
					if rnd.IntN(12) == 0 {
						line += " bad"
					}
					return line
				})
				time.Sleep(5 * time.Minute)
				to.turn(func() { to.answer, to.loses = nil, nil })
				to.lift()
				time.Sleep(5 * time.Minute)
				synctest.Wait()
			})
			r.allDone()
			r.wantEndedOnce(seed, want, to.stored)
		})
	}
}

// TestItemsThatAreHeldWaitAside: what the destination itself names, while it stores others of the
// same request, such as the records for an index that is closed.
func TestItemsThatAreHeldWaitAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to, r := newFirewall(t, false, refusals["403"], nil)
		to.lifted = true
		closed := true
		to.answer = func(_ int, lines []string) error {
			var items []pipeline.ItemError
			for i, line := range lines {
				switch {
				case closed && strings.Contains(line, "closed"):
					items = append(items, pipeline.ItemError{Index: i, Outcome: pipeline.Hold, Status: 403,
						Reason: "closed"})
				case to.tries == 1 && i%5 == 0:
					items = append(items, pipeline.ItemError{Index: i, Outcome: pipeline.Retry, Status: 429,
						Reason: "busy"})
				}
			}
			if items == nil {
				return nil
			}
			return &pipeline.SendError{Items: items}
		}
		r.run(func(ctx context.Context) {
			for i := range 30 {
				r.put(ctx, source(1), fmt.Sprint(i, " a"), fmt.Sprint(i, " closed"), fmt.Sprint(i, " b"))
				time.Sleep(time.Second)
			}
			synctest.Wait()
			if c := r.d.Counts(); len(to.stored) != 60 || c.Aside != 30 || c.InFlight != 30 {
				t.Errorf("%d of 60 are stored: %+v", len(to.stored), c)
			}
			to.turn(func() { closed = false })
			time.Sleep(3 * time.Minute)
			synctest.Wait()
		})
		r.allDone()
		if got := slices.Compact(slices.Sorted(slices.Values(to.stored))); len(got) != 90 || len(to.stored) != 90 {
			t.Errorf("%d are stored, %d different ones", len(to.stored), len(got))
		}
	})
}

// TestARecordThatItsDestinationFailsAtWaitsAside: a server that answers 500 for one record, and
// stores the others of its request, holds up nothing either.
func TestARecordThatItsDestinationFailsAtWaitsAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to, r := newFirewall(t, false, pipeline.SendError{}, nil)
		to.lift()
		to.answer = func(_ int, lines []string) error {
			if i := slices.Index(lines, "bad"); i >= 0 {
				const why = "null_pointer_exception"
				failed := []pipeline.ItemError{{Index: i, Status: 500, Reason: why}}
				return &pipeline.SendError{Items: failed, Status: 500, Uncertain: true, Reason: why}
			}
			return nil
		}
		r.run(func(ctx context.Context) {
			r.put(ctx, source(1), "bad")
			for i := range 100 {
				r.put(ctx, source(1), fmt.Sprint(i))
				time.Sleep(100 * time.Millisecond)
			}
			synctest.Wait()
			if c := r.d.Counts(); c.Aside != 1 || c.InFlight != 1 || c.Delivered != 100 {
				t.Errorf("%+v", c)
			}
			to.turn(func() { to.answer = nil })
			time.Sleep(2 * time.Minute)
		})
		r.allDone()
	})
}
