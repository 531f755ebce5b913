package config_test

import (
	"strings"
	"testing"
	"time"

	"github.com/longshore/longshore/pipeline/config"
)

// TestWatch: nothing is watched unless the config asks for it.
func TestWatch(t *testing.T) {
	for _, test := range []struct {
		text             string
		host, containers bool
	}{
		{"", false, false},
		{"watch: off", false, false},
		{"watch: on", true, true},
		{"watch: True", true, true},
		{"watch: {}", true, true},
		{"watch: {host: false}", false, true},
		{"watch: {containers: false, proc: /host/proc}", true, false},
	} {
		cfg := load(t, map[string]string{"longshore.yml": "inputs: {app: {type: file, paths: [a]}}\n" +
			"outputs: {out: {type: stdout}}\n" + test.text})
		w := cfg.Watch
		if w.Host != test.host || w.Containers != test.containers || w.On() != (w.Host || w.Containers) {
			t.Errorf("%q: the host is watched: %t, containers: %t", test.text, w.Host, w.Containers)
		}
		if w.On() && (w.Sys != "/sys" || time.Duration(w.MaxAge) != 5*time.Second || len(w.Labels) != 2) {
			t.Errorf("%q: the defaults are %+v", test.text, w)
		}
	}
}

func TestWrongWatch(t *testing.T) {
	for text, want := range map[string]string{
		"watch: maybe":                                        `neither on nor off, nor a map such as {host: true}`,
		"watch: {mode: fast}":                                 "fast",
		"watch: {proc: host/proc}":                            "must be an absolute path, such as /host/proc",
		"watch: {docker: {host: nowhere}}":                    `"nowhere" is not an address of a Docker Engine`,
		"watch: {docker: {tls: {cert_file: /c}}}":             "cert_file and key_file belong together",
		"watch: {max_age: 1ms}":                               "1s",
		"watch: {hosts: on}":                                  `did you mean "host"?`,
		"watch: {labels: [" + strings.Repeat("a,", 17) + "]}": "has more than 16 labels",
	} {
		_, err := config.Loader{}.Load("longshore.yml", []byte("inputs: {}\n"+text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: the error is %v, want %s", text, err, want)
		}
	}
}
