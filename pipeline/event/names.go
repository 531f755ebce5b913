package event

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// names is what one shape of document already has in it when a record's own fields are written.
// Elasticsearch rejects two equal keys in one object, and a text "service" beside a
// "service.version"; so a field that would clash is written under another name.
type names struct {
	labels []byte   // the source's labels as JSON members, each after a comma
	core   *nameSet // scalars that every document may have
	taken  nameSet  // the labels' names, and those of the objects they are in
	dotted []string // the labels' names: a field below one of them clashes
	ecs    bool     // the rules of the Elastic Common Schema hold

	resource []byte // what the records are from, for OpenTelemetry
}

var coreNames = newNameSet("timestamp", "@timestamp", "level", "message", "service", "trace_id", "span_id",
	"truncated", "time_rejected")

// plainNames are those of the default schema without labels.
var plainNames = names{core: &coreNames}

// defaultNames prepares the labels of a source for the default shape, in
// which they stand under their own names.
func defaultNames(labels []Label) names {
	n := names{core: &coreNames}
	for _, l := range labels {
		if l.Name == LabelService {
			continue
		}
		n.addLabel(defaultLabelName(l.Name, labels), l.Value)
	}
	return n
}

// defaultLabelName returns the name itself, or another where a user's own label
// would clash with the core or be the parent of another label.
func defaultLabelName(name string, labels []Label) string {
	head, _, dotted := strings.Cut(name, ".")
	switch {
	case coreNames.has([]byte(name)):
		return name + "_label"
	case dotted && coreNames.has([]byte(head)), oddDots([]byte(name)):
		return strings.ReplaceAll(name, ".", "_")
	}
	for _, other := range labels {
		if strings.HasPrefix(other.Name, name+".") {
			return name + "_label"
		}
	}
	return name
}

// addLabel appends a label. Of two that come to have the same name, the first stays.
func (n *names) addLabel(name, value string) {
	if slices.Contains(n.dotted, name) {
		return
	}
	n.labels = append(n.labels, ',')
	n.labels = AppendString(n.labels, name)
	n.labels = append(n.labels, ':')
	n.labels = AppendString(n.labels, value)
	n.dotted = append(n.dotted, name)
	n.taken.add(name)
	if n.ecs {
		return // an object may stand beside its own dotted parts, and fitECS knows the rest
	}
	for i := range len(name) {
		if name[i] == '.' {
			n.taken.add(name[:i])
		}
	}
}

// plainNameLength bounds the keys of the kind Name.
const plainNameLength = 256

// NameKind returns the kind of a key of Plain text. It is Name for most, and spares those
// who write the record a look at it.
func NameKind(key []byte) Kind {
	if len(key) == 0 || len(key) > plainNameLength || key[0] <= ' ' || key[0] >= utf8.RuneSelf || key[0] == '_' ||
		coreNames.has(key) || bytes.IndexByte(key, '.') >= 0 {
		return Plain
	}
	return Name
}

// fit reports whether a field may be written under its own name. It is quick for
// the names that clash with nothing: most do not.
func (n *names) fit(kind Kind, key []byte, value Kind) bool {
	if kind == Name && !n.ecs {
		return !n.taken.has(key)
	}
	if len(key) == 0 || kind == Escaped || n.core.has(key) || n.taken.has(key) {
		return false
	}
	dot := bytes.IndexByte(key, '.')
	if n.ecs && !fitECS(key, dot, value) {
		return false
	}
	return dot < 0 || n.fitDotted(key, dot, value)
}

func (n *names) fitDotted(key []byte, dot int, value Kind) bool {
	if oddDots(key) || n.core.has(key[:dot]) {
		return false
	}
	for _, name := range n.dotted {
		if len(key) > len(name) && key[len(name)] == '.' && string(key[:len(name)]) == name {
			return false
		}
		if n.ecs && value != Object && len(name) > len(key) && name[len(key)] == '.' && name[:len(key)] == string(key) {
			return false
		}
	}
	return true
}

// oddDots reports whether a name's dots have nothing before, between or behind
// them, which Elasticsearch takes for a path with a nameless part.
func oddDots(name []byte) bool {
	return len(name) > 0 && (name[0] == '.' || name[len(name)-1] == '.') || bytes.Contains(name, []byte(".."))
}

// maxTwins bounds how many fields a name is compared with, so that a line of
// nothing but names costs no more than its length.
const maxTwins = 512

// appendRenamed writes the inside of the key of field k of fields, renamed where it would clash:
// "level" to "level_original", "service.version" to "service_version", the second "a" to "a_2".
func appendRenamed(dst []byte, b *Batch, fields []Field, k int, n *names) []byte {
	var room [128]byte
	name := b.AppendText(room[:0], fields[k].Key)
	before := fields[max(0, k-maxTwins):k]
	twins := countKey(b, before, name)
	renamed := twins > 0
	if !n.fit(Text, name, fields[k].Value.Kind) {
		name, renamed = n.rename(name), true
		twins = n.countRenamed(b, before, name)
	}
	if twins > 0 {
		name = append(name, '_')
		name = strconv.AppendInt(name, int64(twins)+1, 10)
	}
	if !renamed {
		return appendInside(dst, b.Bytes(fields[k].Key.Span), fields[k].Key.Kind)
	}
	around := fields[max(0, k-maxTwins):min(len(fields), k+maxTwins)]
	for countKey(b, around, name) > 0 || n.core.has(name) || n.taken.has(name) {
		name = append(name, "_original"...)
	}
	return appendEscaped(dst, name)
}

// rename returns another name, in the same memory if there is room.
func (n *names) rename(name []byte) []byte {
	if len(name) == 0 {
		return append(name, '_')
	}
	if n.ecs {
		return renameECS(name)
	}
	dot := bytes.IndexByte(name, '.')
	if dot < 0 || !oddDots(name) && !n.core.has(name[:dot]) && n.taken.has(name) {
		return append(name, "_original"...)
	}
	return flatten(name)
}

// flatten turns dots to underscores, in place.
func flatten(name []byte) []byte {
	for i, c := range name {
		if c == '.' {
			name[i] = '_'
		}
	}
	return name
}

// countKey counts the fields of this name. Keys with escapes are compared as
// the text they stand for.
func countKey(b *Batch, fields []Field, name []byte) int {
	count := 0
	for _, f := range fields {
		key := b.Bytes(f.Key.Span)
		if f.Key.Kind == Escaped {
			var room [128]byte
			key = AppendUnescaped(room[:0], key)
		}
		if string(key) == string(name) {
			count++
		}
	}
	return count
}

// countRenamed counts the fields that are renamed to this name: "service.a.b" and "service.a_b" to
// the same.
func (n *names) countRenamed(b *Batch, fields []Field, name []byte) int {
	count := 0
	for _, f := range fields {
		var room [128]byte
		key := b.AppendText(room[:0], f.Key)
		if !n.fit(Text, key, f.Value.Kind) && string(n.rename(key)) == string(name) {
			count++
		}
	}
	return count
}

// keyBit spreads keys over the bits of a word: two keys with different bits are different.
func keyBit(key []byte) uint64 {
	if len(key) == 0 {
		return 1
	}
	h := uint(len(key))*7 + uint(key[0])*3 + uint(key[len(key)-1])*5 + uint(key[len(key)/2])*11
	return 1 << (h & 63)
}

// nameSet answers quickly that a name is not in it: most are not.
type nameSet struct {
	mask  uint64
	names []string
}

func newNameSet(names ...string) nameSet {
	var s nameSet
	for _, n := range names {
		s.add(n)
	}
	return s
}

func (s *nameSet) add(name string) {
	if name == "" || s.has([]byte(name)) {
		return
	}
	s.mask |= nameBit(len(name), name[0])
	s.names = append(s.names, name)
}

func (s *nameSet) has(name []byte) bool {
	if len(name) == 0 || s.mask&nameBit(len(name), name[0]) == 0 {
		return false
	}
	for _, n := range s.names {
		if n == string(name) {
			return true
		}
	}
	return false
}

func nameBit(length int, first byte) uint64 {
	return 1 << ((uint(length)*7 + uint(first)) & 63)
}
