package mapping

import (
	"bytes"
	"hash/maphash"
	"strconv"
)

// paths are the fields of a document: a tree of the parts of their names.
type paths struct {
	all     []path
	names   []byte
	buckets [512]int32 // by hash, the first of a chain; 0 is none
	seed    maphash.Seed
}

// root is the path of the document itself.
const root = 0

// A path is a field, or an object with fields, or both where a document is at odds with itself.
type path struct {
	parent int32
	next   int32 // of the chain
	from   int32 // its name, in names
	to     int32

	kinds  kinds
	values int // leaves, as far as 2

	object int32 // the last object that has it as a member
	twinOf int32 // the path that it is another name of, for the second of two equal names; or 0
	alias  int32 // the path that its values have instead, where it is an object as well; or 0

	as                   form
	isRest               bool
	objectFits, leafFits bool
}

// A form is how the values of a path are written.
type form uint8

const (
	asIs form = iota
	asText
	asFraction
)

func (t *paths) reset() {
	t.all = append(t.all[:0], path{kinds: object})
	t.names = t.names[:0]
	t.buckets = [len(t.buckets)]int32{}
}

func (t *paths) name(p int32) []byte { return t.names[t.all[p].from:t.all[p].to] }

func (t *paths) bucket(parent int32, name []byte) *int32 {
	h := maphash.Bytes(t.seed, name) + uint64(parent)*0x9e3779b97f4a7c15
	return &t.buckets[(h>>32^h)%uint64(len(t.buckets))]
}

// find returns the path of a name below another, or 0.
func (t *paths) find(parent int32, name []byte) int32 {
	for p := *t.bucket(parent, name); p != 0; p = t.all[p].next {
		if t.all[p].parent == parent && bytes.Equal(t.name(p), name) {
			return p
		}
	}
	return 0
}

// add adds a path that is not there.
func (t *paths) add(parent int32, name []byte) int32 {
	bucket := t.bucket(parent, name)
	from := int32(len(t.names))
	t.names = append(t.names, name...)
	t.all = append(t.all, path{parent: parent, next: *bucket, from: from, to: int32(len(t.names))})
	*bucket = int32(len(t.all) - 1)
	return *bucket
}

// below returns the path of a name with dots below another. It adds what is missing while there is
// room, and then returns 0.
func (t *paths) below(parent int32, name []byte) int32 {
	for {
		part, rest, dotted := bytes.Cut(name, []byte("."))
		p := t.find(parent, part)
		if p == 0 {
			if len(t.all) >= maxPaths {
				return 0
			}
			p = t.add(parent, part)
		}
		if !dotted {
			return p
		}
		t.all[p].kinds |= object
		parent, name = p, rest
	}
}

// twin returns the path for a second member of the same name in an object.
func (t *paths) twin(p, objectID int32) int32 {
	name := t.name(p)
	for k := 2; ; k++ {
		other := strconv.AppendInt(append(bytes.Clone(name), '_'), int64(k), 10)
		c := t.find(t.all[p].parent, other)
		if c == 0 {
			c = t.add(t.all[p].parent, other)
			t.all[c].twinOf = p
		}
		if t.all[c].twinOf == p && t.all[c].object != objectID {
			return c
		}
	}
}

// addAlias gives the values of a path that is an object as well another one.
func (t *paths) addAlias(p int32) {
	name := bytes.Clone(t.name(p))
	for {
		name = append(name, suffix...)
		if t.find(t.all[p].parent, name) == 0 {
			alias := t.add(t.all[p].parent, name)
			t.all[p].alias = alias
			return
		}
	}
}

// rest returns the path for what an object has beyond what fits.
func (t *paths) rest(p int32) int32 {
	name := []byte(otherFields)
	for {
		c := t.find(p, name)
		if c == 0 {
			c = t.add(p, name)
			t.all[c].isRest = true
		}
		if t.all[c].isRest {
			return c
		}
		name = append(name, suffix...)
	}
}
