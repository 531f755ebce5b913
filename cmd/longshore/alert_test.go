package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/longshore/longshore/components"
)

const alertsToTest = `
inputs: {app: {type: file, paths: [/var/log/app.log]}}
outputs: {chat: {type: webhook, url: "http://localhost:1"}}
alerts:
  errors: {if: level >= "error", at_least: 3, window: 1m, by: [service], resolve_after: 0s}
  quiet: {if: message contains "tick", below: 1, window: 1m, resolve_after: 0s}
`

const pastLines = `2024-05-01T12:00:00Z INFO tick
2024-05-01T12:00:10Z ERROR no stock
2024-05-01T12:00:11Z ERROR no stock
2024-05-01T12:00:12Z ERROR no stock
2024-05-01T12:00:30Z INFO tick
2024-05-01T12:03:00Z INFO tick
2024-05-01T12:03:50Z INFO nothing
`

// TestAlertTest: the times at which alerts would have rung are those of the lines.
func TestAlertTest(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"own.yml": alertsToTest, "past.log": pastLines, "empty.log": "",
		"without.yml": "inputs: {app: {type: file, paths: [/var/log/app.log]}}\noutputs: {o: {type: stdout}}\n",
		"first.log":   strings.Join(strings.SplitAfter(pastLines, "\n")[4:], ""), // the later ones
		"second.log":  strings.Join(strings.SplitAfter(pastLines, "\n")[:4], ""),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const quiet = "2024-05-01T12:01:31Z  firing    quiet: no record in 1m\n" +
		"2024-05-01T12:03:01Z  resolved  quiet: over after 1m30s: 1 record in 1m, fewer than 1\n"
	errors := func(service string) string {
		return "2024-05-01T12:00:13Z  firing    errors: 3 records in 1m, at least 3 (service=" + service + ")\n" +
			"2024-05-01T12:01:11Z  resolved  errors: over after 58s: 2 records in 1m, at least 3 (service=" + service +
			")\n"
	}
	const of7 = "2 times would have rung, from 2024-05-01T12:00:00Z to 2024-05-01T12:03:50Z, of 7 lines\n"
	for _, test := range []struct {
		args   string
		code   int
		stdout string // or what begins with …, that is in it
		stderr string
	}{
		{"own.yml past.log", 0, errors("past") + quiet, of7},
		{"own.yml first.log second.log", 0, errors("second") + quiet, of7},
		{"own.yml --label service=shop -", 0, errors("shop") + quiet, of7},
		{"own.yml -o json past.log", 0, `…"alert":"errors","status":"firing","key":"errors/`, of7},
		{"own.yml empty.log", 0, "", "nothing would have rung: no alert counts any of 0 lines\n"},
		{"own.yml nowhere.log", 1, "", "…nowhere.log: no such file"},
		{"without.yml past.log", 78, "", "…without.yml has no alerts"},
		{"own.yml --pipeline nope past.log", 2, "", `…there is no pipeline "nope"`},
		{"own.yml -o xml past.log", 2, "", `…there is no form "xml"`},
	} {
		t.Run(test.args, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			a := app{
				stdin: strings.NewReader(pastLines), stdout: &stdout, stderr: &stderr, components: components.All(),
				env: func(string) (string, bool) { return "", false },
			}
			args := strings.Fields("alert test -c " + test.args)
			for i, arg := range args {
				if ext := filepath.Ext(arg); ext == ".yml" || ext == ".log" {
					args[i] = filepath.Join(dir, arg)
				}
			}
			code := a.run(t.Context(), args)
			if code != test.code || !isOrHas(stdout.String(), test.stdout) || !isOrHas(stderr.String(), test.stderr) {
				t.Errorf("it ends with %d and says\n%s%s", code, stdout.String(), stderr.String())
			}
		})
	}
}

func isOrHas(text, want string) bool {
	if part, ok := strings.CutPrefix(want, "…"); ok {
		return strings.Contains(text, part)
	}
	return text == want
}
