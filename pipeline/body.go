package pipeline

import "github.com/longshore/longshore/pipeline/event"

// A Body is one request in the making: the encoded records, one after the other, and for
// each of them where it ends and which group it belongs to. What frames the records (a
// stream's labels, compression) is added by the output's Send, so that a body can be split,
// bisected or thinned out without encoding again.
type Body struct {
	Bytes []byte
	Items []Item
	// Uncertain says that the destination may hold some of the records already.
	Uncertain bool
	// Groups are the names that Item.Group indexes: for Loki, label sets.
	Groups []string
	// Sources are those of the items; see SourceOf.
	Sources ItemSources

	groups map[string]uint32
}

// An Item is one record of a body.
type Item struct {
	Pos   uint64
	End   uint32 // of its bytes in Body.Bytes
	Group uint32
}

// ItemSources returns the sources of a body's items.
type ItemSources interface {
	SourceOf(i int) *event.Source
}

// SourceOf returns the source of item i.
func (b *Body) SourceOf(i int) *event.Source { return b.Sources.SourceOf(i) }

// Group returns the index of a group by its name, adding it if it is new. The name is copied.
func (b *Body) Group(name []byte) uint32 {
	if g, ok := b.groups[string(name)]; ok {
		return g
	}
	if b.groups == nil {
		b.groups = make(map[string]uint32)
	}
	g := uint32(len(b.Groups))
	b.Groups = append(b.Groups, string(name))
	b.groups[b.Groups[g]] = g
	return g
}

// Reset empties the body and keeps its memory and Sources.
func (b *Body) Reset() {
	b.Uncertain = false
	b.Bytes = b.Bytes[:0]
	b.Items = b.Items[:0]
	clear(b.Groups)
	b.Groups = b.Groups[:0]
	clear(b.groups)
}

// Item returns the bytes of item i, which share the body's memory.
func (b *Body) Item(i int) []byte {
	start := uint32(0)
	if i > 0 {
		start = b.Items[i-1].End
	}
	return b.Bytes[start:b.Items[i].End]
}
