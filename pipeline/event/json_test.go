package event_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/longshore/longshore/pipeline/event"
)

const noon = 1_700_000_000_123_000_000 // 2023-11-14T22:13:20.123Z

func TestAppendRecord(t *testing.T) {
	t.Parallel()
	host := event.Label{Name: "host.name", Value: "web-1"}
	tests := []struct {
		name   string
		labels bool
		in     line
		want   string
	}{
		{
			"a raw line", false,
			line{time: noon},
			`{"timestamp":"2023-11-14T22:13:20.123Z","message":"the raw line"}`,
		},
		{
			"everything", true,
			line{
				time: noon, level: event.Warn, message: "slow \"query\"", service: "shop", trace: true, cut: true,
				labels: []event.Label{host, {Name: "service", Value: "unused"}, {Name: "env", Value: "prod"}},
				fields: []field{
					text("user", "ann"),
					{key: "ms", kind: event.Number, value: "1.5e3"},
					{key: "ok", kind: event.Bool, value: "true"},
					{key: "none", kind: event.Null, value: "null"},
					{key: "obj", kind: event.Object, value: `{"a":[1]}`},
					{key: "arr", kind: event.Array, value: `[1,"x"]`},
					{key: "esc", kind: event.Escaped, value: `a\u0062\n`},
					{key: "gone"},
				},
			},
			`{"timestamp":"2023-11-14T22:13:20.123Z","level":"warn","message":"slow \"query\"","service":"shop",` +
				`"trace_id":"4bf94bf94bf94bf94bf94bf94bf94bf9","span_id":"00f000f000f000f0","truncated":true,` +
				`"env":"prod","host.name":"web-1",` +
				`"user":"ann","ms":1.5e3,"ok":true,"none":null,"obj":{"a":[1]},"arr":[1,"x"],` +
				`"esc":"a\u0062\n","gone":null}`,
		},
		{
			"the source's service stands in", false,
			line{time: noon, labels: []event.Label{{Name: "service", Value: "shop"}, host}},
			`{"timestamp":"2023-11-14T22:13:20.123Z","message":"the raw line","service":"shop"}`,
		},
		{
			"fields that clash with the core", false,
			line{time: noon, fields: []field{
				text("level", "7"), text("timestamp", "x"), text("@timestamp", "y"), text("service.version", "1"),
				text("level.name", "z"),
			}},
			`{"timestamp":"2023-11-14T22:13:20.123Z","message":"the raw line","level_original":"7",` +
				`"timestamp_original":"x",` +
				`"@timestamp_original":"y","service_version":"1","level_name":"z"}`,
		},
		{
			"fields that clash with labels", true,
			line{time: noon, labels: []event.Label{host, {Name: "a.b.c", Value: "1"}}, fields: []field{
				text("host", "x"), text("host.name", "y"), text("host.name.full", "z"), text("host.ip", "fine"),
				text("a.b", "1"), text("a.b.c.d", "2"),
			}},
			`{"timestamp":"2023-11-14T22:13:20.123Z","message":"the raw line","a.b.c":"1","host.name":"web-1",` +
				`"host_original":"x","host.name_original":"y","host_name_full":"z",` +
				`"host.ip":"fine","a.b_original":"1","a_b_c_d":"2"}`,
		},
		{
			"names that mean nothing may be those of labels", true,
			line{time: noon, labels: []event.Label{{Name: "pod", Value: "1"}}, fields: []field{
				{key: "pod", keyKind: event.Name, kind: event.Text, value: "x"},
				{key: "user", keyKind: event.Name, kind: event.Text, value: "y"},
			}},
			`{"timestamp":"2023-11-14T22:13:20.123Z","message":"the raw line","pod":"1","pod_original":"x","user":"y"}`,
		},
		{
			"without labels their names are free", false,
			line{time: noon, labels: []event.Label{host}, fields: []field{text("host", "x")}},
			`{"timestamp":"2023-11-14T22:13:20.123Z","message":"the raw line","host":"x"}`,
		},
		{
			"names given twice", false,
			line{time: noon, fields: []field{
				text("a", "1"), text("b", "2"), text("a", "3"), text("a_3", "4"), text("a", "5"), text("level", "6"),
				text("level", "7"),
				text("level_original", "8"),
				{key: `\u0061`, keyKind: event.Escaped, kind: event.Text, value: "9"},
			}},
			`{"timestamp":"2023-11-14T22:13:20.123Z","message":"the raw line","a":"1","b":"2","a_2":"3","a_3":"4",` +
				`"a_3_original":"5",` +
				`"level_original_original":"6","level_original_2":"7","level_original":"8","a_4":"9"}`,
		},
		{
			"an escaped name is what it stands for", false,
			line{time: noon, fields: []field{
				{key: `lev\u0065l`, keyKind: event.Escaped, kind: event.Number, value: "1"},
				{key: `a\nb`, keyKind: event.Escaped, kind: event.Number, value: "2"},
			}},
			`{"timestamp":"2023-11-14T22:13:20.123Z","message":"the raw line","level_original":1,"a\nb":2}`,
		},
		{
			"names that Elasticsearch has no place for", false,
			line{time: noon, fields: []field{text("", "1"), text("a..b", "3"), text(".a", "4"), text("b.", "5")}},
			`{"timestamp":"2023-11-14T22:13:20.123Z","message":"the raw line","_":"1","a__b":"3","_a":"4","b_":"5"}`,
		},
		{
			"names that become the same", false,
			line{time: noon, fields: []field{
				text("service.a.b", "1"), text("service.a_b", "2"), text("service_a_b", "3"),
				text("", "4"), text(".", "5"), text("_", "6"),
			}},
			`{"timestamp":"2023-11-14T22:13:20.123Z","message":"the raw line","service_a_b_original":"1",` +
				`"service_a_b_2":"2","service_a_b":"3","__original":"4","__2":"5","_":"6"}`,
		},
		{
			"labels that clash", true,
			line{time: noon, labels: []event.Label{
				{Name: "level", Value: "1"}, {Name: "container", Value: "2"}, {Name: "container.name", Value: "3"},
				{Name: "service.version", Value: "4"},
			}},
			`{"timestamp":"2023-11-14T22:13:20.123Z","message":"the raw line",` +
				`"container_label":"2","container.name":"3",` +
				`"level_label":"1","service_version":"4"}`,
		},
		{
			"values of several lines", false,
			line{time: noon, fields: []field{
				{key: "o", kind: event.Object, value: "{\r\n  \"a\": 1\n}"},
				{key: "a", kind: event.Array, value: "[\n1\n]"},
			}},
			`{"timestamp":"2023-11-14T22:13:20.123Z","message":"the raw line","o":{    "a": 1 },"a":[ 1 ]}`,
		},
		{
			"bytes that are not UTF-8, controls, DEL", false,
			line{time: noon, message: "a\xffb\x00\x1b[31m\x7f\té\u2028\xed\xa0\x80"},
			`{"timestamp":"2023-11-14T22:13:20.123Z","message":"a` + "\ufffd" + `b\u0000\u001b[31m` + "\x7f" + `\té` +
				"\u2028\ufffd\ufffd\ufffd" + `"}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := event.AppendRecord([]byte("before"), tt.in.batch(), 0, tt.labels)
			checkDocument(t, bytes.TrimPrefix(got, []byte("before")), tt.want)
		})
	}
}

func TestAppendRecordOfALiteralSource(t *testing.T) {
	t.Parallel()
	b := line{time: noon, fields: []field{text("level", "x")}}.batch()
	b.Source = &event.Source{ID: 1}
	want := `{"timestamp":"2023-11-14T22:13:20.123Z","message":"the raw line","level_original":"x"}`
	checkDocument(t, event.AppendRecord(nil, b, 0, true), want)
}

func TestAppendText(t *testing.T) {
	t.Parallel()
	tests := []struct {
		kind     event.Kind
		in, want string
	}{
		{event.None, "", ""},
		{event.Text, "a\"b\n", "a\"b\n"},
		{event.Plain, "ab", "ab"},
		{event.Escaped, `\"\\\/\b\f\n\r\t\u00e9`, "\"\\/\b\f\n\r\té"},
		{event.Escaped, `\ud83d\ude00 \ud83d \ude00\ud83d x\ud83d\u0041`, "😀 \ufffd \ufffd\ufffd x\ufffdA"},
		{event.Escaped, `cut short \`, `cut short \`},
		{event.Escaped, `bad \u12`, "bad \ufffd12"},
		{event.Number, "-1e9", "-1e9"},
		{event.Object, `{"a":"\n"}`, `{"a":"\n"}`},
	}
	for _, tt := range tests {
		b := &event.Batch{}
		got := b.AppendText(nil, event.Value{Span: b.PutString(tt.in), Kind: tt.kind})
		if string(got) != tt.want {
			t.Errorf("AppendText of %d %q: got %q, want %q", tt.kind, tt.in, got, tt.want)
		}
	}
}

// FuzzString: what AppendString writes is a JSON string for encoding/json, which
// reads what it would have written itself, and AppendUnescaped reads the same.
func FuzzString(f *testing.F) {
	for _, s := range []string{"", "plain", "\"\\\n\r\t\b\f\x00\x7f", "é😀\u2028", "\xff\xc3", "\xed\xa0\x80",
		strings.Repeat("x", 100) + "\""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := event.AppendString(nil, s)
		var back string
		if err := json.Unmarshal(got, &back); err != nil {
			t.Fatalf("%q is written as %q: %v", s, got, err)
		}
		if want := strings.ToValidUTF8(s, "\ufffd"); utf8.ValidString(s) && back != want {
			t.Errorf("%q is written as %q and read as %q", s, got, back)
		}
		if again := event.AppendUnescaped(nil, got[1:len(got)-1]); string(again) != back {
			t.Errorf("AppendUnescaped of %s: got %q, want %q", got, again, back)
		}
	})
}

// FuzzUnescape: whatever encoding/json takes for a string, AppendUnescaped reads alike.
func FuzzUnescape(f *testing.F) {
	for _, s := range []string{``, `a\nb`, `\ud83d\ude00`, `\ud83d\ud83d\ude00`, `\ude00`, `\ud83dA`, `\/\b\f\"\\`,
		`\u0000`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, inside string) {
		var want string
		if !utf8.ValidString(inside) || json.Unmarshal([]byte(`"`+inside+`"`), &want) != nil {
			t.Skip()
		}
		if got := event.AppendUnescaped(nil, []byte(inside)); string(got) != want {
			t.Errorf("%q: got %q, want %q", inside, got, want)
		}
	})
}

// FuzzRecord: every record is one valid JSON object in both schemas, with no
// name in it twice, whatever the lines and the labels say.
func FuzzRecord(f *testing.F) {
	f.Add("GET /", "level", "info", "host", "x", "host.name", "web", int64(noon), uint8(2))
	f.Add("\xff", "a.b", "1", "a.b", "2", "a", "3", int64(-1), uint8(0xff))
	f.Add("", "", "", ".", "", "service", "", int64(0), uint8(0x35))
	f.Add("m", "labels.host", "1", "host", "2", "log", "3", int64(1), uint8(0x20))
	f.Fuzz(func(t *testing.T, message, key1, value1, key2, value2, label, labelValue string, at int64, flags uint8) {
		in := line{
			time: at, level: event.Level(flags % 7), message: message, trace: flags&8 != 0, cut: flags&16 != 0,
			labels: []event.Label{{Name: label, Value: labelValue}, {Name: event.LabelHost, Value: "web-1"},
				{Name: event.LabelFile, Value: "/x"}},
			fields: []field{text(key1, value1), escaped(key2, value2), text(key1, value2), escaped(key2, value1)},
		}
		if flags&32 != 0 {
			in.fields[1].kind, in.fields[1].value = event.Object, "{}"
		}
		b := in.batch()
		for _, got := range [][]byte{
			event.AppendRecord(nil, b, 0, true), event.AppendRecord(nil, b, 0, false), event.AppendECS(nil, b, 0),
		} {
			_, err := members(got)
			if err != nil && !(strings.Contains(err.Error(), "twice") && excused(key1, key2, label)) {
				t.Errorf("%s: %v", got, err)
			}
		}
	})
}

// excused names may come to be the same when they are mended: different bytes
// that are not UTF-8, and dots with nothing between them.
func excused(names ...string) bool {
	for _, s := range names {
		if !utf8.ValidString(s) || strings.Contains(s, "\ufffd") || strings.Contains(s, ".") {
			return true
		}
	}
	return false
}

// escaped is a field whose key and value are the insides of JSON strings.
func escaped(key, value string) field {
	k, v := event.AppendString(nil, key), event.AppendString(nil, value)
	return field{
		key: string(k[1 : len(k)-1]), keyKind: event.Escaped,
		value: string(v[1 : len(v)-1]), kind: event.Escaped,
	}
}

// usual is a record as a service writes it, 220 bytes of JSON or so.
func usual() *event.Batch {
	return line{
		time: noon + 456, level: event.Info, message: "request served without trouble", service: "checkout",
		trace: true,
		labels: []event.Label{
			{Name: event.LabelHost, Value: "web-1"}, {Name: event.LabelFile, Value: "/var/log/app/checkout.log"},
		},
		fields: []field{
			{key: "method", keyKind: event.Plain, kind: event.Plain, value: "GET"},
			{key: "path", keyKind: event.Plain, kind: event.Plain, value: "/api/v1/orders/81723"},
			{key: "status", keyKind: event.Plain, kind: event.Number, value: "200"},
			{key: "duration_ms", keyKind: event.Plain, kind: event.Number, value: "12.7"},
			{key: "user_id", keyKind: event.Plain, kind: event.Plain, value: "u-2231"},
			{key: "host", keyKind: event.Plain, kind: event.Plain, value: "pod-7"},
			{key: "log.logger", keyKind: event.Plain, kind: event.Plain, value: "com.shop.Checkout"},
		},
	}.batch()
}

func TestAppendingAllocatesNothing(t *testing.T) {
	b := usual()
	dst := make([]byte, 0, 4096)
	for name, appendIt := range map[string]func(){
		"AppendRecord": func() { dst = event.AppendRecord(dst[:0], b, 0, true) },
		"AppendECS":    func() { dst = event.AppendECS(dst[:0], b, 0) },
		"AppendTime":   func() { dst = event.AppendTime(dst[:0], noon+1) },
	} {
		if n := testing.AllocsPerRun(100, appendIt); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

func TestAppendHex(t *testing.T) {
	t.Parallel()
	var all [256 + 3]byte
	for i := range all {
		all[i] = byte(i)
	}
	for n := range all {
		if got, want := string(event.AppendHex(nil, all[n:])), hex.EncodeToString(all[n:]); got != want {
			t.Errorf("from %d: got %s, want %s", n, got, want)
		}
	}
}

func BenchmarkAppendRecord(b *testing.B) {
	benchmarkDocument(b, func(dst []byte, batch *event.Batch) []byte { return event.AppendRecord(dst, batch, 0, true) })
}

func BenchmarkAppendECS(b *testing.B) {
	benchmarkDocument(b, func(dst []byte, batch *event.Batch) []byte { return event.AppendECS(dst, batch, 0) })
}

func benchmarkDocument(b *testing.B, appendIt func([]byte, *event.Batch) []byte) {
	batch := usual()
	dst := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		dst = appendIt(dst[:0], batch)
	}
	b.SetBytes(int64(len(dst)))
}

func BenchmarkAppendString(b *testing.B) {
	for name, s := range map[string]string{
		"plain":   strings.Repeat("request served ", 14),
		"quotes":  strings.Repeat(`say "hello" `, 17),
		"letters": strings.Repeat("größere Wörter ", 12),
	} {
		b.Run(name, func(b *testing.B) {
			dst := make([]byte, 0, 4096)
			b.SetBytes(int64(len(s)))
			b.ReportAllocs()
			for b.Loop() {
				dst = event.AppendString(dst[:0], s)
			}
		})
	}
}

func TestNameKind(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]event.Kind{
		"user": event.Name, "levels": event.Name, "level": event.Plain, "@timestamp": event.Plain, "a.b": event.Plain,
		"": event.Plain, " a": event.Plain, "_id": event.Plain, "é": event.Plain, "a_é": event.Name,
		strings.Repeat("k", 257): event.Plain,
	} {
		if got := event.NameKind([]byte(name)); got != want {
			t.Errorf("%q is %d, want %d", name, got, want)
		}
	}
}
