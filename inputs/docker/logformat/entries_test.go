package logformat

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
	"unicode/utf8"
)

// appendEntry writes a message as dockerd's json-file does.
func appendEntry(dst []byte, m message, attrs string) []byte {
	dst = append(dst, '{')
	if m.text != "" {
		dst = append(append(append(dst, `"log":`...), escaped(m.text)...), ',')
	}
	dst = fmt.Appendf(dst, `"stream":%q,`, m.from.String())
	if attrs != "" {
		dst = append(append(append(dst, `"attrs":`...), attrs...), ',')
	}
	dst = append(dst, `"time":"`...)
	dst = time.Unix(0, m.ts).UTC().AppendFormat(dst, time.RFC3339Nano)
	return append(dst, "\"}\n"...)
}

// escaped writes text as dockerd does: as encoding/json, but \u0009 for \t.
func escaped(text string) []byte {
	b, _ := json.Marshal(text)
	return bytes.ReplaceAll(b, []byte(`\t`), []byte(`\u0009`))
}

// A message is one entry of a container's log.
type message struct {
	ts   int64
	from Stream
	text string
}

const second = int64(time.Second)

func at(ns int64) int64 { return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano() + ns }

func out(ns int64, text string) message { return message{at(ns), Stdout, text} }
func err(ns int64, text string) message { return message{at(ns), Stderr, text} }

// collected is a receiver that keeps messages.
type collected struct {
	got  []message
	open message
}

func (c *collected) Begin(s Stream, ts int64, _ bool) error {
	c.open = message{from: s, ts: ts}
	return nil
}
func (c *collected) Append(p []byte) { c.open.text += string(p) }
func (c *collected) End(newline bool) error {
	if newline {
		c.open.text += "\n"
	}
	c.got = append(c.got, c.open)
	return nil
}
func (c *collected) Message(s Stream, ts int64, p []byte) error {
	c.got = append(c.got, message{from: s, ts: ts, text: string(p) + "\n"})
	return nil
}

func decodeEntries(p string) (got []message, corrupt int) {
	c := &collected{}
	d := NewEntries(c, func() { corrupt++ })
	d.Decode([]byte(p))
	return c.got, corrupt
}

func TestEntries(t *testing.T) {
	const when = `"time":"2000-01-01T00:00:00.000000005Z"}`
	for name, c := range map[string]struct {
		entry string
		want  []message
		wrong int
	}{
		"line":    {`{"log":"hello\n","stream":"stdout",` + when, []message{out(5, "hello\n")}, 0},
		"stderr":  {`{"log":"hello\n","stream":"stderr",` + when, []message{err(5, "hello\n")}, 0},
		"empty":   {`{"log":"\n","stream":"stdout",` + when, []message{out(5, "\n")}, 0},
		"part":    {`{"log":"part","stream":"stdout",` + when, []message{out(5, "part")}, 0},
		"no text": {`{"stream":"stdout",` + when, []message{out(5, "")}, 0},
		"escapes": {`{"log":"a\"b\\c\u003c\ufffd\\n","stream":"stdout",` + when,
			[]message{out(5, `a"b\c<`+"\ufffd"+`\n`)}, 0},
		"attrs": {`{"log":"x\n","stream":"stdout","attrs":{"tag":"a\"b","stream":"stderr"},` + when,
			[]message{out(5, "x\n")}, 0},
		"short time": {`{"log":"x\n","stream":"stdout","time":"2000-01-01T00:00:01Z"}`,
			[]message{out(second, "x\n")}, 0},
		"offset": {`{"log":"x\n","stream":"stdout","time":"2000-01-01T01:00:01.5+01:00"}`,
			[]message{out(3*second/2, "x\n")}, 0},
		"other order": {`{"stream":"stderr","log":"x\n", "time":"2000-01-01T00:00:01Z"}`,
			[]message{err(second, "x\n")}, 0},
		"in a text": {`{"log":"{\"log\":\"x\\n\",\"stream\":\"stderr\"}\n","stream":"stdout",` + when,
			[]message{out(5, `{"log":"x\n","stream":"stderr"}`+"\n")}, 0},
		"half":          {`{"log":"hel`, nil, 1},
		"zeroes":        {"\x00\x00\x00", nil, 1},
		"no stream":     {`{"log":"x\n",` + when, nil, 1},
		"other stream":  {`{"log":"x\n","stream":"stdin_",` + when, nil, 1},
		"no time":       {`{"log":"x\n","stream":"stdout"}`, nil, 1},
		"bad time":      {`{"log":"x\n","stream":"stdout","time":"2000-13-01T00:00:01Z"}`, nil, 1},
		"bad escape":    {`{"log":"\x","stream":"stdout",` + when, nil, 1},
		"half and more": {`{"log":"hel{"log":"lo\n","stream":"stdout",` + when, []message{out(5, "lo\n")}, 1},
		"zeroes before": {"\x00\x00" + `{"log":"lo\n","stream":"stdout",` + when, []message{out(5, "lo\n")}, 1},
		"half of a time": {`{"log":"lo\n","stream":"stdout","time":"2000-01-01T00:0{"log":"lo\n","stream":"stdout",` +
			when,
			[]message{out(5, "lo\n")}, 1},
	} {
		got, corrupt := decodeEntries(c.entry + "\n")
		if fmt.Sprint(got) != fmt.Sprint(c.want) || corrupt != c.wrong {
			t.Errorf("%s: got %+v, %d corrupt", name, got, corrupt)
		}
	}
}

func FuzzEntry(f *testing.F) {
	f.Add("text\n", true, int64(5), "", []byte(nil))
	f.Add("{\"a\":\"b\"}\t<&>\xff\u2028", false, int64(1e18), `{"tag":"x"}`,
		[]byte(`{"log":"x","stream":"stdout","time":"2000-01-01T00:00:00Z"}`))
	f.Add("\\\\\n", false, int64(-1e18), `{"tag":"x","stream":"stdout"}`, []byte(`{"log":"\u`))
	f.Fuzz(func(t *testing.T, text string, toStderr bool, ts int64, attrs string, raw []byte) {
		m := message{ts: ts, text: text}
		if toStderr {
			m.from = Stderr
		}
		var members map[string]string
		if json.Unmarshal([]byte(attrs), &members) != nil || members == nil || bytes.ContainsAny([]byte(attrs), "\n") {
			attrs = ""
		}
		wantAsJSON(t, bytes.TrimSuffix(appendEntry(nil, m, attrs), []byte{'\n'}))
		if utf8.Valid(raw) && bytes.IndexFunc(raw, func(r rune) bool { return r < ' ' }) < 0 {
			wantAsJSON(t, raw)
		}
	})
}

// wantAsJSON compares what is decoded of a line with what encoding/json makes of it.
func wantAsJSON(t *testing.T, line []byte) {
	t.Helper()
	e := NewEntries(&discard{}, func() {})
	e.Decode(appendEntry(nil, out(-1, "before\n"), ""))
	want, isEntry := decodeJSON(line)
	got, ok := e.decode(line)
	if ok != isEntry || got.from != want.from || got.ts != want.ts || got.newline != want.newline ||
		!bytes.Equal(got.text, want.text) {
		t.Fatalf("%q: %+v %t, want %+v %t", line, got, ok, want, isEntry)
	}
}

// entryKinds are lines of random numbers, as a processor learns those that repeat.
var entryKinds = map[string]struct{ format, attrs string }{
	"JSON": {`{"time":"2026-03-01T12:00:00.%[1]06dZ","level":"info","msg":"order accepted by payment",` +
		`"trace_id":"%016[2]x%016[3]x","method":"GET","path":"/api/v1/items/%[1]d","status":200,` +
		`"duration_ms":%.3[4]f,"user":"u%05[5]d"}`, ""},
	"text": {`203.0.113.1 - u%05[5]d [01/Mar/2026:12:00:00 +0000] ` +
		`GET /api/v1/items/%[1]d HTTP/1.1 200 %[5]d ` +
		`Mozilla/5.0 (X11; Linux x86_64; rv:128.0) %.3[4]f %016[2]x%016[3]x`, ""},
	"attrs": {"hello %[1]d %[2]x %[3]x %[4]f %[5]d", `{"com.example.tag":"a","env":"prod"}`},
}

func entryBlock(format, attrs string) (block []byte) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range int64(entryBlockLines) {
		line := fmt.Sprintf(format, rnd.IntN(100_000), rnd.Uint64(), rnd.Uint64(), rnd.Float64()*100, rnd.IntN(100_000))
		block = appendEntry(block, out(i*37_123, line+"\n"), attrs)
	}
	return block
}

const entryBlockLines = 1024

func BenchmarkEntries(b *testing.B) {
	for name, kind := range entryKinds {
		b.Run(name, func(b *testing.B) {
			block := entryBlock(kind.format, kind.attrs)
			d := &Entries{to: &discard{}}
			b.SetBytes(int64(len(block)))
			for b.Loop() {
				d.Decode(block)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/entryBlockLines, "ns/line")
		})
	}
}

func TestEntriesAllocateNothing(t *testing.T) {
	for name, kind := range entryKinds {
		block := entryBlock(kind.format, "")
		d := &Entries{to: &discard{}}
		if n := testing.AllocsPerRun(100, func() { d.Decode(block) }); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
