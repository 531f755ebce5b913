package perrecord

import (
	"log/slog"
	"testing"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// TestPanic: a record at which a transform panics goes on, and so do all others.
func TestPanic(t *testing.T) {
	env := pipeline.TransformEnv{Env: pipeline.NewEnv("t", slog.New(slog.DiscardHandler))}
	transform := Record(env, func(b *event.Batch, i int) {
		switch string(b.Line(i)) {
		case "boom":
			panic("out of order")
		case "drop":
			b.Records[i].Flags |= event.Dropped
		default:
			b.Records[i].Level = event.Warn
		}
	})
	b := &event.Batch{}
	b.Reset(event.NewSource(1, "in", "key", nil))
	for i, line := range []string{"boom", "a", "drop", "boom", "boom", "b", "drop", "boom"} {
		b.Add(uint64(i), 0, b.PutString(line))
	}
	transform.Apply(b)
	for i := range b.Records {
		r, line := &b.Records[i], string(b.Line(i))
		if (r.Level == event.Warn) != (len(line) == 1) || (r.Flags&event.Dropped != 0) != (line == "drop") {
			t.Errorf("%s: %+v", line, r)
		}
	}
}
