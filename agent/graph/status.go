package graph

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/agent/deliver"
	"github.com/longshore/longshore/pipeline/metric"
)

// Status is the graph's account of its records. What an input has read is what its pipelines took
// and what is in flight to them; what the pipelines took is, for each of their outputs, what that
// has taken.
type Status struct {
	Inputs    []InputStatus    `json:"inputs"`
	Pipelines []PipelineStatus `json:"pipelines"`
	Outputs   []OutputStatus   `json:"outputs"`
}

// InputStatus is the account of one input, in records.
type InputStatus struct {
	Name     string `json:"name"`
	Sources  int    `json:"sources"` // open now
	Read     uint64 `json:"read"`
	InFlight int64  `json:"in_flight"` // to its pipelines
}

// PipelineStatus is the account of one pipeline, in lines. What is neither joined nor pending is a
// record, which its outputs take.
type PipelineStatus struct {
	Name    string `json:"name"`
	Read    uint64 `json:"read"`
	Joined  uint64 `json:"joined"`  // became part of the record of a line before
	Pending int64  `json:"pending"` // the next line may belong to their record
}

// OutputStatus is the account of one output, in records.
type OutputStatus struct {
	Name string `json:"name"`
	deliver.Counts
}

// Status returns the account as it is now.
func (g *Graph) Status() Status {
	var s Status
	for _, in := range g.inputs {
		s.Inputs = append(s.Inputs, InputStatus{in.name, in.feed.open(), in.feed.read.Load(), in.feed.inFlight.Load()})
	}
	for _, p := range g.pipelines {
		s.Pipelines = append(s.Pipelines, PipelineStatus{p.name, p.read.Load(), p.joined.Load(), p.pending.Load()})
	}
	for _, o := range g.outputs {
		s.Outputs = append(s.Outputs, OutputStatus{o.name, o.deliverer.Counts()})
	}
	return s
}

// Counts are the sums of a Status. With several outputs, a record counts at each of them.
type Counts struct {
	Read uint64
	// Due counts each record once for every output of every pipeline that it goes through: as often
	// as it is to end. What is joined to another line does not end by itself.
	Due uint64
	// Joined counts lines that became part of another's record, once for every output of the
	// pipeline that joined them.
	Joined uint64
	deliver.Counts
}

// Pending returns how often a record has not ended yet: it waits or is on its way. What is pending
// at the end of a run is read again in the next.
func (c Counts) Pending() uint64 {
	ended := c.Delivered + c.Rejected + c.Filtered + c.Skipped + c.Lost
	return max(c.Due+c.Restored, ended) - ended
}

// Counts returns the sums as they are now.
func (g *Graph) Counts() Counts {
	var c Counts
	for _, in := range g.inputs {
		c.Read += in.feed.read.Load()
		c.Due += in.feed.due.Load()
	}
	for _, p := range g.pipelines {
		c.Joined += p.joined.Load() * uint64(len(p.outputs))
	}
	c.Due -= c.Joined
	for _, o := range g.outputs {
		c.Counts.Add(o.deliverer.Counts())
	}
	return c
}

func (f *feed) register(reg prometheus.Registerer) {
	metric.CounterOf(reg, "longshore_input_records_total", "Records read.", &f.read)
	metric.GaugeOf(reg, "longshore_input_in_flight_records", "Records read that the pipelines have not taken yet.",
		func() float64 { return float64(f.inFlight.Load()) })
	metric.GaugeOf(reg, "longshore_input_sources", "Sources that are open.",
		func() float64 { return float64(f.open()) })
}

func (p *sharedPipeline) register(reg prometheus.Registerer) {
	metric.CounterOf(reg, "longshore_pipeline_lines_total", "Lines taken.", &p.read)
	metric.CounterOf(reg, "longshore_pipeline_joined_lines_total",
		"Lines that became part of the record of a line before.", &p.joined)
	metric.GaugeOf(reg, "longshore_pipeline_pending_lines",
		"Lines that wait for the next, which may belong to their record.",
		func() float64 { return float64(p.pending.Load()) })
}
