package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

// tailed returns records as the API has them.
func tailed(records ...map[string]any) (all []*tailRecord) {
	for _, r := range records {
		if r["time"] == nil {
			r["time"] = "2026-03-01T14:03:05.123456789Z"
		}
		text, err := json.Marshal(r)
		if err != nil {
			panic(err)
		}
		all = append(all, newTailRecord(text))
	}
	return all
}

const javaTrace = "java.lang.IllegalStateException: no\n\tat com.acme.App.main(App.java:10)\n" +
	"\tat com.acme.App.run(App.java:11)\nCaused by: java.io.IOException: x\n\tat com.acme.App.go(App.java:13)"

// hostileRecords are records whose texts come from anywhere.
func hostileRecords() []*tailRecord {
	web := func(level, message string, fields map[string]any) map[string]any {
		return map[string]any{"level": level, "container": "web", "message": message, "fields": fields}
	}
	boom := web("error", "boom", map[string]any{"user": "al ice", "n": 7, "none": nil, "empty": "",
		"o": map[string]any{"a": "b c"}})
	boom["trace_id"] = "4bf92f3577b34da6a3ce929d0e0e4736"
	python := "Traceback (most recent call last):\n  File \"x.py\"\n    foo()\nValueError: bad"
	return tailed(
		boom,
		map[string]any{"level": "warn", "source": "/var/log/app.log", "message": "another day",
			"time": "2026-02-28T23:59:59.9Z"},
		map[string]any{"source": "/srv/app.log", "message": "the same name in another folder"},
		map[string]any{"level": "info", "container": "web\x1b]0;title\a",
			"message": "\x1b[2J\x1b[31mred\x1b[0m \x9b1m \r over\b\b"},
		web("loud\x1b[1m", "right \u202eot\u2066 left \u200b zero \u00ad soft \ufeff", nil),
		web("error", javaTrace, nil),
		map[string]any{"level": "error", "container": "web", "message": python, "truncated": true},
		web("debug", "two\nlines", map[string]any{"stack": "a\n b\n c", "k\x1b[1m": "\x1b[2J\n"}),
		web("fatal", "日本語のとても長いメッセージが端末の幅で折り返されるかどうか",
			map[string]any{"long": strings.Repeat("v", 300), "url": "http://example.com/" + strings.Repeat("p", 60)}),
		web("", strings.Repeat("word and ", 10)+strings.Repeat("x", 1<<20), nil),
		map[string]any{"container": strings.Repeat("n", 70), "message": "no room beside the name"},
		web("", "", nil),
	)
}

// TestTailText holds the text of hostile records against golden files: `go test -run TailText
// -update` writes them.
func TestTailText(t *testing.T) {
	for _, test := range []struct {
		name   string
		style  style
		width  int
		unfold bool
	}{{"plain", false, 0, false}, {"terminal", true, 60, false}, {"unfolded", false, 80, true}} {
		t.Run(test.name, func(t *testing.T) {
			var out bytes.Buffer
			v := newTailView(&app{stdout: &out, env: os.LookupEnv}, "text", test.unfold)
			v.style, v.width = test.style, func() int { return test.width }
			v.now = func() time.Time { return time.Date(2026, 3, 1, 15, 0, 0, 0, time.UTC) }
			for _, r := range hostileRecords() {
				if err := v.show(r); err != nil {
					t.Fatal(err)
				}
			}
			isControl := func(r rune) bool { return r != '\n' && r != '\x1b' && !unicode.IsGraphic(r) }
			if at := strings.IndexFunc(out.String(), isControl); at >= 0 {
				t.Errorf("there is %q", out.String()[at:at+10])
			}
			n := strings.Count(out.String(), "\x1b")
			if !bool(test.style) && n > 0 || strings.Contains(out.String(), "\x1b[2J") {
				t.Errorf("%d escapes that are not the program's own", n)
			}
			got := strings.ReplaceAll(out.String(), strings.Repeat("x", 1<<20), "(a MiB of x)")
			got = manyLines.ReplaceAllString(got, "(many lines of x)\n")
			golden(t, filepath.Join("testdata", "tail", test.name+".txt"), got)
		})
	}
}

var manyLines = regexp.MustCompile(`(xxxxxxxxxx+\n *){50,}`)

func golden(t *testing.T, path, got string) {
	t.Helper()
	got = strings.ReplaceAll(got, "\x1b", "␛")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Error(diff)
	}
}

// TestTailIsWrapped: no line is wider than the terminal, whatever its width, and nothing is left
// out.
func TestTailIsWrapped(t *testing.T) {
	for width := 1; width <= 100; width += 3 {
		v := newTailView(&app{stdout: &bytes.Buffer{}, env: os.LookupEnv}, "text", true)
		v.width = func() int { return width }
		for _, r := range hostileRecords() {
			if len(r.Message) > 10_000 {
				continue
			}
			text := v.text(r)
			lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
			for _, line := range lines[1:] { // the first has the head
				if columns(line) > max(width, indentBelow+2) {
					t.Fatalf("%d columns, at a width of %d: %q", columns(line), width, line)
				}
			}
			squeeze := func(s string) string { return strings.Join(strings.Fields(s), "") }
			if !strings.Contains(squeeze(text), squeeze(printableLines(r.Message))) {
				t.Fatalf("at a width of %d some of %q is left out: %q", width, r.Message, text)
			}
		}
	}
}

func TestTailForms(t *testing.T) {
	r := tailed(map[string]any{"message": "a\u202e", "raw": "\x1b[31m a\nb"})[0]
	for form, want := range map[string]string{
		"raw":  "\x1b[31m a\nb\n",
		"json": `{"message":"a\u202e","raw":"\u001b[31m a\nb","time":"2026-03-01T14:03:05.123456789Z"}` + "\n",
	} {
		var out bytes.Buffer
		v := newTailView(&app{stdout: &out, env: os.LookupEnv}, form, false)
		if err := v.show(r); err != nil || out.String() != want {
			t.Errorf("%s: %q, %v", form, out.String(), err)
		}
	}
	var out bytes.Buffer
	v := newTailView(&app{stdout: &out, env: os.LookupEnv}, "raw", false)
	v.width = func() int { return 80 }
	if err := v.show(r); err != nil || out.String() != "·[31m a\nb\n" {
		t.Errorf("raw, on a terminal: %q, %v", out.String(), err)
	}
}

// TestMerger: what sources had at the start comes in the order of its times; later what comes
// together.
func TestMerger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shown []string
		m := newMerger(func(r *tailRecord) error { shown = append(shown, r.Message); return nil }, 1, false)
		add := func(second int, message string) {
			m.add(tailed(map[string]any{"message": message, "time": fmt.Sprintf("2026-03-01T00:00:%02dZ", second)})[0])
			m.arrived("", 0)
		}
		step := func() {
			time.Sleep(mergeEvery)
			if !m.holds() {
				_ = m.flush()
			}
		}
		add(3, "c")
		step()
		m.inputFound(nil)
		add(1, "a")
		add(2, "b")
		step()
		if len(shown) > 0 {
			t.Errorf("shown at once are %q", shown)
		}
		step()
		step()
		add(9, "e")
		add(4, "d")
		step()
		if want := []string{"a", "b", "c", "d", "e"}; !slices.Equal(shown, want) {
			t.Errorf("shown are %q", shown)
		}
		if m.isComplete() {
			t.Error("it is said to be complete at once")
		}
		time.Sleep(endTime)
		if !m.isComplete() {
			t.Error("it is never complete")
		}
	})
}

// TestMergerOfFiles: files are complete when they were read to their ends.
func TestMergerOfFiles(t *testing.T) {
	m := newMerger(nil, 1, true)
	m.inputFound(map[string]int64{"/a": 10, "/b": 0})
	if m.isLater("/a", 9) || !m.isLater("/a", 10) || m.isLater("/c", 10) {
		t.Error("what comes later begins at the size at the start")
	}
	m.arrived("/a", 9)
	if m.isComplete() {
		t.Error("a byte is left")
	}
	m.arrived("/a", 10)
	if !m.isComplete() {
		t.Error("nothing is left")
	}
}

// TestMergerHoldsLittle, and ends with the first error of writing.
func TestMergerHoldsLittle(t *testing.T) {
	shown := 0
	m := newMerger(func(*tailRecord) error { shown++; return syscall.EPIPE }, 1, false)
	for range 3 {
		m.add(&tailRecord{json: make([]byte, maxHeld)})
	}
	if err := m.flush(); !errors.Is(err, syscall.EPIPE) || shown != 1 {
		t.Errorf("%d are shown: %v", shown, err)
	}
}
