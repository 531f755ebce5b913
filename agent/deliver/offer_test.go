package deliver

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// TestOthersDoNotWaitForADeadOutput: of many sources none waits for an output that refuses, nor,
// once it has for a moment, for one that hangs. A slow one may hold them up for a part of the time.
func TestOthersDoNotWaitForADeadOutput(t *testing.T) {
	const sources = 1000
	for name, c := range map[string]struct {
		answer      func(int, []string) error
		least, most time.Duration // that all wait together
	}{
		"refuses": {func(int, []string) error { return &pipeline.SendError{Outcome: pipeline.Retry} }, 0, offerTick},
		"hangs":   {func(int, []string) error { time.Sleep(time.Hour); return nil }, 0, maxPatience},
		"is slow": {func(int, []string) error { time.Sleep(200 * time.Millisecond); return nil },
			maxPatience / 2, 3 * maxPatience / 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, &destination{answer: c.answer}, func(s *pipeline.OutputSettings) { s.Queue = 64 })
				ctx, stop := context.WithCancel(t.Context())
				done := make(chan struct{})
				go func() { r.d.Run(ctx); close(done) }()
				r.offer(ctx, 1)
				time.Sleep(time.Millisecond) // until it has an answer, if one comes
				began, refused := time.Now(), 0
				for i := range sources {
					if !r.offer(ctx, event.SourceID(2+i)) {
						refused++
					}
				}
				took := time.Since(began)
				if took < c.least || took > c.most || refused < sources/2 {
					t.Errorf("%d of %d sources were let go, and waited for %s, want %s to %s", refused, sources, took,
						c.least, c.most)
				}
				stop()
				<-done
				time.Sleep(time.Hour) // what hangs has ended then
			})
		})
	}
}

// offer offers a batch of one line, and reports whether it was taken.
func (r *rig) offer(ctx context.Context, id event.SourceID) bool {
	src := source(id)
	b := &event.Batch{}
	b.Reset(src)
	b.Add(0, 1, b.PutString("ten bytes."))
	b.To = 1
	r.d.Expect(1)
	nothing := &track{t: r.t, done: map[uint64]bool{}}
	taken, err := r.d.Offer(ctx, Share(b, 1, func(*event.Batch) {}), nothing)
	if err != nil {
		r.t.Error(err)
	}
	return taken
}
