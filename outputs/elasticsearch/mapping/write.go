package mapping

import "github.com/longshore/longshore/pipeline/event"

// appendObject appends the object that starts at an index, as it can be mapped.
func (f *Fitter) appendObject(dst []byte, start int, at int32, depth, arrays int) []byte {
	dst = append(dst, '{')
	id := f.newObject()
	first, complete := true, true
	for m, ok := nextMember(f.doc, start+1); ok; m, ok = nextMember(f.doc, m.end) {
		p, parts := f.resolve(m.key, at, depth, id)
		if !f.fits(m.start, p, depth+parts, arrays) {
			complete = false
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = f.appendName(dst, m, p, at, depth+parts, arrays)
		dst = append(dst, ':')
		dst = f.appendValue(dst, m.start, m.end, p, depth+parts, arrays, false)
	}
	if !complete {
		if !first {
			dst = append(dst, ',')
		}
		dst = f.appendRest(dst, start, at, depth, arrays)
	}
	return append(dst, '}')
}

// appendName appends the name of a member: the parts of its path below the object that it is in.
func (f *Fitter) appendName(dst []byte, m member, p, at int32, depth, arrays int) []byte {
	if alias := f.paths.all[p].alias; alias != 0 {
		if _, leaves := f.holds(m.start, depth, arrays); leaves {
			p = alias
		}
	}
	f.name = f.appendParts(f.name[:0], p, at)
	return event.AppendString(dst, string(f.name))
}

func (f *Fitter) appendParts(dst []byte, p, at int32) []byte {
	if parent := f.paths.all[p].parent; parent != at {
		dst = append(f.appendParts(dst, parent, at), '.')
	}
	return append(dst, f.paths.name(p)...)
}

func (f *Fitter) appendValue(dst []byte, start, end int, p int32, depth, arrays int, mixed bool) []byte {
	value := f.doc[start:end]
	switch c := value[0]; {
	case c == '{' && !mixed && room(depth):
		return f.appendObject(dst, start, p, depth, arrays)
	case c == '[' && arrays < maxArrays:
		if !mixed {
			objects, values := f.contents(start, arrays+1)
			mixed = objects && values
		}
		return f.appendArray(dst, start, p, depth, arrays, mixed)
	case c == '{' || c == '[':
		return event.AppendString(dst, string(value))
	}
	return f.appendScalar(dst, value, f.paths.all[p].as)
}

func (f *Fitter) appendArray(dst []byte, start int, p int32, depth, arrays int, mixed bool) []byte {
	dst = append(dst, '[')
	first := true
	for m, ok := nextElement(f.doc, start+1); ok; m, ok = nextElement(f.doc, m.end) {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = f.appendValue(dst, m.start, m.end, p, depth, arrays+1, mixed)
	}
	return append(dst, ']')
}

func (f *Fitter) appendScalar(dst, value []byte, as form) []byte {
	kind := f.kindOf(value)
	switch {
	case kind == nothing, kind == text && value[0] == '"':
		return append(dst, value...)
	case kind == text:
		return event.AppendString(dst, string(value)) // a number that no type holds
	case as == asText && kind&dates == 0:
		return append(append(append(dst, '"'), value...), '"')
	case as == asText:
		return event.AppendString(dst, string(value))
	case as == asFraction && kind == integer:
		return append(append(dst, value...), ".0"...)
	}
	return append(dst, value...)
}

// appendRest appends what does not fit of an object, as one text.
func (f *Fitter) appendRest(dst []byte, start int, at int32, depth, arrays int) []byte {
	rest := []byte{'{'}
	id := f.newObject()
	for m, ok := nextMember(f.doc, start+1); ok; m, ok = nextMember(f.doc, m.end) {
		p, parts := f.resolve(m.key, at, depth, id)
		if f.fits(m.start, p, depth+parts, arrays) {
			continue
		}
		if len(rest) > 1 {
			rest = append(rest, ',')
		}
		rest = append(append(append(rest, '"'), m.key...), '"', ':')
		rest = append(rest, f.doc[m.start:m.end]...)
	}
	rest = append(rest, '}')
	name := f.paths.name(f.paths.rest(at))
	dst = append(event.AppendString(dst, string(name)), ':')
	return event.AppendString(dst, string(rest))
}
