package deliver

import (
	"fmt"
	"slices"
	"time"
)

// A Spool keeps one lane's bodies on disk while its destination lags. It is used by one goroutine.
type Spool interface {
	// Append puts a body at the end, and returns nil once it is on disk. It keeps nothing of b.
	Append(b *Body) error
	// Next reads the oldest body that was not read yet into an empty one; ok is false when there is
	// none. The tracks of its runs take note of what is done. earlier says that another process has
	// put it there.
	Next(b *Body) (earlier, ok bool, err error)
	// Len returns how many bodies are left to be read.
	Len() int
}

// spillRetry is how long to wait when the spool takes no more.
const spillRetry = time.Second

// spill is how a lane keeps what its memory has no room for.
type spill struct {
	spool     Spool
	fullSince time.Time // zero while the lane is not full
	// How long the lane is full before it begins, and while an input hurries.
	after, hurriedAfter time.Duration
	// hurried says that it has begun for an input that hurried, and is to end with that: what the
	// other sources have is safe with them.
	hurried bool
	tail    []*Body // what found no room in the spool
	retryAt time.Time
}

// pending reports whether there is anything behind the queue.
func (s *spill) pending() bool {
	return len(s.tail) > 0 || s.spool != nil && s.spool.Len() > 0
}

// due reports whether a lane should spill by now: at once where it has begun to, and otherwise when
// it has been full for a while, which is noted here.
func (s *spill) due(full, hurry bool, now time.Time) bool {
	if !full {
		s.fullSince = time.Time{}
		return false
	}
	if s.fullSince.IsZero() {
		s.fullSince = now
	}
	fullFor, pending := now.Sub(s.fullSince), s.pending()
	switch {
	case s.spool == nil:
		return false
	case fullFor >= s.after, pending && !s.hurried:
		s.hurried = false
		return true
	}
	s.hurried = pending || hurry
	return hurry && fullFor >= s.hurriedAfter
}

// enqueue puts a sealed body behind all others: into the queue or, when there are others behind
// that already or it is full, on disk.
func (l *lane) enqueue(b *Body) {
	if !l.spill.pending() && !l.spill.due(l.overBudget(), l.d.hurrying.Load() > 0, time.Now()) {
		l.push(b)
		return
	}
	l.spill.tail = append(l.spill.tail, b)
	l.account(len(b.Bytes))
	l.spillTail()
}

// spillTail puts the tail on disk, which acknowledges its sources. What finds no room stays, and
// while it does no more is taken in.
func (l *lane) spillTail() {
	s := &l.spill
	for len(s.tail) > 0 && !time.Now().Before(s.retryAt) {
		b := s.tail[0]
		if err := l.spillBody(b); err != nil {
			s.retryAt = time.Now().Add(spillRetry)
			l.d.health.setSpool(l, err)
			l.d.spoolProblems.warn(l.d.Log, len(b.Items),
				"the spool takes no more: sources wait until the destination catches up", "why", err)
			return
		}
		l.d.health.setSpool(l, nil)
		s.tail = append(s.tail[:0], s.tail[1:]...)
		l.account(-len(b.Bytes))
		l.d.metrics.spooled.Add(uint64(len(b.Items)))
		b.finish()
		l.d.bodies.put(b)
	}
}

// spillBody puts a body on disk. Its records are reserved first: should the acknowledgement of
// their source be lost, they come again as uncertain.
func (l *lane) spillBody(b *Body) error {
	if err := b.reserve(); err != nil {
		return err
	}
	return l.spill.spool.Append(b)
}

// spillQueue puts on disk what waits in memory, while an input hurries: the sources of some of it
// may be gone already. It stays in front of all that was spilled, as nothing was before.
func (l *lane) spillQueue() {
	s := &l.spill
	hurries := l.d.hurrying.Load() > 0
	if s.hurried && !hurries && s.pending() && len(l.open.Items) > 0 {
		l.seal() // the end of what the input hurried for
	}
	if !s.hurried || s.pending() || !hurries {
		return
	}
	own := slices.IndexFunc(l.queue, func(b *Body) bool { return !b.spooled })
	if own < 0 {
		return
	}
	s.tail = append(s.tail, l.queue[own:]...)
	l.queue = slices.Delete(l.queue, own, len(l.queue))
	l.spillTail()
}

// spillWaitedFor puts all that is in memory on disk, where somebody waits for it and nothing got
// through for a while. It begins between two requests, so that the order stays: from then on, what
// is in flight is on disk, too.
func (l *lane) spillWaitedFor() {
	s := &l.spill
	since := l.d.tryingSince.Load()
	if !l.d.WaitedFor || s.spool == nil || since == 0 || len(s.tail) > 0 || l.inFlight != nil && !l.inFlight.spooled {
		return
	}
	own := slices.IndexFunc(l.queue, func(b *Body) bool { return !b.spooled })
	if own < 0 && len(l.open.Items) == 0 {
		return
	}
	if due := time.Unix(0, since).Add(l.d.HurriedSpoolAfter); time.Now().Before(due) {
		l.wakeAt(due)
		return
	}
	if len(l.open.Items) > 0 {
		l.seal()
	}
	if own = slices.IndexFunc(l.queue, func(b *Body) bool { return !b.spooled }); own < 0 || s.pending() {
		return
	}
	s.tail = append(s.tail, l.queue[own:]...)
	l.queue = slices.Delete(l.queue, own, len(l.queue))
	l.spillTail()
}

// A goneTrack knows whether its source can be read again.
type goneTrack interface {
	// Gone reports whether it cannot, or not for much longer.
	Gone() bool
}

// isGone reports whether something of a body cannot be read again.
func (b *Body) isGone() bool {
	return slices.ContainsFunc(b.Runs, func(r Run) bool {
		track, ok := r.Track.(goneTrack)
		return ok && track.Gone()
	})
}

// spillRest puts on disk what waits in memory and cannot be read again next time, where there is a
// spool with room.
func (l *lane) spillRest() {
	if l.spill.spool == nil {
		return
	}
	rest := append([]*Body{l.inFlight}, l.queue...)
	rest = append(append(rest, l.spill.tail...), l.open)
	for _, b := range rest {
		if b == nil || b.spooled || len(b.Items) == 0 || !b.isGone() {
			continue
		}
		if err := l.spillBody(b); err != nil {
			l.d.Log.Error("records whose source is gone are lost: they wait in memory, and the spool takes no more",
				"source", b.Runs[0].Source.Key, "records", len(b.Items), "why", err)
			return
		}
		l.d.metrics.spooled.Add(uint64(len(b.Items)))
		b.finish()
	}
}

// refill takes the next body from behind the queue, when that is empty.
func (l *lane) refill() {
	s := &l.spill
	if len(l.queue) > 0 || !s.pending() {
		return
	}
	if s.spool.Len() == 0 {
		l.queue, s.tail = s.tail, nil // it is accounted for already
		l.d.health.setSpool(l, nil)
		return
	}
	b := l.d.bodies.get()
	earlier, ok, err := s.spool.Next(b)
	if err != nil {
		l.pauseUntil = time.Now().Add(spillRetry)
		l.d.spoolProblems.warn(l.d.Log, 0, "the spool cannot be read, will try again", "why", fmt.Sprint(err))
	}
	if err != nil || !ok {
		l.d.bodies.put(b)
		return
	}
	b.spooled = true
	if earlier {
		b.Uncertain = true
		l.d.metrics.restored.Add(uint64(len(b.Items)))
		l.d.metrics.add(len(b.Items))
	}
	l.push(b)
}
