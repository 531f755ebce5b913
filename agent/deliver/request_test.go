package deliver

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// unruly panics at some lines, and hangs in its first requests, whatever its context says.
type unruly struct {
	*destination
	hangs int
	free  chan struct{}
}

func (u *unruly) Encoder() pipeline.Encoder { return u }

func (u *unruly) Encode(dst *pipeline.Body, b *event.Batch, i int) (uint32, error) {
	if string(b.Line(i)) == "boom" {
		dst.Bytes = append(dst.Bytes, "half"...)
		panic("out of order")
	}
	return u.destination.Encode(dst, b, i)
}

func (u *unruly) Send(ctx context.Context, b *pipeline.Body) error {
	u.mu.Lock()
	u.hangs--
	hangs := u.hangs >= 0
	u.mu.Unlock()
	if hangs {
		<-u.free
	}
	return u.destination.Send(ctx, b)
}

// TestAnEncoderThatPanics: the record is a dead letter, and those around it go on.
func TestAnEncoderThatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &unruly{destination: &destination{}}
		r := newRig(t, to.destination, nil)
		r.d.Output = to
		r.d.lanes[0].encoder = to
		r.run(func(ctx context.Context) { r.put(ctx, source(1), "a", "boom", "b", "boom") })
		if !slices.Equal(to.stored, []string{"a", "b"}) {
			t.Errorf("stored: %q", to.stored)
		}
		for _, l := range r.letters.letters {
			if !strings.Contains(l.Reason, "encoding it has panicked: out of order") {
				t.Errorf("dead letter: %+v", l)
			}
		}
		if len(r.letters.letters) != 2 {
			t.Errorf("%d dead letters", len(r.letters.letters))
		}
	})
}

// TestARequestThatPanics: it is made again, as one of which nobody knows whether it got through.
func TestARequestThatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &destination{}
		to.answer = func(try int, _ []string) error {
			if try < 3 {
				panic("out of order")
			}
			return nil
		}
		r := newRig(t, to, nil)
		r.run(func(ctx context.Context) { r.put(ctx, source(1), "a", "b") })
		if !slices.Equal(to.stored, []string{"a", "b"}) || to.tries != 3 {
			t.Errorf("stored after %d tries: %q", to.tries, to.stored)
		}
	})
}

// TestARequestThatHangs: one that ignores its context is abandoned with its body, some times, and
// what it had is sent again.
func TestARequestThatHangs(t *testing.T) {
	for _, hangs := range []int{1, maxAbandoned, maxAbandoned + 1} {
		synctest.Test(t, func(t *testing.T) {
			to := &unruly{destination: &destination{}, hangs: hangs, free: make(chan struct{})}
			r := newRig(t, to.destination, nil)
			r.d.Output = to
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() { r.d.Run(ctx); close(done) }()
			src := source(1)
			r.put(ctx, src, "a", "b")
			time.Sleep(2 * maxAbandoned * requestLimit)
			synctest.Wait()
			to.mu.Lock()
			stored := slices.Clone(to.stored)
			to.mu.Unlock()
			if got, want := len(stored) == 2, hangs <= maxAbandoned; got != want {
				t.Errorf("after %d requests that hang, stored: %q", hangs, stored)
			}
			stop()
			<-done
			close(to.free)
			synctest.Wait() // what they say now, nobody hears
			if n := len(r.tracks[src].done); n != len(stored)*10 {
				t.Errorf("%d positions are done, and %d records stored in time", n, len(stored))
			}
		})
	}
}
