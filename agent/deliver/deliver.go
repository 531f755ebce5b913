package deliver

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/metric"
)

// Options make a Deliverer. All but Metrics, Panicked, Redact, Refused, DeadLetters, Aside and
// Spool must be set.
type Options struct {
	Name     string
	Number   int    // index of the output in the config: its bit of event.Record.ExcludedOutputs
	Type     string // of the output, as in the config
	Output   pipeline.Output
	Settings pipeline.OutputSettings
	Log      *slog.Logger
	Health   func(error)
	Metrics  prometheus.Registerer
	// Panicked is told what a goroutine has panicked with on which the Deliverer's state depends.
	Panicked pipeline.Panicked
	// Redact takes secrets out of what the destination says; nil for none.
	Redact func(string) string
	// Refused is told that the destination refuses us, perhaps for who we are; nil for nobody.
	Refused func()
	// DeadLetters keeps what the destination rejected.
	DeadLetters DeadLetters
	// Aside keeps what is refused while others get through; nil where that holds up its lane.
	Aside *DeadLetterFile
	// Spool returns a lane's spool, or nil.
	Spool func(lane int) Spool
	// SpoolAfter is how long a lane is full before its spool is used, and HurriedSpoolAfter while
	// an input hurries.
	SpoolAfter, HurriedSpoolAfter time.Duration
	// WaitedFor says that those who have sent records wait until these are done, and would send
	// them again: where nothing gets through for HurriedSpoolAfter, they go on disk, be it few.
	WaitedFor bool
}

// A Deliverer belongs to one output. It distributes the sources over its lanes.
type Deliverer struct {
	Options
	limits        pipeline.Limits
	filter        filter
	metrics       metrics
	health        healthTracker
	rejections    throttledLog
	rejected      rejections
	refusals      throttledLog
	unknowable    throttledLog
	postponed     throttledLog
	spoolProblems throttledLog
	reconciler    pipeline.Reconciler // nil where the destination cannot be asked
	idempotent    pipeline.Idempotent // nil where repeats are never harmless
	progress      atomic.Uint64       // requests of which some record got through
	gotThroughAt  atomic.Int64        // when the last of these did, in Unix nanoseconds; 0: none has
	tryingSince   atomic.Int64        // when the first request since then began, in Unix nanoseconds; 0: none has
	aside         *aside              // nil where nothing waits aside
	limiter       *limiter
	lanes         []*lane
	bodies        bodyPool
	hurrying      atomic.Int32 // inputs
	panics        pipeline.Panics
	abandoned     atomic.Int32 // requests that ignored that they were to end
}

// New returns a Deliverer. Run starts it.
func New(o Options) *Deliverer {
	d := &Deliverer{
		Options: o, limits: limitsOf(o), filter: newFilter(o.Settings.Filter),
		limiter: newLimiter(o.Settings.Lanes), health: newHealthTracker(o.Log, o.Health),
	}
	if o.Metrics == nil {
		o.Metrics = prometheus.NewRegistry()
	}
	d.metrics.register(o.Metrics, d.limiter)
	d.panics.Log = o.Log
	d.panics.Total = metric.Counter(o.Metrics, "longshore_output_panics_total",
		"Panics of the output, each at one record or request.")
	metric.GaugeOf(o.Metrics, "longshore_output_last_success_timestamp_seconds",
		"When records last got through, in Unix time; 0 if none have since the start.",
		func() float64 { return float64(d.gotThroughAt.Load()) / 1e9 })
	d.bodies = newBodyPool(d.limits.Bytes)
	d.aside = newAside(d, o.Aside)
	d.reconciler, _ = o.Output.(pipeline.Reconciler)
	d.idempotent, _ = o.Output.(pipeline.Idempotent)
	for i := range max(1, o.Settings.Lanes) {
		l := newLane(d)
		l.spill.after, l.spill.hurriedAfter = o.SpoolAfter, o.HurriedSpoolAfter
		if o.Spool != nil {
			l.spill.spool = o.Spool(i)
		}
		d.lanes = append(d.lanes, l)
	}
	return d
}

// limitsOf returns the output's limits, as the settings change them.
func limitsOf(o Options) pipeline.Limits {
	limits, batch := o.Output.Limits(), o.Settings.Batch
	limits.Bytes = cmp.Or(int(batch.Bytes), limits.Bytes, 1<<20)
	limits.Records = cmp.Or(batch.Records, limits.Records)
	return limits
}

// Expect counts the records of a batch that Put will be called with, so that they are accounted for
// while another output holds it up.
func (d *Deliverer) Expect(records int) { d.metrics.add(records) }

// Put hands over a batch that Expect was told of, and blocks while its lane is full. The batch is
// released once it is encoded, or when Put fails with ctx's error: then its records stay in flight,
// as the next run reads them. track is that of the batch's source for this output.
func (d *Deliverer) Put(ctx context.Context, b *Shared, track Track) error {
	select {
	case d.laneOf(b.Source).in <- delivery{b, track}:
		return nil
	case <-ctx.Done():
		b.Release()
		return ctx.Err()
	}
}

// Hurry notes that one input more hurries, or one less.
func (d *Deliverer) Hurry(on bool) {
	if on {
		d.hurrying.Add(1)
	} else {
		d.hurrying.Add(-1)
	}
	for _, l := range d.lanes {
		select {
		case l.hurried <- struct{}{}:
		default:
		}
	}
}

// LaneOf returns the number of a source's lane.
func (d *Deliverer) LaneOf(src *event.Source) int { return int(src.ShardKey % uint64(len(d.lanes))) }

func (d *Deliverer) laneOf(src *event.Source) *lane { return d.lanes[d.LaneOf(src)] }

// Finish says that no Put follows: Run returns once all is delivered.
func (d *Deliverer) Finish() {
	for _, l := range d.lanes {
		close(l.in)
	}
}

// Run delivers until Finish was called and all is done, or until ctx ends. What is not done then
// stays so in the ledger.
func (d *Deliverer) Run(ctx context.Context) {
	var lanes sync.WaitGroup
	for _, l := range d.lanes {
		lanes.Go(func() {
			defer d.Panicked.Contain()
			l.run(ctx)
		})
	}
	if d.aside == nil {
		lanes.Wait()
		return
	}
	d.aside.restore()
	during, stop := context.WithCancel(ctx)
	var again sync.WaitGroup
	again.Go(func() {
		defer d.Panicked.Contain()
		d.aside.run(during)
	})
	lanes.Wait()
	stop() // what is refused is not waited for
	again.Wait()
}

// IsStuck reports whether encoding a batch takes so long that it will never end.
func (d *Deliverer) IsStuck(now time.Time) bool {
	return slices.ContainsFunc(d.lanes, func(l *lane) bool { return l.encoding.IsStuck(now) })
}

// Counts returns the numbers so far.
func (d *Deliverer) Counts() Counts { return d.metrics.counts() }

// Leave counts what is in flight as left: it is done by another Deliverer, which reads it again or
// has it from the spool. Call it after Run has returned.
func (d *Deliverer) Leave() {
	m := &d.metrics
	m.left.Add(uint64(max(0, m.inFlight.Swap(0))))
	m.behind.Store(0)
	m.aside.Store(0)
	m.queued.Store(0)
}

// Counts are what became of an output's records. Taken is the sum of Delivered, Rejected, Filtered,
// Skipped, Lost, Left and InFlight, but for a record that is moving from one to the next just then.
type Counts struct {
	Taken     uint64 `json:"taken"`     // handed over by the pipelines
	Delivered uint64 `json:"delivered"` // stored by the destination
	Rejected  uint64 `json:"rejected"`  // dead letters
	Filtered  uint64 `json:"filtered"`  // left out by a rule of the user's
	Skipped   uint64 `json:"skipped"`   // done in an earlier run
	Lost      uint64 `json:"lost"`      // gone before the output, which lagged, had read them
	Left      uint64 `json:"left"`      // undone at a reload of the config, and read again since
	InFlight  int64  `json:"in_flight"` // waiting or being sent
	Behind    int64  `json:"behind"`    // of InFlight: yet to be read by the output, which lagged
	Aside     int64  `json:"aside"`     // of InFlight: refused while others get through, and on disk

	Retried    uint64 `json:"retried"`    // sent again
	Spooled    uint64 `json:"spooled"`    // kept on disk for a while
	Restored   uint64 `json:"restored"`   // of Taken: kept on disk by an earlier run
	Reconciled uint64 `json:"reconciled"` // of Delivered: found at the destination when it was asked
}

// Add adds another output's counts.
func (c *Counts) Add(o Counts) {
	c.Taken += o.Taken
	c.Delivered += o.Delivered
	c.Rejected += o.Rejected
	c.Filtered += o.Filtered
	c.Skipped += o.Skipped
	c.Lost += o.Lost
	c.Left += o.Left
	c.InFlight += o.InFlight
	c.Behind += o.Behind
	c.Aside += o.Aside
	c.Retried += o.Retried
	c.Spooled += o.Spooled
	c.Restored += o.Restored
	c.Reconciled += o.Reconciled
}

// Shared is a batch that several outputs read.
type Shared struct {
	*event.Batch
	users atomic.Int32
	free  func(*event.Batch)
}

// Share lets a number of users read a batch, each of which calls Release once. free then takes the
// batch back.
func Share(b *event.Batch, users int, free func(*event.Batch)) *Shared {
	s := &Shared{Batch: b, free: free}
	s.users.Store(int32(users))
	return s
}

// Release ends one user's reading.
func (s *Shared) Release() {
	if s.users.Add(-1) == 0 {
		s.free(s.Batch)
	}
}
