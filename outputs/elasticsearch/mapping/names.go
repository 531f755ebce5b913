package mapping

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// isMetadata reports whether a name at the top is the server's own, in any of its versions: it
// takes none of them in a document. Elasticsearch 7.17 to 9 and OpenSearch 3, with their plugins.
func isMetadata(name []byte) bool {
	switch string(name) {
	case "_id", "_index", "_type", "_uid", "_source", "_routing", "_parent", "_version", "_seq_no", "_primary_term",
		"_ignored", "_ignored_source", "_field_names", "_doc_count", "_nested_path", "_tier", "_tsid",
		"_ts_routing_hash", "_data_stream_timestamp", "_recovery_source", "_inference_fields", "_size", "_all",
		"_timestamp", "_ttl", "_feature", "_none_":
		return true
	}
	return false
}

// clean makes of a name one that can be mapped, in the memory of the name or in a new one. Depth is
// how many parts the path has before it; at 0 it stands at the top. Foreign is of Fitter.
func clean(name []byte, depth int, foreign bool) (cleaned []byte, parts int, changed bool) {
	if len(name) > maxName {
		name, changed = cut(name, maxName), true
	}
	parts = 1 + bytes.Count(name, []byte("."))
	switch {
	case hasBlankPart(name):
		name, parts, changed = flatten(name), 1, true
		if isBlank(name) {
			name = []byte("_")
		}
	case depth+parts > maxParts:
		name, parts, changed = flatten(name), 1, true
	}
	if depth > 0 || name[0] != '_' && !foreign {
		return name, parts, changed
	}
	head, _, dotted := bytes.Cut(name, []byte("."))
	switch {
	case !isMetadata(head) && !(foreign && string(head) == dataStream):
		return name, parts, changed
	case dotted:
		return flatten(name), 1, true
	}
	return append(name[:len(name):len(name)], suffix...), 1, true
}

// suffix is put behind a name that must be another.
const suffix = "_original"

// cut returns the beginning of a name, of so many bytes at most.
func cut(name []byte, size int) []byte {
	for size > 0 && !utf8.RuneStart(name[size]) {
		size--
	}
	return name[:size]
}

func flatten(name []byte) []byte { return bytes.ReplaceAll(name, []byte("."), []byte("_")) }

func hasBlankPart(name []byte) bool {
	for {
		part, rest, dotted := bytes.Cut(name, []byte("."))
		if isBlank(part) {
			return true
		}
		if !dotted {
			return false
		}
		name = rest
	}
}

func isBlank(part []byte) bool {
	if len(part) > 0 && part[0] > ' ' && part[0] < utf8.RuneSelf {
		return false
	}
	for len(part) > 0 {
		r, size := utf8.DecodeRune(part)
		if r > ' ' && !unicode.IsSpace(r) {
			return false
		}
		part = part[size:]
	}
	return true
}

// dataStream is the object in which a document may name its data stream.
const dataStream = "data_stream"

// namesOtherStream reports whether a document says that it is of another data stream than the
// index. Elasticsearch's own template for logs-*-* maps these fields as constants and rejects it.
func namesOtherStream(doc, index []byte) bool {
	rest, ours := bytes.CutPrefix(index, []byte("logs-"))
	dataset, namespace, complete := bytes.Cut(rest, []byte("-"))
	if !ours || !complete {
		return false
	}
	differs := func(name, value []byte) bool {
		switch string(name) {
		case "type":
			return string(value) != `"logs"`
		case "dataset":
			return !isString(value, dataset)
		case "namespace":
			return !isString(value, namespace)
		}
		return false
	}
	for m, ok := nextMember(doc, 1); ok; m, ok = nextMember(doc, m.end) {
		below, within := bytes.CutPrefix(m.key, []byte(dataStream+"."))
		value := doc[m.start:m.end]
		switch {
		case within && differs(below, value), string(m.key) == dataStream && value[0] != '{':
			return true
		case string(m.key) != dataStream:
			continue
		}
		for inner, ok := nextMember(value, 1); ok; inner, ok = nextMember(value, inner.end) {
			if differs(inner.key, value[inner.start:inner.end]) {
				return true
			}
		}
	}
	return false
}

func isString(value, text []byte) bool {
	return len(value) == len(text)+2 && value[0] == '"' && bytes.Equal(value[1:len(value)-1], text)
}
