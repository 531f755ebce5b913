package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/agent/ledger"
	"github.com/longshore/longshore/pipeline"
)

func TestExplainAFile(t *testing.T) {
	dir := t.TempDir()
	log, data := filepath.Join(dir, "shop.log"), filepath.Join(dir, "data")
	lines := `{"level":"info","msg":"sold","password":"hunter2"}` + "\n" + `{"level":"debug","msg":"noise"}` + "\n" +
		"plain \x1b[2J\n"
	if err := os.WriteFile(log, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := ledger.Write(data, []ledger.State{{ID: 5, Input: "app", Key: log,
		Cursor: pipeline.Cursor{Pos: 50}}}); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadDir(data)
	if err != nil {
		t.Fatal(err)
	}
	config := written(t, fmt.Sprintf(`
data_dir: %s
inputs:
  app: {type: file, paths: [%s/*.log], labels: {env: test}}
  other: {type: file, paths: [/nowhere/*]}
  in: {type: stdin}
transforms: {quiet: {type: drop, if: level == "debug"}}
outputs: {out: {type: stdout}, more: {type: stdout}}
pipelines:
  main: {inputs: [app, in], transforms: [quiet], outputs: [out]}
  second: {inputs: [app, other], parsers: [json], outputs: [more]}
`, data, dir))
	code, stdout, stderr := call(t, "", "explain", log, config)
	host, _ := os.Hostname()
	got := strings.NewReplacer(dir, "DIR", host, "HOST").Replace(stdout)
	want := `input app (file) takes the file DIR/shop.log of 94 bytes: paths[0] DIR/*.log matches it
  read from: the file, which is followed through rotation

  DIR/shop.log
    labels: env=test, filename=DIR/shop.log, host.name=HOST, service=shop
    position: all outputs are done with its first 50 bytes of 94 bytes
    pipeline main: parsers auto; transforms redact, quiet; outputs out
      {"level":"info","msg":"sold","password":"hunter2"}
        json -> RECORD
        goes to out
      {"level":"debug","msg":"noise"}
        json -> RECORD
        is dropped by quiet
      plain ·[2J
`
	for line := range strings.Lines(got) {
		if before, _, found := strings.Cut(line, " -> {"); found {
			got = strings.Replace(got, line, before+" -> RECORD\n", 1)
		}
	}
	if code != 0 || stderr != "" || !strings.HasPrefix(got, want) {
		t.Errorf("exit %d, %s (-want +got):\n%s", code, stderr, cmp.Diff(want, got))
	}
	for _, more := range []string{
		`"message":"sold"`, `"password":"[REDACTED]"`, "pipeline second: parsers json; transforms redact; outputs more",
		"input other (file) does not take it: no glob of paths matches it", "input in (stdin) reads neither",
	} {
		if !strings.Contains(stdout, more) {
			t.Errorf("does not say %s:\n%s", more, stdout)
		}
	}
	if after, err := os.ReadDir(data); err != nil || len(after) != len(before) {
		t.Errorf("data_dir has changed: %v, %v", after, err)
	}

	code, stdout, stderr = call(t, "", "explain", filepath.Join(dir, "none.txt"), config)
	if code != exitFailed || !strings.Contains(stderr, "no input takes") || !strings.Contains(stdout,
		"there is no file") {
		t.Errorf("of none: exit %d, %s%s", code, stdout, stderr)
	}
	if code, _, stderr = call(t, "", "explain"); code != exitUsage {
		t.Errorf("of nothing: exit %d, %s", code, stderr)
	}
}

// TestExplainHeedsNoBadLabel: a label that names no parser is told, and not heeded, as in a run.
func TestExplainHeedsNoBadLabel(t *testing.T) {
	log := filepath.Join(t.TempDir(), "a.log")
	if err := os.WriteFile(log, []byte("one\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	config := written(t, fmt.Sprintf("data_dir: %s\ninputs: {app: {type: file, paths: [%s], labels: "+
		"{longshore.parser: none, longshore.pipeline: none}}}\noutputs: {out: {type: stdout}}\n", t.TempDir(), log))
	code, stdout, stderr := call(t, "", "explain", log, config)
	for _, want := range []string{`there is no pipeline "none"`, `there is no parser "none"`, "goes to out"} {
		if code != 0 || !strings.Contains(stdout, want) {
			t.Errorf("want %s: exit %d, %s\n%s", want, code, stderr, stdout)
		}
	}
}
