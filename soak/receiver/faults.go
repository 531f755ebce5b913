package receiver

import (
	"context"
	"maps"
	"math/rand/v2"
	"sync"
	"time"
)

// A Fault is one way in which a request can go wrong.
type Fault string

// The faults. Those that end in "stored" store the request first: its sender
// cannot know. Of a "part stored" a random part is.
const (
	Fine          Fault = ""
	Busy          Fault = "429"
	BusyUntil     Fault = "429 with Retry-After"
	Failing       Fault = "500"
	Unavailable   Fault = "503"
	ResetUnread   Fault = "reset before reading"
	ResetMidway   Fault = "reset while reading"
	ResetStored   Fault = "reset, stored"
	ResetPart     Fault = "reset, part stored"
	FailingStored Fault = "500, stored"
	FailingPart   Fault = "500, part stored"
	Stall         Fault = "timeout"
	StallStored   Fault = "timeout, stored"
	Slow          Fault = "slow answer"
	Partial       Fault = "some refused for now" // as the destination words it: certain
	Silence       Fault = "silence"
	Refusal       Fault = "not listening"
	BusyItem      Fault = "document turned away"
)

var (
	writeFaults = []Fault{
		Busy, BusyUntil, Failing, Unavailable, ResetUnread, ResetMidway, ResetStored, ResetStored, ResetPart,
		FailingStored, FailingPart, Stall, StallStored, Slow, Partial, Partial,
	}
	readFaults = []Fault{Busy, Failing, Unavailable, ResetUnread, Stall, Slow}
)

// Faults decides at random, by a seed, what goes wrong. It is safe for use by several goroutines.
type Faults struct {
	// Items is the part of all documents that Elasticsearch turns away for now (429) while it
	// stores the others. It is set before the server is made.
	Items float64

	rate  float64
	stall time.Duration

	mu      sync.Mutex
	random  *rand.Rand
	over    bool
	noise   chan struct{} // closed when a silence ends; nil when there is none
	counted map[Fault]int
}

// NewFaults lets the given part of all requests go wrong. stall is longer than a client waits.
func NewFaults(seed uint64, rate float64, stall time.Duration) *Faults {
	return &Faults{rate: rate, stall: stall, random: rand.New(rand.NewPCG(seed, 1)), counted: map[Fault]int{}}
}

// Stop ends all faults.
func (f *Faults) Stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = true
	f.speakLocked()
}

// Counts gives how often each fault has happened.
func (f *Faults) Counts() map[Fault]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.counted)
}

// roll decides about a request.
func (f *Faults) roll(kinds []Fault) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over || f.random.Float64() >= f.rate {
		return Fine
	}
	return kinds[f.random.IntN(len(kinds))]
}

// turnsAway decides about a document.
func (f *Faults) turnsAway() bool {
	if f.Items == 0 {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over || f.random.Float64() >= f.Items {
		return false
	}
	f.counted[BusyItem]++
	return true
}

func (f *Faults) happened(fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counted[fault]++
}

// some chooses a random part of n items: a run from the first, as when an
// ingester dies midway, or here and there.
func (f *Faults) some(n int) func(int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.random.IntN(2) == 0 {
		first := f.random.IntN(n + 1)
		return func(i int) bool { return i < first }
	}
	chosen := make([]bool, n)
	for i := range chosen {
		chosen[i] = f.random.IntN(2) == 0
	}
	return func(i int) bool { return chosen[i] }
}

func (f *Faults) intN(n int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.random.IntN(n)
}

// silent has requests wait, unanswered, until speak or Stop.
func (f *Faults) silent() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.noise == nil && !f.over {
		f.noise = make(chan struct{})
		f.counted[Silence]++
	}
}

func (f *Faults) speak() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.speakLocked()
}

func (f *Faults) speakLocked() {
	if f.noise != nil {
		close(f.noise)
		f.noise = nil
	}
}

// listen waits out a silence, and tells whether there was one.
func (f *Faults) listen(ctx context.Context) (wasSilent bool) {
	f.mu.Lock()
	noise := f.noise
	f.mu.Unlock()
	if noise == nil {
		return false
	}
	select {
	case <-noise:
	case <-ctx.Done():
	}
	return true
}
