package event

// A Batch is a run of records from one source, in the order of their
// positions. The input that fills it owns it until it is sent; then one worker
// owns it until it is parsed; from then on it is read-only.
type Batch struct {
	Source *Source

	// Carrier is the source that the batch was read from, where its records are of another: what
	// passes on the records of many has their labels and identity in Source, and its own positions.
	// From, To, Cursor and Record.Pos are the carrier's. nil where Source is that itself.
	Carrier *Source

	// From and To bound the positions this batch stands for: [From, To). When all its records are
	// done, the source is done up to To, so what lies between records (line ends, empty lines, what
	// a rule left out) is covered too. The batches of a source follow each other without a gap.
	From, To uint64

	// EndedByTimeout says that time, and not the source, ended the last record: a line
	// without its line end was waited for long enough. It is stored before the
	// batch is sent, so that the record ends at To again when it is read once more.
	EndedByTimeout bool

	// MorePending says that the input has more at hand and sends it next, of this source or of
	// others: what is not full by now need not leave yet.
	MorePending bool

	// TimesUnique says that the records' times are unique within Source already, and stay as they
	// are.
	TimesUnique bool

	// Cursor is the input's own note of where reading goes on at To. It is
	// handed back to the input after a restart.
	Cursor []byte

	// Arena holds the bytes that all spans point into. It may move when it grows; spans stay right.
	Arena []byte

	Records []Record

	fields    []Field
	positions []uint64 // of the first records within Source, where Carrier has others
}

// Reset empties the batch for a new source and keeps its memory.
func (b *Batch) Reset(src *Source) {
	b.Source, b.From, b.To, b.EndedByTimeout, b.MorePending = src, 0, 0, false, false
	b.Carrier, b.TimesUnique = nil, false
	b.Cursor = b.Cursor[:0]
	b.Arena = b.Arena[:0]
	b.Records = b.Records[:0]
	b.fields = b.fields[:0]
	b.positions = b.positions[:0]
}

// CarriedBy returns the source that the batch's positions are of.
func (b *Batch) CarriedBy() *Source {
	if b.Carrier != nil {
		return b.Carrier
	}
	return b.Source
}

// SetPosition says where the last record that was added is in Source, where that is not what its
// Carrier's position says. It is for all records of a batch, or for none.
func (b *Batch) SetPosition(pos uint64) { b.positions = append(b.positions, pos) }

// IdentityOf returns what record i is known by wherever it goes: the source that it was first read
// from, and its position there.
func (b *Batch) IdentityOf(i int) (source SourceID, pos uint64) {
	switch {
	case i < len(b.positions):
		return b.Source.ID, b.positions[i]
	case b.Carrier != nil:
		return b.Carrier.ID, b.Records[i].Pos
	}
	return b.Source.ID, b.Records[i].Pos
}

// Keep drops all records but those from index from on up to index to.
func (b *Batch) Keep(from, to int) {
	b.Records = b.Records[:copy(b.Records, b.Records[from:to])]
	if len(b.positions) > 0 {
		b.positions = b.positions[:copy(b.positions, b.positions[from:to])]
	}
}

// Bytes returns a span's bytes. They are valid until the batch is reset or its arena grows.
func (b *Batch) Bytes(s Span) []byte { return b.Arena[s.Off : s.Off+s.Len : s.Off+s.Len] }

// Line returns the raw line of record i, as Bytes does.
func (b *Batch) Line(i int) []byte { return b.Bytes(b.Records[i].Line) }

// Put copies bytes to the arena and returns their span.
func (b *Batch) Put(p []byte) Span {
	s := Span{uint32(len(b.Arena)), uint32(len(p))}
	b.Arena = append(b.Arena, p...)
	return s
}

// PutString is Put for a string.
func (b *Batch) PutString(p string) Span {
	s := Span{uint32(len(b.Arena)), uint32(len(p))}
	b.Arena = append(b.Arena, p...)
	return s
}

// Add appends a record whose line is the given span of the arena.
func (b *Batch) Add(pos uint64, time int64, line Span) *Record {
	b.Records = append(b.Records, Record{Pos: pos, Time: time, Line: line})
	return &b.Records[len(b.Records)-1]
}

// Fields returns the fields of record i that are no part of its core, in the
// order of the line. The slice is valid until a field is added.
func (b *Batch) Fields(i int) []Field {
	r := &b.Records[i]
	return b.fields[r.first : r.first+r.count : r.first+r.count]
}

// AddField appends a field to record i. Cheapest when records are filled one
// after the other: only a record that others followed has its run moved.
func (b *Batch) AddField(i int, key, value Value) {
	r := &b.Records[i]
	if end := r.first + r.count; r.count == 0 || int(end) != len(b.fields) {
		run := b.fields[r.first:end]
		r.first = uint32(len(b.fields))
		b.fields = append(b.fields, run...)
	}
	b.fields = append(b.fields, Field{key, value})
	r.count++
}

// SetField replaces field k of record i.
func (b *Batch) SetField(i, k int, f Field) {
	b.fields[int(b.Records[i].first)+k] = f
}

// RemoveField takes field k out of record i; those behind it move up.
func (b *Batch) RemoveField(i, k int) {
	r := &b.Records[i]
	run := b.fields[r.first : r.first+r.count]
	copy(run[k:], run[k+1:])
	r.count--
}

// ClearFields takes all fields from record i.
func (b *Batch) ClearFields(i int) { b.Records[i].count = 0 }

// MessageOf returns record i's message: what a parser found, or its whole line.
func (b *Batch) MessageOf(i int) Value {
	r := &b.Records[i]
	if r.Message.Kind != None {
		return r.Message
	}
	return Value{r.Line, Text}
}

// CopyFrom makes the batch a copy of another as it came from its input.
func (b *Batch) CopyFrom(o *Batch) {
	b.Source, b.From, b.To, b.EndedByTimeout, b.MorePending = o.Source, o.From, o.To, o.EndedByTimeout, o.MorePending
	b.Carrier, b.TimesUnique = o.Carrier, o.TimesUnique
	b.Cursor = append(b.Cursor[:0], o.Cursor...)
	b.Arena = append(b.Arena[:0], o.Arena...)
	b.Records = append(b.Records[:0], o.Records...)
	b.fields = append(b.fields[:0], o.fields...)
	b.positions = append(b.positions[:0], o.positions...)
}
