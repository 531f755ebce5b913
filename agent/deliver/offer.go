package deliver

import (
	"context"
	"sync"
	"time"
)

// Outputs do not wait for each other, but for moments: a lane that was always let go as soon as it
// is full would have everything read twice whenever there is much to do.
const (
	// maxPatience is how long a lane may hold others up at a time.
	maxPatience = 250 * time.Millisecond
	// patienceShare is the part of all time for which it may.
	patienceShare = 1.0 / 20
	// offerTick is how often a batch that is offered looks whether its lane is held up.
	offerTick = 10 * time.Millisecond
)

// Offer is Put for a batch whose source others wait for: it returns false once the batch's lane has
// been full, or held up otherwise, for longer than others are to wait. The batch is then not
// released.
func (d *Deliverer) Offer(ctx context.Context, b *Shared, track Track) (taken bool, err error) {
	l := d.laneOf(b.Source)
	dl := delivery{b, track}
	select {
	case l.in <- dl:
		return true, nil
	default:
	}
	tick := time.NewTicker(offerTick)
	defer tick.Stop()
	for {
		select {
		case l.in <- dl:
			return true, nil
		case <-ctx.Done():
			d.metrics.add(-len(b.Records))
			b.Release()
			return false, ctx.Err()
		case <-tick.C:
			if l.heldUp.Load() && !l.patience.spend(time.Now(), offerTick) {
				return false, nil
			}
		}
	}
}

// Behind counts records that were expected and that the output is to take later, when it has read
// them again; or, with a negative number, that it took then.
func (d *Deliverer) Behind(records int) { d.metrics.behind.Add(int64(records)) }

// Skip counts records that were expected, and were done in an earlier run.
func (d *Deliverer) Skip(records int) {
	d.metrics.behind.Add(int64(-records))
	d.metrics.end(&d.metrics.skipped, records)
}

// Lost counts records that were expected and cannot be read any more.
func (d *Deliverer) Lost(records int) {
	d.metrics.behind.Add(int64(-records))
	d.metrics.end(&d.metrics.lost, records)
}

// patience is how long others still wait for a lane.
type patience struct {
	mu   sync.Mutex
	left time.Duration
	at   time.Time // when it was so
}

// spend takes a time from it, and reports whether there was as much.
func (p *patience) spend(now time.Time, waited time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.at.IsZero() {
		p.left = maxPatience
	} else {
		p.left = min(maxPatience, p.left+time.Duration(float64(now.Sub(p.at))*patienceShare))
	}
	p.at = now
	if p.left < waited {
		return false
	}
	p.left -= waited
	return true
}
