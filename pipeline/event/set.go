package event

// Settable reports whether Set takes a name.
func Settable(name string) bool {
	switch name {
	case "", "timestamp", "trace_id", "span_id":
		return false
	}
	return true
}

// Set returns record i a value under a name: its message, its service, its level (which
// must be the name of one, or stays), or a field, in the place of one that is there.
// The value's bytes are in the arena, and so is the name, a Plain or Text.
func (b *Batch) Set(i int, key, v Value) {
	r := &b.Records[i]
	name := string(b.Bytes(key.Span))
	switch name {
	case "message":
		r.Message = b.asString(v)
		return
	case LabelService:
		r.Service = b.asString(v)
		return
	case "level":
		if l := LevelNamed(string(b.AppendText(nil, v))); l != NoLevel {
			r.Level = l
		}
		return
	}
	if k := b.FieldNamed(i, name); k >= 0 {
		b.SetField(i, k, Field{key, v})
		return
	}
	b.AddField(i, key, v)
}

func (b *Batch) asString(v Value) Value {
	if !v.Kind.IsString() && v.Kind != None {
		v.Kind = Text
	}
	return v
}

// Take takes from record i what it has under a name, as Set puts it there, and gives
// it; it is absent where there is nothing. A message is given and stays.
func (b *Batch) Take(i int, name string) Value {
	r := &b.Records[i]
	switch name {
	case "message":
		return b.MessageOf(i)
	case LabelService:
		v := r.Service
		r.Service = Value{}
		return v
	case "level":
		if r.Level == NoLevel {
			return Value{}
		}
		v := Value{b.PutString(r.Level.String()), Plain}
		r.Level = NoLevel
		return v
	}
	k := b.FieldNamed(i, name)
	if k < 0 {
		return Value{}
	}
	v := b.Fields(i)[k].Value
	b.RemoveField(i, k)
	return v
}
