package deliver

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"sync"

	"github.com/longshore/longshore/pipeline"
)

// A gate bounds how many requests of an output are in flight, to what its
// destination takes: one more whenever as many as are allowed have succeeded
// while lanes wait, half as many when it says that it is too much (additive
// increase, multiplicative decrease, as in RFC 5681). Once it has said so, more
// are tried less often.
type gate struct {
	most int // never more than these

	mu      sync.Mutex
	limit   int // in flight at a time, at least 1
	flying  int
	good    int      // answers since limit changed
	cuts    int      // how often it was halved
	waiting []*place // longest first
}

// A place is how one lane stands to the gate. Its methods belong to the lane, and
// to its request while that is in flight.
type place struct {
	gate *gate
	// turn fires when a lane that waits was let in.
	turn  chan struct{}
	asked bool // the lane's own: it waits or is in

	in   bool // under gate.mu, as is cuts
	cuts int  // those there had been when it was let in
}

// fewAtFirst is where the limit starts, and what it comes back to even while no
// lane waits: with a single one, a request that hangs would hold up all lanes.
const fewAtFirst = 2

// roundsAfterCut is how many rounds must succeed before one more is tried, once
// the destination has turned some away: each try may be one in vain.
const roundsAfterCut = 8

func newGate(most int) *gate {
	return &gate{most: max(1, most), limit: max(1, min(most, fewAtFirst))}
}

func (g *gate) place() *place { return &place{gate: g, turn: make(chan struct{}, 1)} }

// enter says whether the lane may send. If not, turn fires when it may; it is
// asked again then, or given up by leave.
func (p *place) enter() bool {
	g := p.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	if !p.asked {
		p.asked = true
		g.waiting = append(g.waiting, p)
		g.admit()
	}
	return p.in
}

// leave gives the place up, in front of the gate or behind it.
func (p *place) leave() { p.exit(unsaid) }

// exit ends a request. What its answer says decides how many there may be.
func (p *place) exit(said verdict) {
	if !p.asked {
		return
	}
	g := p.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	p.asked = false
	if p.in {
		p.in = false
		g.flying--
		g.learn(said, p.cuts)
	} else {
		g.forget(p)
	}
	g.admit()
}

func (g *gate) admit() {
	for len(g.waiting) > 0 && g.flying < g.limit {
		p := g.waiting[0]
		g.waiting = append(g.waiting[:0], g.waiting[1:]...)
		g.flying++
		p.in, p.cuts = true, g.cuts
		select {
		case p.turn <- struct{}{}:
		default:
		}
	}
}

func (g *gate) forget(p *place) {
	for i := range g.waiting {
		if g.waiting[i] == p {
			g.waiting = append(g.waiting[:i], g.waiting[i+1:]...)
			return
		}
	}
}

// learn takes an answer to a request that began after a number of cuts. Requests in
// flight at the same time say the same thing: of these only the first counts.
func (g *gate) learn(said verdict, cuts int) {
	switch {
	case said == tooMuch && cuts == g.cuts:
		g.limit = max(1, g.limit/2)
		g.cuts++
		g.good = 0
	case said == fine && g.limit < g.most && (len(g.waiting) > 0 || g.limit < fewAtFirst):
		if g.good++; g.good >= g.enough() {
			g.limit++
			g.good = 0
		}
	}
}

// enough is how many good answers let one more request in.
func (g *gate) enough() int {
	if g.cuts > 0 {
		return roundsAfterCut * g.limit
	}
	return g.limit
}

func (g *gate) limitNow() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.limit
}

// A verdict is what an answer says about how many requests there are.
type verdict uint8

const (
	unsaid  verdict = iota // nothing: the destination was not reached, or is ill
	fine                   // the destination has dealt with the request
	tooMuch                // it is busy, or gave no answer in time
)

func verdictOf(err error) verdict {
	if err == nil {
		return fine
	}
	answer := asSendError(err)
	for _, item := range answer.Items {
		if isBusy(item.Status) {
			return tooMuch
		}
	}
	switch {
	case isBusy(answer.Status) || isTimeout(answer.Err):
		return tooMuch
	case answer.Items == nil && (answer.Outcome == pipeline.Retry || answer.Outcome == pipeline.Hold):
		return unsaid
	}
	return fine
}

func isBusy(status int) bool {
	return status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) ||
		errors.As(err, &timeout) && timeout.Timeout()
}
