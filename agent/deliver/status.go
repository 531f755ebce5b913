package deliver

import (
	"cmp"
	"slices"
	"time"
)

// A Status is how an output does, beside its Counts.
type Status struct {
	QueuedBytes   int64       `json:"queued_bytes"` // encoded records in memory or in flight
	QueueSize     int64       `json:"queue_size"`
	Concurrency   int         `json:"concurrency"` // requests that may be in flight now
	Requests      uint64      `json:"requests"`
	Failed        uint64      `json:"requests_failed"`
	LastDelivered *time.Time  `json:"last_delivered,omitempty"` // when records last got through
	LagSeconds    float64     `json:"lag_seconds"`              // for how long the oldest record has waited
	Rejections    []Rejection `json:"rejections,omitempty"`     // since the start
}

// Lag returns for how long the oldest record has waited that has not ended.
func (d *Deliverer) Lag() time.Duration { return d.metrics.lag(time.Now()) }

// Status returns how the output does now.
func (d *Deliverer) Status() Status {
	s := Status{
		QueuedBytes: d.metrics.queued.Load(), QueueSize: int64(d.Settings.Queue), Concurrency: d.limiter.current(),
		Requests: d.metrics.requests.Load(), Failed: d.metrics.failed.Load(), Rejections: d.rejected.list(),
		LagSeconds: d.Lag().Seconds(),
	}
	if at := d.gotThroughAt.Load(); at > 0 {
		t := time.Unix(0, at).UTC()
		s.LastDelivered = &t
	}
	return s
}

// Add adds what a Deliverer of the same output did before this one: what is counted since the
// start.
func (s *Status) Add(before Status) {
	s.Requests += before.Requests
	s.Failed += before.Failed
	if s.LastDelivered == nil {
		s.LastDelivered = before.LastDelivered
	}
	for _, b := range before.Rejections {
		kind := func(r Rejection) bool { return reasonKind(r.Status, r.Reason) == reasonKind(b.Status, b.Reason) }
		if i := slices.IndexFunc(s.Rejections, kind); i >= 0 {
			s.Rejections[i].Count += b.Count
		} else if len(s.Rejections) < maxReasons {
			s.Rejections = append(s.Rejections, b)
		}
	}
	slices.SortStableFunc(s.Rejections, func(a, b Rejection) int { return cmp.Compare(b.Count, a.Count) })
}
