package event

import "strings"

// coreNames are the names every record is written with. A line's own field of
// such a name that a parser did not take for the core is renamed: two equal
// keys in one object, or "service" beside "service.version", are refused by
// Elasticsearch.
var coreNames = newNameSet("timestamp", "@timestamp", "level", "message", "service", "trace_id", "span_id", "truncated")

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

// namesTaken gives the labels' names and the first parts of dotted ones: a
// line's own "host" cannot stand beside the label "host.name".
func namesTaken(labels []Label) nameSet {
	var s nameSet
	for _, l := range labels {
		s.add(l.Name)
		if head, _, dotted := strings.Cut(l.Name, "."); dotted {
			s.add(head)
		}
	}
	return s
}

// appendKey writes the inside of a field's JSON key, renamed where it would
// clash: "level" to "level_original", "service.version" to "service_version".
func appendKey(dst []byte, key []byte, kind Kind, taken *nameSet) []byte {
	dot := firstDot(key)
	if dot < 0 {
		dst = appendInside(dst, key, kind)
		if coreNames.has(key) || taken.has(key) {
			dst = append(dst, "_original"...)
		}
		return dst
	}
	if coreNames.has(key[:dot]) {
		dst = append(dst, key[:dot]...)
		dst = append(dst, '_')
		return appendInside(dst, key[dot+1:], kind)
	}
	dst = appendInside(dst, key, kind)
	if taken.has(key) {
		dst = append(dst, "_original"...)
	}
	return dst
}

func firstDot(key []byte) int {
	for i, c := range key {
		if c == '.' {
			return i
		}
	}
	return -1
}
