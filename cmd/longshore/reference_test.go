package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"

	"github.com/longshore/longshore/agent/graph"
	"github.com/longshore/longshore/agent/recent"
	"github.com/longshore/longshore/components"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
)

var update = flag.Bool("update", false, "write docs/reference anew")

// TestReference holds docs/reference against the specs and the metrics. `make reference` writes it.
func TestReference(t *testing.T) {
	pages := map[string]string{"config.md": configPage(), "metrics.md": metricsPage(t)}
	for _, kind := range []pipeline.Kind{pipeline.KindInput, pipeline.KindParser, pipeline.KindTransform,
		pipeline.KindOutput} {
		pages[string(kind)+"s.md"] = kindPage(kind)
	}
	pages["README.md"] = indexPage()
	for name, want := range pages {
		path := filepath.Join("..", "..", "docs", "reference", name)
		if *update {
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("docs/reference/%s is stale (%v); run `make reference`", name, err)
		}
	}
}

const generated = "\nThis page is generated from the code by `make reference`.\n"

func indexPage() string {
	var b strings.Builder
	b.WriteString("# Reference\n" + generated + "\n- [The top level of a config](config.md)\n- [Metrics](metrics.md)\n")
	for _, kind := range []pipeline.Kind{pipeline.KindInput, pipeline.KindParser, pipeline.KindTransform,
		pipeline.KindOutput} {
		var links []string
		for _, spec := range specsOf(kind) {
			links = append(links, fmt.Sprintf("[`%s`](%ss.md#%s)", spec.Type, kind, spec.Type))
		}
		fmt.Fprintf(&b, "- [%ss](%ss.md): %s\n", strings.ToUpper(string(kind[:1]))+string(kind[1:]), kind,
			strings.Join(links, ", "))
	}
	b.WriteString("\nTypes: a *duration* is written like `500ms`, `10s`, `5m`, `2h` or `7d`; a *size* like " +
		"`512KiB`, `1MiB` or `10GB`; a *secret*\n" +
		"is never shown. Every value may hold `${VAR}`, `${VAR:-default}`, `${VAR:?why}`, `${file:/path}`, " +
		"and [secrets](../secrets.md) of Vault and AWS.\n" +
		"\n`longshore schema` prints the same as a JSON Schema, [for editors](../commands.md).\n")
	return b.String()
}

func configPage() string {
	return "# The top level of a config\n" + generated + "\n" + settingsTable(config.DescribeTopLevel())
}

func kindPage(kind pipeline.Kind) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %ss\n%s", strings.ToUpper(string(kind[:1]))+string(kind[1:]), generated)
	var common []config.Setting
	for _, spec := range specsOf(kind) {
		all := config.Describe(spec)
		own := slices.DeleteFunc(slices.Clone(all), func(s config.Setting) bool { return s.Common })
		common = slices.DeleteFunc(all, func(s config.Setting) bool { return !s.Common })
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n%s", spec.Type, spec.Summary, settingsTable(own))
	}
	fmt.Fprintf(&b, "\n## Settings of every %s\n\n%s", kind, settingsTable(common))
	return b.String()
}

func specsOf(kind pipeline.Kind) []pipeline.Spec {
	a := app{components: components.All()}
	return a.sorted(kind)
}

func settingsTable(settings []config.Setting) string {
	if len(settings) == 0 {
		return "It has no settings of its own.\n"
	}
	var b strings.Builder
	b.WriteString("| setting | type | default | meaning |\n| --- | --- | --- | --- |\n")
	for _, s := range settings {
		doc := s.Doc
		if s.Example != "" {
			doc += " Example: `" + s.Example + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", s.Path, cell(typeCell(s)), cell(code(s.Default)), cell(doc))
	}
	return b.String()
}

func typeCell(s config.Setting) string {
	s.Default = ""
	return facts(s)
}

func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}

// cell escapes what would end the cell of a table.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ").Replace(text)
}

// metricsPage lists what a graph with every component registers.
func metricsPage(t *testing.T) string {
	cfg, err := config.Loader{Components: components.All()}.Load("metrics", []byte(everyComponent(t)))
	if err != nil {
		t.Fatal(err)
	}
	cfg.DataDir = t.TempDir()
	found := &registered{metrics: map[string]metricFacts{}, registry: prometheus.NewRegistry()}
	kept, err := recent.Open(recent.Options{DataDir: cfg.DataDir, Size: 1 << 20, Metrics: found})
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	registerBuildInfo(found)
	g, err := graph.Build(graph.Options{
		Config: cfg, Log: (&app{stderr: new(bytes.Buffer)}).logger(), Metrics: found, Now: time.Now,
		Health: func(pipeline.Kind, string) func(error) { return func(error) {} },
		Vital:  func(string) func(error) { return func(error) {} },
		Found:  func(_, _ string) {},
		Recent: kept,
	})
	if err != nil {
		t.Fatal(err)
	}
	newReloadMetrics(found)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.Run(ended); err != nil { // some inputs register their metrics when they run
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(found.gather(t)).Lint()
	for _, p := range problems {
		t.Errorf("%s is not named as Prometheus' conventions want: %s", p.Metric, p.Text)
	}
	if err != nil {
		t.Error(err)
	}
	var b strings.Builder
	b.WriteString("# Metrics\n" + generated + "\nBeside these, `/metrics` has those of the Go runtime and of " +
		"the process.\n\n" +
		"| metric | labels | meaning |\n| --- | --- | --- |\n")
	for _, name := range slices.Sorted(maps.Keys(found.metrics)) {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", name, strings.Join(found.metrics[name].labels, ", "),
			cell(found.metrics[name].help))
	}
	return b.String()
}

// everyComponent is a config with each input and output, and each transform that has metrics.
func everyComponent(t *testing.T) string {
	return `
inputs:
  docker: {type: docker}
  file: {type: file, paths: [/nowhere/*.log]}
  stdin: {type: stdin}
  exec: {type: exec, command: ["true"]}
  journald: {type: journald}
  syslog: {type: syslog, listen: ["udp://127.0.0.1:0"]}
  probe: {type: probe, tcp: "localhost:1"}
transforms: {none: {type: drop, if: 'level == "trace"'}}
alerts: {errors: {outputs: [stdout]}}
outputs:
  loki: {type: loki, url: http://localhost}
  elasticsearch: {type: elasticsearch, urls: [http://localhost]}
  stdout: {type: stdout}
  file: {type: file, path: ` + filepath.Join(t.TempDir(), "records") + `}
`
}

// registered is a prometheus.Registerer that notes what is registered, by name.
type registered struct {
	registry *prometheus.Registry
	mu       sync.Mutex
	metrics  map[string]metricFacts
}

func (r *registered) gather(t *testing.T) []*dto.MetricFamily {
	families, err := r.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	return families
}

type metricFacts struct {
	help   string
	labels []string
}

var descText = regexp.MustCompile(`^Desc\{fqName: "([^"]*)", help: "(.*)", unit: "[^"]*", constLabels: ` +
	`\{(.*)\}, variableLabels: \{(.*)\}\}$`)

// Register implements prometheus.Registerer.
func (r *registered) Register(c prometheus.Collector) error {
	if err := r.registry.Register(c); err != nil {
		return err
	}
	descs := make(chan *prometheus.Desc, 100)
	c.Describe(descs)
	close(descs)
	for desc := range descs {
		m := descText.FindStringSubmatch(desc.String())
		if m == nil {
			return fmt.Errorf("%s is written otherwise than expected", desc)
		}
		var labels []string
		for pair := range strings.SplitSeq(m[3], ",") {
			name, value, _ := strings.Cut(pair, "=")
			if name == "outcome" || name == "reason" {
				name += "=" + value
			}
			labels = append(labels, name)
		}
		r.note(m[1], strings.ReplaceAll(m[2], `\"`, `"`), append(labels, strings.Split(m[4], ",")...))
	}
	return nil
}

func (r *registered) note(name, help string, labels []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known := r.metrics[name]
	known.help = help
	for _, label := range labels {
		if label != "" && !slices.Contains(known.labels, label) {
			known.labels = append(known.labels, label)
		}
	}
	r.metrics[name] = known
}

// MustRegister implements prometheus.Registerer.
func (r *registered) MustRegister(all ...prometheus.Collector) {
	for _, c := range all {
		if err := r.Register(c); err != nil {
			panic(err)
		}
	}
}

// Unregister implements prometheus.Registerer.
func (r *registered) Unregister(prometheus.Collector) bool { return false }
