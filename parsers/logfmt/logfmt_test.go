package logfmt

import (
	"strconv"
	"strings"
	"testing"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

var source = event.NewSource(1, "test", "test", nil)

const line220 = `ts=2024-05-01T12:34:56.789012Z level=info msg="request completed" service=checkout ` +
	`trace_id=4bf92f3577b34da6a3ce929d0e0e4736 method=GET path=/api/v1/orders/42 status=200 duration=12.7ms ` +
	`bytes=48213 cache=true ip=10.0.3.17`

func TestConformance(t *testing.T) {
	newParser, err := new(Config).Parser()
	if err != nil {
		t.Fatal(err)
	}
	pipetest.TestParser(t, newParser, line220, `a=b`, `a="b" c`, `a= b=""`)
}

func parse(t testing.TB, p pipeline.Parser, line string) (string, bool) {
	b := pipetest.ParserBatch(source, 0, []byte(line))
	ok := pipetest.ParseChecked(t, p, b, 1)
	out := string(event.AppendRecord(nil, b, 1, false))
	return strings.TrimPrefix(out, `{"timestamp":"1970-01-01T00:00:00.000Z",`), ok
}

func TestParse(t *testing.T) {
	tests := []struct{ line, want string }{
		{`msg=x a=1 b=-2.5 c=true d=false e=null`, `"message":"x","a":1,"b":-2.5,"c":true,"d":false,"e":"null"}`},
		{`msg=x a=01 b=1. c=.5 d=1e9 e=+1 f=- g=123456789012345678901`,
			`"message":"x","a":"01","b":"1.","c":".5","d":"1e9","e":"+1","f":"-","g":"123456789012345678901"}`},
		{`msg="a \"b\" c\n" b="é" c="\u00e9"`, `"message":"a \"b\" c\n","b":"é","c":"\u00e9"}`},
		{`msg="go \x41\a\v\'\U0001F600 \q"`, `"message":"go A\u0007\u000b'😀 \\q"}`},
		{"msg=\"raw\ttab\" a=b", `"message":"raw\ttab","a":"b"}`},
		{`msg=x a=b"c d=e\f g=é`, `"message":"x","a":"b\"c","d":"e\\f","g":"é"}`},
		{`msg=x url=/a?b=c`, `"message":"x","url":"/a?b=c"}`},
		{`msg=x a=1 a=2 b`, `"message":"x","a":2,"b":true}`},
		{`msg=x trace_id=1234567890123456 level=30 time=1714564800`,
			`"level":"info","message":"x","trace_id":"00000000000000001234567890123456"}`},
		{"msg=x a=\xff", `"message":"x","a":"` + "\ufffd" + `"}`},
	}
	for _, test := range tests {
		got, ok := parse(t, New(nil), test.line)
		if i := strings.Index(got, "Z\","); i > 0 && i < 40 {
			got = got[i+3:]
		}
		if !ok || got != test.want {
			t.Errorf("%s: %v\ngot  %s\nwant %s", test.line, ok, got, test.want)
		}
	}
}

func TestNotUnderstood(t *testing.T) {
	for _, line := range []string{``, `=`, `=a`, `plain words only`, `a="b`, `a="b"c`, `"a"=b`, `a==b=`, `1a=b`,
		`a=b ?=c`} {
		if _, ok := parse(t, New(nil), line); ok && line != `a==b=` {
			t.Errorf("understood %q", line)
		}
	}
	for _, line := range []string{`a=b`, `user=anna logged in from host=x`, `hello level=info`,
		`level=info many more words than pairs`} {
		if _, ok := parse(t, NewCautious(nil), line); ok {
			t.Errorf("the cautious parser understood %q", line)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	batch := &event.Batch{}
	p := NewCautious(nil)
	b.SetBytes(int64(len(line220)))
	b.ReportAllocs()
	for b.Loop() {
		batch.Reset(source)
		batch.Add(0, 0, batch.PutString(line220))
		if !p.Parse(batch, 0) {
			b.Fatal("not parsed")
		}
	}
}

func TestAllocs(t *testing.T) {
	batch := &event.Batch{}
	p := NewCautious(nil)
	n := testing.AllocsPerRun(100, func() {
		batch.Reset(source)
		batch.Add(0, 0, batch.PutString(line220))
		p.Parse(batch, 0)
	})
	if n != 0 {
		t.Errorf("%v allocations a line, want none", n)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(line220))
	f.Add([]byte(`a="\x41\u00e9\"" b=c"d e`))
	f.Fuzz(func(t *testing.T, line []byte) {
		p := New(nil)
		parse(t, p, string(line))
		parse(t, NewCautious(nil), string(line))
	})
}

// FuzzQuoted holds quoted values against strconv.Quote.
func FuzzQuoted(f *testing.F) {
	f.Add("plain")
	f.Add("a\"b\\c\n\x00\x7f\u2028\U0001F600")
	f.Fuzz(func(t *testing.T, s string) {
		line := "k=" + strconv.Quote(s)
		b := pipetest.ParserBatch(source, 0, []byte(line))
		if !pipetest.ParseChecked(t, New(nil), b, 1) {
			t.Fatalf("did not understand %s", line)
		}
		if got := string(b.AppendText(nil, b.Fields(1)[0].Value)); got != s {
			t.Errorf("%s gives %q, want %q", line, got, s)
		}
	})
}
