package main

import (
	"testing"
	"time"
)

// A machine that is twice as slow, for the floor too, takes nothing from a mark.
func TestMarks(t *testing.T) {
	slow := measured{work: work{name: "one", mark: time.Second}, cpu: 2 * time.Second, floor: 2 * markFloor}
	two := measured{work: work{name: "two", against: "one"}, cpu: 2300 * time.Millisecond, floor: 2 * markFloor}
	for _, c := range []struct {
		of             measured
		seconds, ratio bool // met
	}{
		{slow, false, true},
		{two, false, false},
	} {
		seconds, ratio := c.of.marks([]measured{slow, two})
		if got := c.of.cpu <= seconds; got != c.seconds {
			t.Errorf("%s: in seconds %v: at most %s", c.of.work.name, got, seconds)
		}
		if got := c.of.ratio() <= ratio; got != c.ratio {
			t.Errorf("%s: as a ratio %v: %.2f, at most %.2f", c.of.work.name, got, c.of.ratio(), ratio)
		}
	}
}
