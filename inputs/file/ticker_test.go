package file

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
)

// TestNoticesWithoutNewsAreHeldBack counts how many are taken of a file that is written to
// every 5 ms. The system keeps one until it is taken, and merges all others.
func TestNoticesWithoutNewsAreHeldBack(t *testing.T) {
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
		taken := 0
		for done := false; !done; {
			select {
			case <-th.channel():
				taken++
				th.note(false)
			case <-th.resumeAfter():
				th.resume()
			case <-end:
				done = true
			}
		}
		const inBreath, inHeld = int(tickInterval / every), 2 * (freeTickEvery - 1) / pauseTicks
		if taken < inBreath || taken > inBreath+inHeld+1 {
			t.Errorf("%d notices were taken, want %d in the beat that holds none back and %d in all others", taken, inBreath, inHeld)
		}
	})
}

func TestNewsIsTakenFreely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle(make(chan fsnotify.Event), ticks{time.Now()})
		defer th.stop()
		for range 1000 {
			time.Sleep(time.Millisecond)
			if th.note(true); th.channel() == nil {
				t.Fatal("it holds back news")
			}
		}
		time.Sleep(tickInterval)
		th.note(false)
		if th.channel() != nil {
			t.Fatal("it does not hold back what is no news")
		}
		held := time.Now()
		<-th.resumeAfter()
		if th.resume(); th.channel() == nil || time.Since(held) > pauseTicks*tickInterval {
			t.Errorf("notices were held back for %v", time.Since(held))
		}
	})
}
