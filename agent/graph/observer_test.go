package graph

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// A witness is an observer that counts how often it has seen each record.
type witness struct {
	mu      sync.Mutex
	Counted map[event.SourceID]uint64
	Seen    map[string]int
}

func (w *witness) spec() pipeline.Spec {
	return pipeline.Spec{
		Kind: pipeline.KindInput, Type: "witness", Traits: pipeline.Traits{Observes: true},
		New: func() any { return &witnessConfig{w} },
	}
}

type witnessConfig struct{ *witness }

func (w *witnessConfig) SetAlerts(map[string]pipeline.Alert, string)       {}
func (w *witnessConfig) Input(pipeline.Env) (pipeline.Input, error)        { return w.witness, nil }
func (w *witness) Run(ctx context.Context, feed pipeline.Feed) (err error) { return nil }

func (w *witness) Begin(state []byte, over pipeline.Overview) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.Counted, w.Seen = map[event.SourceID]uint64{}, map[string]int{}
	if state == nil {
		return nil
	}
	if err := json.Unmarshal(state, w); err != nil {
		return err
	}
	for id := range w.Counted {
		if !over.Knows(id) {
			return fmt.Errorf("source %s is not known", id)
		}
	}
	return nil
}

func (w *witness) Observe(b *event.Batch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range b.Records {
		if pos := b.Records[i].Pos; pos >= w.Counted[b.Source.ID] {
			w.Seen[fmt.Sprint(b.Source.Key, "/", pos)]++
		}
	}
	w.Counted[b.Source.ID] = max(w.Counted[b.Source.ID], b.To)
}

func (w *witness) State() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	text, err := json.Marshal(w)
	if err != nil {
		panic(err)
	}
	return text
}

// TestObservedOnce goes on from what was on disk at some moment of a run, again and again: in the
// end the observer has seen each record once, as the first pipeline of its source has it.
func TestObservedOnce(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { observedOnce(t, rand.New(rand.NewPCG(seed, 17))) })
	}
}

func observedOnce(t *testing.T, rnd *rand.Rand) {
	const yaml = filtered + "alerts: {some: {outputs: [x]}}\n"
	dir, w, seen := t.TempDir(), worldAtRandom(rnd), &witness{}
	w.more = append(w.more, seen.spec())
	away := newAbsence([]string{"x", "y"}[rnd.IntN(2)], rnd)
	for range 5 {
		next, stored, requests := t.TempDir(), map[string][]string(nil), rnd.IntN(300)
		w.answer = func(output string, _ []string) error {
			if requests--; requests == 0 {
				stored = copyOf(w.stored)
				copyDir(t, next, dir)
			}
			if away.refuses(output) {
				return errAway
			}
			return nil
		}
		synctest.Test(t, func(t *testing.T) {
			ctx, stop := context.WithTimeout(t.Context(), time.Minute)
			defer stop()
			g := w.build(t, dir, yaml)
			g.haveLittleRoom()
			away.begin(g)
			if err := g.Run(ctx); err != nil {
				t.Fatal(err)
			}
		})
		if stored != nil {
			dir, w.stored = next, stored
		}
	}
	w.answer = nil
	synctest.Test(t, func(t *testing.T) {
		if err := w.build(t, dir, yaml).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	seen.checkOnce(t, w)
}

// TestObservedOverReloads: a reload hands on what was observed as a restart does.
func TestObservedOverReloads(t *testing.T) {
	const yaml = `
inputs: {in: {type: script}}
parsers: {words: {type: words}}
outputs: {x: {type: store, index: %d}}
pipelines: {main: {inputs: [in], parsers: [words], outputs: [x]}}
`
	rnd := rand.New(rand.NewPCG(1, 19))
	dir, w, s, seen := t.TempDir(), worldAtRandom(rnd), newStore(3), &witness{}
	w.more, w.endless, s.calm = []pipeline.Spec{s.spec(), seen.spec()}, true, true
	synctest.Test(t, func(t *testing.T) {
		config := func(k int) string { return fmt.Sprintf(yaml, k) + "alerts: {some: {outputs: [x]}}\n" }
		g := w.buildAll(t, prometheus.NewRegistry(), w.load(t, dir, config(0)))
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		ended := make(chan error, 1)
		go func() { ended <- g.Run(ctx) }()
		for k := range 8 {
			time.Sleep(time.Duration(rnd.IntN(30)) * time.Millisecond)
			if _, err := g.Reload(ctx, w.load(t, dir, config(k+1))); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		stop()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	})
	seen.checkOnce(t, w)
}

// checkOnce checks that each record of a world was seen once.
func (w *witness) checkOnce(t *testing.T, of *world) {
	t.Helper()
	records := 0
	for key, lines := range of.sources {
		records += len(lines)
		for pos := range lines {
			if n := w.Seen[fmt.Sprint(key, "/", pos)]; n != 1 {
				t.Errorf("record %d of %s was seen %d times", pos, key, n)
			}
		}
	}
	if len(w.Seen) != records {
		t.Errorf("%d records were seen of %d", len(w.Seen), records)
	}
}
