package multiline

import (
	"bytes"
	"strings"
	"testing"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/pipetest"
)

// said returns what a new joiner says of lines, a mark for each.
func said(lines ...string) string {
	joiner, got := NewAuto(), ""
	for _, line := range lines {
		got += strings.TrimSpace(mark(joiner.Line([]byte(line)))) + " "
	}
	return strings.TrimSpace(got)
}

func TestLines(t *testing.T) {
	tests := []struct {
		name, want string
		lines      []string
	}{
		{"colours", "* | * |", []string{"\x1b[31m2024-05-01 12:00:00\x1b[0m \x1b[31mERROR\x1b[0m failed",
			"\x1b[31m    at f (x.js:1)\x1b[0m", "\x1b[90m2024-05-01 12:00:01\x1b[0m INFO next", "  more"}},
		{"an indented head", "* * *", []string{"2024-05-01T12:00:00Z  INFO a: b", "  2024-05-01T12:00:00Z  INFO a: c",
			"\x1b[2m  2024-05-01T12:00:00Z\x1b[0m INFO a: d"}},
		{"all is indented", "* * * |", []string{"  one", "  two", "  three", "      below three"}},
		{"a single blank", "* * *", []string{"> next start", " - ready", " GET / 200"}},
		{"levels right-aligned", "* * *", []string{"ERROR shop: a", " INFO shop: b", " WARN shop: c"}},
		{"the rest of a trace", "* | |", []string{"\tat com.example.A.a(A.java:1)", "\tat com.example.B.b(B.java:2)",
			"\t... 3 more"}},
		{"empty lines", "*. *. * *.", []string{"", "", "text", ""}},
		{"what is complete has nothing below", "*. * *. *",
			[]string{`{"a":1}`, "  below", "level=info msg=x", "\tbelow"}},
		{"pretty JSON", "* | | |. *.", []string{"{", `  "a": "}",`, `  "b": [`, `]}`, `{"c":1}`}},
		{"pretty JSON that is cut off", "* | *. *", []string{"{", `  "a": 1,`, `{"c":1}`, "text"}},
		{"an array of objects", "* | | | |.", []string{"[", "  {", `    "a": 1`, "  }", "]"}},
		{"an object within a log line", "* | |", []string{"2024-05-01 12:00:00 INFO order: {", `  "a": 1`, "}"}},
		{"a closing bracket by itself", "* *", []string{"text", "}"}},
		{"JSON over a log line", "* *", []string{"{", "2024-05-01 12:00:00 INFO x"}},
		{"a crash behind calm lines", "* *", []string{"2024-05-01 12:00:00 INFO started",
			"Traceback (most recent call last):"}},
		{"an error behind calm lines", "* *", []string{"2024-05-01 12:00:00 INFO started", "Error: boom"}},
		{"an error told of", "* |", []string{"2024-05-01 12:00:00 ERROR failed", "Error: boom"}},
		{"an exception behind text", "* *", []string{"Starting", "java.lang.IllegalStateException: boom"}},
		{"a logger's name", "* *", []string{"2024-05-01 12:00:00 ERROR failed", "com.example.ExceptionHandler: told"}},
		{"prose", "* * *", []string{"2024-05-01 12:00:00 ERROR failed", "Error handling was improved",
			"goroutine pools are fine"}},
		{"two exceptions", "* | * |", []string{"java.lang.IllegalStateException: a", "\tat A.a(A.java:1)",
			"java.lang.IllegalStateException: b", "\tat A.a(A.java:1)"}},
		{"Postgres", "* | | | * * *", []string{
			`2024-05-01 12:00:00.123 UTC [7] ERROR:  relation "x" does not exist at character 15`, "\tin a second line",
			"2024-05-01 12:00:00.123 UTC [7] DETAIL:  gone", "2024-05-01 12:00:00.123 UTC [7] STATEMENT:  SELECT 1",
			"2024-05-01 12:00:00.123 UTC [7] LOG:  next", "2024-05-01 12:00:00.123 UTC [8] DETAIL:  of another",
			"2024-05-01 12:00:00.123 UTC [8] HINT:  of what was not seen"}},
		{"CRI", "* | * *.", []string{
			"2016-10-06T00:17:09.669794202Z stdout F java.lang.Error: x",
			"2016-10-06T00:17:09.669794203Z stdout F \tat A.a(A.java:1)",
			"2016-10-06T00:17:09.669794204Z stderr F \tat A.a(A.java:1)",
			`2016-10-06T00:17:09.669794205Z stdout F {"a":1}`}},
		{"CRI in parts", "* | |. *.", []string{
			`2016-10-06T00:17:09.669794202Z stdout P {"a":{}`, `2016-10-06T00:17:09.669794202Z stdout P ,"b":"`,
			`2016-10-06T00:17:09.669794202Z stdout F "}`,
			"2016-10-06T00:17:09.669794202Z stdout F level=info msg=x"}},
		{"CRI in parts, of two streams", "* * *", []string{
			`2016-10-06T00:17:09.669794202Z stdout P one`, `2016-10-06T00:17:09.669794202Z stderr F two`,
			`2016-10-06T00:17:09.669794202Z stdout F three`}},
		{"CRI, and lines without", "* *", []string{"2016-10-06T00:17:09.669794202Z stdout F text",
			"\tat A.a(A.java:1)"}},
		{"CRI without a fraction", "* |", []string{"2016-10-06T00:17:09Z stdout F a.b.XException: c",
			"2016-10-06T00:17:10+02:00 stdout F \tat x"}},
		{"an empty CRI line", "*. *.", []string{"2016-10-06T00:17:09.669794202Z stdout F ",
			"2016-10-06T00:17:09.669794202Z stdout F"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := said(test.lines...); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
			pipetest.TestJoiner(t, newAuto, test.lines...)
		})
	}
}

func TestComplete(t *testing.T) {
	for _, line := range []string{
		`{"level":"info"}`, `{}`,
		`time="2024-05-01T12:00:00Z" level=info msg="a \" b"`, `level=info`, `ts=1 x`, `method=GET path=/`,
		`203.0.113.9 - anna [01/May/2024:12:00:00 +0000] "GET / HTTP/1.1" 200 12`,
		`::1 - - [01/May/2024:12:00:00 +0000] "GET / HTTP/1.1" 200 12`,
		`[2024-05-01T12:00:00.123Z] "GET / HTTP/1.1" 200 - 0 12`,
		`INFO:     127.0.0.1:5000 - "GET / HTTP/1.1" 200 OK`, "",
	} {
		if got := said(line); got != "*." {
			t.Errorf("%q is %s, want it complete", line, got)
		}
	}
	for _, line := range []string{
		`{"level":"info"`, `{`, `{"a":1} and more`, "x=1", "user=anna logged in from host=x", "a = b",
		`2024-05-01 12:00:00 INFO x`, `INFO:     Started`, `http://example.com/?a=b&c=d`, `{"unfinished":`,
	} {
		if got := said(line); got != "*" {
			t.Errorf("%q is %s, want it open", line, got)
		}
	}
}

var benchLines = map[string][]string{
	"json": {`{"level":"info","ts":"2024-05-01T12:34:56.789012Z","msg":"request ` +
		`completed","service":"checkout","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","method":"GET",` +
		`"path":"/api/v1/orders/42","status":200}`},
	"logfmt": {`ts=2024-05-01T12:34:56.789012Z level=info msg="request completed" service=checkout`},
	"access": {`203.0.113.9 - anna [01/May/2024:12:00:00 +0000] "POST /api/v1/orders HTTP/2.0" 503 612 ` +
		`"https://example.com/" "Mozilla/5.0 (X11; Linux x86_64; rv:125.0)"`},
	"log4j": {`2024-05-01 12:00:00,123 INFO  [main] com.example.shop.OrderService - order 42 completed ` +
		`trace_id=4bf92f3577b34da6a3ce929d0e0e4736 in 12 ms for a customer`},
	"level": {`INFO shop.orders: order 42 completed in 12 ms for a customer with a rather long name`},
	"prose": {`order 42 completed in 12 ms for a customer with a rather long name, and nothing else`},
	"cri": {`2016-10-06T00:17:09.669794202Z stdout F order 42 completed in 12 ms for a customer with a rather ` +
		`long name`},
	"trace": {"2024-05-01 12:00:00,123 ERROR failed", "java.lang.IllegalStateException: x",
		"\tat com.example.shop.OrderService.order(OrderService.java:12)",
		"\tat com.example.shop.OrderService.order(OrderService.java:12)",
		"\tat com.example.shop.OrderService.order(OrderService.java:12)", "Caused by: x.Y: z",
		"\tat com.example.shop.OrderService.order(OrderService.java:12)", "\t... 12 more"},
}

func BenchmarkLine(b *testing.B) {
	for name, lines := range benchLines {
		b.Run(name, func(b *testing.B) {
			joiner := NewAuto()
			var raw [][]byte
			for _, line := range lines {
				raw = append(raw, []byte(line))
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				joiner.Line(raw[i%len(raw)])
			}
		})
	}
}

func TestAllocs(t *testing.T) {
	for name, text := range goldenFiles(t) {
		var raw [][]byte
		for _, old := range strings.Split(text, "\n") {
			if line, ok := goldenLine(old); ok {
				raw = append(raw, []byte(line))
			}
		}
		joiner := NewAuto()
		n := testing.AllocsPerRun(10, func() {
			for _, line := range raw {
				joiner.Line(line)
			}
		})
		if n != 0 {
			t.Errorf("%s: %v allocations, want none", name, n)
		}
	}
}

// FuzzLine cuts any input to lines.
func FuzzLine(f *testing.F) {
	for _, text := range goldenFiles(f) {
		var lines []string
		for _, old := range strings.Split(text, "\n") {
			if line, ok := goldenLine(old); ok {
				lines = append(lines, line)
			}
		}
		for len(lines) > 0 {
			n := min(len(lines), 12)
			f.Add([]byte(strings.Join(lines[:n], "\n")))
			lines = lines[n:]
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		lines := strings.Split(string(text), "\n")
		lines = lines[:min(len(lines), 24)]
		joiner := NewAuto()
		open := false
		for _, line := range lines {
			raw := []byte(line)
			decision := joiner.Line(raw)
			if !bytes.Equal(raw, []byte(line)) {
				t.Fatalf("%q was changed to %q", line, raw)
			}
			if decision&^(pipeline.Continues|pipeline.Complete) != 0 || decision&pipeline.Continues != 0 && !open {
				t.Fatalf("%q is said to be %b, a record is open: %v", line, decision, open)
			}
			open = decision&pipeline.Complete == 0
		}
		pipetest.TestJoiner(t, newAuto, lines...)
	})
}
