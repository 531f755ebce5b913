package config_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
)

func TestCheckSpecs(t *testing.T) {
	if err := config.CheckSpecs(components()); err != nil {
		t.Errorf("the table is right, but:\n%v", err)
	}
	bad := []pipeline.Spec{
		{Kind: pipeline.KindInput, Type: "a b", New: func() any { return &badSettings{} }},
		{Kind: pipeline.KindOutput, Type: "x", Summary: "X.", New: func() any { return &badSettings{} }},
		{Kind: pipeline.KindOutput, Type: "x", Summary: "X.", New: func() any { return badSettings{} }},
	}
	err := config.CheckSpecs(bad)
	if err == nil {
		t.Fatal("the table is taken as right")
	}
	for _, want := range []string{
		`"a b" is not a name`, "has no summary", "is in the table twice", "instead of a pointer to a struct",
		"is not an output",
		"labels: is there twice", "silent: has no doc", `limited: "many" is not a limit of int`,
		`limited: default: "0" is too small`,
		`chosen: default: "c" is not known`, "inner.size: default: \"big\" is not a size",
		"strange: func() is not a type of setting",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the errors do not say %q:\n%v", want, err)
		}
	}
}

type badSettings struct {
	Labels  []string `yaml:"labels" doc:"As in all inputs."`
	Silent  string   `yaml:"silent"`
	Limited int      `yaml:"limited" doc:"Limits." default:"0" min:"1" max:"many"`
	Chosen  string   `yaml:"chosen" doc:"One of some." default:"c" enum:"a|b"`
	Strange func()   `yaml:"strange" doc:"What YAML cannot say."`
	Inner   struct {
		Size pipeline.Size `yaml:"size" doc:"A size." default:"big"`
	} `yaml:"inner" doc:"A section."`
}

func (*badSettings) Input(pipeline.Env) (pipeline.Input, error) { return nil, nil }

func TestDescribe(t *testing.T) {
	want := []config.Setting{
		{Path: "paths", Type: "list of string", Doc: "Globs of the files.", Required: true,
			Example: "[/var/log/app/*.log]"},
		{Path: "exclude", Type: "list of string", Doc: "Globs of files to leave out.", Default: "['*.tmp', '*.swp']"},
		{Path: "read_from", Type: "string", Doc: "Where to start in a file never seen before.", Default: "beginning",
			Enum: []string{"beginning", "end"}},
		{Path: "max_line", Type: "size", Doc: "Longest line.", Default: "1MiB", Min: "1KiB", Max: "16MiB"},
		{Path: "poll", Type: "duration", Doc: "Pause between two looks.", Default: "1s", Min: "10ms", Max: "1m"},
		{Path: "follow", Type: "boolean", Doc: "Wait for more at the end.", Default: "true"},
		{Path: "share", Type: "number", Doc: "A part.", Max: "1"},
		{Path: "max_files", Type: "integer", Doc: "Files open at once.", Default: "512", Min: "1"},
		{Path: "rules", Type: "list of section", Doc: "Rules by name."},
		{Path: "rules[].match", Type: "string", Doc: "A glob.", Required: true},
		{Path: "rules[].times", Type: "integer", Doc: "How often.", Default: "3", Min: "1"},
		{Path: "windows", Type: "map of integer", Doc: "Sizes by name.", Max: "9"},
	}
	var own, common []config.Setting
	for _, s := range config.Describe(components()[1]) {
		if s.Common {
			common = append(common, s)
		} else {
			own = append(own, s)
		}
	}
	if diff := cmp.Diff(want, own); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
	if len(common) != 1 || common[0].Path != "labels" {
		t.Errorf("the common settings of inputs are %+v", common)
	}
	for _, s := range config.Describe(components()[5]) {
		if s.Secret != (s.Path == "auth.password" || s.Path == "headers") {
			t.Errorf("whether %s is secret: %v", s.Path, s.Secret)
		}
	}
}
