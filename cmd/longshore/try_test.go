package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/agent/graph"
	"github.com/longshore/longshore/components"
)

// call runs a command with all real components.
func call(t *testing.T, input string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs strings.Builder
	a := app{
		stdin: strings.NewReader(input), stdout: &out, stderr: &errs,
		env: func(string) (string, bool) { return "", false }, components: components.All(),
	}
	code = a.run(t.Context(), args)
	return code, out.String(), errs.String()
}

const tried = `
inputs: {app: {type: stdin}}
parsers: {lines: {type: json, on_error: drop}}
outputs: {out: {type: stdout}, other: {type: stdout}}
redact: false
transforms:
  quiet: {type: drop, if: 'level == "debug"'}
  tidy: {type: remove, fields: [secret*]}
pipelines:
  main: {inputs: [app], parsers: [lines], transforms: [quiet, tidy], outputs: [out]}
  auto: {inputs: [app], outputs: [other]}
tests:
  - name: a line of the shop
    time: 2026-05-01T12:00:00Z
    input:
      - '{"level":"info","msg":"sold","secret_code":"x","n":2}'
      - '{"level":"debug","msg":"noise"}'
    expect:
      - {timestamp: "2026-05-01T12:00:00.000Z", level: info, message: sold, n: 2, secret_code: absent}
  - name: a stack trace
    pipeline: auto
    input:
      - "2026-05-01 12:00:00,123 ERROR [main] com.example.Shop - failed"
      - "java.lang.IllegalStateException: closed"
      - "\tat com.example.Shop.sell(Shop.java:42)"
    expect:
      - {level: error, thread: main}
`

func written(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "longshore.yml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTry(t *testing.T) {
	lines := `{"time":"2026-05-01T12:00:00Z","level":"info","msg":"sold","secret_code":"x","n":2}
no json
{"level":"debug","msg":"noise"}
`
	tests := []struct {
		name         string
		args         []string
		want, stderr string
	}{
		{"a pipeline", []string{"try", "-c", written(t, tried), "--format"},
			`{"timestamp":"2026-05-01T12:00:00.000Z","level":"info","message":"sold","n":2,"_format":"json"}` +
				"\n", "2 records dropped\n"},
		{"with a label", []string{"try", "-c", written(t, tried), "--label", "container.name=web"},
			`{"timestamp":"2026-05-01T12:00:00.000Z","level":"info","message":"sold","container.name":"web","n":2}` +
				"\n", "2 records dropped\n"},
	}
	for _, test := range tests {
		code, stdout, stderr := call(t, lines, test.args...)
		if diff := cmp.Diff(test.want, stdout); code != 0 || diff != "" || stderr != test.stderr {
			t.Errorf("%s: exit %d, stderr %q (-want +got)\n%s", test.name, code, stderr, diff)
		}
	}
}

// TestTryWithRoutes: a transform that names outputs knows those there are.
func TestTryWithRoutes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "longshore.yml")
	config := `
inputs: {app: {type: stdin}}
outputs: {a: {type: stdout}, b: {type: stdout}}
transforms: {ways: {type: route, routes: [{if: level >= "error", outputs: [a]}], else: [b]}}
pipelines: {main: {inputs: [app], transforms: [ways], outputs: [a, b]}}
alerts: {x: {outputs: [a]}, y: {outputs: [b]}}
`
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := call(t, `{"level":"error","msg":"x"}`, "try", "-c", path)
	if code != 0 || !strings.Contains(stdout, `"message":"x"`) {
		t.Errorf("it ends with %d and says %s%s", code, stdout, stderr)
	}
}

func TestTryWithoutAConfig(t *testing.T) {
	code, stdout, stderr := call(t, "2026-05-01 12:00:00,123 WARN [main] com.example.Shop - low\n  stock\n", "try")
	want := `{"timestamp":"2026-05-01T12:00:00.123Z","level":"warn","message":"low\n  ` +
		`stock","thread":"main","logger":"com.example.Shop"}` + "\n"
	if diff := cmp.Diff(want, stdout); code != 0 || diff != "" {
		t.Errorf("exit %d, stderr %q (-want +got)\n%s", code, stderr, diff)
	}
}

func TestTryAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "app.log")
	if err := os.WriteFile(file, []byte("level=warn msg=low\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := call(t, "level=info msg=other\n", "try", file)
	if code != 0 || !strings.Contains(stdout, `"message":"low"`) || strings.Contains(stdout, "other") {
		t.Errorf("exit %d, stdout %q, stderr %q", code, stdout, stderr)
	}
	code, stdout, _ = call(t, "level=info msg=other\n", "try", "-")
	if code != 0 || !strings.Contains(stdout, `"message":"other"`) {
		t.Errorf("with -: exit %d, stdout %q", code, stdout)
	}
	code, _, stderr = call(t, "", "try", "longshore.yml")
	if code != exitUsage || !strings.Contains(stderr, "name it with -c") {
		t.Errorf("with a config: exit %d, stderr %q", code, stderr)
	}
	code, _, stderr = call(t, "", "try", file+"x")
	if code != exitFailed || !strings.Contains(stderr, "no such file") {
		t.Errorf("with a file that is not there: exit %d, stderr %q", code, stderr)
	}
}

// TestTryKeepsTheOrder takes lines of all sorts, more than go into one batch: each becomes one line
// of JSON, in the order they came.
func TestTryKeepsTheOrder(t *testing.T) {
	var input strings.Builder
	const lines = 3000
	for n := range lines {
		fmt.Fprintf(&input, "n=%d%s\r\n", n, []string{" a=b", "\x00\xff\xfe", strings.Repeat(" x", n), " level=error",
			"\x1b[31m"}[n%5])
	}
	code, stdout, stderr := call(t, input.String()+"the end", "try")
	got := strings.Split(strings.TrimSuffix(stdout, "\n"), "\n")
	if code != 0 || stderr != "" || len(got) != lines+1 {
		t.Fatalf("exit %d, stderr %q, %d lines", code, stderr, len(got))
	}
	for n, line := range got {
		var record struct {
			Message string
			N       *int
		}
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatalf("line %d: %v", n, err)
		}
		want := fmt.Sprintf("n=%d", n)
		if n == lines {
			want = "the end"
		}
		if (record.N == nil || *record.N != n) && !strings.HasPrefix(record.Message, want) {
			t.Fatalf("line %d became %.200s", n, line)
		}
	}
}

// TestSteps is what people see on a terminal, with colours or without.
func TestSteps(t *testing.T) {
	for _, coloured := range []style{false, true} {
		var out strings.Builder
		a := &app{stdout: &out, stderr: io.Discard, components: components.All(),
			env: func(string) (string, bool) { return "", false }}
		cfg, err := a.configToTry(written(t, tried))
		if err != nil {
			t.Fatal(err)
		}
		trial, err := graph.NewTrial(cfg, "", nil, slog.New(slog.DiscardHandler), noTime)
		if err != nil {
			t.Fatal(err)
		}
		lines := []string{`{"level":"info","msg":"sold","secret_code":"x"}`, `{"level":"debug","msg":"a\nb\u001b"}`}
		for _, o := range trial.Lines(lines, time.Unix(0, 0).UTC()) {
			if err := (&trying{app: a}).showSteps(coloured, o); err != nil {
				t.Fatal(err)
			}
		}
		got := regexp.MustCompile("\x1b\\[[0-9;]+m").ReplaceAllString(out.String(), "")
		if coloured == (got == out.String()) {
			t.Errorf("coloured: %v, got %q", coloured, out.String())
		}
		if diff := cmp.Diff(wantSteps, got); diff != "" {
			t.Error(diff)
		}
	}
}

const wantSteps = `{"level":"info","msg":"sold","secret_code":"x"}
  json
  + timestamp: 1970-01-01T00:00:00.000Z
  + level: info
  + message: sold
  + secret_code: x
  tidy
  - secret_code: x

{"level":"debug","msg":"a\nb\u001b"}
  json
  + timestamp: 1970-01-01T00:00:00.000000001Z
  + level: debug
  + message: a
    b·
  dropped by quiet

`

func TestTest(t *testing.T) {
	code, stdout, stderr := call(t, "", "test", "-c", written(t, tried))
	if want := "ok   a line of the shop\nok   a stack trace\n"; code != 0 || stdout != want {
		t.Errorf("exit %d, stderr %q, stdout %q", code, stderr, stdout)
	}
	wrong := strings.NewReplacer("n: 2", "n: 3, color: red", "    expect:\n      - {level: error, thread: main}\n",
		"").Replace(tried)
	code, stdout, stderr = call(t, "", "test", "-c", written(t, wrong))
	want := `FAIL a line of the shop
     record 1, color
       - red
       + absent
     record 1, n
       - 3
       + 2
FAIL a stack trace
     record 1
       - no record
       + {"timestamp":"2026-05-01T12:00:00.123Z"`
	if code != 1 || !strings.HasPrefix(stdout, want) || !strings.Contains(stderr, "2 of 2 tests failed") {
		t.Errorf("exit %d, stderr %q, stdout\n%s", code, stderr, stdout)
	}
}

// TestDifference of a record of several lines shows where they differ.
func TestDifference(t *testing.T) {
	var out strings.Builder
	difference{record: 3, name: "message", want: "Traceback:\n  File a\n  x\nend",
		got: "Traceback:\n  File b\nend"}.write(&out, false)
	want := "     record 3, message\n         Traceback:\n       -   File a\n       -   x\n       +   File b\n  " +
		"       end\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestTestSaysWhatIsWrongInACase(t *testing.T) {
	code, _, stderr := call(t, "", "check", "-c", written(t,
		strings.NewReplacer("pipeline: auto", "pipeline: autos", "2026-05-01T12:00:00Z\n",
			"yesterday\n").Replace(tried)))
	for _, want := range []string{`tests[1].pipeline: there is no pipeline "autos"`,
		`tests[0].time: "yesterday" is not a time`} {
		if code != 78 || !strings.Contains(stderr, want) {
			t.Errorf("exit %d, stderr %s, want %s", code, stderr, want)
		}
	}
}

func TestTestWithoutTests(t *testing.T) {
	code, _, stderr := call(t, "", "test", "-c", written(t,
		"inputs: {a: {type: stdin}}\noutputs: {b: {type: stdout}}\n"))
	if code != 1 || !strings.Contains(stderr, "has no tests") {
		t.Errorf("exit %d, stderr %s", code, stderr)
	}
}
