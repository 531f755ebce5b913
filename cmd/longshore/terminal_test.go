package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"unicode"

	"github.com/longshore/longshore/agent/graph"
)

// hostile controls a terminal, or hides what it says, in every way there is.
const hostile = "a\x1b]52;c;QQ==\a\x1b[2J\u009b2J\x7f\b\r\u202egpj\u200b\u2066\ufeff\U000e0041\u2028\u00ad\x00z"

// visibleOnly fails for a text with anything that controls a terminal, but for the program's own
// colours and progress.
func visibleOnly(t *testing.T, what, text string) {
	t.Helper()
	for _, own := range []string{"\x1b[1m", "\x1b[2m", "\x1b[1;31m", "\x1b[1;32m", "\x1b[1;33m", "\x1b[0m",
		"\r\x1b[K"} {
		text = strings.ReplaceAll(text, own, "")
	}
	for _, r := range text {
		if r != '\n' && r != '\t' && !unicode.IsGraphic(r) {
			t.Errorf("%s prints %U: %q", what, r, text)
			return
		}
	}
}

// TestForeignTexts: whatever names, paths and texts hold, no command prints it as it is.
func TestForeignTexts(t *testing.T) {
	dir := t.TempDir()
	name := strings.NewReplacer("\x00", "", "/", "").Replace(hostile)
	file := filepath.Join(dir, name+".yml")
	quoted, err := json.Marshal(hostile)
	if err != nil {
		t.Fatal(err)
	}
	q := string(quoted)
	run := func(config string, args ...string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		var stdout, stderr bytes.Buffer
		a := app{stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr, components: fakes(),
			env: func(string) (string, bool) { return "", false }}
		a.run(t.Context(), args)
		visibleOnly(t, strings.Join(args[:1], " ")+" on standard output", stdout.String())
		visibleOnly(t, strings.Join(args[:1], " ")+" on standard error", stderr.String())
	}
	valid := "inputs: {a: {type: docker}}\noutputs: {o: {type: stdout}}\n"
	for _, config := range []string{valid, q + ": 1", "inputs: {" + q + ": {type: " + q + "}}", valid + "parsers: " + q,
		"inputs: {a: {type: file, paths: " + q + ", " + q + ": 1}}", "a: \x1b[2J", "x: " + name, "a: [\u202e", valid +
			"tests: [{name: " + q + ", pipeline: " + q + "}]", "outputs: ${" + name + "}",
		"outputs: ${file:" + name + "}"} {
		run(config, "check", "-c", file)
		run(config, "test", "-c", file)
		run(config, "replay", "-c", file, "--output", hostile)
	}
	run(valid, "check", "-c", filepath.Join(dir, "none"+name))
	run(valid, hostile)
	run(valid, "check", "--"+hostile)
	run(valid, "list", hostile)
	run(valid, "verify", "-c", file, "--since", hostile)
	run(valid, "healthcheck", "--url", "http://"+hostile)
}

// TestTryOnATerminal: the steps of a record show nothing as it is, either.
func TestTryOnATerminal(t *testing.T) {
	record, err := json.Marshal(map[string]string{"message": hostile, hostile: hostile})
	if err != nil {
		t.Fatal(err)
	}
	var stdout bytes.Buffer
	try := trying{app: &app{stdout: &stdout}}
	step := graph.Step{By: hostile, Record: record}
	if err := try.showSteps(true, graph.Outcome{Line: hostile + "\n" + hostile, Dropped: hostile,
		Steps: []graph.Step{step, step}}); err != nil {
		t.Fatal(err)
	}
	visibleOnly(t, "try", stdout.String())
}

// TestTheAgentsLog: neither kind of log shows what a text hides, and JSON says the same.
func TestTheAgentsLog(t *testing.T) {
	var lines, records bytes.Buffer
	for _, h := range []slog.Handler{&lineHandler{out: &lines, style: true, mu: new(sync.Mutex)},
		slog.NewJSONHandler(jsonWriter{&records}, nil)} {
		log := slog.New(h).With("with", hostile).WithGroup(hostile)
		log.Warn(hostile, "text", hostile, "error", errors.New(hostile), "any", []string{hostile})
	}
	visibleOnly(t, "the log on a terminal", lines.String())
	visibleOnly(t, "the log in JSON", records.String())
	var record struct{ Msg, With string }
	if err := json.Unmarshal(records.Bytes(), &record); err != nil || record.Msg != hostile || record.With != hostile {
		t.Errorf("JSON says %q: %v", record, err)
	}
}

// TestOneWayToPrint: nothing but printf prints what a human reads.
func TestOneWayToPrint(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(file, "_test.go") || file == "terminal.go" {
			continue
		}
		if strings.Contains(string(text), "fmt.Fprint") || strings.Contains(string(text), "fmt.Print") {
			t.Errorf("%s prints without printf", file)
		}
	}
}
