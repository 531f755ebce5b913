package alerts

import (
	"math"
	"slices"
	"time"
)

const (
	hoursOfDay, hoursOfWeek = 24, 7 * 24
	// samplesAnHour is about how many windows of an hour are remembered, and samplesKept how many
	// of the same hour of some weeks.
	samplesAnHour, samplesKept = 6, 24
	// enoughSamples is how many it takes to say what is usual.
	enoughSamples = 12
)

const directionFewer, directionBoth = "fewer", "both"

// A baseline is what was counted in windows of a group, by the hour of the week in UTC. The median
// of these, and the median of how far they are from it, are what is usual: a few odd weeks change
// neither.
type baseline struct {
	Since int64                 `json:"since"` // when it began, in Unix nanoseconds
	Hours [hoursOfWeek][]uint32 `json:"hours"` // the latest last

	hour  int // for which usual was found
	found usual
	ok    bool
}

// usual is a number of records in a window, and how far it spreads.
type usual struct{ median, spread float64 }

// newBaseline returns one that begins at a time.
func newBaseline(at int64) *baseline { return &baseline{Since: at, hour: -1} }

func (b *baseline) clone() *baseline {
	c := newBaseline(b.Since)
	for h, samples := range b.Hours {
		c.Hours[h] = slices.Clone(samples)
	}
	return c
}

func hourOfWeek(at int64) int {
	t := time.Unix(0, at).UTC()
	return int(t.Weekday())*24 + t.Hour()
}

// add takes the number of records in a window that ended at a time.
func (b *baseline) add(at int64, count int64) {
	h := hourOfWeek(at)
	samples := append(b.Hours[h], uint32(min(count, math.MaxUint32)))
	if len(samples) > samplesKept {
		samples = slices.Delete(samples, 0, len(samples)-samplesKept)
	}
	b.Hours[h], b.hour = samples, -1
}

// at returns what is usual at a time: by the hour of the week and those beside it, or where too
// little is known of these, by those of all days.
func (b *baseline) at(at int64) (usual, bool) {
	h := hourOfWeek(at)
	if h == b.hour {
		return b.found, b.ok
	}
	b.hour, b.ok = h, false
	for _, cycle := range []int{hoursOfWeek, hoursOfDay} {
		var all []float64
		for i, samples := range b.Hours {
			if distance := (i - h + hoursOfWeek) % cycle; distance > 1 && distance != cycle-1 {
				continue
			}
			for _, n := range samples {
				all = append(all, float64(n))
			}
		}
		if len(all) >= enoughSamples {
			b.found, b.ok = usualOf(all), true
			break
		}
	}
	return b.found, b.ok
}

// usualOf sorts all. The spread is that of the middle, as a standard deviation, but no less than
// chance makes of records that come by themselves.
func usualOf(all []float64) usual {
	m := median(all)
	for i := range all {
		all[i] = math.Abs(all[i] - m)
	}
	const asDeviation = 1.4826
	return usual{m, max(asDeviation*median(all), math.Sqrt(m), 1)}
}

func median(all []float64) float64 {
	slices.Sort(all)
	n := len(all)
	if n%2 == 1 {
		return all[n/2]
	}
	return (all[n/2-1] + all[n/2]) / 2
}
