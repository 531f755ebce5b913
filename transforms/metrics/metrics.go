// Package metrics counts and measures records.
package metrics

import (
	"bytes"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/transforms/perrecord"
)

// Spec describes the transform.
func Spec() pipeline.Spec {
	return pipeline.Spec{
		Kind: pipeline.KindTransform,
		Type: "metrics",
		Summary: "Counts and measures records in /metrics; the records stay as they are. Counts begin at zero at " +
			"every start, and a replay after a crash is counted again.",
		New: func() any { return new(Config) },
	}
}

// Config is the transform's config.
type Config struct {
	Metrics []Metric `yaml:"metrics" required:"true" doc:"What to count and measure."`
	Max     int      `yaml:"max_series" default:"1000" min:"1" max:"100000" doc:"Label sets of one metric; those beyond it are all \"other\"."`
}

// A Metric is one metric of records.
type Metric struct {
	Name    string            `yaml:"name" required:"true" doc:"The metric's name." example:"http_request_seconds"`
	Type    string            `yaml:"type" default:"counter" enum:"counter|gauge|histogram" doc:"counter counts records or sums a field; gauge has a field's last value; histogram counts a field's values by size."`
	Field   string            `yaml:"field" doc:"The field with the number. Records without one are ignored." example:"duration_ms"`
	Factor  float64           `yaml:"factor" default:"1" doc:"Factor for the number." example:"0.001"`
	Help    string            `yaml:"help" doc:"What the metric means."`
	Labels  map[string]string `yaml:"labels" doc:"The metric's labels, with templates of the record's fields. Never use one that has a new value in every record." example:"{service: \"{service}\", status: \"{status}\"}"`
	Buckets []float64         `yaml:"buckets" doc:"Upper bounds of a histogram's buckets; by default those of Prometheus, from 5 ms to 10 s in seconds." example:"[0.1, 1, 10]"`
}

var (
	metricName = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*$`)
	labelName  = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)
)

// Check implements pipeline.Checker.
func (c *Config) Check() []pipeline.Problem {
	var problems []pipeline.Problem
	for i := range c.Metrics {
		path := fmt.Sprintf("metrics[%d].", i)
		for _, p := range c.Metrics[i].check() {
			p.Path = path + p.Path
			problems = append(problems, p)
		}
	}
	return problems
}

func (m *Metric) check() []pipeline.Problem {
	var problems []pipeline.Problem
	found := func(path, message string) {
		problems = append(problems, pipeline.Problem{Path: path, Message: message})
	}
	if !metricName.MatchString(m.Name) {
		found("name", "has letters, digits and _ only, and begins with no digit")
	}
	if m.Field == "" && m.Type != "counter" {
		found("field", "is missing: a "+m.Type+" needs a number")
	}
	for _, name := range slices.Sorted(maps.Keys(m.Labels)) {
		if !labelName.MatchString(name) || name == "transform" || name == "pipeline" || name == "le" {
			found("labels."+name, "is not a valid label name: letters, digits and _ only, and not transform, "+
				"pipeline or le, which are in use")
		}
		if _, err := event.ParseTemplate(m.Labels[name]); err != nil {
			found("labels."+name, err.Error())
		}
	}
	if !slices.IsSorted(m.Buckets) {
		found("buckets", "must ascend")
	}
	return problems
}

// Transform implements pipeline.TransformConfig.
func (c *Config) Transform(env pipeline.TransformEnv) (pipeline.Transform, error) {
	var all []*metric
	for i := range c.Metrics {
		m, err := newMetric(env, &c.Metrics[i], c.Max)
		if err != nil {
			return nil, fmt.Errorf("metric %s: %w", c.Metrics[i].Name, err)
		}
		all = append(all, m)
	}
	return perrecord.Record(env, func(b *event.Batch, i int) {
		for _, m := range all {
			m.observe(b, i)
		}
	}), nil
}

// A metric has its series by the text of their labels.
type metric struct {
	field  string
	factor float64
	labels []event.Template
	max    int
	log    *slog.Logger
	make   func(labels []string) func(float64)

	mu     sync.Mutex
	series map[string]func(float64)
	text   []byte
}

func newMetric(env pipeline.TransformEnv, c *Metric, limit int) (*metric, error) {
	m := &metric{field: c.Field, factor: c.Factor, max: limit, log: env.Log.With("metric", c.Name),
		series: map[string]func(float64){}}
	names := slices.Sorted(maps.Keys(c.Labels))
	for _, name := range names {
		value, err := event.ParseTemplate(c.Labels[name])
		if err != nil {
			return nil, fmt.Errorf("label %s %w", name, err)
		}
		m.labels = append(m.labels, value)
	}
	if err := env.Metrics.Register(m.collector(c, names)); err != nil {
		return nil, fmt.Errorf("its name is taken: %w", err)
	}
	return m, nil
}

func (m *metric) collector(c *Metric, names []string) prometheus.Collector {
	help := c.Help
	if help == "" {
		help = "Made of records."
	}
	switch c.Type {
	case "gauge":
		v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: c.Name, Help: help}, names)
		m.make = func(labels []string) func(float64) { return v.WithLabelValues(labels...).Set }
		return v
	case "histogram":
		v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: c.Name, Help: help, Buckets: c.Buckets}, names)
		m.make = func(labels []string) func(float64) { return v.WithLabelValues(labels...).Observe }
		return v
	}
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: c.Name, Help: help}, names)
	m.make = func(labels []string) func(float64) {
		counter := v.WithLabelValues(labels...)
		return func(n float64) {
			if n >= 0 { // a counter takes no other
				counter.Add(n)
			}
		}
	}
	return v
}

func (m *metric) observe(b *event.Batch, i int) {
	n := 1.0
	if m.field != "" {
		var ok bool
		if n, ok = number(b, i, m.field); !ok {
			return
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seriesOf(b, i)(n * m.factor)
}

// number returns a field's number; a text that is a number counts.
func number(b *event.Batch, i int, name string) (float64, bool) {
	v := b.Lookup(i, name)
	if v.Kind != event.Number && !v.Kind.IsString() || v.Len > 40 {
		return 0, false
	}
	n, err := strconv.ParseFloat(string(b.Bytes(v.Span)), 64)
	return n, err == nil && !math.IsNaN(n) && !math.IsInf(n, 0)
}

// maxValue bounds a label's value, in bytes.
const maxValue = 256

func (m *metric) seriesOf(b *event.Batch, i int) func(float64) {
	m.text = m.text[:0]
	for _, l := range m.labels {
		start := len(m.text)
		m.text = l.Append(m.text, b, i)
		value := event.TruncateText(m.text[start:], maxValue)
		if !utf8.Valid(value) { // which Prometheus does not take
			value = bytes.ToValidUTF8(value, []byte("\ufffd"))
		}
		m.text = append(append(m.text[:start], value...), 0xff) // 0xff is in no UTF-8
	}
	if s := m.series[string(m.text)]; s != nil {
		return s
	}
	if len(m.series) >= m.max && len(m.labels) > 0 {
		return m.other()
	}
	s := m.make(m.values())
	m.series[string(m.text)] = s
	return s
}

// values returns the labels' values in m.text.
func (m *metric) values() []string {
	values := make([]string, 0, len(m.labels))
	for start, at := 0, 0; at < len(m.text); at++ {
		if m.text[at] == 0xff && len(values) < len(m.labels) {
			values = append(values, string(m.text[start:at]))
			start = at + 1
		}
	}
	return values
}

// other returns the series of all label sets beyond the limit.
func (m *metric) other() func(float64) {
	const key = "other" // label sets end in 0xff
	if s := m.series[key]; s != nil {
		return s
	}
	m.log.Warn("a metric has too many series; further ones are counted as other", "max_series", m.max)
	s := m.make(slices.Repeat([]string{"other"}, len(m.labels)))
	m.series[key] = s
	return s
}
