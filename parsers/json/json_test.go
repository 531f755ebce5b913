package json

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/valyala/fastjson"

	"github.com/longshore/longshore/parsers/recognize"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

var source = event.NewSource(1, "test", "test", nil)

func TestConformance(t *testing.T) {
	newParser, err := new(Config).Parser()
	if err != nil {
		t.Fatal(err)
	}
	pipetest.TestParser(t, newParser, line220, `{}`, `{"a":{"b":[1,2,{"c":null}]}}`, "{\"a\":\"\xff\"}")
}

func TestZone(t *testing.T) {
	c := Config{recognize.ZoneConfig{Timezone: "Europe/Berlin"}}
	if problems := c.Check(); problems != nil {
		t.Fatal(problems)
	}
	newParser, err := c.Parser()
	if err != nil {
		t.Fatal(err)
	}
	got, _ := parse(t, newParser(source), `{"time":"2024-07-01 12:00:00","message":"summer"}`)
	want := `{"timestamp":"2024-07-01T10:00:00.000Z","message":"summer"}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if problems := (&Config{recognize.ZoneConfig{Timezone: "Europe/Nowhere"}}).Check(); len(problems) != 1 ||
		problems[0].Path != "timezone" {
		t.Errorf("a zone that does not exist: %v", problems)
	}
}

func parse(t testing.TB, p pipeline.Parser, line string) (string, bool) {
	b := pipetest.ParserBatch(source, 0, []byte(line))
	ok := pipetest.ParseChecked(t, p, b, 1)
	return string(event.AppendRecord(nil, b, 1, false)), ok
}

func TestNotUTF8(t *testing.T) {
	tests := []struct{ line, want string }{
		{"{\"a\":\"x\xffy\"}", `"a":"x` + "\ufffd" + `y"`},
		{"{\"a\":\"\\n\xff\"}", `"a":"\n` + "\ufffd" + `"`},
		{"{\"a\":{\"b\":[\"\xc3\"]}}", `"a":{"b":["` + "\ufffd" + `"]}`},
		{"{\"k\xff\":1}", `"k` + "\ufffd" + `":1`},
		{"{\"k\\u0061\xff\":1}", `"ka` + "\ufffd" + `":1`},
	}
	for _, test := range tests {
		got, ok := parse(t, New(nil), test.line)
		if !ok || !strings.Contains(got, test.want) {
			t.Errorf("%q: got %s (%v), want %s in it", test.line, got, ok, test.want)
		}
	}
}

func TestBounds(t *testing.T) {
	deep := func(n int) string {
		return `{"a":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}`
	}
	wide := func(n int) string {
		var fields []string
		for i := range n {
			fields = append(fields, fmt.Sprintf(`"k%d":%d`, i, i))
		}
		return "{" + strings.Join(fields, ",") + "}"
	}
	tests := []struct {
		what string
		line string
		want bool
	}{
		{"deepest", deep(maxDepth), true},
		{"too deep", deep(maxDepth + 1), false},
		{"widest", wide(maxFields), true},
		{"too wide", wide(maxFields + 1), false},
	}
	for _, test := range tests {
		if _, ok := parse(t, New(nil), test.line); ok != test.want {
			t.Errorf("%s: understood %v, want %v", test.what, ok, test.want)
		}
	}
}

func TestManyRepeats(t *testing.T) {
	line := `{"a":0`
	for i := range 400 {
		line += fmt.Sprintf(`,"k%d":%d`, i%100, i)
	}
	got, _ := parse(t, New(nil), line+`,"a":1}`)
	if n := strings.Count(got, `"k7":`); n != 1 || !strings.Contains(got, `"k7":307`) ||
		!strings.Contains(got, `"a":1`) {
		t.Errorf("k7 stands %d times in %s", n, got)
	}
}

// TestMend is about what Elasticsearch rejects inside of objects and arrays.
func TestMend(t *testing.T) {
	deep := strings.Repeat(`{"a":`, mostDeep+1) + "1" + strings.Repeat("}", mostDeep+1)
	wide := "{"
	for i := range mostNested + 1 {
		wide += fmt.Sprintf(`"k%d":1,`, i)
	}
	wide = strings.TrimSuffix(wide, ",") + "}"
	tests := []struct{ value, want string }{
		{`{"a":1,"b":2,"a":3}`, `{"b":2,"a":3}`},
		{`{"x":{"a":1,"a":2}}`, `{"x":{"a":2}}`},
		{`[{"a":1,"a":2},{"a":3}]`, `[{"a":2},{"a":3}]`},
		{`{"a":1,"\u0061":2}`, `{"\u0061":2}`},
		{`{"a":{"a":{"a":1}}}`, `{"a":{"a":{"a":1}}}`},
		{`{"ab":1,"ba":2,"aa":3,"bb":4,"x":[{"ab":1}]}`, `{"ab":1,"ba":2,"aa":3,"bb":4,"x":[{"ab":1}]}`},
		{`{"a":[[[[[[[[[{"a":1,"a":2}]]]]]]]]]}`, `{"a":[[[[[[[[[{"a":2}]]]]]]]]]}`},
		{`{ "a" : 1 , "a" : { } , "b" : [ ] }`, `{"a":{},"b":[]}`},
		{`{"":1,"":2}`, `{"":2}`},
		{`[1, 2.5, -3, 4e2, "5", null, [6]]`, `[1.0,2.5,-3.0,4e2,"5",null,[6]]`},
		{`[1,2,3]`, `[1,2,3]`},
		{`[1.5,2.5]`, `[1.5,2.5]`},
		{`[[1],[2.5]]`, `[[1],[2.5]]`},
		{`{"a":[0,0.1],"b":12345678901234567890}`, `{"a":[0.0,0.1],"b":12345678901234567890}`},
		{deep, fmt.Sprintf("%q", deep)},
		{wide, fmt.Sprintf("%q", wide)},
	}
	for _, test := range tests {
		got, ok := parse(t, New(nil), `{"v":`+test.value+`}`)
		if !ok || !strings.HasSuffix(got, `"v":`+test.want+`}`) {
			t.Errorf("%.100s: got %.300s, want %.300s", test.value, got, test.want)
		}
	}
}

func TestMemoryOfKeys(t *testing.T) {
	p := New(nil)
	for _, line := range []string{
		`{"level":"info","message":"a","x":1}`,
		`{"level":"info","y":2,"message":"b"}`,
		`{"level" :"info","message":"c","message":"d"}`,
		`{"levels":"info","message":"e"}`,
		`{"level":"info"}`,
		`{"":1,"message":"f"}`,
		`{"":1,"":2,"message":"g"}`,
	} {
		got, _ := parse(t, p, line)
		want, _ := parse(t, New(nil), line)
		if got != want {
			t.Errorf("after other lines, %s gives\n%s, alone\n%s", line, got, want)
		}
	}
}

var seeds = []string{
	line220,
	`{"a":1,"a":2,"b":{"a":1},"c":[],"d":{},"e":[[],{}],"f":"\u00e9\ud83d\ude00\ud800"}`,
	`{"n":-0,"m":1e5,"o":0.5,"p":-1.25E-7,"q":12345678901234567890}`,
	`{"n":01}`, `{"n":1.}`, `{"n":-}`, `{"n":+1}`, `{"n":.5}`, `{"n":1e}`,
	`{"a":tru}`, `{"a":nul`, `{"a" 1}`, `{"a":1,}`, `{,}`, `{"a":"\x"}`, `{"a":"\u12"}`, `{"a":[1,]}`, `{"a":{"b"}}`,
	`{"a":1}x`, `{"a":[}`, `{"a":{]}`,
	" \t{ \"a\" : [ 1 , 2 ] } \r\n", "{\"a\":\"\x01\"}", "{\"a\xff\":\"\xff\",\"b\":[\"\xff\"]}",
	`{"a":{"b":1,"b":2,"c":[1,2.5,{"d":1,"d":[]}]},"e":[[1,2.5],[3]]}`,
	`{"instant":{"epochSecond":1,"nanoOfSecond":2},"t":{"$date":"x"},"@mt":"{a}{{","a":"b","@t":1,` +
		`"dd":{"trace_id":"1"},"Scopes":[1,{"TraceId":"x"}],"log":{"level":"x"}}`,
}

func FuzzParse(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		p := New(nil)
		b := pipetest.ParserBatch(source, 0, line)
		ok := pipetest.ParseChecked(t, p, b, 1)
		out := event.AppendRecord(nil, b, 1, false)

		var want map[string]any
		valid := json.Valid(line) && bytes.HasPrefix(bytes.Trim(line, " \t\r\n"), []byte("{"))
		if ok && !valid {
			t.Fatalf("understood what is no JSON object: %q", line)
		}
		if valid {
			want = decode(t, line)
		}
		if !ok {
			if valid && len(want) < maxFields/2 &&
				bytes.Count(line, []byte("{"))+bytes.Count(line, []byte("[")) <= maxDepth && len(line) < 2000 {
				t.Fatalf("did not understand %q", line)
			}
			return
		}
		compare(t, line, want, decode(t, out))

		again := pipetest.ParserBatch(source, 0, line)
		pipetest.ParseChecked(t, p, again, 1)
		if got := event.AppendRecord(nil, again, 1, false); !bytes.Equal(got, out) {
			t.Errorf("%q gives\n%s, with the keys known\n%s", line, out, got)
		}
	})
}

// compare holds the fields that mean nothing to the core against what encoding/json reads.
func compare(t *testing.T, line []byte, want, got map[string]any) {
	for key, value := range want {
		if recognize.KeyOf([]byte(key)).IsKnown() || strings.Contains(key, ".") ||
			strings.HasSuffix(key, "_original") || key == "truncated" || key == "" || key == "level" {
			continue
		}
		if text, ok := got[key].(string); ok && text != value {
			continue // too large an object, kept as its text
		}
		if !reflect.DeepEqual(plain(got[key]), plain(value)) {
			t.Errorf("%q: field %q is %v, want %v", line, key, got[key], value)
		}
	}
}

// plain takes the zeros off that arrays with fractions have.
func plain(v any) any {
	switch v := v.(type) {
	case json.Number:
		return json.Number(strings.TrimSuffix(string(v), ".0"))
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = plain(v[k])
		}
	}
	return v
}

func decode(t *testing.T, p []byte) map[string]any {
	d := json.NewDecoder(bytes.NewReader(p))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		t.Fatalf("decoding %q: %v", p, err)
	}
	return m
}

func FuzzContainer(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		if len(p) == 0 || p[0] != '{' && p[0] != '[' {
			return
		}
		end, _ := scanContainer(p, 0)
		if end >= 0 && !json.Valid(p[:end]) {
			t.Fatalf("took %q for valid", p[:end])
		}
		if end >= 0 && fastjson.ValidateBytes(p[:end]) != nil {
			t.Fatalf("took %q for valid, fastjson does not", p[:end])
		}
		if end < 0 && json.Valid(p) && bytes.Count(p, []byte("{"))+bytes.Count(p, []byte("[")) <= maxDepth {
			t.Fatalf("took %q for invalid", p)
		}
	})
}
