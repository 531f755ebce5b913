// Package deliver takes parsed batches to one output: it gathers records into
// bodies, sends them, tries again, splits, sorts out what was refused, and
// says what is done.
package deliver

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// Options make a Deliverer. All but Metrics and DeadLetters must be set.
type Options struct {
	Name     string
	Number   int    // the output's place in the config: its bit of event.Record.NotTo
	Type     string // of the output, as in the config
	Output   pipeline.Output
	Settings pipeline.OutputSettings
	Log      *slog.Logger
	Health   func(error)
	Metrics  prometheus.Registerer
	// DeadLetters takes what the destination refused for good.
	DeadLetters DeadLetters
	// Spool gives a lane's spool; nil, or a nil spool, is none. SpoolAfter is how long a lane is full before it is used.
	Spool      func(lane int) Spool
	SpoolAfter time.Duration
}

// A Deliverer belongs to one output. Its work is shared out to lanes by source:
// the records of one source go through one lane, oldest first.
type Deliverer struct {
	Options
	limits       pipeline.Limits
	filter       filter
	metrics      metrics
	trouble      trouble
	refusals     reminder
	unknowable   reminder
	spoolTrouble reminder
	reconciler   pipeline.Reconciler // nil where the destination cannot be asked
	gate         *gate
	lanes        []*lane
	spares       spares
}

// New makes a Deliverer; Run starts it.
func New(o Options) *Deliverer {
	d := &Deliverer{Options: o, limits: o.Output.Limits(), filter: newFilter(o.Settings.Filter)}
	d.gate = newGate(o.Settings.Lanes)
	d.metrics = newMetrics(o.Metrics, d.gate)
	d.trouble = newTrouble(o.Log, o.Health)
	d.refusals = reminder{log: o.Log}
	d.unknowable = reminder{log: o.Log}
	d.reconciler, _ = o.Output.(pipeline.Reconciler)
	if n := int(o.Settings.Batch.Bytes); n > 0 {
		d.limits.Bytes = n
	}
	if n := o.Settings.Batch.Records; n > 0 {
		d.limits.Records = n
	}
	if d.limits.Bytes <= 0 {
		d.limits.Bytes = 1 << 20
	}
	d.spares = newSpares(d.limits.Bytes)
	d.spoolTrouble = reminder{log: o.Log}
	for i := range max(1, o.Settings.Lanes) {
		l := newLane(d)
		l.spill.patience = o.SpoolAfter
		if o.Spool != nil {
			l.spill.spool = o.Spool(i)
		}
		d.lanes = append(d.lanes, l)
	}
	return d
}

// Expect counts the records of a batch that Put is about to be given, so that they
// are accounted for while another output holds it up.
func (d *Deliverer) Expect(records int) { d.metrics.take(records) }

// Put hands over a batch, blocking while its lane is full; Expect was told of its
// records. The batch is released once it is encoded, or when Put fails with ctx's
// error. track is that of the batch's source for this output.
func (d *Deliverer) Put(ctx context.Context, b *Shared, track Track) error {
	n := len(b.Records)
	select {
	case d.laneOf(b.Source).in <- delivery{b, track}:
		return nil
	case <-ctx.Done():
		d.metrics.take(-n)
		b.Release()
		return ctx.Err()
	}
}

func (d *Deliverer) laneOf(src *event.Source) *lane {
	return d.lanes[src.ShardKey%uint64(len(d.lanes))]
}

// Finish says that no Put follows: Run returns once all is delivered.
func (d *Deliverer) Finish() {
	for _, l := range d.lanes {
		close(l.in)
	}
}

// Run delivers until Finish was called and all is done, or until ctx ends; what
// is not done then stays so in the ledger.
func (d *Deliverer) Run(ctx context.Context) {
	var lanes sync.WaitGroup
	for _, l := range d.lanes {
		lanes.Go(func() { l.run(ctx) })
	}
	lanes.Wait()
}

// Counts say what became of an output's records: Taken is the sum of Delivered,
// Rejected, Filtered, Skipped and InFlight, whenever no record is just on its way from one to
// the next.
type Counts struct {
	Taken     uint64 `json:"taken"`     // handed over by the pipelines
	Delivered uint64 `json:"delivered"` // stored by the destination
	Rejected  uint64 `json:"rejected"`  // by the destination, for good: dead letters
	Filtered  uint64 `json:"filtered"`  // left out by a rule of the user's own
	Skipped   uint64 `json:"skipped"`   // done in an earlier run
	InFlight  int64  `json:"in_flight"` // waiting or being sent

	Retried    uint64 `json:"retried"`  // sent again
	Spooled    uint64 `json:"spooled"`  // kept on disk for a while
	Restored   uint64 `json:"restored"` // of Taken: kept on disk by an earlier run
	Reconciled uint64 `json:"found"`    // of Delivered: proved to be stored when asked
}

// Add adds another output's counts.
func (c *Counts) Add(o Counts) {
	c.Taken += o.Taken
	c.Delivered += o.Delivered
	c.Rejected += o.Rejected
	c.Filtered += o.Filtered
	c.Skipped += o.Skipped
	c.InFlight += o.InFlight
	c.Retried += o.Retried
	c.Spooled += o.Spooled
	c.Restored += o.Restored
	c.Reconciled += o.Reconciled
}

// Counts gives the numbers so far.
func (d *Deliverer) Counts() Counts { return d.metrics.counts() }
