package pipetest

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// TestTransform checks a transform, with some settings as YAML, against its contract: it leaves
// alone what is dropped and what its condition is not for; whatever is in the records, they come
// out as valid JSON, at their positions; it may be called for several sources at once; and unless
// it is Stateful, it does the same to the same records every time.
func TestTransform(t *testing.T, spec pipeline.Spec, yaml string) {
	for _, property := range []struct {
		name string
		test func(t *testing.T, h transformHarness)
	}{
		{"leaves dropped records alone", testDropped},
		{"leaves records alone that it is not for", testNotFor},
		{"survives hostile records", testHostileRecords},
		{"takes several sources at once", testSourcesAtOnce},
		{"is stateful if its spec says so", testStateful},
	} {
		t.Run(property.name, func(t *testing.T) { property.test(t, transformHarness{t, spec, yaml}) })
	}
}

type transformHarness struct {
	t    *testing.T
	spec pipeline.Spec
	yaml string
}

func (h transformHarness) transform(when func(b *event.Batch, i int) bool) pipeline.Transform {
	return MustTransform(h.t, Config[pipeline.TransformConfig](h.t, h.spec, h.yaml), when)
}

func testDropped(t *testing.T, h transformHarness) {
	b := hostileBatch(1, longestHostile)
	for i := range b.Records {
		b.Records[i].Flags |= event.Dropped
	}
	unchangedBy(t, h.transform(nil), b)
}

func testNotFor(t *testing.T, h transformHarness) {
	b := hostileBatch(1, longestHostile)
	transform := h.transform(func(*event.Batch, int) bool { return false })
	if h.spec.Traits.NeedsCondition { // whether it drops what its condition is for is its own matter
		applyChecked(t, transform, b)
		return
	}
	unchangedBy(t, transform, b)
}

func testHostileRecords(t *testing.T, h transformHarness) {
	transform := h.transform(nil)
	for range 2 { // the second time with a memory of the first
		applyChecked(t, transform, hostileBatch(1, longestHostile))
	}
}

func testSourcesAtOnce(t *testing.T, h transformHarness) {
	transform := h.transform(nil)
	var sources sync.WaitGroup
	for id := range 4 {
		sources.Go(func() {
			for range 3 {
				applyChecked(t, transform, hostileBatch(event.SourceID(id+1), 1000))
			}
		})
	}
	sources.Wait()
}

// testStateful applies a transform to the same records again and again.
func testStateful(t *testing.T, h transformHarness) {
	if h.spec.Traits.Stateful {
		t.Skip("this transform may decide otherwise the next time")
	}
	transform := h.transform(nil)
	var first []string
	for n := range 20 {
		b := hostileBatch(1, 1000)
		transform.Apply(b)
		if again := written(b); n == 0 {
			first = again
		} else if diff := cmp.Diff(first, again); diff != "" {
			t.Fatalf("its Spec does not say that it is stateful, but the same records come out otherwise: %s", diff)
		}
	}
}

// applyChecked transforms a batch, and checks it.
func applyChecked(t *testing.T, transform pipeline.Transform, b *event.Batch) {
	before := append([]event.Record(nil), b.Records...)
	transform.Apply(b)
	CheckBatch(t, b, before)
}

// longestHostile takes all hostile lines.
const longestHostile = 1 << 20

// hostileBatch has a record for each hostile line that is not too long, with fields of every kind.
func hostileBatch(id event.SourceID, longest int) *event.Batch {
	b := &event.Batch{}
	b.Reset(event.NewSource(id, "test", "suite", []event.Label{{Name: event.LabelService, Value: "shop"}}))
	key := func(name string) event.Value { return event.Value{Span: b.PutString(name), Kind: event.Plain} }
	for _, line := range HostileLines {
		if len(line) > longest {
			continue
		}
		i, text := len(b.Records), b.PutString(line)
		r := b.Add(uint64(i*10), 1700000000000000000+int64(i), text)
		r.Level = event.Level(i % 7)
		if i%3 == 0 {
			r.Message = event.Value{Span: text, Kind: event.Text}
		}
		if i%2 == 0 {
			r.Flags |= event.HasTrace | event.HasSpan
			r.TraceID, r.SpanID = [16]byte{1: byte(i)}, [8]byte{7: byte(i)}
		}
		escaped := event.AppendString(nil, line)
		b.AddField(i, key("text"), event.Value{Span: text, Kind: event.Text})
		b.AddField(i, key("escaped"), event.Value{Span: b.Put(escaped[1 : len(escaped)-1]), Kind: event.Escaped})
		b.AddField(i, event.Value{Span: text, Kind: event.Text},
			event.Value{Span: b.PutString("-1.5e3"), Kind: event.Number})
		b.AddField(i, key("flag"), event.Value{Span: b.PutString("true"), Kind: event.Bool})
		b.AddField(i, key("gone"), event.Value{Span: b.PutString("null"), Kind: event.Null})
		b.AddField(i, key("object"), event.Value{Span: b.PutString(`{"in": ` + string(escaped) + `, "n":[1]}`),
			Kind: event.Object})
		b.AddField(i, key("list"), event.Value{Span: b.PutString(`[` + string(escaped) + `]`), Kind: event.Array})
	}
	b.To = uint64(len(b.Records) * 10)
	return b
}

func unchangedBy(t *testing.T, transform pipeline.Transform, b *event.Batch) {
	t.Helper()
	before, records := written(b), append([]event.Record(nil), b.Records...)
	transform.Apply(b)
	for i := range b.Records {
		if b.Records[i] != records[i] {
			t.Fatalf("record %d was changed: %+v, was %+v", i, b.Records[i], records[i])
		}
	}
	if diff := cmp.Diff(before, written(b)); diff != "" {
		t.Errorf("records were changed: %s", diff)
	}
}

func written(b *event.Batch) []string {
	var all []string
	for i := range b.Records {
		r := &b.Records[i]
		all = append(all, fmt.Sprintf("%.500s %.500q %b %b", event.AppendRecord(nil, b, i, true), b.Line(i), r.Flags,
			r.ExcludedOutputs))
	}
	return all
}

// CheckBatch says what a transform must not have done to a batch: its records are
// at their positions, and come out as valid JSON in every schema.
func CheckBatch(t *testing.T, b *event.Batch, before []event.Record) {
	t.Helper()
	if len(b.Records) != len(before) {
		t.Fatalf("%d records became %d", len(before), len(b.Records))
	}
	for i := range b.Records {
		r := &b.Records[i]
		if r.Pos != before[i].Pos || r.Time != before[i].Time {
			t.Errorf("record %d was moved", i)
		}
		if r.Flags&event.Dropped != 0 {
			continue
		}
		_ = b.Line(i)
		for _, out := range [][]byte{event.AppendRecord(nil, b, i, true), event.AppendECS(nil, b, i),
			event.AppendOTel(nil, b, i)} {
			if !json.Valid(out) {
				t.Errorf("record %d, %.100q, came out as invalid JSON: %.300s", i, b.Line(i), out)
			}
		}
	}
}

// Transformed parses lines, each of one source, transforms them as one batch and
// gives the records as event.AppendRecord writes them; "dropped" for those that are
// dropped, and behind a record the outputs that it is not for.
func Transformed(t *testing.T, transform pipeline.Transform, parser pipeline.NewParser, lines ...string) []string {
	t.Helper()
	src := event.NewSource(1, "app", "suite", []event.Label{{Name: event.LabelContainerName, Value: "web-1"}})
	b := &event.Batch{}
	b.Reset(src)
	p := parser(src)
	for i, line := range lines {
		b.Add(uint64(100*i), 1700000000000000000+int64(i)*1e9, b.PutString(line))
	}
	for i := range lines {
		p.Parse(b, i)
	}
	applyChecked(t, transform, b)
	var got []string
	for i := range b.Records {
		r := &b.Records[i]
		text := string(event.AppendRecord(nil, b, i, false))
		if r.Flags&event.Dropped != 0 {
			text = "dropped"
		}
		if r.ExcludedOutputs != 0 {
			text += fmt.Sprintf(" not to %02b", r.ExcludedOutputs)
		}
		got = append(got, text)
	}
	return got
}

// MustTransform makes a transform whose config is valid, with a condition if that is not nil.
func MustTransform(t *testing.T, c pipeline.TransformConfig, when func(b *event.Batch, i int) bool) pipeline.Transform {
	t.Helper()
	if checker, ok := c.(pipeline.Checker); ok {
		for _, p := range checker.Check() {
			t.Fatalf("%s: %s", p.Path, p.Message)
		}
	}
	env := TransformEnv(t)
	env.If = when
	transform, err := c.Transform(env)
	if err != nil {
		t.Fatal(err)
	}
	return transform
}

// AllocFree gates that a transform takes no memory for a record of a line.
func AllocFree(t *testing.T, transform pipeline.Transform, parser pipeline.NewParser, line string) {
	t.Helper()
	src := event.NewSource(1, "app", "suite", nil)
	b, p := &event.Batch{}, parser(src)
	n := testing.AllocsPerRun(200, func() {
		b.Reset(src)
		b.Add(0, 1700000000000000000, b.PutString(line))
		p.Parse(b, 0)
		transform.Apply(b)
	})
	if n != 0 {
		t.Errorf("%v allocations a record, want none", n)
	}
}
