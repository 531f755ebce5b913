package condition

import (
	"fmt"
	"strings"
	"testing"

	"github.com/longshore/longshore/pipeline/event"
)

// batchOf returns a batch with one record of everything, as a parser would.
func batchOf() *event.Batch {
	b := &event.Batch{}
	b.Reset(event.NewSource(1, "app", "app.log", []event.Label{{Name: "container.name", Value: "web-1"},
		{Name: "service", Value: "shop"}}))
	put := func(kind event.Kind, s string) event.Value { return event.Value{Span: b.PutString(s), Kind: kind} }
	r := b.Add(7, 1700000000123000000, b.PutString("GET /pay 502 in 12.5 ms"))
	r.Level = event.Warn
	r.Service = put(event.Plain, "checkout")
	r.Flags |= event.HasTrace
	r.TraceID = [16]byte{0x4b, 0xf9}
	for _, f := range []struct {
		key   string
		kind  event.Kind
		value string
	}{
		{"status", event.Number, "502"}, {"took", event.Number, "12.50"}, {"code", event.Plain, "404"},
		{"debug", event.Bool, "true"}, {"flag", event.Plain, "false"}, {"gone", event.Null, "null"},
		{"path", event.Plain, "/pay"}, {"say", event.Escaped, `a \"b\"`}, {"a.b", event.Plain, "dotted"},
		{"http", event.Object, `{"request":{"method":"PUT","size":17},"x.y":[1]}`},
		{"tags", event.Array, `["a","b",3]`},
	} {
		b.AddField(0, put(event.Plain, f.key), put(f.kind, f.value))
	}
	return b
}

func TestHolds(t *testing.T) {
	const fast, slow = true, false
	for _, c := range []struct {
		text string
		want bool
		fast bool
	}{
		{`level >= "warn"`, true, fast},
		{`level > "warn"`, false, fast},
		{`"error" > level`, true, fast},
		{`level in ["warn", "error"]`, true, fast},
		{`level not in ["warn"]`, false, fast},
		{`level == "warn" and status == 502`, true, fast},
		{`level == "error" or status >= 500 && path == "/pay"`, true, fast},
		{`not (status >= 500)`, false, fast},
		{`status == "502"`, true, fast},
		{`code == 404`, true, fast},
		{`code > 99.5`, true, fast},
		{`took == 12.5`, true, fast},
		{`took > -1`, true, fast},
		{`status startsWith "5"`, true, fast},
		{`"pay" in message`, true, fast},
		{`message contains "PAY"`, false, fast},
		{`message contains "pay 5"`, true, fast},
		{`message startsWith "GET" and not (message endsWith "GET")`, true, fast},
		{`"GET /pay 502 in 12.5 ms!" contains message`, true, fast},
		{`code == 404 and 404 >= code and code != 405 and took < 13`, true, fast},
		{`message matches "in [0-9.]+ ms$"`, true, fast},
		{`service startsWith "check"`, true, fast},
		{`labels["container.name"] == "web-1"`, true, fast},
		{`labels["no.such"] == nil`, true, fast},
		{`trace_id startsWith "4bf9"`, true, fast},
		{`span_id == nil`, true, fast},
		{`debug`, true, fast},
		{`not flag`, true, fast},
		{`missing`, false, fast},
		{`missing > 5`, false, fast},
		{`missing != 5`, true, fast},
		{`missing < 5 or status == 502`, true, fast},
		{`gone == nil`, true, fast},
		{`say == 'a "b"'`, true, fast},
		{`a.b == "dotted"`, true, fast},
		{`fields["a.b"] == "dotted"`, true, fast},
		{`http.request.method == "PUT"`, true, fast},
		{`http["request"]["size"] > 16`, true, fast},
		{`http?.request?.size == 17`, true, slow},
		{`http.request.none == nil`, true, fast},
		{`"b" in tags`, true, fast},
		{`3 in tags`, true, fast},
		{`"request" in http`, true, fast},
		{`true`, true, fast},
		{`lower(message) contains "get"`, true, slow},
		{`lower(missing) contains "get"`, false, slow},
		{`len(message) > 10`, true, slow},
		{`status / 2 == 251`, true, slow},
		{`any(tags, # == "b")`, true, slow},
		{`timestamp > "2023-11-14T22:13:20Z"`, true, fast},
		{`timestamp.Year() == 2023`, true, slow},
		{`(missing ?? "x") == "x"`, true, slow},
		{`status == code`, false, slow},
		{`debug ? status == 502 : false`, true, slow},
	} {
		got, err := Compile(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if is := got.Holds(batchOf(), 0); is != c.want {
			t.Errorf("%s is %v", c.text, is)
		}
		if is := got.run(batchOf(), 0); is != c.want {
			t.Errorf("%s is %v by the virtual machine", c.text, is)
		}
		if is := got.fast != nil; is != c.fast {
			t.Errorf("%s: fast is %v", c.text, is)
		}
	}
}

func TestRecordsWithoutALevel(t *testing.T) {
	b := batchOf()
	b.Records[0].Level = event.NoLevel
	for text, want := range map[string]bool{
		`level >= "info"`: true, `level > "info"`: false, `level == "info"`: false, `level == nil`: true,
		`level != "warn"`: true,
	} {
		c, err := Compile(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Holds(b, 0); got != want {
			t.Errorf("%s is %v", text, got)
		}
	}
}

func TestMistakes(t *testing.T) {
	for text, want := range map[string]string{
		`level >= "warning"`:     `1:10: there is no level "warning"; did you mean "warn"?`,
		`level == "eror"`:        `1:10: there is no level "eror"; did you mean "error"?`,
		`level in ["warn", "x"]`: `1:19: there is no level "x"`,
		`level == debug`:         `1:10: is the field debug here; the level is written in quotes: "debug"`,
		`level > 3`:              `1:9: a level is compared with the name of one, such as "warn"`,
		`lvel == "warn"`: `1:1: there is no lvel; did you mean level? ` +
			`A field of this name is written fields["lvel"]`,
		`status == 5 and Message`: `1:17: there is no Message; did you mean message? ` +
			`A field of this name is written fields["Message"]`,
		`startWith(message, "x")`:   `1:1: there is no function startWith; did you mean "startsWith"?`,
		`message matches "("`:       "1:17: is no regular expression: error parsing regexp: missing closing ): `(`",
		`message matches path`:      `1:17: matches needs a regular expression in quotes`,
		`labels[x] == "a"`:          `1:8: between [ and ] stands a name in quotes`,
		`labels == "a"`:             `1:1: is incomplete: write labels["name"]`,
		`let x = 1; x == 1`:         `1:5: let is not possible here`,
		`1 + 2`:                     `is never true or false, but of the kind int; compare it with something`,
		`lower(message)`:            `is never true or false, but of the kind string; compare it with something`,
		`status ==`:                 `is no expression`,
		`status = 5`:                `1:8: is no expression: = sets nothing here; compare with ==`,
		`status === 5`:              `1:10: is no expression: = sets nothing here; compare with ==`,
		`message contains 'x`:       `is no expression`,
		``:                          `is no expression`,
		strings.Repeat("not ", 3e3): `is no expression`,
	} {
		_, err := Compile(text)
		if err == nil {
			t.Errorf("%.60s: no problem is found", text)
			continue
		}
		e := err.(*Error)
		got := e.Message
		if want[0] == '1' {
			got = fmt.Sprintf("%d:%d: %s", e.Line, e.Column, e.Message)
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("%.60s:\n got %s\nwant %s", text, got, want)
		}
	}
}

func TestAllocs(t *testing.T) {
	b := batchOf()
	for _, text := range []string{
		`level >= "warn"`, `level in ["warn", "error"]`, `path == "/pay"`, `service startsWith "x"`, `"x" in message`,
		`status >= 500 and http.request.method == "PUT"`, `say == "x"`, `code == 404`, `trace_id == "a"`,
	} {
		c, err := Compile(text)
		if err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(100, func() { c.Holds(b, 0) }); n != 0 {
			t.Errorf("%s: %v allocations a record, want none", text, n)
		}
	}
}

func BenchmarkHolds(b *testing.B) {
	batch := batchOf()
	for _, text := range []string{`level >= "warn"`, `path == "/pay"`, `"zz" in message`, `lower(path) == "/pay"`,
		`status > 99 and status >= 500`, `message contains "out of memory"`} {
		b.Run(text, func(b *testing.B) {
			c, err := Compile(text)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				c.Holds(batch, 0)
			}
		})
	}
}

// FuzzBothWays holds the fast tests against the virtual machine.
func FuzzBothWays(f *testing.F) {
	for _, text := range []string{
		`level >= "warn" and (status > 5 or not (path == "/x"))`, `x in ["1", 2, nil, true]`, `"a" in x`, `x != -1`,
		`x endsWith "e5"`, `x`, `x matches "1.*"`, `1.5 < x`, `x >= 5`, `5 > x`, `x == 100 or 7 != x`,
		`x == "a" or "1" != x`, `message endsWith "ms"`,
	} {
		for _, value := range []string{`1`, `"1"`, `true`, `null`, `[1,"a"]`, `{"a":1}`, `"\u0061"`, `1e5`, `-0`,
			`12345678901234567890`, `"007"`, `5`, `"5 "`, `999999999`, `1000000000`} {
			f.Add(text, value)
		}
	}
	f.Fuzz(func(t *testing.T, text, value string) {
		c, err := Compile(text)
		if err != nil || c.fast == nil {
			return
		}
		b := batchOf()
		if v, ok := valueOf(b, value); ok {
			b.AddField(0, event.Value{Span: b.PutString("x"), Kind: event.Plain}, v)
		}
		if fast, slow := c.Holds(b, 0), c.run(b, 0); fast != slow {
			t.Errorf("%s with %s is %v, and %v by the virtual machine", text, value, fast, slow)
		}
	})
}
