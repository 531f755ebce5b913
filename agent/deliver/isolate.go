package deliver

import (
	"net/http"
	"slices"
	"time"

	"github.com/longshore/longshore/pipeline"
)

// A body that keeps failing as a whole, while others of the output get through, has a record in it
// that something on the way refuses: a firewall's rule, a proxy that falls over it. It is halved
// until that stands alone and waits aside (aside.go), and the rest goes on.
//
// Others are those that got through since the body last failed, of whatever lane. Where there are
// none, the destination may be away. That is found out by probes: records that are sent alone, the
// first, the second and so on, a few before each long pause. When one gets through, those before it
// have been refused alone, and are the suspects. So the order of a source, where an output needs
// it, is given up for what waits aside, and for a probe only where the destination comes back just
// between two.

const (
	// strikesBeforeDoubt is how often in a row a body fails before a record is suspected. A
	// destination that does not want us (403) is suspected at once, as the pauses are long then.
	strikesBeforeDoubt = 3
	// strikesBeforeAside is how often it has failed, alone at last, before it waits aside.
	strikesBeforeAside = 5
	// probesAtOnce is how many records are tried after the first, in the first rounds, the second,
	// fourth, eighth and so on; in all others the first alone is. maxSuspects is how many of them
	// may be the refused ones.
	probesAtOnce = 4
	maxSuspects  = 16
)

// mayBlameRecord reports whether an answer may be due to one of the records: the destination or
// something on the way has seen them, and is not busy and does not ask for credentials.
func mayBlameRecord(answer *pipeline.SendError) bool {
	switch answer.Status {
	case 0:
		return answer.Uncertain
	case http.StatusUnauthorized, http.StatusProxyAuthRequired, http.StatusTooManyRequests:
		return false
	}
	return answer.RetryAfter == 0
}

// doubt is what a lane has found out about the body at its front, which keeps failing.
type doubt struct {
	progress uint64 // that of the output when it failed last
	credit   int    // suspects, of which it is known that others got through
	rounds   int    // that have failed since anything got through
	probes   int    // in these, of later records
	last     probeKind
	next     probeKind
}

// probeKind is what an attempt sends of the body at the front.
type probeKind uint8

const (
	probeNone  probeKind = iota // all of it
	probeFirst                  // its first item
	probeOther                  // a later one of it, or of the next body
)

// A probe is one item that is sent alone; one without a body is none.
type probe struct {
	of   *Body
	item int
}

// isolate deals with a body that failed as a whole, if a record in it may be to blame, and reports
// whether it did.
func (l *lane) isolate(b *Body, answer *pipeline.SendError) bool {
	if l.d.aside == nil || !mayBlameRecord(answer) {
		return false
	}
	b.strikes++
	progress := l.d.progress.Load()
	others := b.strikes > 1 && (progress != l.doubt.progress || l.doubt.credit > 0)
	if progress == l.doubt.progress && others {
		l.doubt.credit--
	}
	l.doubt.progress = progress
	enough := strikesBeforeDoubt
	if answer.Outcome == pipeline.Hold {
		enough = 1
	}
	switch {
	case b.strikes < enough:
		return false
	case !others:
		return l.probe(b, answer)
	case len(b.Items) > 1:
		if l.d.reconciles(b) {
			l.pauseUntil = time.Now().Add(reconcileDelay)
		}
		l.halve(b)
		return true
	case b.strikes >= strikesBeforeAside:
		return l.setAside(b, answer)
	}
	l.retryAfter(b, answer, l.pauses.first())
	return true
}

// probe has the next attempt at a body be a probe, and reports whether there is anything to probe.
func (l *lane) probe(b *Body, answer *pipeline.SendError) bool {
	d := &l.doubt
	if d.last == probeOther {
		d.probes++
	}
	switch {
	case d.last == probeNone && len(b.Items) > 1:
		d.next = probeFirst
	case d.last == probeOther && d.probes%probesAtOnce == 0, d.rounds&(d.rounds-1) != 0:
		d.rounds++
		d.next = probeFirst
		l.retry(b, answer)
		return true
	case l.later(b).of != nil:
		d.next = probeOther
	default:
		return false // it is all there is, and holds up nothing
	}
	l.retryAfter(b, answer, l.pauses.first())
	return true
}

// takeProbe returns what the next attempt at a body sends alone.
func (l *lane) takeProbe(b *Body) (p probe) {
	kind := l.doubt.next
	switch {
	case b.strikes == 0:
		kind = probeNone
	case kind == probeFirst && len(b.Items) > 1:
		p = probe{b, 0}
	case kind == probeOther:
		p = l.later(b)
	}
	if p.of == nil {
		kind = probeNone
	}
	l.doubt.last, l.doubt.next = kind, probeNone
	return p
}

// later chooses an item after the first, of the body or of the next one: at first one after the
// other, and then further on.
func (l *lane) later(b *Body) probe {
	at := l.doubt.probes + 1
	if at > probesAtOnce {
		at = probesAtOnce << min(at-probesAtOnce, 16)
	}
	bodies, total := l.candidates(b)
	if total < 2 {
		return probe{}
	}
	at = 1 + (at-1)%(total-1)
	for _, one := range bodies {
		if at < len(one.Items) {
			return probe{one, at}
		}
		at -= len(one.Items)
	}
	return probe{}
}

// candidates returns a body and those that come next, with the number of their items.
func (l *lane) candidates(b *Body) (bodies []*Body, items int) {
	l.fillQueue()
	bodies, items = []*Body{b}, len(b.Items)
	for _, next := range l.queue {
		if l.d.reconciles(next) && time.Since(l.started) < reconcileDelay {
			break // what an earlier run has sent may still be under way
		}
		bodies, items = append(bodies, next), items+len(next.Items)
	}
	return bodies, items
}

// fillQueue has the queue hold what is sent next, if there is anything.
func (l *lane) fillQueue() {
	l.refill()
	if len(l.queue) == 0 && len(l.open.Items) > 0 && !l.spill.pending() {
		l.push(l.open)
		l.open = NewBody()
	}
}

// onProbe deals with the answer to a probe, made when a body was at the front.
func (l *lane) onProbe(b *Body, p probe, err error) {
	if err != nil {
		if answer := asSendError(err); answer.Items == nil && answer.Outcome <= pipeline.Hold {
			p.of.Uncertain = p.of.Uncertain || answer.Uncertain
			l.onFailure(b, answer)
			return
		}
	}
	bodies := []*Body{b}
	for p.of != bodies[len(bodies)-1] {
		next := l.queue[0]
		l.queue = append(l.queue[:0], l.queue[1:]...)
		l.account(-len(next.Bytes))
		bodies = append(bodies, next)
	}
	one, rest := l.part(p.of, func(i int) bool { return i == p.item })
	bodies[len(bodies)-1] = rest
	before := l.doubt.last == probeOther && l.doubt.probes < maxSuspects
	alone := 0
	for _, body := range slices.Backward(bodies) {
		switch {
		case !before:
			l.pushFront(body)
		case body == rest:
			alone += l.pushSuspects(body, p.item)
		default:
			alone += l.pushSuspects(body, len(body.Items))
		}
	}
	l.onAnswer(one, err)
	l.doubt.credit = alone
}

// pushSuspects puts a body to the front, each of its first items alone, if they are few. It returns
// how many those are.
func (l *lane) pushSuspects(b *Body, suspects int) (alone int) {
	if suspects > maxSuspects {
		suspects = 0
	}
	var bodies []*Body
	for range suspects {
		one, rest := l.part(b, func(i int) bool { return i == 0 })
		one.strikes = max(one.strikes, strikesBeforeAside-1)
		bodies, b = append(bodies, one), rest
	}
	l.pushFront(append(bodies, b)...)
	return suspects
}

// gotThrough notes that the destination has dealt with some records.
func (l *lane) gotThrough() {
	l.d.progress.Add(1)
	l.d.gotThroughAt.Store(time.Now().UnixNano())
	l.d.tryingSince.Store(0)
	l.pauses.Reset()
	l.turns = 0
	l.doubt = doubt{progress: l.doubt.progress}
}
