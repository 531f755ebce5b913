package event_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/pipeline/event"
)

func fieldsOf(b *event.Batch, i int) []string {
	var all []string
	for _, f := range b.Fields(i) {
		all = append(all, string(b.Bytes(f.Key.Span))+"="+string(b.Bytes(f.Value.Span)))
	}
	return all
}

func put(b *event.Batch, s string) event.Value {
	return event.Value{Span: b.PutString(s), Kind: event.Text}
}

func TestFields(t *testing.T) {
	t.Parallel()
	b := &event.Batch{}
	b.Reset(event.NewSource(1, "in", "key", nil))
	for pos := range 3 {
		b.Add(uint64(pos), 1, b.PutString("line"))
	}
	b.AddField(0, put(b, "a"), put(b, "1"))
	b.AddField(1, put(b, "b"), put(b, "2"))
	b.AddField(0, put(b, "c"), put(b, "3")) // moves the run of 0 behind that of 1
	b.AddField(1, put(b, "d"), put(b, "4"))
	b.AddField(1, put(b, "e"), put(b, "5"))
	b.SetField(1, 1, event.Field{Key: put(b, "D"), Value: put(b, "44")})
	b.RemoveField(1, 0)
	b.AddField(1, put(b, "f"), put(b, "6"))
	want := [][]string{{"a=1", "c=3"}, {"D=44", "e=5", "f=6"}, nil}
	for i := range want {
		if diff := cmp.Diff(want[i], fieldsOf(b, i)); diff != "" {
			t.Errorf("record %d (-want +got):\n%s", i, diff)
		}
	}
	b.ClearFields(0)
	if got := fieldsOf(b, 0); got != nil {
		t.Errorf("after ClearFields: %v", got)
	}
}

// TestFieldsAgainstSlices does at random what transforms do, on a batch and on plain slices.
func TestFieldsAgainstSlices(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		b := &event.Batch{}
		b.Reset(event.NewSource(1, "in", "key", nil))
		const records = 4
		var model [records][]string
		for pos := range records {
			b.Add(uint64(pos), 1, b.PutString("line"))
		}
		for step := range 60 {
			i := rng.IntN(records)
			name := fmt.Sprint("k", step)
			switch k := rng.IntN(10); {
			case k < 6 || len(model[i]) == 0:
				b.AddField(i, put(b, name), put(b, "v"))
				model[i] = append(model[i], name+"=v")
			case k < 8:
				at := rng.IntN(len(model[i]))
				b.SetField(i, at, event.Field{Key: put(b, name), Value: put(b, "w")})
				model[i][at] = name + "=w"
			case k == 8:
				at := rng.IntN(len(model[i]))
				b.RemoveField(i, at)
				model[i] = append(model[i][:at:at], model[i][at+1:]...)
			default:
				b.ClearFields(i)
				model[i] = nil
			}
		}
		for i := range model {
			if got, want := strings.Join(fieldsOf(b, i), " "), strings.Join(model[i], " "); got != want {
				t.Fatalf("record %d: got %s, want %s", i, got, want)
			}
		}
	}
}

func TestMessageOf(t *testing.T) {
	t.Parallel()
	b := line{}.batch()
	if got := string(b.AppendText(nil, b.MessageOf(0))); got != "the raw line" {
		t.Errorf("without a message: %q", got)
	}
	b = line{message: "found"}.batch()
	if got := string(b.AppendText(nil, b.MessageOf(0))); got != "found" {
		t.Errorf("with a message: %q", got)
	}
}

func TestResetKeepsNothing(t *testing.T) {
	t.Parallel()
	b := usual()
	b.From, b.To, b.Cursor = 1, 2, []byte("x")
	src := event.NewSource(2, "in", "other", nil)
	b.Reset(src)
	if b.Source != src || b.From != 0 || b.To != 0 || len(b.Cursor)+len(b.Arena)+len(b.Records) != 0 {
		t.Errorf("left after Reset: %+v", b)
	}
	b.Add(0, 1, b.PutString("line"))
	if got := fieldsOf(b, 0); got != nil {
		t.Errorf("a new record has the fields %v", got)
	}
}

func TestNewSource(t *testing.T) {
	t.Parallel()
	src := event.NewSource(0x00ab, "in", "key", []event.Label{{Name: "b", Value: "1"}, {Name: "a", Value: "2"},
		{Name: "b", Value: "3"}, {Name: "c"}})
	want := []event.Label{{Name: "a", Value: "2"}, {Name: "b", Value: "3"}}
	if diff := cmp.Diff(want, src.Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	if src.Label("b") != "3" || src.Label("c") != "" {
		t.Errorf("Label: b is %q, c is %q", src.Label("b"), src.Label("c"))
	}
	if got := src.ID.String(); got != "00000000000000ab" {
		t.Errorf("ID: %s", got)
	}
}

func TestLevels(t *testing.T) {
	t.Parallel()
	for i, name := range event.LevelNames() {
		if l := event.LevelNamed(name); l != event.Level(i+1) || l.String() != name {
			t.Errorf("%s is %d, which is %q", name, l, l)
		}
	}
	if event.LevelNamed("warning") != event.NoLevel || event.Level(99).String() != "" {
		t.Error("a level that is none of the six has a name")
	}
}

func TestIdentityIsOfTheSourceOrItsCarrier(t *testing.T) {
	src, carrier := event.NewSource(1, "in", "origin", nil), event.NewSource(2, "in", "topic/0", nil)
	type identity struct {
		id  event.SourceID
		pos uint64
	}
	of := func(b *event.Batch, i int) identity {
		id, pos := b.IdentityOf(i)
		return identity{id, pos}
	}
	b := &event.Batch{}
	b.Reset(src)
	b.Add(7, 0, event.Span{})
	if got := of(b, 0); got != (identity{1, 7}) {
		t.Errorf("of a source's own: %v", got)
	}
	b.Carrier = carrier
	if got := of(b, 0); got != (identity{2, 7}) || b.CarriedBy() != carrier {
		t.Errorf("carried: %v", got)
	}
	b.SetPosition(1007)
	b.Add(8, 0, event.Span{})
	b.SetPosition(1008)
	c := &event.Batch{}
	c.CopyFrom(b)
	c.Keep(1, 2)
	if got := of(c, 0); got != (identity{1, 1008}) || of(b, 0) != (identity{1, 1007}) {
		t.Errorf("carried, with a position of its own: %v", got)
	}
	b.Reset(src)
	b.Add(9, 0, event.Span{})
	if got := of(b, 0); got != (identity{1, 9}) || b.Carrier != nil {
		t.Errorf("after a reset: %v", got)
	}
}
