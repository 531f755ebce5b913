package auto

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

func TestGolden(t *testing.T) {
	pipetest.ParserGolden(t, "testdata/*.txt", func(*event.Source) pipeline.Parser { return New(nil) })
}

func TestConformance(t *testing.T) {
	newParser, err := new(Config).Parser()
	if err != nil {
		t.Fatal(err)
	}
	pipetest.TestParser(t, newParser, lines...)
}

var lines = []string{
	`{"level":"info","ts":"2024-05-01T12:34:56.789012Z","msg":"request ` +
		`completed","service":"checkout","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","method":"GET",` +
		`"path":"/api/v1/orders/42","status":200,"duration_ms":12.7}`,
	`ts=2024-05-01T12:34:56.789012Z level=info msg="request completed" service=checkout ` +
		`trace_id=4bf92f3577b34da6a3ce929d0e0e4736 method=GET path=/api/v1/orders/42 status=200 duration=12.7ms ` +
		`bytes=48213 cache=true ip=10.0.3.17`,
	`203.0.113.9 - anna [01/May/2024:12:00:00 +0000] "POST /api/v1/orders HTTP/2.0" 503 612 ` +
		`"https://example.com/" "Mozilla/5.0 (X11; Linux x86_64; rv:125.0) Gecko/20100101 Firefox/125.0" ` +
		`trace_id=4bf92f3577b34da6a3ce929d0e0e4736`,
	`2024-05-01 12:00:00,123 INFO  [main] com.example.shop.OrderService - order 42 completed ` +
		`trace_id=4bf92f3577b34da6a3ce929d0e0e4736 in 12 ms for a customer with a rather long name, so that the ` +
		`line is of about the usual length`,
	`I0501 12:00:00.123456       1 server.go:42] Serving on :443`,
	`<165>1 2024-05-01T12:00:00.003Z web-1 shop 8710 ID47 [a@1 iut="3"] An application event`,
	`1:M 01 May 2024 12:00:00.123 * Ready to accept connections tcp`,
	`2024-05-01T12:00:00.123Z  INFO 1 --- [shop] [           main] ` +
		`[4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7] c.e.s.App : Started`,
	`2024-05-01T12:00:00.123456789Z stderr F {"level":"error","msg":"failed","a":[1,2,{"b":3}]}`,
	`{"log":"{\"level\":\"error\",\"msg\":\"failed\"}\n","stream":"stderr","time":"2024-05-01T12:00:00.123456789Z"}`,
	"\x1b[36mINFO\x1b[0m[0012] started \x1b[36mport\x1b[0m=80",
	`127.0.0.1:40134 [01/May/2024:12:00:00.026] web app/s1 0/0/0/5/5 200 2565 - - ---- 1/1/0/0/0 0/0 "GET / HTTP/1.1"`,
	`[2024-05-01T12:00:00.123Z] "GET / HTTP/1.1" 200 - 0 15 3 2 "-" "curl" "7f3f1f9e" "shop" "10.0.0.2:80"`,
	`2024/05/01 12:00:00 [error] 31#31: *1 open() "/x" failed (2: No such file or directory), client: 203.0.113.9`,
	`[Wed May 01 12:00:00.123456 2024] [core:error] [pid 7:tid 9] [client 10.0.0.1:5000] AH00035: access denied`,
	`2024-05-01T12:00:00.123456Z  INFO shop::server: listening addr=0.0.0.0:8080`,
	`[2024-05-01T12:00:00,123][INFO ][o.e.n.Node               ] [node-1] started`,
}

// continuations are lines that stand below others: the golden files have none that are parts of a
// record.
var continuations = []string{
	`  description: no error here`,
	`  value: "0.5"`,
	`    - alert: HighErrorRate`,
	`      severity: critical`,
	`        for: 5m`,
	`    at com.example.ErrorHandler.handle(ErrorHandler.java:42)`,
	`    at Object.error (/srv/app/logger.js:17:5)`,
	`  File "/srv/app/error.py", line 42, in warning`,
	`goroutine 7 [running, locked to thread]:`,
	"\t/srv/app/error.go:42 +0x1d",
	`#0 0x00007f3f1f9e in error_handler () from /lib/libc.so.6`,
	`  5:     4 INFO calls`,
	`    12 | error := run()`,
	`       | ^^^^^ unused variable`,
}

// TestHarmless: what is no level and no time is taken for none, however much it looks like one.
func TestHarmless(t *testing.T) {
	text, err := os.ReadFile("testdata/harmless.txt")
	if err != nil {
		t.Fatal(err)
	}
	src := event.NewSource(1, "test", "test", nil)
	lines := [][]byte{}
	for _, line := range continuations {
		lines = append(lines, []byte("< "+line))
	}
	timed, n := false, 0
	for _, line := range append(lines, bytes.Split(text, []byte("\n"))...) {
		timed = timed || bytes.HasPrefix(line, []byte("# With a time of their own"))
		line, ok := bytes.CutPrefix(line, []byte("< "))
		if !ok {
			continue
		}
		n++
		b := pipetest.ParserBatch(src, 1714564810e9, line)
		New(nil).Parse(b, 1)
		if rec := &b.Records[1]; rec.Level != event.NoLevel || (rec.Flags&event.LineTime != 0) != timed {
			t.Errorf("%s: level %v, flags %b", line, rec.Level, rec.Flags)
		}
	}
	if n < 200 {
		t.Errorf("%d lines are too few", n)
	}
}

// TestMixed sees to it that what a source sent before does not change what becomes of a line.
func TestMixed(t *testing.T) {
	p := New(nil)
	src := event.NewSource(1, "test", "test", nil)
	say := func(p pipeline.Parser, line string) string {
		b := pipetest.ParserBatch(src, 1714564810e9, []byte(line))
		pipetest.ParseChecked(t, p, b, 1)
		return string(event.AppendRecord(nil, b, 1, false))
	}
	for range 3 {
		for _, line := range lines {
			if got, want := say(p, line), say(New(nil), line); got != want {
				t.Errorf("%s\ngives %s\nalone %s", line, got, want)
			}
		}
	}
}

func TestAllocs(t *testing.T) {
	src := event.NewSource(1, "test", "test", nil)
	batch := &event.Batch{}
	for _, line := range lines {
		p := New(nil)
		n := testing.AllocsPerRun(100, func() {
			batch.Reset(src)
			batch.Add(0, 1714564810e9, batch.PutString(line))
			p.Parse(batch, 0)
		})
		if n != 0 {
			t.Errorf("%v allocations, want none: %s", n, line)
		}
	}
}

// TestHostile would not end in our days if any of these took quadratic time.
func TestHostile(t *testing.T) {
	const size = 256 << 10
	for _, piece := range []string{
		"trace_id=", "span_id=", "trace_id=4bf92f3577b34da6a3ce929d0e0e4736 ", "traceparent", "cpcp", "\x1b[",
		"\x1b[1m", "[", "(", "<", "{", "]", "\"", "\\", `\"`,
		"a=b ", "a ", "=", ": ", " - ", " | ", "\t", "INFO ", "[INFO]", "[a]", "(a) ", "2024-05-01 12:00:00 ", "1 ",
		"1:", "a.b ", "a: ",
		`{"a":`, `{"a":1,`, `{"log":"`, `[1,2.5,`, `{"a":1,"a":2,`, "<13>", "<1>[", "127.0.0.1 - - ", "\n", "\r",
		"\xff", "\x00",
	} {
		for _, head := range []string{"", "2024-05-01 12:00:00 ", "2024-05-01 12:00:00 INFO ", "[2024-05-01 12:00:00] ",
			"INFO ", `{"message":"`, `127.0.0.1 - - [01/May/2024:12:00:00 +0000] ` +
				`"`, "2024-05-01T12:00:00.1Z stdout F "} {
			line := append([]byte(head), bytes.Repeat([]byte(piece), size/len(piece))...)
			b := pipetest.ParserBatch(event.NewSource(1, "test", "test", nil), 0, line)
			New(nil).Parse(b, 1)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	src := event.NewSource(1, "test", "test", nil)
	for i, name := range []string{"json", "logfmt", "access", "log4j", "klog"} {
		b.Run(name, func(b *testing.B) {
			batch := &event.Batch{}
			p := New(nil)
			b.SetBytes(int64(len(lines[i])))
			b.ReportAllocs()
			for b.Loop() {
				batch.Reset(src)
				batch.Add(0, 1714564810e9, batch.PutString(lines[i]))
				if !p.Parse(batch, 0) {
					b.Fatal("not parsed")
				}
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for line := range bytes.Lines(text) {
			if rest, ok := bytes.CutPrefix(bytes.TrimSuffix(line, []byte("\n")), []byte("< ")); ok {
				f.Add(rest, int64(1714564810e9))
				f.Add(rest, int64(0))
			}
		}
	}
	src := event.NewSource(1, "test", "test", []event.Label{{Name: "host.name", Value: "h"}})
	f.Fuzz(func(t *testing.T, line []byte, at int64) {
		p := New(nil)
		for range 2 {
			pipetest.ParseChecked(t, p, pipetest.ParserBatch(src, at, line), 1)
		}
	})
}
