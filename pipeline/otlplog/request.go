package otlplog

import (
	"slices"

	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/hop"
)

// AppendResource appends the text by which records of one resource are grouped: its attributes as
// an object of JSON. Text can stand in a dead letter. AppendRequest makes a Resource of it.
func (e *SourceEncoder) AppendResource(dst []byte, b *event.Batch, i int) []byte {
	dst = append(dst, `{"service.name":`...)
	r := &b.Records[i]
	if r.Service.Kind != event.None {
		dst = b.AppendJSON(dst, r.Service)
	} else if s := e.source.Label(event.LabelService); s != "" {
		dst = event.AppendString(dst, s)
	} else {
		dst = append(dst, `"`+unknownService+`"`...)
	}
	dst = append(dst, e.resource...)
	if e.identity {
		id, _ := b.IdentityOf(i)
		dst = append(dst, `,"`+hop.SourceHeader+`":"`...)
		dst = append(append(dst, id.String()...), '"')
	}
	return append(dst, '}')
}

// unknownService is the service of what has none, as every resource must have one.
const unknownService = "unknown_service"

// appendResource appends the field of ResourceLogs that a text of AppendResource stands for.
func appendResource(dst []byte, group string) []byte {
	p := []byte(group)
	dst, start := openField(dst, tagResource)
	for at := 1; at < len(p) && p[at] == '"'; {
		end := event.StringEnd(p, at+1)
		value := min(end+2, len(p)) // behind the colon
		behind := event.StringEnd(p, min(value+1, len(p)))
		name := event.AppendUnescaped(nil, p[at+1:end])
		text := event.AppendUnescaped(nil, p[min(value+1, behind):behind])
		dst = appendAttribute(dst, tagResourceAttribute, string(name), string(text))
		at = behind + 2 // the quote and a comma
	}
	return closeField(dst, start)
}

// A Scope names who made the records, by their instrumentation scope.
type Scope struct{ Name, Version string }

func (s Scope) append(dst []byte) []byte {
	dst, start := openField(dst, tagScope)
	dst = appendString(dst, tagScopeName, s.Name)
	if s.Version != "" {
		dst = appendString(dst, tagScopeVersion, s.Version)
	}
	return closeField(dst, start)
}

// A Part is the records of one resource: those from one index of a body to another.
type Part struct {
	Group string   // of AppendResource
	Items [][]byte // of AppendRecord, or several of them as one
}

// AppendRequest appends an ExportLogsServiceRequest.
func AppendRequest(dst []byte, scope Scope, parts []Part) []byte {
	for _, part := range parts {
		size := 0
		for _, item := range part.Items {
			size += len(item)
		}
		head := scope.append(nil)
		resource := appendResource(nil, part.Group)
		inScope := len(head) + size
		dst = appendLength(dst, tagResourceLogs, len(resource)+sizeField(inScope))
		dst = append(dst, resource...)
		dst = append(appendLength(dst, tagScopeLogs, inScope), head...)
		dst = slices.Grow(dst, size)
		for _, item := range part.Items {
			dst = append(dst, item...)
		}
	}
	return dst
}
