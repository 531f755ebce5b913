package mapping

import (
	"bytes"
	"hash/maphash"

	"github.com/longshore/longshore/pipeline/event"
)

// A Fitter fits documents, one at a time. Its memory is used again.
type Fitter struct {
	dates bool
	// foreign is set for a document that names another data stream than the one it is for.
	foreign bool

	doc       []byte
	paths     paths
	objects   int32 // a number for each object that was gone over
	changed   bool  // something is to be written otherwise
	crowded   bool  // there are more paths than fit
	used      int   // of maxFields
	admitted  []int32
	name      []byte
	unescaped []byte
	out       []byte
}

// New returns a Fitter. Dates says that the index may detect dates in texts.
func New(dates bool) *Fitter {
	return &Fitter{dates: dates, paths: paths{seed: maphash.MakeSeed()}}
}

// Fits reports whether an empty index takes a document, which must be a JSON object, as it is.
func (f *Fitter) Fits(doc []byte) bool {
	f.foreign = false
	return f.fitsAsIs(doc)
}

func (f *Fitter) fitsAsIs(doc []byte) bool {
	f.scan(doc)
	return !f.changed && !f.crowded
}

// Fit makes of the document at the end of dst, from an offset on, one that an index of this name
// takes while it is empty.
func (f *Fitter) Fit(dst []byte, from int, index []byte) []byte {
	f.foreign = namesOtherStream(dst[from:], index)
	if f.fitsAsIs(dst[from:]) {
		return dst
	}
	if f.crowded {
		f.used = 2 // for the rest of the document itself
		f.admitObject(0, root, 0, 0)
	}
	f.out = f.appendObject(f.out[:0], 0, root, 0, 0)
	f.doc = nil
	dst = append(dst[:from], f.out...)
	if len(f.out) > keptMemory || len(f.paths.names) > keptMemory {
		*f = *New(f.dates) // one large document is no reason to keep as much for good
	}
	return dst
}

const keptMemory = 256 << 10

// scan goes over a document and finds out what is at odds in it.
func (f *Fitter) scan(doc []byte) {
	f.doc, f.changed, f.crowded, f.objects = doc, false, false, 0
	f.paths.reset()
	f.scanObject(0, root, 0, 0)
	fields := 0
	for p := 1; p < len(f.paths.all); p++ {
		fields += f.decide(int32(p))
	}
	f.crowded = f.crowded || fields > maxFields
}

// decide decides how the values of a path are written, and returns how many fields it is.
func (f *Fitter) decide(p int32) int {
	t := &f.paths.all[p]
	leaf := t.kinds &^ object
	switch {
	case leaf == integer|fraction:
		t.as = asFraction
	case leaf&(leaf-1) != 0, leaf == badDate, leaf == oddDate && t.values > 1:
		t.as = asText
	}
	f.changed = f.changed || t.as != asIs
	fields := leafFields(t)
	if t.kinds&object == 0 {
		return fields
	}
	if leaf != 0 {
		f.changed = true
		f.paths.addAlias(p)
	}
	return fields + 1
}

// leafFields returns how many fields the values of a path are: a text is a keyword as well.
func leafFields(t *path) int {
	switch leaf := t.kinds &^ object; {
	case leaf == 0:
		return 0
	case t.as == asText || leaf == text || leaf == oddDate:
		return 2
	}
	return 1
}

// room reports whether an object may be mapped whose path has so many parts.
func room(depth int) bool { return depth < maxParts }

// resolve returns the path of a member, 0 if there are too many, and how many parts it has.
func (f *Fitter) resolve(key []byte, at int32, depth int, objectID int32) (p int32, parts int) {
	name := key
	if bytes.IndexByte(key, '\\') >= 0 {
		f.name = event.AppendUnescaped(f.name[:0], key)
		name = f.name
	}
	name, parts, changed := clean(name, depth, f.foreign)
	f.changed = f.changed || changed
	p = f.paths.below(at, name)
	if p == 0 {
		return 0, parts
	}
	if f.paths.all[p].object == objectID {
		f.changed = true
		p = f.paths.twin(p, objectID)
	}
	f.paths.all[p].object = objectID
	return p, parts
}

func (f *Fitter) newObject() int32 {
	f.objects++
	return f.objects
}

// scanObject goes over the object that starts at an index and is at a path.
func (f *Fitter) scanObject(start int, at int32, depth, arrays int) {
	id := f.newObject()
	for m, ok := nextMember(f.doc, start+1); ok; m, ok = nextMember(f.doc, m.end) {
		p, parts := f.resolve(m.key, at, depth, id)
		if p == 0 {
			f.crowded = true
			continue
		}
		f.scanValue(m.start, m.end, p, depth+parts, arrays, false)
	}
}

// scanValue goes over a value. In a mixed array objects are written as text.
func (f *Fitter) scanValue(start, end int, p int32, depth, arrays int, mixed bool) {
	switch c := f.doc[start]; {
	case c == '{' && !mixed && room(depth):
		f.paths.all[p].kinds |= object
		f.scanObject(start, p, depth, arrays)
	case c == '[' && arrays < maxArrays:
		if !mixed {
			objects, values := f.contents(start, arrays+1)
			mixed = objects && values
		}
		for m, ok := nextElement(f.doc, start+1); ok; m, ok = nextElement(f.doc, m.end) {
			f.scanValue(m.start, m.end, p, depth, arrays+1, mixed)
		}
	case c == '{' || c == '[':
		f.changed = true
		f.leaf(p, text)
	default:
		kind := f.kindOf(f.doc[start:end])
		f.changed = f.changed || kind == text && c != '"'
		f.leaf(p, kind)
	}
}

func (f *Fitter) leaf(p int32, kind kinds) {
	if kind != nothing {
		f.paths.all[p].kinds |= kind
		f.paths.all[p].values = min(f.paths.all[p].values+1, 2)
	}
}

// contents returns what an array holds, through the arrays in it.
func (f *Fitter) contents(start, arrays int) (objects, values bool) {
	for m, ok := nextElement(f.doc, start+1); ok; m, ok = nextElement(f.doc, m.end) {
		switch f.doc[m.start] {
		case '{':
			objects = true
		case 'n':
		case '[':
			if arrays >= maxArrays {
				values = true
				continue
			}
			o, v := f.contents(m.start, arrays+1)
			objects, values = objects || o, values || v
		default:
			values = true
		}
	}
	return objects, values
}

// holds returns what a member is mapped as: an object, a leaf, or, for null and the like, neither.
func (f *Fitter) holds(start int, depth, arrays int) (objects, leaves bool) {
	switch c := f.doc[start]; {
	case c == '{':
		return room(depth), !room(depth)
	case c == '[' && arrays >= maxArrays:
		return false, true
	case c == '[':
		objects, values := f.contents(start, arrays+1)
		if values || !room(depth) {
			return false, objects || values
		}
		return objects, false
	}
	return false, f.doc[start] != 'n'
}
