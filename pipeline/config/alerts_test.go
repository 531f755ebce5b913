package config_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/pipeline/config"
)

// TestAlerts: alerts become an input and a pipeline, and where they go to different outputs, a
// transform. What sends messages to people gets nothing else then, unless a pipeline says so.
func TestAlerts(t *testing.T) {
	const inputs = "inputs: {app: {type: file, paths: [a]}}\n"
	const outputs = "outputs: {loki: {type: loki, url: http://l}, chat: {type: chat}, pager: {type: chat}}\n"
	alerts := func(transforms []string, outputs ...string) config.Pipeline {
		return config.Pipeline{
			Name: "alerts", Inputs: []string{"alerts"}, Parsers: []string{"auto"},
			Transforms: append([]string{"redact"}, transforms...), Outputs: outputs,
		}
	}
	app := func(outputs ...string) config.Pipeline {
		return config.Pipeline{
			Name: "main", Inputs: []string{"app"}, Parsers: []string{"auto"}, Transforms: []string{"redact"},
			Outputs: outputs,
		}
	}
	for name, test := range map[string]struct {
		text string
		want []config.Pipeline
	}{
		"none": {outputs, []config.Pipeline{app("loki", "chat", "pager")}},
		"to all who are people": {outputs + "alerts: {a: {at_least: 3}}",
			[]config.Pipeline{app("loki"), alerts(nil, "chat", "pager")}},
		"to some": {outputs + "alerts: {a: {outputs: [pager, loki]}}",
			[]config.Pipeline{app("loki", "chat"), alerts(nil, "loki", "pager")}},
		"each elsewhere": {outputs + "alerts: {a: {outputs: [pager]}, b: {outputs: [loki]}}",
			[]config.Pipeline{app("loki", "chat"), alerts([]string{"alerts"}, "loki", "pager")}},
		"pipelines say so": {outputs + "alerts: {a: {outputs: [pager]}}\n" +
			"pipelines: {main: {inputs: [app], outputs: [loki, chat, pager]}}",
			[]config.Pipeline{app("loki", "chat", "pager"), alerts(nil, "pager")}},
		"nobody but people": {"outputs: {chat: {type: chat}}\nalerts: {a: {}}",
			[]config.Pipeline{app(), alerts(nil, "chat")}},
		"no output": {"recent: on\nalerts: {a: {}}", []config.Pipeline{app(), alerts(nil)}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := load(t, map[string]string{"longshore.yml": inputs + test.text})
			if diff := cmp.Diff(test.want, cfg.Pipelines); diff != "" {
				t.Error(diff)
			}
			if n := len(cfg.Islands()); n != 1 {
				t.Errorf("there are %d islands", n)
			}
		})
	}
}

// TestAlertsReload: other alerts are another island, the same are the same.
func TestAlertsReload(t *testing.T) {
	read := func(alerts string) *config.Config {
		return load(t, map[string]string{"longshore.yml": "inputs: {app: {type: file, paths: [a]}}\n" +
			"outputs: {chat: {type: chat}}\n" + alerts}).Islands()[0]
	}
	was := read("alerts: {a: {at_least: 3}}")
	for alerts, same := range map[string]bool{
		"alerts: {a: {at_least: 3}}":                                  true,
		"alerts: {a: {at_least: 4}}":                                  false,
		"alerts: {a: {at_least: 3}, b: {}}":                           false,
		"alerts: {a: {at_least: 3, silences: [{from: x, until: y}]}}": false,
	} {
		if config.SameIsland(was, read(alerts)) != same {
			t.Errorf("%s is the same: %t", alerts, !same)
		}
	}
}
