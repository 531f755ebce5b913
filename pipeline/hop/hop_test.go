package hop_test

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/hop"
	"github.com/longshore/longshore/pipeline/pipetest"
)

var labels = []event.Label{
	{Name: event.LabelContainerName, Value: "shop-api-1"}, {Name: event.LabelHost, Value: "a"},
	{Name: "level", Value: "a label named like the core"}, {Name: `odd."name`, Value: "\\ \u2028"},
	{Name: event.LabelService, Value: "api"}, {Name: "a", Value: "1"}, {Name: "a.b", Value: "2"},
}

func TestIdentity(t *testing.T) {
	for _, n := range []uint64{0, 1, 1<<63 - 1, math.MaxUint64} {
		id, err := hop.ParseSource([]byte(event.SourceID(n).String()))
		if err != nil || uint64(id) != n {
			t.Errorf("ParseSource: %x, %v; want %x", id, err, n)
		}
		pos, err := hop.ParsePosition(hop.AppendPosition(nil, n))
		if err != nil || pos != n {
			t.Errorf("ParsePosition: %d, %v; want %d", pos, err, n)
		}
	}
	for _, bad := range []string{"", "-1", "+1", "x", "18446744073709551616", "000000000000000000001"} {
		if pos, err := hop.ParsePosition([]byte(bad)); err == nil {
			t.Errorf("ParsePosition(%q) = %d", bad, pos)
		}
		if id, err := hop.ParseSource([]byte(bad)); err == nil {
			t.Errorf("ParseSource(%q) = %s", bad, id)
		}
	}
}

func TestLabels(t *testing.T) {
	got, err := hop.ParseLabels(hop.AppendLabels(nil, labels))
	slices.SortFunc(got, func(a, b event.Label) int { return cmpName(a, b) })
	want := slices.Clone(labels)
	slices.SortFunc(want, cmpName)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v: -want +got\n%s", err, diff)
	}
	if none, err := hop.ParseLabels(hop.AppendLabels(nil, nil)); err != nil || len(none) != 0 {
		t.Errorf("no labels: %v, %v", none, err)
	}
	for _, bad := range []string{"", "[]", `{"a":1}`, `{"a":"b"`} {
		if got, err := hop.ParseLabels([]byte(bad)); err == nil {
			t.Errorf("ParseLabels(%q) = %v", bad, got)
		}
	}
}

func cmpName(a, b event.Label) int {
	if a.Name < b.Name {
		return -1
	}
	return 1
}

// TestRoundTrip holds that a record with everything in it crosses as it was.
func TestRoundTrip(t *testing.T) {
	src := event.NewSource(1, "file", "x", labels)
	b := &event.Batch{}
	b.Reset(src)
	text := func(s string) event.Value { return event.Value{Span: b.PutString(s), Kind: event.Text} }
	for i, line := range pipetest.HostileLines {
		r := b.Add(uint64(i), int64(i)*1_000_003-5e17, b.PutString(line))
		r.Level = event.Level(i % 7)
		if i%2 == 0 {
			r.Flags |= event.HasTrace | event.HasSpan | event.Truncated
			r.TraceID[3], r.SpanID[7] = 0xab, byte(i)
			r.Service = text("other " + line)
		}
		if i%3 == 0 {
			r.Message = text("message of " + line)
			r.Flags |= event.OddTime
		}
		b.AddField(i, text("user.name"), text(line))
		b.AddField(i, text("level"), text(line))
		b.AddField(i, text(line), event.Value{Span: b.PutString("-1.5e3"), Kind: event.Number})
		b.AddField(i, text("host.name"), event.Value{Span: b.PutString(`{"a": [1, "}"]}`), Kind: event.Object})
		b.AddField(i, text("gone"), event.Value{Span: b.PutString("null"), Kind: event.Null})
		b.AddField(i, text("yes"), event.Value{Span: b.PutString("true"), Kind: event.Bool})
	}
	got := &event.Batch{}
	got.Reset(event.NewSource(1, "kafka", "y", labels))
	for i := range b.Records {
		value := event.AppendRecord(nil, b, i, true)
		if err := hop.AppendRecord(got, uint64(i), value); err != nil {
			t.Fatalf("%s: %v", value, err)
		}
		r, was := &got.Records[i], &b.Records[i]
		if r.Time != was.Time || r.Level != was.Level || r.TraceID != was.TraceID || r.Pos != was.Pos {
			t.Errorf("record %d: %+v, want %+v", i, r, was)
		}
		if again := string(event.AppendRecord(nil, got, i, true)); again != string(value) {
			t.Errorf("record %d is written as\n%s, was\n%s", i, again, value)
		}
		var message struct{ Message string }
		if err := json.Unmarshal(value, &message); err != nil || string(got.Line(i)) != message.Message {
			t.Errorf("record %d: line %q, want %q, %v", i, got.Line(i), message.Message, err)
		}
		for _, schema := range []event.Schema{event.DefaultSchema, event.ECS, event.OTel} {
			if !json.Valid(schema.Append(nil, got, i, true)) {
				t.Errorf("record %d in schema %d is no JSON", i, schema)
			}
		}
	}
}

func TestNoRecord(t *testing.T) {
	b := &event.Batch{}
	b.Reset(event.NewSource(1, "kafka", "x", nil))
	for _, value := range []string{
		"", "{", "null", "[]", `"x"`, `{}`, `{"message":"a"}`, `{"timestamp":"2026-01-02T03:04:05.000Z"}`,
		`{"timestamp":"2026-02-30T03:04:05.000Z","message":"a"}`, `{"timestamp":1,"message":"a"}`,
		`{"timestamp":"2026-01-02T03:04:05Z","message":"a"}`, `{"timestamp":"9999-01-02T03:04:05.000Z","message":"a"}`,
		"{\"timestamp\":\"2026-01-02T03:04:05.000Z\",\"message\":\"\xff\"}",
	} {
		if err := hop.AppendRecord(b, 1, []byte(value)); err == nil || len(b.Records) != 0 {
			t.Errorf("AppendRecord(%q): %v, %d records", value, err, len(b.Records))
		}
	}
}

// What others wrote in our shape stays, even where it repeats or abuses the core's names.
func TestOddMembers(t *testing.T) {
	b := &event.Batch{}
	b.Reset(event.NewSource(1, "kafka", "x", nil))
	value := ` { "timestamp" : "2026-01-02T03:04:05.000Z" , "level":"loud","message":"a","message":"b",` +
		`"trace_id":"zz","truncated":false,"service":7,"n":[1, {"x":"]"}] } `
	if err := hop.AppendRecord(b, 1, []byte(value)); err != nil {
		t.Fatal(err)
	}
	want := `{"timestamp":"2026-01-02T03:04:05.000Z","message":"a","level_original":"loud","message_original":"b",` +
		`"trace_id_original":"zz","truncated_original":false,"service_original":7,"n":[1, {"x":"]"}]}`
	if got := string(event.AppendRecord(nil, b, 0, true)); got != want {
		t.Errorf("written again:\n%s, want\n%s", got, want)
	}
}

func FuzzAppendRecord(f *testing.F) {
	f.Add([]byte(`{"timestamp":"2026-01-02T03:04:05.000Z","level":"info","message":"a\n","x":{"y":[1]}}`))
	f.Add([]byte(`{"timestamp":"2026-01-02T03:04:05.123456Z","message":"","host.name":"a","a\u002eb":null}`))
	src := event.NewSource(1, "kafka", "x", labels)
	f.Fuzz(func(t *testing.T, value []byte) {
		b := &event.Batch{}
		b.Reset(src)
		if hop.AppendRecord(b, 1, value) != nil {
			return
		}
		once := event.AppendRecord(nil, b, 0, true)
		if !json.Valid(once) {
			t.Fatalf("%q is written as %q", value, once)
		}
		if err := hop.AppendRecord(b, 2, once); err != nil {
			t.Fatalf("%q: %v", once, err)
		}
		if twice := event.AppendRecord(nil, b, 1, true); string(twice) != string(once) {
			t.Fatalf("%q is written again as %q", once, twice)
		}
	})
}

func FuzzHeaders(f *testing.F) {
	f.Add([]byte(`{"a":"b"}`))
	f.Add([]byte("0123456789abcdef"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if id, err := hop.ParseSource(text); err == nil && fmt.Sprintf("%x", text) == "" {
			t.Errorf("%q is the source %s", text, id)
		}
		if pos, err := hop.ParsePosition(text); err == nil && len(hop.AppendPosition(nil, pos)) > len(text) {
			t.Errorf("%q is the position %d", text, pos)
		}
		got, err := hop.ParseLabels(text)
		if err != nil {
			return
		}
		if again, err := hop.ParseLabels(hop.AppendLabels(nil, got)); err != nil || len(again) != len(got) {
			t.Errorf("%q: %v, then %v, %v", text, got, again, err)
		}
	})
}

func BenchmarkAppendRecord(b *testing.B) {
	batch := &event.Batch{}
	src := event.NewSource(1, "kafka", "x", labels)
	batch.Reset(src)
	value := []byte(`{"timestamp":"2026-01-02T03:04:05.123Z","level":"info","message":"GET /api/orders 201",` +
		`"service":"api","trace_id":"0123456789abcdef0123456789abcdef","container.name":"shop-api-1",` +
		`"host.name":"a","method":"GET","path":"/api/orders","status":201,"duration_ms":12.5,"user":"4711"}`)
	b.SetBytes(int64(len(value)))
	b.ReportAllocs()
	for b.Loop() {
		batch.Reset(src)
		if err := hop.AppendRecord(batch, 1, value); err != nil {
			b.Fatal(err)
		}
	}
}
