package deliver

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/pipeline"
)

// TestBodiesOfAge: a body grows from its first record on, however long nothing was sent, and waits
// less once a source of its is gone.
func TestBodiesOfAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &destination{limits: pipeline.Limits{Bytes: 10, Age: time.Minute, UnsafeAge: 5 * time.Second}}
		r := newRig(t, to, nil)
		start := time.Now()
		r.run(func(ctx context.Context) {
			src, other := source(1), source(2)
			time.Sleep(time.Hour)
			for i := range 3 { // until it is of age
				r.put(ctx, src, fmt.Sprint(i))
				time.Sleep(25 * time.Second)
			}
			r.put(ctx, src, "12345", "67890") // until it is full
			time.Sleep(time.Second)
			r.put(ctx, other, "a")
			time.Sleep(2 * time.Second)
			r.tracks[other].gone.Store(true)
			time.Sleep(5 * time.Second)
			r.put(ctx, src, "b") // until the end
			time.Sleep(time.Second)
		})
		want := [][]string{{"0", "1", "2"}, {"12345", "67890"}, {"a"}, {"b"}}
		if diff := cmp.Diff(want, to.bodies); diff != "" {
			t.Error(diff)
		}
		for i, after := range []time.Duration{time.Minute, 75 * time.Second, 81 * time.Second, 84 * time.Second} {
			if at := to.at[i].Sub(start) - time.Hour; at != after {
				t.Errorf("body %d left after %v, want %v", i, at, after)
			}
		}
	})
}
