package config_test

import (
	"strings"
	"testing"

	"github.com/longshore/longshore/pipeline"
)

// TestRecent: records are kept to be looked at where there is no output, or where it is asked for.
func TestRecent(t *testing.T) {
	const outputs = "outputs: {out: {type: stdout}}\n"
	for _, test := range []struct {
		text, warning string
		want          pipeline.Size
	}{
		{outputs, "", 0},
		{outputs + "recent: off", "", 0},
		{outputs + "recent: false", "", 0},
		{outputs + "recent: on", "", 64 << 20},
		{outputs + "recent: {}", "", 64 << 20},
		{outputs + "recent: {size: 1GiB}", "", 1 << 30},
		{"", "there are no outputs", 64 << 20},
		{"recent: On", "", 64 << 20},
		{"recent: {size: 2MiB}", "", 2 << 20},
		{"recent: on\npipelines: {main: {inputs: [app]}}", "", 64 << 20},
	} {
		cfg := load(t, map[string]string{"longshore.yml": "inputs: {app: {type: file, paths: [a]}}\n" + test.text})
		if cfg.Recent != test.want {
			t.Errorf("%q: %s is kept, want %s", test.text, cfg.Recent, test.want)
		}
		got := cfg.Warnings.Error()
		if test.warning == "" && len(cfg.Warnings) > 0 || !strings.Contains(got, test.warning) {
			t.Errorf("%q: the warning is %q, want %q", test.text, got, test.warning)
		}
	}
}
