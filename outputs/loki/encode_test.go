package loki

import (
	"bytes"
	std "cmp"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/grafana/loki/pkg/push"
	"github.com/klauspost/compress/s2"
	"github.com/valyala/fastjson"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

// withDefaults returns the settings with the spec's defaults in place of zeros.
func withDefaults(t testing.TB, c Config) *Config {
	t.Helper()
	d := pipetest.Config[*Config](t, Spec(), "url: http://127.0.0.1:1")
	c.URL, c.Path, c.LineFormat = std.Or(c.URL, d.URL), std.Or(c.Path, d.Path), std.Or(c.LineFormat, d.LineFormat)
	c.MaxLineSize, c.MaxLabelValues = std.Or(c.MaxLineSize, d.MaxLineSize), std.Or(c.MaxLabelValues, d.MaxLabelValues)
	c.Timeout = std.Or(c.Timeout, d.Timeout)
	return &c
}

func newOutput(t testing.TB, c Config) *Output {
	t.Helper()
	out, err := withDefaults(t, c).Output(pipetest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = out.Close() })
	return out.(*Output)
}

// fill encodes all records of the batches into a body, as package deliver does.
func fill(t testing.TB, o *Output, batches ...*event.Batch) *pipeline.Body {
	t.Helper()
	body, enc := &pipeline.Body{}, o.Encoder()
	for _, b := range batches {
		for i := range b.Records {
			encode(t, enc, body, b, i)
		}
	}
	return body
}

func encode(t testing.TB, enc pipeline.Encoder, body *pipeline.Body, b *event.Batch, i int) {
	group, err := enc.Encode(body, b, i)
	if err != nil {
		t.Fatal(err)
	}
	body.Items = append(body.Items, pipeline.Item{Pos: b.Records[i].Pos, End: uint32(len(body.Bytes)), Group: group})
}

func container(name string) *event.Source {
	return event.NewSource(1, "docker", name, []event.Label{
		{Name: event.LabelHost, Value: "h1"},
		{Name: event.LabelService, Value: name},
		{Name: event.LabelContainerName, Value: "shop-" + name + "-1"},
		{Name: event.LabelContainerID, Value: strings.Repeat("c0", 32)},
		{Name: event.LabelComposeProject, Value: "shop"},
		{Name: event.LabelStream, Value: "stdout"},
	})
}

// start is a time for records: 2026-10-01 12:00 UTC.
var start = time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC).UnixNano()

// batchOf makes records a second apart of lines that were not parsed.
func batchOf(src *event.Source, lines ...string) *event.Batch {
	b := &event.Batch{}
	b.Reset(src)
	for i, line := range lines {
		b.Add(uint64(i), start+int64(i)*int64(time.Second), b.PutString(line))
	}
	return b
}

// oracle is the same request, made by Loki's own package. It knows groups and entries only as the
// test states them.
func oracle(t testing.TB, streams ...push.Stream) []byte {
	t.Helper()
	raw, err := (&push.PushRequest{Streams: streams}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func decode(t testing.TB, packed []byte) push.PushRequest {
	t.Helper()
	var req push.PushRequest
	if err := req.Unmarshal(unpack(t, packed)); err != nil {
		t.Fatal(err)
	}
	return req
}

func unpack(t testing.TB, packed []byte) []byte {
	t.Helper()
	raw, err := s2.Decode(nil, packed)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestRequestIsWhatLokiItselfMarshals(t *testing.T) {
	web, db := container("web"), event.NewSource(2, "file", "db", []event.Label{
		{Name: event.LabelHost, Value: "h1"}, {Name: event.LabelFile, Value: "/var/log/db.log"},
	})
	b1 := batchOf(web, "hello", strings.Repeat("long ", 50), "")
	b1.Records[0].Level = event.Warn
	b1.Records[0].TraceID = [16]byte{1, 2, 0xff}
	b1.Records[0].SpanID = [8]byte{9}
	b1.Records[0].Flags = event.HasTrace | event.HasSpan
	b2 := batchOf(db, "from a file")
	b2.Records[0].Time = -1500000001 // before 1970
	b3 := batchOf(web, strings.Repeat("very long ", 3000))
	b3.Records[0].Time = 0

	o := newOutput(t, Config{})
	body := fill(t, o, b1, b2, b3)
	var f frame
	raw := unpack(t, f.pack(body))

	entry := func(b *event.Batch, i int, meta ...push.LabelAdapter) push.Entry {
		return push.Entry{
			Timestamp:          time.Unix(0, b.Records[i].Time).UTC(),
			Line:               string(event.AppendRecord(nil, b, i, false)),
			StructuredMetadata: meta,
		}
	}
	id := push.LabelAdapter{Name: "container_id", Value: strings.Repeat("c0", 32)}
	out := push.LabelAdapter{Name: "stream", Value: "stdout"}
	want := oracle(t,
		push.Stream{
			Labels:  `{filename="/var/log/db.log", host="h1", service_name="unknown_service"}`,
			Entries: []push.Entry{entry(b2, 0, push.LabelAdapter{Name: "source_id", Value: "0000000000000002"})},
		},
		push.Stream{
			Labels: `{compose_project="shop", container="shop-web-1", host="h1", service_name="web"}`,
			Entries: []push.Entry{
				entry(b1, 0,
					push.LabelAdapter{Name: "detected_level", Value: "warn"},
					push.LabelAdapter{Name: "trace_id", Value: "0102ff00000000000000000000000000"},
					push.LabelAdapter{Name: "span_id", Value: "0900000000000000"},
					id, out),
				entry(b1, 1, id, out), entry(b1, 2, id, out), entry(b3, 0, id, out),
			},
		},
	)
	if !bytes.Equal(raw, want) {
		t.Errorf("got  %q\nwant %q", raw, want)
	}

	if got := string(o.Original(body, 3)); got != string(event.AppendRecord(nil, b2, 0, false)) {
		t.Errorf("original of item 3: %s", got)
	}
}

func TestRequestWithoutMetadataIsWhatLokiItselfMarshals(t *testing.T) {
	b := batchOf(container("web"), "one", strings.Repeat("x", 300))
	b.Records[0].Level = event.Error
	o := newOutput(t, Config{LineFormat: "raw"})
	var f frame
	raw := unpack(t, f.pack(f.withoutMetadata(fill(t, o, b))))
	moved := newSource(b.Source, nil).apart
	if moved <= 0 || moved >= 1e6 {
		t.Fatalf("%d ns are added to the times", moved)
	}
	want := oracle(t, push.Stream{
		Labels: `{compose_project="shop", container="shop-web-1", host="h1", service_name="web"}`,
		Entries: []push.Entry{
			{Timestamp: time.Unix(0, start+moved), Line: "one"},
			{Timestamp: time.Unix(0, start+1e9+moved), Line: strings.Repeat("x", 300)},
		},
	})
	if !bytes.Equal(raw, want) {
		t.Errorf("got  %q\nwant %q", raw, want)
	}
	o.metadataOff.Store(true)
	if raw := unpack(t, f.pack(fill(t, o, b))); !bytes.Equal(raw, want) {
		t.Errorf("encoded without: got %q\nwant %q", raw, want)
	}
}

// FuzzRequest holds any record against Loki's own package, byte for byte.
func FuzzRequest(f *testing.F) {
	f.Add("a line", int64(1), "svc", uint8(3), true)
	f.Add("", int64(-1), "", uint8(0), false)
	f.Add(strings.Repeat("\x00\xff\"", 6000), int64(1<<62), "a\nb", uint8(6), true)
	out := newOutput(f, Config{LineFormat: "raw", MaxLineSize: 8 << 10})
	f.Fuzz(func(t *testing.T, line string, at int64, service string, level uint8, traced bool) {
		src := event.NewSource(1, "i", "k", []event.Label{{Name: event.LabelService, Value: service}})
		b := &event.Batch{}
		b.Reset(src)
		for i := range 3 {
			r := b.Add(uint64(i), at, b.PutString(strings.Repeat(line, i)))
			r.Level = event.Level(level % 7)
			if traced {
				r.Flags |= event.HasTrace
				r.TraceID = [16]byte{level}
			}
		}
		body := fill(t, out, b)
		var fr frame
		packed := fr.pack(body)
		req := decode(t, packed)
		again, err := req.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if raw := unpack(t, packed); !bytes.Equal(again, raw) {
			t.Fatalf("Loki marshals it as %q\nwe as %q", again, raw)
		}
		if len(req.Streams) != 1 || len(req.Streams[0].Entries) != 3 {
			t.Fatalf("came out as %v", req.Streams)
		}
		for i, e := range req.Streams[0].Entries {
			if e.Timestamp.UnixNano() != at {
				t.Errorf("time %d became %d", at, e.Timestamp.UnixNano())
			}
			want := strings.Repeat(line, i)
			if e.Line != want && (len(want) <= 8<<10 || len(e.Line) > 8<<10 ||
				!strings.HasSuffix(e.Line, truncatedMark)) {
				t.Errorf("line %q became %q", want, e.Line)
			}
			if back := readEntry(body.Item(i)); back.time != at || string(back.line) != e.Line {
				t.Errorf("read back as %d %q", back.time, back.line)
			}
		}
		if labels := req.Streams[0].Labels; !utf8.ValidString(labels) || splitLabelSet(labels) == nil {
			t.Errorf("labels %q", labels)
		}
	})
}

// FuzzReadEntry: foreign bytes are read without harm.
func FuzzReadEntry(f *testing.F) {
	f.Add([]byte{0x12, 3, 0x0a, 1, 8})
	f.Fuzz(func(t *testing.T, p []byte) {
		_ = readEntry(p)
		_ = appendStripped(nil, p)
	})
}

func TestLongLinesAreTruncated(t *testing.T) {
	const limit = 2000
	long := strings.Repeat("ä\"", 3000)
	tests := map[string]struct {
		config Config
		line   string
		build  func(b *event.Batch)
		keeps  []string
	}{
		"text":   {line: long},
		"binary": {line: strings.Repeat("\xff\x00", 3000)},
		"object": {line: "x", build: func(b *event.Batch) {
			b.Records[0].Message = event.Value{Span: b.PutString(`{"a":"` + long[:0] + strings.Repeat(`\"`, 3000) +
				`"}`), Kind: event.Object}
		}},
		"escaped": {line: "x", build: func(b *event.Batch) {
			b.Records[0].Message = event.Value{Span: b.PutString(strings.Repeat(`\ud83d\ude00\n`, 1000)),
				Kind: event.Escaped}
		}},
		"a long field": {line: "msg", keeps: []string{`"user":"u1"`, `"message":"msg"`}, build: func(b *event.Batch) {
			text := func(s string, k event.Kind) event.Value { return event.Value{Span: b.PutString(s), Kind: k} }
			b.AddField(0, text("payload", event.Plain), text(strings.Repeat("p", 5000), event.Plain))
			b.AddField(0, text("user", event.Plain), text("u1", event.Plain))
		}},
		"many fields": {line: "msg", keeps: []string{`"message":"msg"`}, build: func(b *event.Batch) {
			for i := range 500 {
				b.AddField(0, event.Value{Span: b.PutString(fmt.Sprint("f", i)), Kind: event.Plain},
					event.Value{Span: b.PutString("12345"), Kind: event.Number})
			}
		}},
		"a long service": {line: "msg", keeps: []string{`"message":"msg"`, `"service":"web"`},
			build: func(b *event.Batch) {
				b.Records[0].Service = event.Value{Span: b.PutString(long), Kind: event.Text}
			}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := batchOf(container("web"), test.line)
			if test.build != nil {
				test.build(b)
			}
			before := string(b.Arena)
			o := newOutput(t, Config{MaxLineSize: limit})
			line := o.Original(fill(t, o, b), 0)
			if len(line) > limit {
				t.Errorf("the line has %d bytes, more than %d", len(line), limit)
			}
			if len(test.keeps) == 0 && len(line) < limit*2/3 {
				t.Errorf("the line has only %d bytes: %s", len(line), line)
			}
			parsed, err := fastjson.ParseBytes(line)
			if err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			if !parsed.GetBool("truncated") {
				t.Errorf("is not marked: %s", line)
			}
			for _, want := range test.keeps {
				if !strings.Contains(string(line), want) {
					t.Errorf("lacks %s: %s", want, line)
				}
			}
			if string(b.Arena) != before || b.Records[0].Flags != 0 {
				t.Error("the batch was changed")
			}
		})
	}
}

func TestLongRawLinesAreTruncated(t *testing.T) {
	o := newOutput(t, Config{MaxLineSize: 1024, LineFormat: "raw"})
	b := batchOf(container("web"), strings.Repeat("ä", 2000), "short")
	b.Records[1].Flags = event.Truncated
	body := fill(t, o, b)
	if got := string(o.Original(body, 0)); len(got) > 1024 || len(got) < 1020 ||
		!strings.HasSuffix(got, "ä"+truncatedMark) {
		t.Errorf("%d bytes: %q", len(got), got)
	}
	if got := string(o.Original(body, 1)); got != "short"+truncatedMark {
		t.Errorf("cut by the input: %q", got)
	}
}

func TestTruncateEscaped(t *testing.T) {
	const s = `a\n\u00e4\ud83d\ude00é`
	var got []string
	for n := 0; n <= len(s); n++ {
		got = append(got, s[:event.Value{Kind: event.Escaped}.Truncate([]byte(s), n).Len])
	}
	want := []string{``, `a`, `a`, `a\n`, `a\n`, `a\n`, `a\n`, `a\n`, `a\n`, `a\n\u00e4`}
	for range 11 {
		want = append(want, `a\n\u00e4`)
	}
	want = append(want, `a\n\u00e4\ud83d\ude00`, `a\n\u00e4\ud83d\ude00`, s)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// jsonBatch has records as the JSON parser leaves them, of about 220 bytes.
func jsonBatch(n int) *event.Batch {
	b := &event.Batch{}
	b.Reset(container("web"))
	plain := func(s string) event.Value { return event.Value{Span: b.PutString(s), Kind: event.Plain} }
	for i := range n {
		r := b.Add(uint64(i*221), start+int64(i)*1e6, event.Span{})
		r.Level, r.Flags = event.Info, event.HasTrace|event.HasSpan|event.Parsed
		r.TraceID, r.SpanID = [16]byte{byte(i), byte(i >> 8), 7}, [8]byte{byte(i), 1}
		r.Message, r.Service = plain("order placed for customer"), plain("checkout")
		b.AddField(i, plain("duration_ms"), event.Value{Span: b.PutString("12.5"), Kind: event.Number})
		b.AddField(i, plain("user"), plain(fmt.Sprintf("u-%06d", i*7919%100000)))
	}
	return b
}

func TestEncodeAllocatesNothing(t *testing.T) {
	o := newOutput(t, Config{})
	b, enc, body := jsonBatch(64), o.Encoder(), &pipeline.Body{}
	run := func() {
		body.Reset()
		for i := range b.Records {
			encode(t, enc, body, b, i)
		}
	}
	run()
	if n := testing.AllocsPerRun(100, run); n > 1 { // the group's name, once a body
		t.Errorf("%v allocations for %d records", n, len(b.Records))
	}
	body.Reset()
	group := body.Group([]byte("other"))
	_ = group
	encode(t, enc, body, b, 0)
	if n := testing.AllocsPerRun(100, func() { _, _ = enc.Encode(body, b, 1); body.Bytes = body.Bytes[:0] }); n != 0 {
		t.Errorf("%v allocations a record", n)
	}
}

func BenchmarkRequest(bench *testing.B) {
	o := newOutput(bench, Config{})
	b, enc, body := jsonBatch(4000), o.Encoder(), &pipeline.Body{}
	var f frame
	bench.Run("encode", func(bench *testing.B) {
		bench.ReportAllocs()
		for bench.Loop() {
			body.Reset()
			for i := range b.Records {
				encode(bench, enc, body, b, i)
			}
		}
		report(bench, len(b.Records), len(body.Bytes))
	})
	bench.Run("pack", func(bench *testing.B) {
		bench.ReportAllocs()
		for bench.Loop() {
			f.pack(body)
		}
		report(bench, len(b.Records), len(f.packed))
	})
}

func report(bench *testing.B, records, size int) {
	bench.ReportMetric(float64(bench.Elapsed().Nanoseconds())/float64(bench.N*records), "ns/record")
	bench.ReportMetric(float64(size)/float64(records), "B/record")
}

func TestSchemaOfLines(t *testing.T) {
	b := &event.Batch{}
	b.Reset(container("api"))
	b.Add(1, 1700000000000000000, b.PutString("hello"))
	for schema, want := range map[string]string{
		"default": `{"timestamp":"2023-11-14T22:13:20.000Z","message":"hello","service":"api"}`,
		"ecs":     string(event.AppendECS(nil, b, 0)),
		"otel":    string(event.AppendOTel(nil, b, 0)),
	} {
		body := fill(t, newOutput(t, Config{Schema: schema}), b)
		if got := string(readEntry(body.Item(0)).line); got != want {
			t.Errorf("%s: %s", schema, got)
		}
	}
}
