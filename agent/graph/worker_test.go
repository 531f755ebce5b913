package graph

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestWhatHasComeIsTakenFirst: a record does not end by time while its next line waits to be taken.
func TestWhatHasComeIsTakenFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorker(&batchPool{}, time.Now)
		taken := 0
		for range 2 {
			go func() { w.in <- message{of: &openSource{}, closed: func(bool) { taken++ }} }()
		}
		synctest.Wait()
		if w.handleQueued(t.Context()); taken != 2 {
			t.Errorf("%d of 2 were taken", taken)
		}
	})
}
