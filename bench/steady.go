package main

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// steady writes lines into a file at a rate, and prints what the agent takes for it
// and how long a line is on its way.
func (b bench) steady(ctx context.Context) error {
	t := newSteadyTable("at a rate")
	for _, c := range []struct {
		rate int
		limit
	}{
		{1000, limit{p99ms: 100}},
		{10000, limit{cores: 0.015, mib: 32}},
	} {
		name := fmt.Sprintf("rate-%d", c.rate)
		if !b.wants(name) {
			continue
		}
		s, err := b.atRate(ctx, c.rate, lokiOutput, warmUp)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		t.steady(name, c.rate, s)
		b.claims.steady(name, s, c.limit)
	}
	return nil
}

func (b bench) atRate(ctx context.Context, rate int, output string, warmUp time.Duration) (steadiness, error) {
	dir, err := os.MkdirTemp(b.dir, "rate-")
	if err != nil {
		return steadiness{}, err
	}
	path := filepath.Join(dir, "app.log")
	command := func(recv *receiver) (*exec.Cmd, error) {
		return b.agentCommand(configOf(fileInput(dir), output, recv), 1)
	}
	return b.watch(ctx, warmUp, command, func(ctx context.Context, span time.Duration) (int, error) {
		return writeAtRate(ctx, path, rate, span)
	})
}

// writeAtRate appends lines that say when they were written, every few
// milliseconds as many as are due.
func writeAtRate(ctx context.Context, path string, rate int, span time.Duration) (written int, err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	rnd := rand.New(rand.NewPCG(1, 2))
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	var line []byte
	began := time.Now()
	for time.Since(began) < span {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return written, ctx.Err()
		}
		for due := int(time.Since(began).Seconds() * float64(rate)); written < due; written++ {
			line = timedLine(line[:0], time.Now(), rnd)
			w.Write(line)
		}
		if err := w.Flush(); err != nil {
			return written, fmt.Errorf("writing %s: %w", path, err)
		}
	}
	return written, nil
}

// timedLine is a jsonLine of now that ends with the nanosecond it was written.
func timedLine(dst []byte, now time.Time, rnd *rand.Rand) []byte {
	dst = append(dst, `{"time":"`...)
	dst = now.UTC().AppendFormat(dst, time.RFC3339Nano)
	return fmt.Appendf(dst, `","level":%q,"msg":%q,"trace_id":"%016x%016x","method":"GET",`+
		`"path":"/api/v1/items/%d","status":%d,"duration_ms":%.3f,"written":%d}`+"\n",
		pick(levels, rnd), pick(messages, rnd), rnd.Uint64(), rnd.Uint64(),
		rnd.IntN(100000), 200+rnd.IntN(4)*100, rnd.Float64()*100, now.UnixNano())
}
