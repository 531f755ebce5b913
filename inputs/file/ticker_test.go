package file

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
)

// TestNotificationsWithoutNewsArePaused counts how many are received of a file that is written to
// every 5 ms. The system keeps one until it is received, and merges all others.
func TestNotificationsWithoutNewsArePaused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const every = 5 * time.Millisecond
		source := make(chan fsnotify.Event)
		end := time.After(freeTickEvery * tickInterval)
		go func() {
			for {
				time.Sleep(every)
				select {
				case source <- fsnotify.Event{}:
				case <-t.Context().Done():
					return
				}
			}
		}()
		th := newThrottle(source, ticks{time.Now()})
		defer th.stop()
		received := 0
		for done := false; !done; {
			select {
			case <-th.channel():
				received++
				th.note(false)
			case <-th.resumeAfter():
				th.resume()
			case <-end:
				done = true
			}
		}
		const inFree, inPaused = int(tickInterval / every), 2 * (freeTickEvery - 1) / pauseTicks
		if received < inFree || received > inFree+inPaused+1 {
			t.Errorf("%d notifications were received, want %d in the free tick and %d in all others",
				received, inFree, inPaused)
		}
	})
}

func TestNewsIsNotPaused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle(make(chan fsnotify.Event), ticks{time.Now()})
		defer th.stop()
		for range 1000 {
			time.Sleep(time.Millisecond)
			if th.note(true); th.channel() == nil {
				t.Fatal("it pauses for news")
			}
		}
		time.Sleep(tickInterval)
		th.note(false)
		if th.channel() != nil {
			t.Fatal("it does not pause for what is no news")
		}
		paused := time.Now()
		<-th.resumeAfter()
		if th.resume(); th.channel() == nil || time.Since(paused) > pauseTicks*tickInterval {
			t.Errorf("notifications were paused for %v", time.Since(paused))
		}
	})
}
