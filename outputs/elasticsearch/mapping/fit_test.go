package mapping

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/longshore/longshore/outputs/elasticsearch/mapping/mappingtest"
)

func TestFit(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, in, want string }{
		{"nothing to do", `{"a":1, "b":{"c":"x"}}`, `{"a":1, "b":{"c":"x"}}`},
		{"empty", `{}`, `{}`},
		{"the server's own names", `{"_id":"7","_source":{"a":1},"_type.x":1,"_mine":2,"a":{"_id":1}}`,
			`{"_id_original":"7","_source_original":{"a":1},"_type_x":1,"_mine":2,"a":{"_id":1}}`},
		{"a value beside an object", `{"error":"t","error.message":"m"}`, `{"error_original":"t","error.message":"m"}`},
		{"the other way round", `{"user.id":7,"user":"b"}`, `{"user.id":7,"user_original":"b"}`},
		{"further down", `{"http":{"status":200,"status.text":"OK"}}`,
			`{"http":{"status_original":200,"status.text":"OK"}}`},
		{"at every level", `{"a":1,"a.b":2,"a.b.c":3}`, `{"a_original":1,"a.b_original":2,"a.b.c":3}`},
		{"in objects of an array", `{"pods":[{"app":"x","app.part":"y"},{"app":1}]}`,
			`{"pods":[{"app_original":"x","app.part":"y"},{"app_original":"1"}]}`},
		{"in several objects of an array", `{"x":[{"a":1},{"a":{"b":2}},{"a":null}]}`,
			`{"x":[{"a_original":1},{"a":{"b":2}},{"a":null}]}`},
		{"where the other name is taken", `{"a":1,"a.b":2,"a_original":3}`,
			`{"a_original_original":1,"a.b":2,"a_original":3}`},
		{"objects meet", `{"a":{"b":1},"a.b":2}`, `{"a":{"b":1},"a.b":2}`},
		{"objects meet at odds", `{"a":{"b":"x"},"a.b":2}`, `{"a":{"b":"x"},"a.b":"2"}`},
		{"empty names", `{"o":{"":1,".":2,"a..b":3," ":4,"b.":5,"b_":6,"c. .d":7}}`,
			`{"o":{"_":1,"__2":2,"a__b":3,"__3":4,"b_":5,"b__2":6,"c_ _d":7}}`},
		{"a name that is too long", `{"` + strings.Repeat("é", 600) + `":1}`, `{"` + strings.Repeat("é", 512) + `":1}`},
		{"a number among words", `{"x":[1,"two",null,true]}`, `{"x":["1","two",null,"true"]}`},
		{"an object among values", `{"x":["one",{"three":[3]}]}`, `{"x":["one","{\"three\":[3]}"]}`},
		{"arrays in arrays", `{"x":[[1,[2]],["a"]]}`, `{"x":[["1",["2"]],["a"]]}`},
		{"a date among words", `{"x":["2026-01-01","x"]}`, `{"x":["\"2026-01-01\"","x"]}`},
		{"dates", `{"x":["2026-01-01","2026-01-01T10:00:00.123Z","2026-02-28T23:59:59+01:00"]}`,
			`{"x":["2026-01-01","2026-01-01T10:00:00.123Z","2026-02-28T23:59:59+01:00"]}`},
		{"no date, though it looks like one", `{"x":"4711-99","y":"2026/02/30","z":"2026-12"}`,
			`{"x":"\"4711-99\"","y":"\"2026/02/30\"","z":"2026-12"}`},
		{"integers and fractions", `{"x":[{"a":[1]},{"a":2.5}]}`, `{"x":[{"a":[1.0]},{"a":2.5}]}`},
		{"numbers that no type holds", `{"a":9223372036854775807,"b":9223372036854775808,"c":[1,-1e39],"d":1e400}`,
			`{"a":9223372036854775807,"b":"9223372036854775808","c":["1","-1e39"],"d":"1e400"}`},
		{"objects too deep", `{"x":` + nested(25) + `}`, `{"x":` + strings.Repeat(`{"d":`, 18) + `"` +
			strings.ReplaceAll(nested(7), `"`, `\"`) + `"` + strings.Repeat("}", 18) + `}`},
		{"a name too deep", `{"` + strings.Repeat("a.", 20) + `b":1}`, `{"` + strings.Repeat("a_", 20) + `b":1}`},
		{"arrays too deep", `{"x":` + strings.Repeat("[", 30) + "1" + strings.Repeat("]", 30) + `}`,
			`{"x":` + strings.Repeat("[", 18) + `"` + strings.Repeat("[", 12) + "1" + strings.Repeat("]", 12) + `"` +
				strings.Repeat("]", 18) + `}`},
	}
	for _, tt := range tests {
		got := string(New(true).Fit([]byte("before"+tt.in), len("before"), nil))
		if got != "before"+tt.want {
			t.Errorf("%s: %s\ngot  %s\nwant %s", tt.name, tt.in, got, tt.want)
		}
	}
}

func nested(n int) string { return strings.Repeat(`{"d":`, n) + "1" + strings.Repeat("}", n) }

// TestWithoutDates: where the index detects no dates, they are texts like others.
func TestWithoutDates(t *testing.T) {
	t.Parallel()
	for _, doc := range []string{`{"x":"4711-99"}`, `{"x":["2026-01-01","x"]}`} {
		if got := string(New(false).Fit([]byte(doc), 0, nil)); got != doc {
			t.Errorf("%s became %s", doc, got)
		}
	}
}

// TestDataStreams: a document names its own data stream or none.
func TestDataStreams(t *testing.T) {
	t.Parallel()
	const index = "logs-shop-eu-west"
	for in, want := range map[string]string{
		`{"data_stream":{"type":"logs","dataset":"shop","namespace":"eu-west"}}`: "",
		`{"data_stream.dataset":"shop"}`:                                         "",
		`{"data_stream":{"dataset":"x"}}`: `{"data_stream_original":` +
			`{"dataset":"x"}}`,
		`{"data_stream.type":"metrics","data_stream.dataset":"shop"}`: `{"data_stream_type":"metrics",` +
			`"data_stream_dataset":"shop"}`,
		`{"data_stream":"x"}`:       `{"data_stream_original":"x"}`,
		`{"a":{"data_stream":"x"}}`: "",
	} {
		if got := string(New(true).Fit([]byte(in), 0, []byte(index))); got != cmp.Or(want, in) {
			t.Errorf("%s became %s", in, got)
		}
		for _, other := range []string{"shop", "logs", "logs-shop", "metrics-shop-x"} {
			if got := string(New(true).Fit([]byte(in), 0, []byte(other))); got != in {
				t.Errorf("in %s, %s became %s", other, in, got)
			}
		}
	}
}

// TestCrowded: of more fields than an index takes, the first stay and the rest is one text of JSON.
func TestCrowded(t *testing.T) {
	t.Parallel()
	many := func(n int, format string) string {
		var all []string
		for i := range n {
			all = append(all, strings.ReplaceAll(format, "#", fmt.Sprint(i)))
		}
		return strings.Join(all, ",")
	}
	tests := []struct{ name, in, want string }{
		{"at the top", `{"m":"x",` + many(500, `"f#":"s"`) + `}`,
			`{"m":"x",` + many(448, `"f#":"s"`) + `,"other_fields":"{\"f448\":\"s\",`},
		{"in an object", `{"o":{` + many(500, `"f#":"s"`) + `},"z":{"y":1}}`,
			`"other_fields":"{\"z\":{\"y\":1}}"}`},
		{"in an array", `{"a":[` + many(950, `{"f#":1}`) + `],"z":1}`, `{"z":1,"other_fields":"{\"a\":[{\"f0\":1},`},
		{"many objects", `{` + many(400, `"o#":{"x":"y"}`) + `}`,
			`"o179":{"other_fields":"{\"x\":\"y\"}"},"other_fields":"{\"o180\":`},
		{"the name is taken", `{"other_fields":1,` + many(500, `"f#":"s"`) + `}`, `"other_fields_original":"{\"f448\"`},
		{"more than are remembered", `{` + many(9000, `"f#":1`) + `}`, `"other_fields":"{\"f898\":1,`},
	}
	for _, tt := range tests {
		f := New(true)
		got := f.Fit([]byte(tt.in), 0, nil)
		if !bytes.Contains(got, []byte(tt.want)) {
			t.Errorf("%s: got %.200s … %s", tt.name, got, got[max(0, len(got)-200):])
		}
		checkFitted(t, f, tt.in, got)
	}
}

// TestAnyLineFits: what comes out fits, is valid, and has no name twice in an object.
func TestAnyLineFits(t *testing.T) {
	t.Parallel()
	f := New(true)
	for _, line := range append(mappingtest.Awkward(), mappingtest.Random(1, 2000)...) {
		if line[0] == '{' {
			checkFitted(t, f, line, f.Fit([]byte(line), 0, nil))
		}
	}
}

func checkFitted(t *testing.T, f *Fitter, in string, got []byte) {
	t.Helper()
	if twice, err := nameTwice(got); err != nil || twice != "" {
		t.Errorf("%.1000s: %q stands there twice, %v: %.1000s", in, twice, err, got)
	}
	if !f.Fits(got) {
		t.Errorf("%.1000s became what does not fit: %.1000s", in, got)
	}
	if again := f.Fit(bytes.Clone(got), 0, nil); !bytes.Equal(again, got) {
		t.Errorf("%.1000s is fitted twice: %.1000s, %.1000s", in, got, again)
	}
}

// nameTwice returns a name that an object has twice.
func nameTwice(doc []byte) (string, error) {
	d := json.NewDecoder(bytes.NewReader(doc))
	type open struct {
		names map[string]bool // nil for an array
		value bool            // a value comes next
	}
	var stack []*open
	for {
		token, err := d.Token()
		if err == io.EOF {
			return "", nil
		}
		if err != nil {
			return "", err
		}
		if token == json.Delim('}') || token == json.Delim(']') {
			stack = stack[:len(stack)-1]
			continue
		}
		if len(stack) > 0 {
			top := stack[len(stack)-1]
			if name, isName := token.(string); top.names != nil && !top.value && isName {
				if top.names[name] {
					return name, nil
				}
				top.names[name], top.value = true, true
				continue
			}
			top.value = false
		}
		switch token {
		case json.Delim('{'):
			stack = append(stack, &open{names: map[string]bool{}})
		case json.Delim('['):
			stack = append(stack, &open{})
		}
	}
}

// FuzzFit: whatever JSON a document is, what comes out is valid and fits.
func FuzzFit(f *testing.F) {
	for _, line := range mappingtest.Awkward() {
		if len(line) < 200 {
			f.Add([]byte(line))
		}
	}
	fitter := New(true)
	f.Fuzz(func(t *testing.T, doc []byte) {
		if twice, err := nameTwice(doc); err != nil || twice != "" || !json.Valid(doc) || doc[0] != '{' {
			t.Skip()
		}
		got := fitter.Fit(bytes.Clone(doc), 0, nil)
		if !json.Valid(got) || !fitter.Fits(got) {
			t.Errorf("%s became %s", doc, got)
		}
	})
}

// usualNested is a document that has all that is looked at and nothing to be mended.
const usualNested = `{"@timestamp":"2026-11-29T10:00:00.123Z","message":"order placed","level":"info",` +
	`"customer.id":7,` +
	`"order":{"id":"A-17","total":17.5,"lines":[{"sku":"x","count":1},{"sku":"y","count":2}],"tags":["a","b"]}}`

func TestLookingAllocatesNothing(t *testing.T) {
	f, doc := New(true), []byte(usualNested)
	if n := testing.AllocsPerRun(100, func() {
		if !f.Fits(doc) {
			t.Fatal("it does not fit")
		}
	}); n != 0 {
		t.Errorf("a look at a document allocates %v times", n)
	}
}

func BenchmarkFits(b *testing.B) {
	f, doc := New(true), []byte(usualNested)
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		f.Fits(doc)
	}
}
