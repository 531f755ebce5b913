package graph

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/agent/deliver"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
	"github.com/longshore/longshore/pipeline/event"
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
	Type     string `json:"type"`
	Sources  int    `json:"sources"` // open now
	Read     uint64 `json:"read"`
	Left     uint64 `json:"left"`      // on the way to its pipelines at a reload; read again since
	InFlight int64  `json:"in_flight"` // to its pipelines
	// Unread is about how many bytes of its sources are not read yet, as far as it knows.
	Unread int64 `json:"unread_bytes"`
	// Positions says what those of the sources are: "bytes", or "time" in Unix nanoseconds.
	Positions string `json:"positions"`
	// Listed are the sources of which the most is not done, at most maxListed.
	Listed []SourceStatus `json:"source_list"`
}

// SourceStatus is how far one source is.
type SourceStatus struct {
	Key  string `json:"key"`
	Read uint64 `json:"read"` // position up to which it was read
	Done uint64 `json:"done"` // and up to which every output has it
	// Unread is about how many bytes are not read yet; missing where that is not known.
	Unread *int64 `json:"unread_bytes,omitempty"`
	Behind int    `json:"behind,omitempty"` // outputs that lag, and have yet to read it
}

// maxListed is how many sources of an input a Status lists.
const maxListed = 50

// PipelineStatus is the account of one pipeline, in lines. What is neither joined nor pending is a
// record, which its outputs take.
type PipelineStatus struct {
	Name string `json:"name"`
	// Inputs, Parsers, Transforms and Outputs are those of the config, by name.
	Inputs     []string `json:"inputs"`
	Parsers    []string `json:"parsers"`
	Transforms []string `json:"transforms"`
	Outputs    []string `json:"outputs"`

	Read    uint64 `json:"read"`
	Joined  uint64 `json:"joined"`  // became part of the record of a line before
	Left    uint64 `json:"left"`    // were pending at a reload; read again since
	Pending int64  `json:"pending"` // the next line may belong to their record
}

// OutputStatus is the account of one output, in records.
type OutputStatus struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Location string `json:"location,omitempty"` // URL of its server, without secrets
	deliver.Counts
	deliver.Status
	SpoolBytes int64 `json:"spool_bytes"`
	SpoolSize  int64 `json:"spool_size"`
}

// Status returns the account as it is now.
func (g *Graph) Status() Status {
	var s Status
	for i, in := range g.inputs {
		s.Inputs = append(s.Inputs, in.status(g.Config.Inputs[i]))
	}
	for i, p := range g.pipelines {
		c := g.Config.Pipelines[i]
		s.Pipelines = append(s.Pipelines, PipelineStatus{
			Name: p.name, Inputs: listed(c.Inputs), Parsers: listed(c.Parsers), Transforms: listed(c.Transforms),
			Outputs: listed(c.Outputs), Read: p.read.Load(), Joined: p.joined.Load(), Left: p.left.Load(),
			Pending: p.pending.Load(),
		})
	}
	for i, o := range g.outputs {
		s.Outputs = append(s.Outputs, o.status(g.Config.Outputs[i].Type))
	}
	return s
}

// listed returns a list that is not null as JSON.
func listed(names []string) []string { return append([]string{}, names...) }

func (in *input) status(c config.Input) InputStatus {
	s := InputStatus{
		Name: in.name, Type: c.Type, Sources: in.feed.open(), Read: in.feed.read.Load(),
		Left: in.feed.left.Load(), InFlight: in.feed.inFlight.Load(), Positions: "bytes",
	}
	if c.Traits.ReserveAhead > 0 {
		s.Positions = "time"
	}
	gauge, _ := in.input.(pipeline.Gauge)
	s.Listed = in.feed.sourceStatus(gauge)
	for _, source := range s.Listed {
		if source.Unread != nil {
			s.Unread += *source.Unread
		}
	}
	s.Listed = s.Listed[:min(len(s.Listed), maxListed)]
	return s
}

// sourceStatus returns how far the open sources are, those first of which the most is not done.
func (f *feed) sourceStatus(gauge pipeline.Gauge) []SourceStatus {
	f.mu.Lock()
	open := map[event.SourceID]*openSource{}
	for id, o := range f.sources {
		if !o.closed {
			open[id] = o
		}
	}
	f.mu.Unlock()
	all := []SourceStatus{}
	for id, o := range open {
		var s SourceStatus
		s.Key, s.Read, s.Done = o.progress.At()
		if gauge != nil {
			if n, ok := gauge.Unread(id); ok {
				s.Unread = &n
			}
		}
		f.mu.Lock()
		s.Behind = len(o.behind)
		f.mu.Unlock()
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b SourceStatus) int {
		return cmp.Or(cmp.Compare(b.left(), a.left()), strings.Compare(a.Key, b.Key))
	})
	return all
}

// left is how much of a source is not done.
func (s SourceStatus) left() uint64 {
	left := s.Read - min(s.Done, s.Read)
	if s.Unread != nil {
		left += uint64(*s.Unread)
	}
	return left
}

func (o *output) status(typ string) OutputStatus {
	s := OutputStatus{
		Name: o.name, Type: typ, Counts: o.deliverer.Counts(), Status: o.deliverer.Status(),
		SpoolBytes: o.spools.bytes(), SpoolSize: o.spools.size,
	}
	if server, ok := o.output.(pipeline.Prober); ok {
		s.Location = server.Location()
	}
	return s
}

// add adds the components of another status, each to the one of its name.
func (s *Status) add(o Status) {
	sum := o
	sum.addTo(*s)
	for _, in := range s.Inputs {
		if !slices.ContainsFunc(o.Inputs, func(other InputStatus) bool { return other.Name == in.Name }) {
			sum.Inputs = append(sum.Inputs, in)
		}
	}
	for _, p := range s.Pipelines {
		if !slices.ContainsFunc(o.Pipelines, func(other PipelineStatus) bool { return other.Name == p.Name }) {
			sum.Pipelines = append(sum.Pipelines, p)
		}
	}
	for _, out := range s.Outputs {
		if !slices.ContainsFunc(o.Outputs, func(other OutputStatus) bool { return other.Name == out.Name }) {
			sum.Outputs = append(sum.Outputs, out)
		}
	}
	*s = sum
}

// addTo adds, to each component, what is known of its name in another status.
func (s *Status) addTo(before Status) {
	for i := range s.Inputs {
		for _, b := range before.Inputs {
			if in := &s.Inputs[i]; b.Name == in.Name {
				in.Read += b.Read
				in.Left += b.Left
			}
		}
	}
	for i := range s.Pipelines {
		for _, b := range before.Pipelines {
			if p := &s.Pipelines[i]; b.Name == p.Name {
				p.Read += b.Read
				p.Joined += b.Joined
				p.Left += b.Left
			}
		}
	}
	for i := range s.Outputs {
		for _, b := range before.Outputs {
			if o := &s.Outputs[i]; b.Name == o.Name {
				o.Counts.Add(b.Counts)
				o.Status.Add(b.Status)
			}
		}
	}
}

// inOrderOf returns the status with its components in the order of a config.
func (s Status) inOrderOf(cfg *config.Config) Status {
	at := func(name string, n int, nameOf func(i int) string) int {
		for i := range n {
			if nameOf(i) == name {
				return i
			}
		}
		return n
	}
	input := func(name string) int {
		return at(name, len(cfg.Inputs), func(i int) string { return cfg.Inputs[i].Name })
	}
	pipeline := func(name string) int {
		return at(name, len(cfg.Pipelines), func(i int) string { return cfg.Pipelines[i].Name })
	}
	output := func(name string) int {
		return at(name, len(cfg.Outputs), func(i int) string { return cfg.Outputs[i].Name })
	}
	slices.SortStableFunc(s.Inputs, func(a, b InputStatus) int { return input(a.Name) - input(b.Name) })
	slices.SortStableFunc(s.Pipelines, func(a, b PipelineStatus) int { return pipeline(a.Name) - pipeline(b.Name) })
	slices.SortStableFunc(s.Outputs, func(a, b OutputStatus) int { return output(a.Name) - output(b.Name) })
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
	ended := c.Delivered + c.Rejected + c.Filtered + c.Skipped + c.Lost + c.Left
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
	c.Left += g.left.Load()
	return c
}

// leave counts what a reload has left undone, so that the account of the graph is closed: who reads
// it again counts it anew. Call it after Run has returned.
func (g *Graph) leave() {
	pending := g.Counts().Pending()
	for _, in := range g.inputs {
		in.feed.left.Add(uint64(max(0, in.feed.inFlight.Swap(0))))
	}
	for _, p := range g.pipelines {
		p.left.Add(uint64(max(0, p.pending.Swap(0))))
	}
	for _, o := range g.outputs {
		before := o.deliverer.Counts().Left
		o.deliverer.Leave()
		pending -= min(pending, o.deliverer.Counts().Left-before)
	}
	g.left.Store(pending) // what no output had taken yet
}

func (f *feed) register(reg prometheus.Registerer) {
	metric.CounterOf(reg, "longshore_input_records_total", "Records read.", &f.read)
	metric.CounterOf(reg, "longshore_input_records_left_total",
		"Records that a reload of the config found on the way to the pipelines; they are read again.", &f.left)
	metric.GaugeOf(reg, "longshore_input_in_flight_records", "Records read that the pipelines have not taken yet.",
		func() float64 { return float64(f.inFlight.Load()) })
	metric.GaugeOf(reg, "longshore_input_sources", "Sources that are open.",
		func() float64 { return float64(f.open()) })
	metric.GaugeOf(reg, "longshore_input_last_record_timestamp_seconds",
		"When records were last read, in Unix time; 0 if none were since the start.",
		func() float64 { return float64(f.lastRead.Load()) / 1e9 })
}

// registerLag adds the metrics for which the whole graph must be there.
func (f *feed) registerLag(reg prometheus.Registerer) {
	metric.GaugeOf(reg, "longshore_input_unread_bytes",
		"Bytes of the open sources that are not read yet, as far as the input knows.",
		func() float64 { return float64(f.unread()) })
	metric.GaugeOf(reg, "longshore_input_lag_seconds",
		"For how long the oldest record has waited of the output that lags the most of those that take the input.",
		func() float64 { return f.lag().Seconds() })
}

// unread returns how many bytes of the open sources are not read yet.
func (f *feed) unread() (bytes int64) {
	gauge, ok := f.in.input.(pipeline.Gauge)
	if !ok {
		return 0
	}
	f.mu.Lock()
	open := slices.Collect(maps.Keys(f.sources))
	f.mu.Unlock()
	for _, id := range open {
		if n, ok := gauge.Unread(id); ok {
			bytes += n
		}
	}
	return bytes
}

// lag returns the longest lag of the outputs that the input is sent to.
func (f *feed) lag() (lag time.Duration) {
	for _, p := range f.pipelines {
		for _, o := range p.outputs {
			lag = max(lag, o.deliverer.Lag())
		}
	}
	return lag
}

func (p *sharedPipeline) register(reg prometheus.Registerer) {
	metric.CounterOf(reg, "longshore_pipeline_lines_total", "Lines taken.", &p.read)
	metric.CounterOf(reg, "longshore_pipeline_joined_lines_total",
		"Lines that became part of the record of a line before.", &p.joined)
	metric.CounterOf(reg, "longshore_pipeline_lines_left_total",
		"Lines that waited for the next when the config was reloaded; they are read again.", &p.left)
	metric.GaugeOf(reg, "longshore_pipeline_pending_lines",
		"Lines that wait for the next, which may belong to their record.",
		func() float64 { return float64(p.pending.Load()) })
	p.panics.Total = metric.Counter(reg, "longshore_pipeline_panics_total",
		"Panics of parsers, each at one line: made to parse it again, and then to leave it as plain text.")
}
