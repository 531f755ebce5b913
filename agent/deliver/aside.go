package deliver

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/backoff"
)

// An aside keeps the records of an output that something refuses while others get through, in a
// file of dead letters of its own. They are pending, and sent again from time to time as a replay
// sends dead letters: in a lane of their own, where they hold nothing up.
type aside struct {
	d    *Deliverer
	file *DeadLetterFile
	log  throttledLog

	mu      sync.Mutex
	waiting int
	reason  string        // of the last one
	added   chan struct{} // fires when one has come
}

const (
	// asideFirst and asideLongest are the pauses between rounds: the shortest after one of which
	// something got through.
	asideFirst   = 5 * time.Second
	asideLongest = time.Minute
	// asideRecords and asideBytes bound what waits. What finds no room holds its lane up.
	asideRecords = 10_000
	asideBytes   = 64 << 20
	// asideRefusals is how many records may be refused again before a round ends.
	asideRefusals = 32
)

func newAside(d *Deliverer, file *DeadLetterFile) *aside {
	if file == nil {
		return nil
	}
	return &aside{d: d, file: file, added: make(chan struct{}, 1)}
}

// restore accounts for what an earlier run has left.
func (a *aside) restore() {
	n, reason := 0, ""
	err := a.file.EachPending(func(l *DeadLetter) error {
		if a.fits(l) {
			n, reason = n+1, l.Reason
		}
		return nil
	})
	if err != nil {
		a.log.warn(a.d.Log, 0, "records that wait aside cannot be read", "error", err)
	}
	a.d.metrics.restored.Add(uint64(n))
	a.d.metrics.add(n)
	a.note(n, reason)
}

func (a *aside) fits(l *DeadLetter) bool { return len(l.Encoded) > 0 && l.Fits(a.d.Type) }

// keep puts records on disk.
func (a *aside) keep(letters []DeadLetter) error {
	a.mu.Lock()
	waiting := a.waiting
	a.mu.Unlock()
	size := int64(0)
	if info, err := os.Stat(a.file.Path()); err == nil {
		size = info.Size()
	}
	if waiting+len(letters) > asideRecords || size >= asideBytes {
		return fmt.Errorf("%d records in %s wait aside already", waiting, a.file.Path())
	}
	if err := a.file.Write(letters); err != nil {
		return err
	}
	a.note(len(letters), letters[0].Reason)
	return nil
}

// note notes that more records wait, or fewer, and has /ready say so.
func (a *aside) note(more int, reason string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiting += more
	if reason != "" {
		a.reason = reason
	}
	a.d.metrics.aside.Store(int64(a.waiting))
	var err error
	if a.waiting > 0 {
		err = fmt.Errorf("%d records are refused while others get through; they wait in %s and are sent again from "+
			"time to time; the last was refused with: %s", a.waiting, a.file.Path(), a.reason)
	}
	a.d.health.setAside(err)
	if more > 0 {
		select {
		case a.added <- struct{}{}:
		default:
		}
	}
}

// run sends what waits again, until ctx ends.
func (a *aside) run(ctx context.Context) {
	for inVain := 0; ; {
		a.mu.Lock()
		idle := a.waiting == 0
		a.mu.Unlock()
		if idle {
			select {
			case <-a.added:
			case <-ctx.Done():
				return
			}
		}
		if backoff.Sleep(ctx, backoff.Doubled(asideFirst, asideLongest, inVain), nil) != nil {
			return
		}
		inVain++
		if a.round(ctx) > 0 {
			inVain = 0
		}
	}
}

// round sends all that waits once more, and puts back what is refused again or was not tried. It
// returns how many records are dealt with.
func (a *aside) round(ctx context.Context) (dealtWith int) {
	letters, err := OpenReplay(a.file, a.fits)
	if err != nil {
		a.log.warn(a.d.Log, 0, "records that wait aside cannot be sent again", "error", err)
		return 0
	}
	during, stop := context.WithCancel(ctx)
	defer stop()
	l := newLane(a.d)
	l.retrial = &retrial{Replay: letters, stop: stop}
	l.spill.spool = l.retrial
	close(l.in)
	l.run(during)
	for {
		dealtWith = letters.DeadLetters() - int(letters.pending.Load())
		if err = letters.putBack(a.file); err == nil {
			break
		}
		a.log.warn(a.d.Log, 0, "records that wait aside cannot be written, will try again", "error", err)
		if backoff.Sleep(ctx, asideFirst, nil) != nil {
			break // the next run finds them
		}
	}
	a.note(-dealtWith, "")
	return dealtWith
}

// A retrial is the spool of a lane that sends again what waits aside.
type retrial struct {
	*Replay
	stop     func()
	refusals int
}

// Next implements Spool. All is uncertain, and accounted for already.
func (r *retrial) Next(b *Body) (earlier, ok bool, err error) {
	_, ok, err = r.Replay.Next(b)
	b.Uncertain = true
	return false, ok, err
}

// refuse notes that the records of a body were refused again.
func (r *retrial) refuse(b *Body) {
	for i := range b.Runs {
		if track, ok := b.Runs[i].Track.(replayTrack); ok {
			r.letters[track.letter] = letterRefused
		}
	}
	if r.refusals++; r.refusals >= asideRefusals {
		r.stop()
	}
}

// setAside has the records of a body wait aside, and reports whether they do: they are on disk
// before their sources are told that they are done.
func (l *lane) setAside(b *Body, answer *pipeline.SendError) bool {
	if l.retrial != nil {
		l.retrial.refuse(b)
		return true
	}
	letters := make([]DeadLetter, len(b.Items))
	for i := range letters {
		letters[i] = l.d.newDeadLetter(b, i, answer.Status, answer.Reason, l.d.Output.Original(&b.Body, i))
	}
	if err := l.d.aside.keep(letters); err != nil {
		l.d.aside.log.warn(l.d.Log, len(letters), "records are refused and find no room to wait aside: they hold up "+
			"what comes after them", "why", err)
		return false
	}
	l.d.refusals.warn(l.d.Log, len(letters), "records are refused while others get through; they wait aside and are "+
		"sent again from time to time", "reason", letters[0].Reason, "source", letters[0].Key, "position",
		letters[0].Position, "file", l.d.aside.file.Path())
	b.finish()
	l.d.bodies.put(b)
	l.succeeded()
	return true
}
