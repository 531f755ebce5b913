package json

import (
	"testing"

	"github.com/longshore/longshore/pipeline/event"
)

const line220 = `{"level":"info","ts":"2024-05-01T12:34:56.789012Z","msg":"request ` +
	`completed","service":"checkout","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","method":"GET",` +
	`"path":"/api/v1/orders/42","status":200,"duration_ms":12.7}`

func BenchmarkParse(b *testing.B) {
	src := event.NewSource(1, "test", "test", nil)
	batch := &event.Batch{}
	p := New(nil)
	b.SetBytes(int64(len(line220)))
	b.ReportAllocs()
	for b.Loop() {
		batch.Reset(src)
		batch.Add(0, 0, batch.PutString(line220))
		if !p.Parse(batch, 0) {
			b.Fatal("not parsed")
		}
	}
}

func TestAllocs(t *testing.T) {
	src := event.NewSource(1, "test", "test", nil)
	batch := &event.Batch{}
	p := New(nil)
	n := testing.AllocsPerRun(100, func() {
		batch.Reset(src)
		batch.Add(0, 0, batch.PutString(line220))
		p.Parse(batch, 0)
	})
	if n != 0 {
		t.Errorf("%v allocations a line, want none", n)
	}
}
