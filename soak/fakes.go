package main

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/longshore/longshore/soak/numbered"
	"github.com/longshore/longshore/soak/receiver"
)

// A finding is what one destination holds.
type finding struct {
	name string
	numbered.Verdict
}

// fakes are the receivers of this process, which fail on purpose.
type fakes struct {
	soak    *soak
	loki    *receiver.Loki
	elastic *receiver.Elasticsearch
}

func (s *soak) openDestinations() (destinations, error) {
	if s.loki != "" {
		return newReals(s), nil
	}
	entries := filepath.Join(s.dir, "received")
	if err := os.MkdirAll(entries, 0o755); err != nil {
		return nil, err
	}
	f := &fakes{soak: s}
	var err error
	stall := requestTimeout + requestTimeout/2
	if f.loki, err = receiver.NewLoki(entries, receiver.NewFaults(s.seed, s.options.faults, stall)); err != nil {
		return nil, err
	}
	faults := receiver.NewFaults(s.seed+1, s.options.faults, stall)
	faults.Items = s.options.faults / 5
	f.elastic, err = receiver.NewElasticsearch(faults)
	if err != nil {
		f.loki.Close()
		return nil, err
	}
	return f, nil
}

func (f *fakes) urls() (loki, elastic string) { return f.loki.URL(), f.elastic.URL() }

// die has Elasticsearch be away for a third of the time that lines are written, so that it lags far
// behind Loki. Of the files that have rotated meanwhile some are still to be read for it, and some
// are deleted.
func (f *fakes) die(ctx context.Context) {
	pause(ctx, f.soak.duration/5)
	if ctx.Err() != nil || f.soak.options.faults == 0 {
		return
	}
	f.soak.early.Store(true)
	defer f.soak.early.Store(false)
	span := f.soak.duration / 3
	f.soak.journal.note("%s is dead for %s", f.elastic.URL(), span)
	if err := f.elastic.Refuse(ctx, span); err != nil {
		f.soak.journal.note("%v", err)
		return
	}
	l, _ := f.loki.Tally.Arrived()
	e, _ := f.elastic.Tally.Arrived()
	f.soak.journal.note("it is back; Loki has %d lines, and it has %d", l, e)
	f.soak.deadBehind = l - min(l, e)
}

// disturb has one or both of the destinations be away or silent at times.
func (f *fakes) disturb(ctx context.Context) {
	if f.soak.options.faults == 0 {
		return
	}
	var both sync.WaitGroup
	for i, server := range []*receiver.Server{f.loki.Server, f.elastic.Server} {
		random := rand.New(rand.NewPCG(f.soak.seed, 10+uint64(i)))
		both.Go(func() {
			if i == 1 {
				f.die(ctx)
			}
			for {
				span := time.Duration(random.Int64N(int64(f.soak.outage)))
				pause(ctx, time.Duration(1+5*random.Float64())*f.soak.outage)
				if ctx.Err() != nil {
					return
				}
				if random.IntN(2) == 0 {
					f.soak.journal.note("%s is silent for %s", server.URL(), span)
					server.FallSilent(ctx, span)
					continue
				}
				f.soak.journal.note("%s is away for %s", server.URL(), span)
				if err := server.Refuse(ctx, span); err != nil {
					f.soak.journal.note("%v", err)
					return
				}
			}
		})
	}
	both.Wait()
}

func (f *fakes) calm() {
	f.loki.Faults.Stop()
	f.elastic.Faults.Stop()
}

func (f *fakes) arrived(_ context.Context, written []uint64) (progress uint64, all bool) {
	want := uint64(0)
	for _, n := range written {
		want += n
	}
	l, lTotal := f.loki.Tally.Arrived()
	e, eTotal := f.elastic.Tally.Arrived()
	return lTotal + eTotal, l >= want && e >= want
}

func (f *fakes) has(writer int, from, to uint64) bool {
	return f.loki.Tally.Has(writer, from, to) && f.elastic.Tally.Has(writer, from, to)
}

func (f *fakes) verify(_ context.Context, written []uint64) ([]finding, error) {
	return []finding{
		{"loki", f.loki.Tally.Verify(written)},
		{"elasticsearch", f.elastic.Tally.Verify(written)},
	}, nil
}

func (f *fakes) faults() string {
	counts := f.loki.Faults.Counts()
	for fault, n := range f.elastic.Faults.Counts() {
		counts[fault] += n
	}
	var said []string
	for _, fault := range slices.Sorted(maps.Keys(counts)) {
		said = append(said, fmt.Sprintf("%s %d", fault, counts[fault]))
	}
	return strings.Join(said, "; ")
}

func (f *fakes) close() {
	f.loki.Close()
	f.elastic.Close()
}
