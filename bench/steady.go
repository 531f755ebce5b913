package main

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// steady writes lines at a rate, and prints what the agent takes for it and how
// long a line is on its way.
func (b bench) steady(ctx context.Context) error {
	t := newTable("at a rate", "lines/s", "cores", "peak MiB", "p50", "p99", "longest")
	for _, rate := range []int{1000, 10000} {
		name := fmt.Sprintf("rate-%d", rate)
		if !b.wants(name) {
			continue
		}
		s, err := b.atRate(ctx, rate)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		slices.Sort(s.latencies)
		n := len(s.latencies)
		t.row(name, rate, fmt.Sprintf("%.4f", s.cores), fmt.Sprintf("%.1f", mib(s.peak)),
			round(s.latencies[n/2]), round(s.latencies[n*99/100]), round(s.latencies[n-1]))
	}
	return nil
}

func round(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }

type steadiness struct {
	usage
	cores     float64
	latencies []time.Duration
}

// warmUp is left out of what is measured.
const warmUp = 2 * time.Second

func (b bench) atRate(ctx context.Context, rate int) (steadiness, error) {
	dir, err := os.MkdirTemp(b.dir, "rate-")
	if err != nil {
		return steadiness{}, err
	}
	recv, err := newReceiver(1 << 62)
	if err != nil {
		return steadiness{}, err
	}
	defer recv.close()
	recv.timed = true
	a, err := startAgent(ctx, b.agent, b.dir, configOf(dir, lokiOutput, recv), 1)
	if err != nil {
		return steadiness{}, err
	}
	path := filepath.Join(dir, "app.log")
	if err := writeAtRate(ctx, path, rate, warmUp); err != nil {
		return steadiness{}, err
	}
	recv.takeLatencies()
	before, err := a.cpu()
	if err != nil {
		return steadiness{}, err
	}
	if err := writeAtRate(ctx, path, rate, b.span); err != nil {
		return steadiness{}, err
	}
	after, err := a.cpu()
	if err != nil {
		return steadiness{}, err
	}
	took, err := a.stop()
	return steadiness{usage: took, cores: (after - before).Seconds() / b.span.Seconds(), latencies: recv.takeLatencies()}, err
}

// writeAtRate appends lines that say when they were written, every few
// milliseconds as many as are due.
func writeAtRate(ctx context.Context, path string, rate int, span time.Duration) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	rnd := rand.New(rand.NewPCG(1, 2))
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	var line []byte
	began := time.Now()
	for written := 0; time.Since(began) < span; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		for due := int(time.Since(began).Seconds() * float64(rate)); written < due; written++ {
			line = timedLine(line[:0], time.Now(), rnd)
			w.Write(line)
		}
		if err := w.Flush(); err != nil {
			return fmt.Errorf("writing %s: %w", path, err)
		}
	}
	return nil
}

// timedLine is a jsonLine of now that ends with the nanosecond it was written.
func timedLine(dst []byte, now time.Time, rnd *rand.Rand) []byte {
	dst = append(dst, `{"time":"`...)
	dst = now.UTC().AppendFormat(dst, time.RFC3339Nano)
	return fmt.Appendf(dst, `","level":%q,"msg":%q,"trace_id":"%016x%016x","method":"GET","path":"/api/v1/items/%d","status":%d,"duration_ms":%.3f,"written":%d}`+"\n",
		pick(levels, rnd), pick(messages, rnd), rnd.Uint64(), rnd.Uint64(),
		rnd.IntN(100000), 200+rnd.IntN(4)*100, rnd.Float64()*100, now.UnixNano())
}
