package main

import (
	"context"
	"fmt"
	"time"

	"github.com/longshore/longshore/e2e/query"
	"github.com/longshore/longshore/soak/numbered"
)

// reals are servers that someone else runs, kills and starts again. They are
// asked at the end what they hold.
type reals struct {
	soak    *soak
	loki    query.Loki
	elastic query.Elastic
	from    time.Time
}

func newReals(s *soak) *reals {
	return &reals{
		soak: s, loki: query.Loki{URL: s.options.loki}, elastic: query.Elastic{URL: s.elastic},
		from: s.began.Truncate(time.Second).Add(-time.Second),
	}
}

const (
	everything = `{service_name=~".+"}`
	indices    = "soak-*"
)

func (r *reals) urls() (loki, elastic string) { return r.soak.options.loki, r.soak.elastic }

func (r *reals) disturb(context.Context) {}

func (r *reals) calm() {}

// arrived asks for counts. A server that does not answer yet counts as no progress.
func (r *reals) arrived(ctx context.Context, written []uint64) (progress uint64, all bool) {
	want := 0
	for _, n := range written {
		want += int(n)
	}
	inLoki, err := r.loki.Count(ctx, everything, r.from, r.until())
	if err != nil {
		return 0, false
	}
	inElastic, err := r.elastic.Count(ctx, indices)
	if err != nil {
		return 0, false
	}
	return uint64(inLoki + inElastic), inLoki >= want && inElastic >= want
}

func (r *reals) until() time.Time { return time.Now().Truncate(time.Second).Add(time.Minute) }

// has knows nothing while the servers work, so that rotated files stay.
func (r *reals) has(int, uint64, uint64) bool { return false }

func (r *reals) verify(ctx context.Context, written []uint64) ([]finding, error) {
	loki, err := r.verifyLoki(ctx, written)
	if err != nil {
		return nil, err
	}
	elastic, err := r.verifyElastic(ctx, written)
	return []finding{loki, elastic}, err
}

// verifyLoki looks at every entry, and counts, too: log queries leave out repeats that counts show.
func (r *reals) verifyLoki(ctx context.Context, written []uint64) (finding, error) {
	entries, err := r.loki.Entries(ctx, everything, r.from, r.until())
	if err != nil {
		return finding{}, err
	}
	var tally numbered.Tally
	for _, e := range entries {
		if w, n, ok := numbered.Find([]byte(e.Line)); ok {
			tally.Add(w, n)
		} else {
			tally.Damaged([]byte(e.Line))
		}
	}
	found := finding{"loki", tally.Verify(written)}
	counted, err := r.loki.Count(ctx, everything, r.from, r.until())
	if err != nil {
		return found, err
	}
	if hidden := counted - len(entries); hidden != 0 {
		found.Repeated += uint64(max(hidden, 0))
		found.Missing += uint64(max(-hidden, 0))
		found.Example = fmt.Sprintf("Loki counts %d entries, and shows %d", counted, len(entries))
	}
	return found, nil
}

func (r *reals) verifyElastic(ctx context.Context, written []uint64) (finding, error) {
	docs, err := r.elastic.Docs(ctx, indices)
	if err != nil {
		return finding{}, err
	}
	var tally numbered.Tally
	for _, d := range docs {
		if w, n, ok := numbered.Find(d.Source); ok {
			tally.Add(w, n)
		} else {
			tally.Damaged(d.Source)
		}
	}
	return finding{"elasticsearch", tally.Verify(written)}, nil
}

func (r *reals) faults() string { return "those of who runs the servers" }

func (r *reals) close() {}
