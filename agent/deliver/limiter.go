package deliver

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"

	"github.com/longshore/longshore/pipeline"
)

// A limiter bounds how many requests of an output are in flight, to what its destination takes: one
// more whenever as many as are allowed have succeeded while lanes wait, half as many when it is
// overloaded (additive increase, multiplicative decrease, as in RFC 5681). After the first
// decrease, more are tried less often. Lanes that wait take turns.
type limiter struct {
	most int

	mu        sync.Mutex
	limit     int // at least 1
	inFlight  int
	successes int // since limit changed
	decreases int
	waiting   []*permit // longest first
}

// A permit is what one lane has of the limiter. Its methods belong to the lane, and to its request
// while that is in flight.
type permit struct {
	limiter *limiter
	granted chan struct{} // fires when a lane that waits may send
	wanted  bool          // the lane's own: it waits or holds it

	// Guarded by limiter.mu.
	held      bool
	decreases int // those there had been when it was granted
}

const (
	// initialLimit is where the limit starts, and what it comes back to even while no lane waits:
	// with one request at a time, a single one that hangs would hold up all lanes.
	initialLimit = 2
	// roundsAfterDecrease is how many rounds must succeed before one more is tried, once the
	// destination has turned some away: each attempt may be in vain.
	roundsAfterDecrease = 8
)

func newLimiter(most int) *limiter {
	return &limiter{most: max(1, most), limit: max(1, min(most, initialLimit))}
}

func (m *limiter) newPermit() *permit { return &permit{limiter: m, granted: make(chan struct{}, 1)} }

// acquire reports whether the lane may send. If not, granted fires when it may; then acquire is
// called again, or release.
func (p *permit) acquire() bool {
	m := p.limiter
	m.mu.Lock()
	defer m.mu.Unlock()
	if !p.wanted {
		p.wanted = true
		m.waiting = append(m.waiting, p)
		m.grant()
	}
	return p.held
}

// release gives the permit back, or ends the wait for it.
func (p *permit) release() { p.releaseAfter(noSignal) }

// releaseAfter gives the permit back after a request, whose answer may change the limit.
func (p *permit) releaseAfter(s signal) {
	if !p.wanted {
		return
	}
	m := p.limiter
	m.mu.Lock()
	defer m.mu.Unlock()
	p.wanted = false
	if p.held {
		p.held = false
		m.inFlight--
		m.adjust(s, p.decreases)
	} else {
		m.waiting = slices.DeleteFunc(m.waiting, func(other *permit) bool { return other == p })
	}
	m.grant()
}

func (m *limiter) grant() {
	for len(m.waiting) > 0 && m.inFlight < m.limit {
		p := m.waiting[0]
		m.waiting = append(m.waiting[:0], m.waiting[1:]...)
		m.inFlight++
		p.held, p.decreases = true, m.decreases
		select {
		case p.granted <- struct{}{}:
		default:
		}
	}
}

// adjust changes the limit by an answer to a request that began after a number of decreases. Of
// requests in flight at the same time only the first overload counts.
func (m *limiter) adjust(s signal, decreases int) {
	switch {
	case s == overload && decreases == m.decreases:
		m.limit = max(1, m.limit/2)
		m.decreases++
		m.successes = 0
	case s == success && m.limit < m.most && (len(m.waiting) > 0 || m.limit < initialLimit):
		if m.successes++; m.successes >= m.neededSuccesses() {
			m.limit++
			m.successes = 0
		}
	}
}

// neededSuccesses returns how many successes raise the limit by one.
func (m *limiter) neededSuccesses() int {
	if m.decreases > 0 {
		return roundsAfterDecrease * m.limit
	}
	return m.limit
}

func (m *limiter) current() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.limit
}

// A signal is what an answer says about the number of requests.
type signal uint8

const (
	noSignal signal = iota // the destination was not reached, or is failing
	success                // the destination has dealt with the request
	overload               // it is busy, or gave no answer in time
)

// busyShare is the part of a body, one in so many, that a busy destination turns away. Of less it
// was a shard or a moment, and fewer requests would not help.
const busyShare = 4

// signalOf returns what the answer to a body of a number of records says.
func signalOf(err error, records int) signal {
	if err == nil {
		return success
	}
	answer := asSendError(err)
	busy := 0
	for _, item := range answer.Items {
		if isBusy(item.Status) {
			busy++
		}
	}
	switch {
	case busy > 0 && busy*busyShare >= records:
		return overload
	case answer.Items != nil:
		return success
	case isBusy(answer.Status) || isTimeout(answer.Err):
		return overload
	case answer.Outcome == pipeline.Retry || answer.Outcome == pipeline.Hold:
		return noSignal
	}
	return success
}

func isBusy(status int) bool {
	return status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable ||
		status == http.StatusGatewayTimeout
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) ||
		errors.As(err, &timeout) && timeout.Timeout()
}
