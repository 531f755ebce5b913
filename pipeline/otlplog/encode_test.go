package otlplog_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	jsonparser "github.com/longshore/longshore/parsers/json"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/hop"
	"github.com/longshore/longshore/pipeline/otlplog"
)

const noon = 1_700_000_000_123_456_789

// batchOf returns a batch of lines of JSON, parsed.
func batchOf(labels []event.Label, lines ...string) *event.Batch {
	b := &event.Batch{}
	b.Reset(event.NewSource(7, "app", "/var/log/app.log", labels))
	for i, line := range lines {
		b.Add(uint64(i), noon+int64(i), b.PutString(line))
	}
	parser := jsonparser.New(nil)
	for i := range b.Records {
		parser.Parse(b, i)
	}
	return b
}

// decode reads a request by OpenTelemetry's own messages. It has the same bytes as an
// ExportLogsServiceRequest.
func decode(t testing.TB, p []byte) *logs.LogsData {
	t.Helper()
	all := &logs.LogsData{}
	if err := proto.Unmarshal(p, all); err != nil {
		t.Fatalf("%q: %v", p, err)
	}
	return all
}

func encode(b *event.Batch, observed int64, identity bool) []byte {
	e := otlplog.NewSourceEncoder(b.Source, identity)
	var parts []otlplog.Part
	for i := range b.Records {
		parts = append(parts, otlplog.Part{
			Group: string(e.AppendResource(nil, b, i)),
			Items: [][]byte{e.AppendRecord(nil, b, i, observed)},
		})
	}
	return otlplog.AppendRequest(nil, otlplog.Scope{Name: "longshore", Version: "v1"}, parts)
}

func str(s string) *common.AnyValue {
	return &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: s}}
}

func number(n int64) *common.AnyValue {
	return &common.AnyValue{Value: &common.AnyValue_IntValue{IntValue: n}}
}

func double(x float64) *common.AnyValue {
	return &common.AnyValue{Value: &common.AnyValue_DoubleValue{DoubleValue: x}}
}

func truth(b bool) *common.AnyValue {
	return &common.AnyValue{Value: &common.AnyValue_BoolValue{BoolValue: b}}
}

func array(values ...*common.AnyValue) *common.AnyValue {
	return &common.AnyValue{Value: &common.AnyValue_ArrayValue{ArrayValue: &common.ArrayValue{Values: values}}}
}

func object(pairs ...*common.KeyValue) *common.AnyValue {
	return &common.AnyValue{Value: &common.AnyValue_KvlistValue{KvlistValue: &common.KeyValueList{Values: pairs}}}
}

func pair(key string, v *common.AnyValue) *common.KeyValue {
	return &common.KeyValue{Key: key, Value: v}
}

func TestRecord(t *testing.T) {
	labels := []event.Label{
		{Name: event.LabelHost, Value: "web-1"}, {Name: event.LabelFile, Value: "/x.log"},
		{Name: event.LabelImage, Value: "shop:1"}, {Name: event.LabelStream, Value: "stderr"},
		{Name: event.LabelContainerName, Value: "shop-1"}, {Name: event.LabelService, Value: "unused"},
		{Name: "env", Value: "pröd\xff"},
	}
	b := batchOf(labels, `{"level":"warn","msg":"a \"b\" \u00e9","service":"shop",`+
		`"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7","trace_flags":"01",`+
		`"n":-3,"big":9223372036854775807,"bigger":18446744073709551615,"x":1.5e3,"huge":1e999,"yes":true,"no":false,`+
		`"nil":null,"e\u00e9":"\ud83d\ude00\n","list":[1,"a\"",[],{}, null ],"o":{"k":{"a\\":[true]},"z":2},`+
		`"n":-4,"log.file.path":"mine","longshore-position":"forged"}`)
	b.Records[0].Flags |= event.Truncated | event.OddTime
	want := &logs.LogsData{ResourceLogs: []*logs.ResourceLogs{{
		Resource: &resource.Resource{Attributes: []*common.KeyValue{
			pair("service.name", str("shop")), pair("container.image.name", str("shop:1")),
			pair("container.name", str("shop-1")), pair("env", str("pröd\ufffd")), pair("host.name", str("web-1")),
			pair(hop.LabelsHeader, str(string(hop.AppendLabels(nil, b.Source.Labels)))),
			pair(hop.SourceHeader, str("0000000000000007")),
		}},
		ScopeLogs: []*logs.ScopeLogs{{
			Scope: &common.InstrumentationScope{Name: "longshore", Version: "v1"},
			LogRecords: []*logs.LogRecord{{
				TimeUnixNano: noon, ObservedTimeUnixNano: 5, SeverityText: "WARN",
				SeverityNumber: logs.SeverityNumber_SEVERITY_NUMBER_WARN, Body: str("a \"b\" é"), Flags: 1,
				TraceId: unhex("4bf92f3577b34da6a3ce929d0e0e4736"), SpanId: unhex("00f067aa0ba902b7"),
				Attributes: []*common.KeyValue{
					pair("log.file.path", str("/x.log")), pair("log.iostream", str("stderr")),
					pair(hop.PositionHeader, number(0)), pair("truncated", truth(true)),
					pair("time_rejected", truth(true)),
					pair("big", number(math.MaxInt64)), pair("bigger", str("18446744073709551615")),
					pair("x", double(1500)), pair("huge", str("1e999")), pair("yes", truth(true)),
					pair("no", truth(false)),
					pair("nil", &common.AnyValue{}), pair("eé", str("😀\n")),
					pair("list", array(number(1), str(`a"`), array(), object(), &common.AnyValue{})),
					pair("o", object(pair("k", object(pair(`a\`, array(truth(true))))), pair("z", number(2)))),
					pair("n", number(-4)), pair("log.file.path_original", str("mine")),
					pair("longshore-position_original", str("forged")),
				},
			}},
		}},
	}}}
	got := encode(b, 5, true)
	if diff := cmp.Diff(want, decode(t, got), protocmp.Transform()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff(want, fromJSON(t, otlplog.AppendJSONRequest(nil, got)), protocmp.Transform()); diff != "" {
		t.Errorf("as JSON: -want +got:\n%s", diff)
	}
}

func unhex(s string) []byte {
	p, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return p
}

// fromJSON reads a request in JSON. OTLP has ids in hex there, where protobuf's JSON has base64.
func fromJSON(t testing.TB, p []byte) *logs.LogsData {
	t.Helper()
	var tree any
	d := json.NewDecoder(bytes.NewReader(p))
	d.UseNumber()
	if err := d.Decode(&tree); err != nil {
		t.Fatalf("%q: %v", p, err)
	}
	for _, r := range list(tree, "resourceLogs") {
		for _, s := range list(r, "scopeLogs") {
			for _, l := range list(s, "logRecords") {
				record := l.(map[string]any)
				for _, name := range []string{"traceId", "spanId"} {
					if id, ok := record[name].(string); ok {
						record[name] = base64.StdEncoding.EncodeToString(unhex(id))
					}
				}
			}
		}
	}
	text, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	all := &logs.LogsData{}
	if err := protojson.Unmarshal(text, all); err != nil {
		t.Fatalf("%.2000s: %v", text, err)
	}
	return all
}

func list(tree any, name string) []any {
	o, _ := tree.(map[string]any)
	l, _ := o[name].([]any)
	return l
}

func TestLevels(t *testing.T) {
	for l := event.NoLevel; l <= event.Fatal; l++ {
		b := batchOf(nil, `{}`)
		b.Records[0].Level = l
		r := decode(t, encode(b, 1, false)).ResourceLogs[0].ScopeLogs[0].LogRecords[0]
		number, text := max(0, int32(l)*4-3), strings.ToUpper(l.String())
		if int32(r.SeverityNumber) != number || r.SeverityText != text {
			t.Errorf("%v is %v, %q", l, r.SeverityNumber, r.SeverityText)
		}
	}
}

// TestDeep: what other parsers of protobuf would give up at is text.
func TestDeep(t *testing.T) {
	for _, depth := range []int{20, 24, 25, 100} {
		in := strings.Repeat("[", depth) + strings.Repeat("]", depth)
		p := encode(batchOf(nil, `{"deep":`+in+`}`), 1, false)
		decode(t, p)
		fromJSON(t, otlplog.AppendJSONRequest(nil, p))
		if len(p) < depth {
			t.Errorf("%d deep: %q", depth, p)
		}
	}
}

// TestEncodeAllocs: what is encoded costs no memory of its own.
func TestEncodeAllocs(t *testing.T) {
	b := batchOf([]event.Label{{Name: event.LabelFile, Value: "/x.log"}}, `{"level":"info","msg":"hi \n there","a":1,`+
		`"a":2,"log":"x","b":1.5,"c":{"d":["\n",2]},"u":"e\u00e9"}`)
	e := otlplog.NewSourceEncoder(b.Source, false)
	buf := e.AppendRecord(nil, b, 0, 1)
	if n := testing.AllocsPerRun(100, func() { buf = e.AppendRecord(buf[:0], b, 0, 1) }); n > 0 {
		t.Errorf("a record allocates %v times", n)
	}
}

func BenchmarkAppendRecord(b *testing.B) {
	batch := batchOf([]event.Label{{Name: event.LabelFile, Value: "/x.log"}},
		`{"time":"2023-11-14T22:13:20.123Z","level":"info","msg":"GET /api/orders/17","service":"shop","status":200,`+
			`"duration_ms":12.5,"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","user":"u-1","path":"/api/orders/17"}`)
	e := otlplog.NewSourceEncoder(batch.Source, false)
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = e.AppendRecord(buf[:0], batch, 0, 1)
	}
	b.SetBytes(int64(len(buf)))
}

// FuzzEncode: whatever a line is, OpenTelemetry's messages read what is made of it, in both
// encodings alike, and every field is there under a name of its own.
func FuzzEncode(f *testing.F) {
	f.Add(`{"msg":"x","a":[1,{"b":"c"}],"a":2}`, "/x.log")
	f.Add(`{"trace_flags":1,"n":1e5,"log":{"file":"\ud800"},"longshore-source":1}`, "\xff")
	f.Add("no json \xff\xfe", "")
	f.Fuzz(func(t *testing.T, line, file string) {
		b := batchOf([]event.Label{{Name: event.LabelFile, Value: file}}, line)
		p := encode(b, 9, false)
		all := decode(t, p)
		if diff := cmp.Diff(all, fromJSON(t, otlplog.AppendJSONRequest(nil, p)), protocmp.Transform(),
			protocmp.IgnoreMessages()); diff != "" {
			t.Errorf("as JSON: -protobuf +json:\n%s", diff)
		}
		r := all.ResourceLogs[0].ScopeLogs[0].LogRecords[0]
		if len(r.ProtoReflect().GetUnknown()) > 0 {
			t.Errorf("fields that nobody knows: %q", r.ProtoReflect().GetUnknown())
		}
		if body := r.Body.GetStringValue(); !utf8.ValidString(body) {
			t.Errorf("the body is %q", body)
		}
		seen := map[string]bool{}
		for _, a := range r.Attributes {
			if seen[a.Key] {
				t.Errorf("two attributes %q: %v", a.Key, r)
			}
			seen[a.Key] = true
		}
		if got, want := len(r.Attributes), len(b.Fields(0)); got < want-2 {
			t.Errorf("%d attributes of %d fields: %v", got, want, r)
		}
	})
}

func ExampleAppendJSONRecord() {
	b := &event.Batch{}
	b.Reset(event.NewSource(1, "in", "k", nil))
	b.Add(0, noon, b.PutString("disk is full"))
	item := otlplog.NewSourceEncoder(b.Source, false).AppendRecord(nil, b, 0, noon)
	text := string(otlplog.AppendJSONRecord(nil, item))
	fmt.Println(strings.ReplaceAll(text, ",", ",\n"))
	// Output:
	// {"timeUnixNano":"1700000000123456789",
	// "observedTimeUnixNano":"1700000000123456789",
	// "body":{"stringValue":"disk is full"}}
}
