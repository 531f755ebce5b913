package resources

import (
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
)

// maxLabel bounds the value of a label, in bytes.
const maxLabel = 256

// A page collects series. They are made as they are sent: descriptions and checks of each, as a
// prometheus.Collector has, would cost more than reading the numbers.
type page struct {
	byName map[string]*dto.MetricFamily
}

func newPage() *page { return &page{byName: map[string]*dto.MetricFamily{}} }

// A labels is the labels of a series, sorted by name.
type labels []*dto.LabelPair

// pairs makes labels of names and values. What is no UTF-8 in a value is replaced, and a long one
// is cut.
func pairs(namesAndValues ...string) labels {
	all := make(labels, 0, len(namesAndValues)/2)
	for i := 0; i < len(namesAndValues); i += 2 {
		value := namesAndValues[i+1]
		if len(value) > maxLabel {
			value = value[:maxLabel]
		}
		value = strings.ToValidUTF8(value, "\uFFFD")
		all = append(all, &dto.LabelPair{Name: &namesAndValues[i], Value: &value})
	}
	return all.sorted()
}

// with returns the labels with one more.
func (l labels) with(namesAndValues ...string) labels {
	return append(slices.Clone(l), pairs(namesAndValues...)...).sorted()
}

func (l labels) sorted() labels {
	slices.SortFunc(l, func(a, b *dto.LabelPair) int { return strings.Compare(a.GetName(), b.GetName()) })
	return l
}

func (p *page) gauge(name, help string, value float64, l labels) {
	p.add(name, help, dto.MetricType_GAUGE, &dto.Metric{Label: l, Gauge: &dto.Gauge{Value: &value}})
}

func (p *page) counter(name, help string, value float64, l labels) {
	p.add(name, help, dto.MetricType_COUNTER, &dto.Metric{Label: l, Counter: &dto.Counter{Value: &value}})
}

func (p *page) add(name, help string, typ dto.MetricType, m *dto.Metric) {
	f := p.byName[name]
	if f == nil {
		f = &dto.MetricFamily{Name: &name, Help: &help, Type: &typ}
		p.byName[name] = f
	}
	f.Metric = append(f.Metric, m)
}

// families returns all, sorted by name.
func (p *page) families() []*dto.MetricFamily {
	all := make([]*dto.MetricFamily, 0, len(p.byName))
	for _, f := range p.byName {
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b *dto.MetricFamily) int { return strings.Compare(a.GetName(), b.GetName()) })
	return all
}
