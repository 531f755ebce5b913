package docker

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/longshore/longshore/inputs/docker/logformat"
	"github.com/longshore/longshore/pipeline/pipetest"
)

func TestAllWakeInTheSameInstant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newTicker()
		defer b.stop()
		time.Sleep(3 * time.Millisecond)
		began := b.start
		for _, c := range []struct{ ticks, until int }{{1, 1}, {2, 2}, {2, 2}, {4, 4}, {16, 16}} {
			go func() {
				b.wait(t.Context(), c.ticks)
				if took := time.Since(began); took != time.Duration(c.until)*tickInterval {
					t.Errorf("a wait of %d ticks ends after %v", c.ticks, took)
				}
			}()
			time.Sleep(2 * time.Millisecond)
		}
		time.Sleep(5*tickInterval + time.Millisecond)
		b.wait(t.Context(), 4)
		if took := time.Since(began); took != 8*tickInterval {
			t.Errorf("the multiple of 4 ticks after 5 is at %v", took)
		}
		b.wait(t.Context(), 8)
		synctest.Wait()
	})
}

func TestContextEndsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newTicker()
		defer b.stop()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		b.wait(ctx, 8)
		if took := time.Since(b.start); took != time.Millisecond {
			t.Errorf("the wait ended after %v", took)
		}
	})
}

// TestPollIntervalAdapts has many busy followers, then few, then none.
func TestPollIntervalAdapts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newTicker()
		defer b.stop()
		busy := func(n int, d time.Duration) {
			ctx, cancel := context.WithTimeout(t.Context(), d)
			defer cancel()
			for range n {
				go func() {
					for ctx.Err() == nil {
						b.wait(ctx, b.pollInterval())
					}
				}()
			}
			<-ctx.Done()
			synctest.Wait()
		}
		for _, c := range []struct{ followers, ticks int }{{500, 8}, {3, 1}, {20, 1}, {80, 4}, {1, 1}, {500, 8}} {
			busy(c.followers, 2*time.Second)
			if got := b.pollInterval(); got != c.ticks {
				t.Errorf("%d busy followers wait %d ticks, want %d", c.followers, got, c.ticks)
			}
		}
		time.Sleep(time.Hour)
		b.wait(t.Context(), 1)
		if got := b.pollInterval(); got >= maxInterval {
			t.Errorf("after an hour's silence still %d ticks", got)
		}
	})
}

func TestPacer(t *testing.T) {
	const room = largeRead
	for _, c := range []struct {
		name   string
		common int
		reads  []int // each is followed by the wait it asks for, or by nothing
		want   []int
	}{
		{"lines now and then", 1, []int{200, 200, 0}, []int{1, 1, 1}},
		{"where many are busy", 8, []int{200, 1100, 1100}, []int{8, 8, 8}},
		{"more is at hand", 8, []int{4000, 300, 200}, []int{0, 1, 8}},
		{"half a flood waits less", 8, []int{300, 4000, 4000, 4000, 300, 3000, 500}, []int{8, 0, 0, 0, 4, 0, 8}},
		{"a flood does not wait", 8, []int{300, room, room, room, room, room, 300, 300, 300},
			[]int{8, 0, 0, 0, 0, 0, 0, 0, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newTicker()
				b.interval = c.common
				p := newPacer(b)
				for i, n := range c.reads {
					ticks := p.after(n, room)
					if ticks != c.want[i] {
						t.Errorf("read %d of %d bytes: waits %d ticks, want %d", i, n, ticks, c.want[i])
					}
					time.Sleep(time.Duration(ticks) * tickInterval)
				}
			})
		})
	}
	var none pacer
	if none.after(1, room) != 0 {
		t.Error("the zero value paces")
	}
}

// TestFloodEnds is a flood of short reads: none of them waits, and after it they do again.
func TestFloodEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(newTicker())
		p.after(largeRead, largeRead)
		for range 10 * int(tickInterval/time.Millisecond) {
			if ticks := p.after(1000, largeRead); ticks != 0 {
				t.Fatalf("a flood waits %d ticks", ticks)
			}
			time.Sleep(time.Millisecond)
		}
		time.Sleep(2 * tickInterval)
		p.after(100, largeRead) // ends the last tick of the flood
		time.Sleep(tickInterval)
		if ticks := p.after(100, largeRead); ticks != 1 {
			t.Errorf("after a flood it waits %d ticks", ticks)
		}
	})
}

// TestSocketWithTicker reads over a real socket, where reads block: line by line, a burst, and the
// end.
func TestSocketWithTicker(t *testing.T) {
	e := newFakeEngine(t)
	host := e.atSocket(t)
	c := e.add(&fakeContainer{ID: "a", Name: "a", State: "running"})
	r := run(t, e, pipetest.NewFeed(t), Config{Host: host})
	now := time.Now().UnixNano()
	n := 0
	write := func(count, size int) {
		log := make([]message, count)
		for i := range log {
			n++
			log[i] = message{ts: now + int64(n), from: logformat.Stdout,
				text: fmt.Sprintf("%d %s\n", n, strings.Repeat("x", size))}
		}
		e.write(c, log...)
	}
	for range 10 {
		write(1, 100)
		r.feed.WaitFor(t.Context(), n)
	}
	write(20000, 200)
	write(1, 100)
	write(3, 40000)
	r.feed.WaitFor(t.Context(), n)
	write(2, 10)
	e.stop(c)
	r.feed.WaitFor(t.Context(), n)
	r.wantLines(c)
	r.stop()
}
