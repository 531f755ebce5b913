package deliver

import (
	"fmt"
	"time"
)

// A Spool keeps one lane's bodies on disk while its destination lags. It is
// used by one goroutine.
type Spool interface {
	// Append puts a body at the end of the queue; nil says that it is on disk.
	// The body is the caller's again.
	Append(b *Body) error
	// Next reads the oldest body that was not given yet into an empty one; ok is
	// false when there is none. The tracks of its runs take note of what is done
	// of it. earlier says that another process has put it there.
	Next(b *Body) (earlier, ok bool, err error)
	// Len is how many bodies are left to be given.
	Len() int
}

// spillRetry is how long to wait when the spool takes no more.
const spillRetry = time.Second

// spill is how a lane keeps what its memory has no room for. The order of a
// lane is: its queue, its spool, tail, and the growing body.
type spill struct {
	spool    Spool
	patience time.Duration // how long the lane is full before it begins
	since    time.Time     // when the lane became full; zero while it is not
	tail     []*Body
	retry    time.Time
}

// holds says whether there is anything behind the queue.
func (s *spill) holds() bool {
	return len(s.tail) > 0 || s.spool != nil && s.spool.Len() > 0
}

// wanted says whether a lane that is full should spill by now: at once where it
// has begun to, and otherwise when it is full for a while, which is noted here.
func (s *spill) wanted(full bool, now time.Time) bool {
	if !full {
		s.since = time.Time{}
		return false
	}
	if s.since.IsZero() {
		s.since = now
	}
	return s.spool != nil && (s.holds() || now.Sub(s.since) >= s.patience)
}

// add puts a sealed body behind all others: into the queue, or, when there are
// others behind that already or it is full, on disk.
func (l *lane) add(b *Body) {
	if !l.spill.holds() && !l.spill.wanted(l.crowded(), time.Now()) {
		l.push(b)
		return
	}
	l.spill.tail = append(l.spill.tail, b)
	l.weigh(len(b.Bytes))
	l.spillTail()
}

// spillTail puts the tail on disk, which acknowledges its sources. What finds
// no room stays, and while it does no more is taken in.
func (l *lane) spillTail() {
	s := &l.spill
	for len(s.tail) > 0 && !time.Now().Before(s.retry) {
		b := s.tail[0]
		if err := l.store(b); err != nil {
			s.retry = time.Now().Add(spillRetry)
			l.d.trouble.spool(l, err)
			l.d.spoolTrouble.warn(len(b.Items), "the spool takes no more: sources wait until the destination catches up", "why", err)
			return
		}
		l.d.trouble.spool(l, nil)
		s.tail = append(s.tail[:0], s.tail[1:]...)
		l.weigh(-len(b.Bytes))
		l.d.metrics.spooled.Add(uint64(len(b.Items)))
		finish(b)
		l.d.spares.put(b)
	}
}

// store puts a body on disk. Its records are reserved first: should the
// acknowledgement of their source be lost, they come again as uncertain.
func (l *lane) store(b *Body) error {
	if err := reserve(b); err != nil {
		return err
	}
	return l.spill.spool.Append(b)
}

// refill takes the next body from behind the queue, when that is empty.
func (l *lane) refill() {
	s := &l.spill
	if len(l.queue) > 0 || !s.holds() {
		return
	}
	if s.spool.Len() == 0 {
		l.queue, s.tail = s.tail, nil // it is weighed already
		l.d.trouble.spool(l, nil)
		return
	}
	b := l.d.spares.get()
	earlier, ok, err := s.spool.Next(b)
	if err != nil {
		l.d.spares.put(b)
		l.pause = time.Now().Add(spillRetry)
		l.d.spoolTrouble.warn(0, "the spool cannot be read, will try again", "why", fmt.Sprint(err))
		return
	}
	if !ok {
		l.d.spares.put(b)
		return
	}
	if earlier {
		b.Uncertain = true
		l.d.metrics.restored.Add(uint64(len(b.Items)))
		l.d.metrics.take(len(b.Items))
	}
	l.push(b)
}
