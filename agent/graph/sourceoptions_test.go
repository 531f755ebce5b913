package graph

import (
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/components"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
	"github.com/longshore/longshore/pipeline/event"
)

// TestSourceOptions has a source with each choice, and one without. The account closes.
func TestSourceOptions(t *testing.T) {
	lines := []string{"debug t=1", "error t=2", "  more"}
	plain := []string{"debug|debug t=1", "error|error t=2", "|  more"}
	for _, tt := range []struct{ label, output, text string }{
		{"", "x", strings.Join(plain, "\n")},
		{"longshore.parser=none", "x", "|debug t=1\n|error t=2\n|  more"},
		{"longshore.parser=logfmt", "x", "|debug t=1\n|error t=2\n|  more"},
		{"longshore.parser=nonsense", "x", strings.Join(plain, "\n")},
		{"longshore.multiline=^[a-z]", "x", "debug|debug t=1\nerror|error t=2\n  more"},
		{"longshore.multiline=auto", "x", "debug|debug t=1\nerror|error t=2\n  more"},
		{"longshore.multiline=(", "x", strings.Join(plain, "\n")},
		{"longshore.level=error", "x", "error|error t=2"},
		{"longshore.level=Info", "x", "error|error t=2\n|  more"},
		{"longshore.level=loud", "x", strings.Join(plain, "\n")},
		{"longshore.pipeline=other", "y", strings.Join(plain, "\n")},
		{"longshore.pipeline=main, other", "xy", strings.Join(append(slices.Clone(plain), plain...), "\n")},
		{"longshore.pipeline=nowhere", "x", strings.Join(plain, "\n")},
	} {
		t.Run(tt.label, func(t *testing.T) {
			w := newWorld()
			w.more = slices.DeleteFunc(components.All(), func(s pipeline.Spec) bool {
				return !slices.Contains([]string{"stdin", "multiline", "logfmt"}, s.Type)
			})
			w.sources["a"], w.labels = lines, map[string]string{"a": tt.label}
			g := w.build(t, t.TempDir(), `
redact: false
inputs: {in: {type: script}, idle: {type: stdin}}
parsers: {words: {type: words}, none: {type: none}}
outputs: {x: {type: memory}, y: {type: memory}}
pipelines:
  main: {inputs: [in], parsers: [words], outputs: [x]}
  other: {inputs: [idle], parsers: [words, none], outputs: [y]}
`)
			g.inputs = g.inputs[:1]
			if err := g.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			got := []string{}
			for _, output := range tt.output {
				for _, line := range w.stored[string(output)] {
					level, rest, _ := strings.Cut(line, "|")
					got = append(got, level+rest[strings.LastIndex(rest, "|"):])
				}
			}
			if diff := cmp.Diff(tt.text, strings.Join(got, "\n")); diff != "" {
				t.Error(diff)
			}
			if c := g.Counts(); c.Pending() != 0 || c.Due+c.Joined != uint64(len(lines)*len(tt.output)) {
				t.Errorf("the account does not close: %+v", c)
			}
		})
	}
}

// TestSourceOptionsAreNoLabels sees to it that they are not put on records.
func TestSourceOptionsAreNoLabels(t *testing.T) {
	rest, c := splitOptions([]event.Label{{Name: "a", Value: "b"}, {Name: pipeline.OptionLevel, Value: "warn"}})
	if len(rest) != 1 || rest[0].Name != "a" || c[pipeline.OptionLevel] != "warn" {
		t.Errorf("labels %v, choices %v", rest, c)
	}
}

// TestSourceOptionsOfWrappedLines has what is chosen for a pod apply to what its program wrote.
func TestSourceOptionsOfWrappedLines(t *testing.T) {
	w := newWorld()
	w.more = components.All()
	loader := config.Loader{Components: w.specs()}
	cfg, err := loader.Load("test.yml", []byte("version: 1\ndata_dir: "+t.TempDir()+`
inputs: {in: {type: kubernetes}}
outputs: {out: {type: memory}}
`))
	if err != nil {
		t.Fatal(err)
	}
	lines := []string{"2024-05-01T12:00:00Z stdout P a=1 level=er", "2024-05-01T12:00:00Z stdout F ror msg=x",
		"2024-05-01T12:00:01Z stdout F  more", "2024-05-01T12:00:01Z stderr F a=3"}
	for _, tt := range []struct{ option, value, want string }{
		{pipeline.OptionParser, "logfmt", "error x|  more| a=3"},
		{pipeline.OptionMultiline, "false", "error x|  more| a=3"},
		{pipeline.OptionMultiline, "^a", "error x\n more| a=3"},
	} {
		labels := []event.Label{{Name: pipeline.OptionWrapped, Value: "cri"}, {Name: tt.option, Value: tt.value}}
		trial, err := NewTrial(cfg, "", labels, slog.New(slog.DiscardHandler), time.Now)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, o := range append(trial.Lines(lines, time.Time{}), trial.End()...) {
			var record struct{ Level, Message string }
			if err := json.Unmarshal(o.Record(), &record); err != nil {
				t.Fatal(err)
			}
			got = append(got, record.Level+" "+record.Message)
		}
		if got := strings.Join(got, "|"); got != tt.want {
			t.Errorf("%s=%s: %q, want %q", tt.option, tt.value, got, tt.want)
		}
	}
}

func TestMultilineOptionKeepsLinesApart(t *testing.T) {
	joins := &parsing{newJoiner: func(*event.Source) pipeline.Joiner { return nil }}
	changed, err := sourceOptions{pipeline.OptionMultiline: "false"}.parsing(joins, nil, nil)
	if err != nil || changed.newJoiner != nil {
		t.Errorf("lines are joined (%v)", err)
	}
}

// TestPipelinesByLabelSpillEarly, as the containers are that choose them.
func TestPipelinesByLabelSpillEarly(t *testing.T) {
	w := newWorld()
	g := &Graph{inputs: []*input{{name: "in", ephemeral: true, input: &scriptConfig{world: w}}}}
	g.Config = &config.Config{Pipelines: []config.Pipeline{{Name: "by-label", Outputs: []string{"x"}},
		{Name: "files", Inputs: []string{"f"}, Outputs: []string{"y"}}}}
	if x, y := g.spoolAfter("x"), g.spoolAfter("y"); x != spoolAfterEphemeral || y != spoolAfterFiles {
		t.Errorf("x %v, y %v", x, y)
	}
}
