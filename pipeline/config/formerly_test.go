package config_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
)

// oldKeys sets what was renamed by its old names, at the top of a component and in a section of it.
const oldKeys = `inputs: {app: {type: file, paths: [x]}}
outputs:
  out:
    type: stdout
    queue: 1MiB
    retry: {initial: 7ms, max: 1h}
`

func TestFormerNames(t *testing.T) {
	cfg, err := loader(nil).Load("longshore.yml", []byte(oldKeys))
	if err != nil {
		t.Fatal(err)
	}
	out := cfg.Outputs[0].Common
	if out.Queue != 1<<20 || out.Retry.Initial != 7e6 || out.Retry.Max != 3600e9 {
		t.Errorf("queue %s and retry %+v are not what the old names set", out.Queue, out.Retry)
	}
	want := []string{
		`longshore.yml:5:5: outputs.out.queue: is deprecated; use "queue_size"`,
		`longshore.yml:6:13: outputs.out.retry.initial: is deprecated; use "initial_backoff"`,
		`longshore.yml:6:27: outputs.out.retry.max: is deprecated; use "max_backoff"`,
	}
	var got []string
	for _, w := range cfg.Warnings {
		got = append(got, w.Position()+": "+w.What())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

func TestFix(t *testing.T) {
	const text = "\ufeff# héllo\r\ninputs: {app: {type: file, paths: [x]}}\r\n" + `outputs:
  out:
    type: stdout
    "queue": 1MiB # stays
    retry: {initial: 7ms, 'max': 1h} # ünd queue: max
`
	cfg, err := loader(nil).Load("longshore.yml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	fixed, left := config.Fix([]byte(text), cfg.Warnings)
	want := strings.NewReplacer(`"queue"`, `"queue_size"`, "initial:", "initial_backoff:", "'max'", "'max_backoff'").
		Replace(text)
	if diff := cmp.Diff(want, string(fixed)); diff != "" || len(left) > 0 {
		t.Errorf("left %v\n%s", left, diff)
	}
	if cfg, err = loader(nil).Load("longshore.yml", fixed); err != nil || len(cfg.Warnings) > 0 {
		t.Errorf("what is fixed has the error %v and the warnings %v", err, cfg.Warnings)
	}
}

func TestFixLeavesWhatItDoesNotFind(t *testing.T) {
	const text = "a: 1\n"
	warnings := config.Errors{{Line: 1, Column: 1, Renames: "b", To: "c"}, {Line: 9, Renames: "a", To: "c"},
		{Line: 1, Column: 40, Renames: "a", To: "c"}, {Line: 1, Column: 1}}
	if fixed, left := config.Fix([]byte(text), warnings); string(fixed) != text || len(left) != len(warnings) {
		t.Errorf("%q, of which %d were left", fixed, len(left))
	}
}

func TestNewNamesHaveNoWarning(t *testing.T) {
	text := strings.NewReplacer("queue:", "queue_size:", "initial:", "initial_backoff:", "max:",
		"max_backoff:").Replace(oldKeys)
	cfg, err := loader(nil).Load("longshore.yml", []byte(text))
	if err != nil || len(cfg.Warnings) > 0 {
		t.Errorf("error %v, warnings %v", err, cfg.Warnings)
	}
}

func TestDescribeHasOnlyNewNames(t *testing.T) {
	for _, s := range config.Describe(components()[0]) {
		if s.Path == "queue" || s.Path == "retry.max" {
			t.Errorf("%s is described", s.Path)
		}
	}
	if len(config.DescribeTopLevel()) == 0 {
		t.Error("there are no settings at the top")
	}
}

func TestFormerNameThatIsThereTwice(t *testing.T) {
	type twice struct {
		A string `yaml:"a" doc:"A."`
		B string `yaml:"b" formerly:"a" doc:"B."`
	}
	spec := pipeline.Spec{Kind: pipeline.KindInput, Type: "x", Summary: "X.", New: func() any { return &twice{} }}
	err := config.CheckSpecs([]pipeline.Spec{spec})
	if err == nil || !strings.Contains(err.Error(), "a: is there twice") {
		t.Errorf("CheckSpecs: %v", err)
	}
}
