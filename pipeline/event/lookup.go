package event

import (
	"bytes"
	"strings"
)

// FieldNamed returns the index of record i's field of this name, or -1.
func (b *Batch) FieldNamed(i int, name string) int {
	for k, f := range b.Fields(i) {
		if b.named(f.Key, name) {
			return k
		}
	}
	return -1
}

func (b *Batch) named(key Value, name string) bool {
	p := b.Bytes(key.Span)
	if key.Kind != Escaped {
		return string(p) == name
	}
	var room [64]byte
	return string(AppendUnescaped(room[:0], p)) == name
}

// Lookup returns what record i has as a field: the one of this name or, where the name has dots,
// what is at that path within a field that is an object. It is absent where there is none.
func (b *Batch) Lookup(i int, name string) Value {
	if k := b.FieldNamed(i, name); k >= 0 {
		return b.Fields(i)[k].Value
	}
	for at := strings.IndexByte(name, '.'); at > 0; {
		if k := b.FieldNamed(i, name[:at]); k >= 0 {
			if v := b.within(b.Fields(i)[k].Value, name[at+1:]); v.Kind != None {
				return v
			}
		}
		next := strings.IndexByte(name[at+1:], '.')
		if next < 0 {
			break
		}
		at += 1 + next
	}
	return Value{}
}

// within returns what is at a path in an object.
func (b *Batch) within(v Value, path string) Value {
	for v.Kind == Object {
		if inner := b.member(v, path); inner.Kind != None {
			return inner
		}
		head, rest, dotted := strings.Cut(path, ".")
		if !dotted {
			break
		}
		v, path = b.member(v, head), rest
	}
	return Value{}
}

// member returns a member of an object, which is valid JSON. Names that are written with
// escapes are not found.
func (b *Batch) member(v Value, name string) Value {
	p := b.Bytes(v.Span)
	depth := 0
	for at := 0; at < len(p); at++ {
		switch p[at] {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case '"':
			end := StringEnd(p, at+1)
			value := SkipBlanks(p, end+1)
			if depth == 1 && value < len(p) && p[value] == ':' && string(p[at+1:end]) == name {
				return valueAt(p, SkipBlanks(p, value+1), v.Off)
			}
			at = end
		}
	}
	return Value{}
}

// ValueAt returns the kind of the value of valid JSON that begins at an index, and where it ends; a
// string's quotes are part of it.
func ValueAt(p []byte, at int) (kind Kind, end int) {
	v := valueAt(p, at, 0)
	end = int(v.Off + v.Len)
	if v.Kind.IsString() {
		end = min(end+1, len(p))
	}
	return v.Kind, end
}

// valueAt returns the value that begins at an index of a JSON text that stands at off in the arena.
func valueAt(p []byte, at int, off uint32) Value {
	if at >= len(p) {
		return Value{}
	}
	end, kind := at, Number
	switch p[at] {
	case '"':
		end = StringEnd(p, at+1)
		kind = Plain
		if bytes.IndexByte(p[at+1:end], '\\') >= 0 {
			kind = Escaped
		}
		return Value{Span{off + uint32(at) + 1, uint32(end - at - 1)}, kind}
	case '{', '[':
		kind = Object
		if p[at] == '[' {
			kind = Array
		}
		return Value{Span{off + uint32(at), uint32(NestedEnd(p, at) - at)}, kind}
	case 't', 'f':
		kind = Bool
	case 'n':
		kind = Null
	}
	for end < len(p) && strings.IndexByte(",]} \t\r\n", p[end]) < 0 {
		end++
	}
	return Value{Span{off + uint32(at), uint32(end - at)}, kind}
}
