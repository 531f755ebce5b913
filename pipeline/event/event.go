// Package event holds what flows through Longshore: batches of records that
// point into one byte arena. It imports nothing of the project's own.
package event

import (
	"encoding/hex"
	"hash/fnv"
	"io"
	"sort"
	"sync/atomic"
)

// Span is a run of bytes in a batch's arena.
type Span struct{ Off, Len uint32 }

// Kind tells what the bytes of a Value are, and so how they are written out.
type Kind uint8

const (
	// None is the kind of a value that is not there.
	None Kind = iota
	// Text is any bytes. Writing it as JSON escapes what must be escaped and
	// replaces what is not UTF-8.
	Text
	// Plain is text in which JSON has nothing to escape, in valid UTF-8: its
	// text and the inside of its JSON string are the same bytes.
	Plain
	// Escaped is the inside of a valid JSON string, escapes and all, without its quotes.
	Escaped
	// Number, Bool, Null, Object and Array are valid JSON, copied as they are.
	Number
	Bool
	Null
	Object
	Array
	// Name is Plain text as the key of a field, if that has no dot, means nothing in the
	// default shape, and is no odd one: not long, and beginning with neither a blank nor _ nor
	// anything beyond ASCII. See NameKind.
	Name
)

// IsString reports whether a value of this kind is a string.
func (k Kind) IsString() bool { return k == Text || k == Plain || k == Escaped || k == Name }

// A Value is a typed run of bytes in the arena. The zero Value is absent.
type Value struct {
	Span
	Kind Kind
}

// A Field is one name and value of a record. Keys are strings (Text, Plain or Escaped).
type Field struct{ Key, Value Value }

// Flags mark what is special about a record.
type Flags uint16

const (
	// Truncated marks a line that was longer than the input's limit: only its head
	// is in the arena. It is written out as "truncated": true.
	Truncated Flags = 1 << iota
	// LineTime is set by a parser that took Record.Time from the line itself.
	LineTime
	// HasTrace and HasSpan say that TraceID and SpanID are set.
	HasTrace
	HasSpan
	// Parsed is set when a parser understood the line.
	Parsed
	// Dropped marks a record that a rule of the user's own took out. It is
	// counted, and sent nowhere.
	Dropped
	// Rejected marks a record that becomes a dead letter at every output, by the
	// user's own wish (on_error: dead_letter).
	Rejected
	// OddTime marks a record whose line has a time that is years away from the
	// source's, which it keeps. It is written out as "time_rejected": true.
	OddTime
	// KeepsTime is set by an input whose times are the records', whatever their lines say. Another
	// time in the line becomes the field line_time.
	KeepsTime
)

// A Record is one log line and what was understood of it. Its spans point into
// the arena of the batch that holds it.
type Record struct {
	// Pos is the record's position in its source. Positions ascend strictly within a source,
	// survive a restart, and with the source's ID are the record's identity.
	Pos uint64
	// Time is in Unix nanoseconds. An input sets it to the time that the
	// source knows (Docker's), or 0; a parser overwrites it with the line's own.
	// After the parsers it is never 0 and is unique within its source.
	Time int64
	// Line is the raw line, without its line end.
	Line Span
	// RedundantText is the line (or a text in it) if all that it says is in the record too: as
	// its time, level, ids, message, service or a field. Who takes anything out of
	// the record clears it.
	RedundantText Span
	// Message and Service are absent until a parser finds them. A record
	// without Message is written with its whole line as its message.
	Message, Service Value

	TraceID [16]byte
	SpanID  [8]byte

	first, count uint32 // the record's run in Batch.fields

	Level Level
	// Format is what the parser took the line for.
	Format Format
	Flags  Flags

	// ExcludedOutputs has bit k set where the record is not for output k, in the order of
	// the config.
	ExcludedOutputs uint32
}

// SourceID names a source for good: random, minted when it is first seen,
// stored before anything of it is sent.
type SourceID uint64

// String returns the ID as 16 hex digits.
func (id SourceID) String() string {
	var b [8]byte
	for i := range b {
		b[i] = byte(id >> (56 - 8*i))
	}
	return hex.EncodeToString(b[:])
}

// A Label is a name and value that all records of a source share, such as
// container.name. Names use dots.
type Label struct{ Name, Value string }

// Well-known label names. Inputs use these where they apply.
const (
	LabelHost           = "host.name"       // the host the logs come from
	LabelService        = "service"         // the best guess at the service's name
	LabelFile           = "filename"        // path of the file
	LabelStream         = "stream"          // stdout or stderr
	LabelContainerID    = "container.id"    // full 64 hex digits
	LabelContainerName  = "container.name"  // without the leading slash
	LabelImage          = "container.image" // as the container names it
	LabelComposeProject = "compose.project" // com.docker.compose.project
	LabelComposeService = "compose.service" // com.docker.compose.service

	// Of pods, by OpenTelemetry's names.
	LabelNamespace = "k8s.namespace.name"
	LabelPod       = "k8s.pod.name"
	LabelPodUID    = "k8s.pod.uid"
	LabelNode      = "k8s.node.name"
	LabelRestarts  = "k8s.container.restart_count"
)

// SourceOnly reports whether a line cannot set the value of a name: only the input knows it for
// certain.
func SourceOnly(name string) bool {
	switch name {
	case LabelHost, LabelFile, LabelStream, LabelContainerID, LabelContainerName,
		LabelImage, LabelComposeProject, LabelComposeService,
		LabelNamespace, LabelPod, LabelPodUID, LabelNode, LabelRestarts:
		return true
	}
	return false
}

// A Source is one file, one stream of one container, or the like. It is read-only once opened and
// may be kept for good and shared freely. NewSource makes one.
type Source struct {
	ID     SourceID
	Input  string // name of the input it belongs to
	Key    string // the input's own name for it, for people and logs
	Labels []Label
	// ShardKey is equal for the sources of one input that have the same key, in every run:
	// the generations of a rotated file. They take the same way, one after the other.
	ShardKey uint64

	service []byte // as a member in the default shape, after a comma; nil without

	// How each schema writes the labels; nil until a record is written so. There may be
	// thousands of sources, and records of few at a time.
	shapes [schemas]atomic.Pointer[names]
}

// NewSource returns a source whose labels are sorted by name; of equal names the
// last given wins, and labels without a value are left out.
func NewSource(id SourceID, input, key string, labels []Label) *Source {
	byName := make(map[string]string, len(labels))
	for _, l := range labels {
		byName[l.Name] = l.Value
	}
	s := &Source{ID: id, Input: input, Key: key, ShardKey: turnOf(input, key)}
	for name, value := range byName {
		if value != "" {
			s.Labels = append(s.Labels, Label{name, value})
		}
		if value != "" && name == LabelService {
			s.service = AppendString([]byte(`,"service":`), value)
		}
	}
	sort.Slice(s.Labels, func(i, j int) bool { return s.Labels[i].Name < s.Labels[j].Name })
	return s
}

// namesIn returns what a schema makes of the source's labels.
func (s *Source) namesIn(schema Schema) *names {
	if n := s.shapes[schema].Load(); n != nil {
		return n
	}
	n := schema.names(s.Labels)
	s.shapes[schema].Store(&n)
	return &n
}

// WritesLabel reports whether the default shape, with labels, has one of the source's as a member
// of that name.
func (s *Source) WritesLabel(member []byte) bool {
	for _, name := range s.namesIn(DefaultSchema).dotted {
		if name == string(member) {
			return true
		}
	}
	return false
}

// ReleaseCache releases what makes the next record faster to write. Call it when none is likely to
// come soon.
func (s *Source) ReleaseCache() {
	for i := range s.shapes {
		s.shapes[i].Store(nil)
	}
}

// turnOf is FNV-1a of both names.
func turnOf(input, key string) uint64 {
	h := fnv.New64a()
	io.WriteString(h, input)
	h.Write([]byte{0})
	io.WriteString(h, key)
	return h.Sum64()
}

// Label returns the value of a label, or "".
func (s *Source) Label(name string) string {
	for i := range s.Labels {
		if s.Labels[i].Name == name {
			return s.Labels[i].Value
		}
	}
	return ""
}
