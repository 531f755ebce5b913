package graph

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/pipeline"
)

// haveLittleRoom has the outputs hold so little that they lag as soon as a request fails.
func (g *Graph) haveLittleRoom() {
	for _, o := range g.outputs {
		o.deliverer.Settings.Queue = 200
	}
}

const twoOutputs = `
shutdown_timeout: 1s
inputs: {in: {type: script}}
parsers: {words: {type: words}}
outputs: {dead: {type: memory}, living: {type: memory}}
pipelines: {main: {inputs: [in], parsers: [words], outputs: [dead, living]}}
`

func manyLines(w *world) {
	for i := range 6 {
		key := fmt.Sprint("source ", i)
		for k := range 1000 {
			w.sources[key] = append(w.sources[key], fmt.Sprintf("info t=%d", 5*(10000*(i+1)+k/3)))
		}
	}
}

// TestADeadOutputDoesNotHoldUpTheLivingOne: the living one gets all, and the other one the same in
// the same order when it is back. Each counts every record once.
func TestADeadOutputDoesNotHoldUpTheLivingOne(t *testing.T) {
	w := newWorld()
	manyLines(w)
	w.away["dead"] = true
	synctest.Test(t, func(t *testing.T) {
		g := w.build(t, t.TempDir(), twoOutputs)
		g.haveLittleRoom()
		time.AfterFunc(5*time.Second, func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			c := g.outputs[0].deliverer.Counts()
			if len(w.stored["living"]) != 6000 || len(w.stored["dead"]) > 0 || c.Taken != 6000 || c.Behind < 5000 {
				t.Errorf("after five seconds the living output has %d of 6000 records, the other one %d: %+v",
					len(w.stored["living"]), len(w.stored["dead"]), c)
			}
			w.away["dead"] = false
		})
		if err := g.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, o := range g.outputs {
			c := o.deliverer.Counts()
			if c.Taken != 6000 || c.Delivered != 6000 || c.InFlight != 0 || c.Behind != 0 || c.Skipped != 0 {
				t.Errorf("output %s: %+v", o.name, c)
			}
		}
	})
	if diff := cmp.Diff(bySource(w.stored["living"]), bySource(w.stored["dead"])); diff != "" {
		t.Error(diff)
	}
}

// bySource is what is stored, by source, in its order.
func bySource(stored []string) map[string][]string {
	m := map[string][]string{}
	for _, s := range stored {
		_, at, _ := split(s)
		n, _ := strconv.Atoi(at)
		key := fmt.Sprint("source ", n/50000-1)
		m[key] = append(m[key], s)
	}
	return m
}

// runUntilItIsBack runs the graph, and has the dead output work after a while.
func (w *world) runUntilItIsBack(t *testing.T, g *Graph) {
	t.Helper()
	time.AfterFunc(5*time.Second, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.away["dead"] = false
	})
	if err := g.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestWhatALaggingOutputCannotReadIsLost: where a source is gone that an output has yet to read,
// its records are counted as lost, and all else goes on.
func TestWhatALaggingOutputCannotReadIsLost(t *testing.T) {
	w := newWorld()
	manyLines(w)
	w.away["dead"] = true
	w.unreadable = func(key string, _ uint64) error {
		if key == "source 3" {
			return errors.New("it is gone")
		}
		return nil
	}
	synctest.Test(t, func(t *testing.T) {
		g := w.build(t, t.TempDir(), twoOutputs)
		g.haveLittleRoom()
		time.AfterFunc(time.Second, func() {
			for _, o := range g.inputs[0].feed.sources {
				o.gone.Store(true)
			}
		})
		w.runUntilItIsBack(t, g)
		c := g.outputs[0].deliverer.Counts()
		if c.Lost == 0 || c.Lost > 1000 || c.Delivered+c.Lost != 6000 || c.InFlight != 0 || g.Counts().Pending() != 0 {
			t.Errorf("the output that lagged: %+v", c)
		}
		if len(w.stored["living"]) != 6000 {
			t.Errorf("the living output has %d of 6000 records", len(w.stored["living"]))
		}
	})
}

// TestWhatIsGoneOfASourceIsLost: where the beginning of what an output has missed is gone, the rest
// comes.
func TestWhatIsGoneOfASourceIsLost(t *testing.T) {
	w := newWorld()
	manyLines(w)
	w.away["dead"] = true
	w.unreadable = func(key string, from uint64) error {
		if key == "source 3" && from < 600 {
			return pipeline.Gone{To: 600}
		}
		return nil
	}
	synctest.Test(t, func(t *testing.T) {
		g := w.build(t, t.TempDir(), twoOutputs)
		g.haveLittleRoom()
		w.runUntilItIsBack(t, g)
		c := g.outputs[0].deliverer.Counts()
		if c.Lost == 0 || c.Lost > 600 || c.Delivered+c.Lost != 6000 || c.InFlight != 0 || c.Behind != 0 {
			t.Errorf("the output that lagged: %+v", c)
		}
		living, dead := bySource(w.stored["living"]), bySource(w.stored["dead"])
		living["source 3"], dead["source 3"] = living["source 3"][600:], dead["source 3"][len(dead["source 3"])-400:]
		if diff := cmp.Diff(living, dead); diff != "" {
			t.Error(diff)
		}
	})
}

// TestContainersAreReadAgainToo: sources that do not wait are read again, as long as they can be,
// and are not spooled; but for the last output that would be let go.
func TestContainersAreReadAgainToo(t *testing.T) {
	for name, c := range map[string]struct {
		once       bool
		livingAway bool
		spooled    [2]bool // of dead and living
	}{
		"a dead output":             {false, false, [2]bool{}},
		"that cannot be read again": {true, false, [2]bool{true, false}},
		"two dead outputs":          {false, true, [2]bool{false, true}},
		"two that cannot be read":   {true, true, [2]bool{true, true}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			manyLines(w)
			w.ephemeral, w.once = true, c.once
			w.away["dead"], w.away["living"] = true, c.livingAway
			synctest.Test(t, func(t *testing.T) {
				g := w.build(t, t.TempDir(), twoOutputs)
				g.haveLittleRoom()
				time.AfterFunc(20*time.Second, func() {
					w.mu.Lock()
					defer w.mu.Unlock()
					for i, o := range g.outputs {
						if n := o.deliverer.Counts(); n.Taken != 6000 || n.Spooled > 0 != c.spooled[i] {
							t.Errorf("after 20 seconds output %s: %+v", o.name, n)
						}
					}
					w.away["dead"], w.away["living"] = false, false
				})
				if err := g.Run(t.Context()); err != nil {
					t.Fatal(err)
				}
				for _, o := range g.outputs {
					if n := o.deliverer.Counts(); n.Delivered != 6000 || n.InFlight != 0 || n.Behind != 0 {
						t.Errorf("output %s: %+v", o.name, n)
					}
				}
			})
			if diff := cmp.Diff(bySource(w.stored["living"]), bySource(w.stored["dead"])); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestALaggingOutputIsLeftToTheNextRun: stopping does not wait for it, and the next run gives it
// all.
func TestALaggingOutputIsLeftToTheNextRun(t *testing.T) {
	dir, w := t.TempDir(), newWorld()
	manyLines(w)
	w.away["dead"] = true
	synctest.Test(t, func(t *testing.T) {
		g := w.build(t, dir, twoOutputs)
		g.haveLittleRoom()
		ctx, stop := context.WithTimeout(t.Context(), 5*time.Second)
		defer stop()
		if err := g.Run(ctx); err != nil {
			t.Fatal(err)
		}
	})
	w.away["dead"] = false
	synctest.Test(t, func(t *testing.T) {
		g := w.build(t, dir, twoOutputs)
		g.haveLittleRoom()
		if err := g.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	if diff := cmp.Diff(bySource(w.stored["living"]), bySource(w.stored["dead"])); diff != "" {
		t.Error(diff)
	}
	if len(w.stored["living"]) != 6000 {
		t.Errorf("the living output has %d of 6000 records", len(w.stored["living"]))
	}
}
