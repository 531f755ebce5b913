package pipeline

import "github.com/longshore/longshore/pipeline/event"

// A Body is one request in the making: the encoded records, one after the
// other, and for each of them where it ends, which group it belongs to and
// which position of which source it is. So a body can be split, bisected or
// thinned out without encoding again. What frames the records (a
// stream's labels, compression) is added by the output's Send.
type Body struct {
	Bytes []byte
	Items []Item
	Runs  []Run
	// Uncertain says that the destination may hold some of the records already.
	Uncertain bool
	// Groups are the names that Item.Group indexes: for Loki, label sets.
	Groups []string

	groups map[string]uint32
}

// An Item is one record of a body.
type Item struct {
	Pos   uint64
	End   uint32 // of its bytes in Body.Bytes
	Group uint32
}

// A Run is a stretch of one source that a stretch of the body's items stands
// for: when those items are done, so is the source, from From up to To. A run may have
// no items.
type Run struct {
	Source   *event.Source
	Track    Track
	First    int // index of its first item; it ends where the next run starts
	From, To uint64
}

// A Track takes note of what one output has done of one source.
type Track interface {
	// Done notes that every record at a position in [from, to) is delivered,
	// refused or dropped. It may be called in any order, from any goroutine.
	Done(from, to uint64)
	// Skip says that the record at a position was done in an earlier run, and
	// is not to be sent again. Costs next to nothing where none was.
	Skip(pos uint64) bool
	// Uncertain says that the record at a position, if it was not done, may have
	// been sent in an earlier run. Costs next to nothing where none was.
	Uncertain(pos uint64) bool
	// Reserve returns once it is on disk that records below a position may have
	// been sent. None is sent before.
	Reserve(to uint64) error
}

// Group gives the index of a group by its name, adding it if it is new. The
// name is copied.
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

// Reset empties the body and keeps its memory.
func (b *Body) Reset() {
	b.Uncertain = false
	b.Bytes = b.Bytes[:0]
	b.Items = b.Items[:0]
	clear(b.Runs)
	b.Runs = b.Runs[:0]
	clear(b.Groups)
	b.Groups = b.Groups[:0]
	clear(b.groups)
}

// Item gives the bytes of item i; they are the body's.
func (b *Body) Item(i int) []byte {
	start := uint32(0)
	if i > 0 {
		start = b.Items[i-1].End
	}
	return b.Bytes[start:b.Items[i].End]
}
