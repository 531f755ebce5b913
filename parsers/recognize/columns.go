package recognize

import "github.com/longshore/longshore/pipeline/event"

// Columns fill records from fields whose names are known before the lines come:
// the groups of a pattern, the columns of a table. They belong to one parser.
type Columns struct {
	core  Recognizer
	names []string
	keys  []Key
}

// NewColumns prepares columns. A name that is empty stands for nothing that is wanted.
func NewColumns(names []string, zone Zone) *Columns {
	c := &Columns{core: Recognizer{Zone: zone}, names: names}
	for _, name := range names {
		c.keys = append(c.keys, KeyOf([]byte(name)))
	}
	return c
}

// Start begins a line.
func (c *Columns) Start() { c.core.Start() }

// Add adds the text of column k.
func (c *Columns) Add(b *event.Batch, k int, text event.Span) {
	if c.names[k] == "" {
		return
	}
	kind := event.Text
	if !c.keys[k].IsID() {
		kind = KindOf(b.Bytes(text))
	}
	name := event.Value{Span: b.PutString(c.names[k]), Kind: event.Text}
	c.core.Add(c.keys[k], name, event.Value{Span: text, Kind: kind})
}

// Fill fills record i with what was added.
func (c *Columns) Fill(b *event.Batch, i int) { c.core.Fill(b, i) }
