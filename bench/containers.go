package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"time"
)

// containers is a host with many of them, each of which logs a little, followed
// through the socket and through the engine's files.
func (b bench) containers(ctx context.Context) error {
	const (
		count   = 500
		perEach = 20 // lines a second
	)
	t := newSteadyTable("containers")
	for _, c := range []struct {
		mode string
		limit
	}{
		{"api", limit{cores: 0.15, mib: 96}},
		{"files", limit{}},
	} {
		name := fmt.Sprintf("%d-containers-%s", count, c.mode)
		if !b.wants(name) {
			continue
		}
		s, err := b.followContainers(ctx, c.mode, count, perEach)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		t.steady(name, count*perEach, s)
		b.claims.steady(name, s, c.limit)
	}
	return nil
}

func (b bench) followContainers(ctx context.Context, mode string, count, perEach int) (steadiness, error) {
	dir, err := os.MkdirTemp(b.dir, "containers-")
	if err != nil {
		return steadiness{}, err
	}
	all := make([]*container, count)
	for i := range all {
		all[i] = newContainer(i)
		if mode == "api" {
			continue
		}
		if err := all[i].openFile(dir); err != nil {
			return steadiness{}, err
		}
		defer all[i].file.Close()
	}
	e, err := newEngine(dir, all)
	if err != nil {
		return steadiness{}, err
	}
	defer e.close()
	host := &chatter{containers: all, perEach: perEach}
	return b.watchAgent(ctx, e.input(", mode: "+mode), host.write)
}

// chatter has containers write lines, every other one JSON, the others text.
type chatter struct {
	containers []*container
	perEach    int // lines a second
	line       []byte
}

// write logs what is due, spread evenly: in each round over the containers, one
// line of each, one after the other.
func (c *chatter) write(ctx context.Context, span time.Duration) (lines int, err error) {
	rate := float64(c.perEach * len(c.containers))
	rnd := rand.New(rand.NewPCG(1, 2))
	order := slices.Clone(c.containers)
	rnd.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	began := time.Now()
	for next := 0; time.Since(began) < span; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return lines, ctx.Err()
		}
		for due := int(time.Since(began).Seconds() * rate); next < due; next++ {
			i := next % len(order)
			written, err := c.log(order[i], i, rnd)
			if err != nil {
				return lines, err
			}
			if written {
				lines++
			}
		}
	}
	return lines, nil
}

func (c *chatter) log(to *container, i int, rnd *rand.Rand) (bool, error) {
	now := time.Now()
	line := timedLine
	if i%2 == 0 {
		line = timedText
	}
	c.line = line(c.line[:0], now, rnd)
	return to.write(c.line, now)
}

// timedText is a line as log4j writes it, that ends with the nanosecond it was written.
func timedText(dst []byte, now time.Time, rnd *rand.Rand) []byte {
	dst = now.UTC().AppendFormat(dst, "2006-01-02 15:04:05,000")
	return fmt.Appendf(dst, " INFO  [http-nio-8080-exec-%d] com.example.shop.OrderService - %s: order %d of "+
		"user u%05d, trace_id=%016x%016x, written %d\n",
		1+rnd.IntN(20), pick(messages, rnd), rnd.IntN(100000), rnd.IntN(100000),
		rnd.Uint64(), rnd.Uint64(), now.UnixNano())
}
