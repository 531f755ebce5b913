package condition

import (
	"encoding/json"

	"github.com/longshore/longshore/pipeline/event"
)

// valueOf puts a JSON text into a batch.
func valueOf(b *event.Batch, text string) (event.Value, bool) {
	if !json.Valid([]byte(text)) {
		return event.Value{}, false
	}
	var raw json.RawMessage
	_ = json.Unmarshal([]byte(text), &raw)
	kind := map[byte]event.Kind{'"': event.Escaped, '{': event.Object, '[': event.Array, 't': event.Bool,
		'f': event.Bool, 'n': event.Null}[raw[0]]
	if kind == event.None {
		kind = event.Number
	}
	v := event.Value{Span: b.Put(raw), Kind: kind}
	if kind == event.Escaped {
		v.Off, v.Len = v.Off+1, v.Len-2
	}
	return v, true
}
