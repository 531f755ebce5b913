package deliver

import (
	"context"
	"sync"
	"time"
)

// Outputs do not wait for each other, but for moments: a lane that was always let go as soon as it
// is full would have everything read twice whenever there is much to do.
const (
	// maxPatience is how long a lane may hold others up at a time. If nothing got through its
	// output for as long, or ever, it is let go at once: there may be many sources.
	maxPatience = 250 * time.Millisecond
	// patienceShare is the part of all time for which it may.
	patienceShare = 1.0 / 20
	// offerTick is how often a batch that is offered looks whether its lane is held up.
	offerTick = 10 * time.Millisecond
)

// Offer is Put for a batch that can be read again and whose source others wait for: it returns
// false once the batch's lane has been full, or held up otherwise, for longer than others are to
// wait. The batch is then not released. It goes to the spool only while an input hurries.
func (d *Deliverer) Offer(ctx context.Context, b *Shared, track Track) (taken bool, err error) {
	l := d.laneOf(b.Source)
	dl := delivery{b, track}
	select {
	case l.door() <- dl:
		return true, nil
	default:
	}
	tick := time.NewTicker(offerTick)
	defer tick.Stop()
	for {
		if now := time.Now(); l.heldUp.Load() && (d.stuck(now) || !l.patience.has(now, offerTick)) {
			return false, nil
		}
		select {
		case l.door() <- dl:
			return true, nil
		case <-ctx.Done():
			b.Release()
			return false, ctx.Err()
		case <-tick.C:
			if l.heldUp.Load() {
				l.patience.spend(offerTick)
			}
		}
	}
}

// stuck reports whether requests have been made for a while, and nothing got through, or whether
// one has failed, and nothing ever did.
func (d *Deliverer) stuck(now time.Time) bool {
	since := d.tryingSince.Load()
	if since == 0 {
		return false
	}
	return now.Sub(time.Unix(0, since)) >= maxPatience || d.progress.Load() == 0 && d.metrics.failed.Load() > 0
}

// PutPatient is Put for a batch that can be read again later: it does not go to the spool, but
// waits while its lane is full, until stop or timeout has something. Then it returns false, and the
// batch is not released.
func (d *Deliverer) PutPatient(
	ctx context.Context, b *Shared, track Track, stop <-chan struct{}, timeout <-chan time.Time,
) (taken bool, err error) {
	select {
	case d.laneOf(b.Source).patient <- delivery{b, track}:
		return true, nil
	case <-stop:
		return false, nil
	case <-timeout:
		return false, nil
	case <-ctx.Done():
		b.Release()
		return false, ctx.Err()
	}
}

// door returns the channel for what can be read again, or, while an input hurries, for all.
func (l *lane) door() chan<- delivery {
	if l.d.hurrying.Load() > 0 {
		return l.in
	}
	return l.patient
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

// has reports whether there is so much of it.
func (p *patience) has(now time.Time, wanted time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.at.IsZero() {
		p.left = maxPatience
	} else {
		p.left = min(maxPatience, p.left+time.Duration(float64(now.Sub(p.at))*patienceShare))
	}
	p.at = now
	return p.left >= wanted
}

// spend takes a time from it.
func (p *patience) spend(waited time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left -= waited
}
