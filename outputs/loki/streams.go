package loki

import (
	"slices"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// Bounds of an encoder's memory of sources, and of a source's label sets. When it is full
// it is emptied; what is still in use comes back.
const (
	maxSources = 512
	maxStreams = 4096
)

// A stream is a label set as an encoder remembers it: its name, and its group
// in the body that was filled last.
type stream struct {
	name  string
	group uint32
}

// groupIn gives the stream's group in a body. The strings are one and the same
// while the body is, so that the comparison looks at no bytes.
func (s *stream) groupIn(body *pipeline.Body) uint32 {
	if int(s.group) < len(body.Groups) && body.Groups[s.group] == s.name {
		return s.group
	}
	s.group = body.Group([]byte(s.name))
	s.name = body.Groups[s.group]
	return s.group
}

// A source is what an encoder remembers of one event.Source.
type source struct {
	src      *event.Source
	metadata []byte // encoded pairs that all its records share
	// varying are the fields in label templates whose values the lines decide.
	varying []string
	streams map[string]*stream // by the varying fields' values
	usual   *stream            // of records that name no service, if only that varies
	last    *stream            // the one of lastKey
	lastKey []byte
}

func newSource(src *event.Source, labels []label) *source {
	s := &source{src: src, streams: map[string]*stream{}}
	s.metadata = appendPair(s.metadata, "container_id", src.Label(event.LabelContainerID))
	s.metadata = appendPair(s.metadata, "stream", src.Label(event.LabelStream))
	for _, l := range labels {
		for _, p := range l.parts {
			if p.Field != "" && varies(src, p.Field) && !slices.Contains(s.varying, p.Field) {
				s.varying = append(s.varying, p.Field)
			}
		}
	}
	return s
}

// varies says whether a line can decide a field's value.
func varies(src *event.Source, field string) bool {
	if field == "service" || field == "level" {
		return true
	}
	return src.Label(field) == "" && !slices.Contains(sourceOnly, field)
}

// streamOf gives the stream that record i belongs to.
func (e *Encoder) streamOf(s *source, b *event.Batch, i int) *stream {
	usual := b.Records[i].Service.Kind == event.None && len(s.varying) == 1 && s.varying[0] == "service"
	if !usual {
		return e.streamBy(s, b, i)
	}
	if s.usual == nil {
		s.usual = e.streamBy(s, b, i)
	}
	return s.usual
}

func (e *Encoder) streamBy(s *source, b *event.Batch, i int) *stream {
	e.key = e.key[:0]
	for _, field := range s.varying {
		start := len(e.key)
		e.key = b.AppendNamed(e.key, i, field)
		e.key = e.key[:start+len(cutText(e.key[start:], maxLabelValue))]
		e.key = append(e.key, 0xff) // in no UTF-8
	}
	if s.last != nil && string(s.lastKey) == string(e.key) {
		return s.last
	}
	found, known := s.streams[string(e.key)]
	if !known {
		found = e.newStream(s, b, i)
	}
	s.last, s.lastKey = found, append(s.lastKey[:0], e.key...)
	return found
}

func (e *Encoder) newStream(s *source, b *event.Batch, i int) *stream {
	pairs := make([]event.Label, 0, len(e.output.labels))
	for _, l := range e.output.labels {
		if l.unless != "" && s.src.Label(l.unless) != "" {
			continue
		}
		pairs = append(pairs, event.Label{Name: l.name, Value: e.labelOf(s, b, i, l)})
	}
	if len(s.streams) >= maxStreams {
		clear(s.streams)
	}
	made := &stream{name: string(appendLabelSet(nil, pairs))}
	s.streams[string(e.key)] = made
	return made
}

func (e *Encoder) labelOf(s *source, b *event.Batch, i int, l label) string {
	var text []byte
	claimed := false
	for _, p := range l.parts {
		text = append(text, p.Text...)
		if p.Field == "" {
			continue
		}
		if slices.Contains(s.varying, p.Field) {
			text = b.AppendNamed(text, i, p.Field)
			claimed = true
			continue
		}
		text = append(text, s.src.Label(p.Field)...)
	}
	value := labelValue(string(text))
	if value == "" && l.name == serviceName {
		return unknownService
	}
	if claimed {
		return e.output.guard.admit(l.name, value)
	}
	return value
}
