package graph

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
)

// islandMetrics are the metrics of all islands. Each has a registry of its own, so that the next
// one of the same names can register its metrics anew; what counters and histograms of one that has
// ended had counted is added to those of the next, so that they never go back. A series whose
// components are in the config stays, even while nothing new is counted in it.
type islandMetrics struct {
	mu     sync.Mutex
	live   []*prometheus.Registry
	before map[string]*dto.MetricFamily // by name: of islands that have ended
	// registered are the registries that have a metric of a name, be it without a series yet.
	registered map[string]map[*prometheus.Registry]bool
	names      map[string]map[string]bool // of the config's components, by the label that has them
}

// of notes whose metrics are shown: those of a config's components.
func (m *islandMetrics) of(cfg *config.Config) {
	names := map[string]map[string]bool{}
	for _, label := range [...]string{string(pipeline.KindInput), string(pipeline.KindTransform),
		string(pipeline.KindOutput), pipelineLabel} {
		names[label] = map[string]bool{}
	}
	for _, c := range cfg.Inputs {
		names[string(pipeline.KindInput)][c.Name] = true
	}
	for _, c := range cfg.Transforms {
		names[string(pipeline.KindTransform)][c.Name] = true
	}
	for _, c := range cfg.Outputs {
		names[string(pipeline.KindOutput)][c.Name] = true
	}
	for _, c := range cfg.Pipelines {
		names[pipelineLabel][c.Name] = true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.names = names
}

// pipelineLabel is the label that has a pipeline's name.
const pipelineLabel = "pipeline"

// add shows what is registered in a registry by the returned Registerer, until end.
func (m *islandMetrics) add(r *prometheus.Registry) prometheus.Registerer {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.live = append(m.live, r)
	return &naming{r, m}
}

// naming registers collectors, and takes note of the names of their metrics.
type naming struct {
	*prometheus.Registry
	of *islandMetrics
}

// Register implements prometheus.Registerer.
func (n *naming) Register(c prometheus.Collector) error {
	err := n.Registry.Register(c)
	if err != nil {
		return err
	}
	descs := make(chan *prometheus.Desc)
	go func() {
		c.Describe(descs)
		close(descs)
	}()
	n.of.mu.Lock()
	defer n.of.mu.Unlock()
	for d := range descs {
		n.of.note(n.Registry, nameOf(d))
	}
	return nil
}

// MustRegister implements prometheus.Registerer.
func (n *naming) MustRegister(all ...prometheus.Collector) {
	for _, c := range all {
		if err := n.Register(c); err != nil {
			panic(err)
		}
	}
}

// nameOf returns the name of a metric, which its description has no other way to tell.
func nameOf(d *prometheus.Desc) string {
	_, rest, _ := strings.Cut(d.String(), `fqName: "`)
	name, _, _ := strings.Cut(rest, `"`)
	return name
}

func (m *islandMetrics) note(r *prometheus.Registry, name string) {
	if m.registered == nil {
		m.registered = map[string]map[*prometheus.Registry]bool{}
	}
	if m.registered[name] == nil {
		m.registered[name] = map[*prometheus.Registry]bool{}
	}
	m.registered[name][r] = true
}

// end takes note of what was counted in a registry, and leaves that.
func (m *islandMetrics) end(r *prometheus.Registry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.live = slices.DeleteFunc(m.live, func(other *prometheus.Registry) bool { return other == r })
	families, _ := r.Gather() // what cannot be gathered is no reason not to go on with the rest
	if m.before == nil {
		m.before = map[string]*dto.MetricFamily{}
	}
	for _, f := range families {
		if f.GetType() != dto.MetricType_COUNTER && f.GetType() != dto.MetricType_HISTOGRAM {
			continue
		}
		if was := m.before[f.GetName()]; was != nil && was.GetType() == f.GetType() {
			f.Metric = continued(f.Metric, was.Metric, nil)
		}
		m.before[f.GetName()] = f
	}
}

// prune forgets the names of metrics that nobody has any more. It is called when the next islands
// are there: until then all that was is shown.
func (m *islandMetrics) prune() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, by := range m.registered {
		maps.DeleteFunc(by, func(r *prometheus.Registry, _ bool) bool { return !slices.Contains(m.live, r) })
		if len(by) == 0 {
			delete(m.registered, name)
		}
	}
}

// Describe implements prometheus.Collector. Which metrics there are is known only when they are
// collected.
func (m *islandMetrics) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (m *islandMetrics) Collect(to chan<- prometheus.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make(prometheus.Gatherers, len(m.live))
	for i, r := range m.live {
		all[i] = r
	}
	families, _ := all.Gather() // as in end
	seen := map[string]bool{}
	for _, f := range families {
		seen[f.GetName()] = true
		if was := m.before[f.GetName()]; was != nil && was.GetType() == f.GetType() {
			f.Metric = continued(f.Metric, was.Metric, m.shows)
		}
		send(to, f)
	}
	for _, name := range slices.Sorted(maps.Keys(m.before)) {
		// One that nobody has any more was of a transform's own metrics.
		if was := m.before[name]; !seen[name] && m.registered[name] != nil {
			f := &dto.MetricFamily{Name: was.Name, Help: was.Help, Type: was.Type}
			f.Metric = continued(nil, was.Metric, m.shows)
			send(to, f)
		}
	}
}

// shows reports whether the components of a series are in the config.
func (m *islandMetrics) shows(series *dto.Metric) bool {
	return !slices.ContainsFunc(series.GetLabel(), func(l *dto.LabelPair) bool {
		names, ofComponent := m.names[l.GetName()]
		return ofComponent && !names[l.GetValue()]
	})
}

// continued returns series with what was counted before, and those of before that are shown and not
// among them.
func continued(now, before []*dto.Metric, shown func(*dto.Metric) bool) []*dto.Metric {
	byLabels := make(map[string]*dto.Metric, len(now))
	for _, series := range now {
		byLabels[labelsOf(series)] = series
	}
	for _, was := range before {
		switch series := byLabels[labelsOf(was)]; {
		case series != nil:
			addTo(series, was)
		case shown == nil || shown(was):
			now = append(now, was)
		}
	}
	return now
}

// addTo adds what was counted before to a series. A histogram of other buckets begins anew.
func addTo(series, before *dto.Metric) {
	if c := series.Counter; c != nil {
		sum := c.GetValue() + before.GetCounter().GetValue()
		c.Value = &sum
	}
	now, was := series.Histogram, before.Histogram
	if now == nil || was == nil || !slices.EqualFunc(now.Bucket, was.Bucket, func(a, b *dto.Bucket) bool {
		return a.GetUpperBound() == b.GetUpperBound()
	}) {
		return
	}
	count, sum := now.GetSampleCount()+was.GetSampleCount(), now.GetSampleSum()+was.GetSampleSum()
	now.SampleCount, now.SampleSum = &count, &sum
	for i, b := range now.Bucket {
		n := b.GetCumulativeCount() + was.Bucket[i].GetCumulativeCount()
		b.CumulativeCount = &n
	}
}

func labelsOf(series *dto.Metric) string {
	var text strings.Builder
	labels := slices.SortedFunc(slices.Values(series.GetLabel()), func(a, b *dto.LabelPair) int {
		return cmp.Compare(a.GetName(), b.GetName())
	})
	for _, l := range labels {
		text.WriteString(l.GetName() + "\x00" + l.GetValue() + "\x00")
	}
	return text.String()
}

func send(to chan<- prometheus.Metric, f *dto.MetricFamily) {
	desc := prometheus.NewDesc(f.GetName(), f.GetHelp(), nil, nil)
	for _, series := range f.Metric {
		to <- gathered{desc, series}
	}
}

// gathered is a series of an island's registry as one of the whole's.
type gathered struct {
	desc   *prometheus.Desc
	series *dto.Metric
}

// Desc implements prometheus.Metric.
func (g gathered) Desc() *prometheus.Desc { return g.desc }

// Write implements prometheus.Metric.
func (g gathered) Write(to *dto.Metric) error {
	to.Label, to.Counter, to.Gauge, to.Histogram = g.series.Label, g.series.Counter, g.series.Gauge, g.series.Histogram
	to.Summary, to.Untyped = g.series.Summary, g.series.Untyped
	return nil
}
