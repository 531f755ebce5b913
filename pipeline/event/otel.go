package event

import "slices"

// AppendOTel appends record i as one JSON object with the names of OpenTelemetry's
// log data model, in the form in which Elasticsearch's own templates for
// logs-*.otel-* take them and the otel mode of the Collector's exporter writes them:
//
//	{"@timestamp","severity_text","severity_number","body":{"text"},"trace_id","span_id",
//	 "resource":{"attributes":{"service.name",…labels…}},"attributes":{…the rest…}}
//
// What a record does not have is left out, but @timestamp, body and resource are
// always there. Names within attributes are dotted and flat.
func AppendOTel(dst []byte, b *Batch, i int) []byte {
	r := &b.Records[i]
	dst = append(dst, `{"@timestamp":"`...)
	dst = AppendTime(dst, r.Time)
	dst = append(dst, '"')
	dst = append(dst, severities[r.Level]...)
	dst = append(dst, `,"body":{"text":`...)
	dst = b.AppendJSON(dst, b.MessageOf(i))
	dst = append(dst, '}')
	dst = appendIDs(dst, r)
	dst = append(dst, `,"resource":{"attributes":{`...)
	dst = appendService(dst, b, r)
	dst = append(dst, b.Source.namesIn(OTel).resource...)
	dst = append(dst, `}}`...)
	return append(appendAttributes(dst, b, i), '}')
}

// severities are the members of each level: the name and the number that the data model
// gives it (https://opentelemetry.io/docs/specs/otel/logs/data-model/, SeverityNumber).
var severities = [...]string{
	NoLevel: "",
	Trace:   `,"severity_text":"TRACE","severity_number":1`,
	Debug:   `,"severity_text":"DEBUG","severity_number":5`,
	Info:    `,"severity_text":"INFO","severity_number":9`,
	Warn:    `,"severity_text":"WARN","severity_number":13`,
	Error:   `,"severity_text":"ERROR","severity_number":17`,
	Fatal:   `,"severity_text":"FATAL","severity_number":21`,
}

// appendService appends the service, which every resource must have.
func appendService(dst []byte, b *Batch, r *Record) []byte {
	dst = append(dst, `"service.name":`...)
	if r.Service.Kind != None {
		return b.AppendJSON(dst, r.Service)
	}
	if s := b.Source.Label(LabelService); s != "" {
		return AppendString(dst, s)
	}
	return append(dst, `"unknown_service"`...)
}

// appendAttributes appends what is the record's own.
func appendAttributes(dst []byte, b *Batch, i int) []byte {
	start := len(dst)
	names := b.Source.namesIn(OTel)
	dst = append(dst, names.labels...)
	flags := b.Records[i].Flags
	if flags&Truncated != 0 {
		dst = append(dst, `,"truncated":true`...)
	}
	if flags&OddTime != 0 {
		dst = append(dst, `,"time_rejected":true`...)
	}
	if dst = appendFields(dst, b, i, names); len(dst) == start {
		return dst
	}
	// The first comma is replaced by the name of the whole.
	const head = `,"attributes":{`
	dst = append(dst, head[1:]...)
	copy(dst[start+len(head):], dst[start+1:len(dst)-len(head)+1])
	copy(dst[start:], head)
	return append(dst, '}')
}

var otelCore = newNameSet("truncated", "time_rejected")

// otelNames prepares the labels of a source that are attributes of its records: the file
// and the stream (semantic conventions, "Log Media").
func otelNames(labels []Label) names {
	n := names{core: &otelCore, resource: resourceOf(labels)}
	n.taken.add("longshore-position") // package hop's
	for _, l := range labels {
		if name := logAttribute(l.Name); name != "" {
			n.addLabel(name, l.Value)
		}
	}
	return n
}

func logAttribute(label string) string {
	switch label {
	case LabelFile:
		return "log.file.path"
	case LabelStream:
		return "log.iostream"
	}
	return ""
}

// OTelLabels returns the labels of a source under the names that OpenTelemetry has for them: those
// that say what its records are from, without the service, and those that each record has as an
// attribute.
func OTelLabels(labels []Label) (resource, attributes []Label) {
	add := func(to []Label, name, value string) []Label {
		same := func(l Label) bool { return l.Name == name }
		if slices.ContainsFunc(to, same) {
			return to
		}
		return append(to, Label{name, value})
	}
	for _, l := range labels {
		attribute := logAttribute(l.Name)
		switch {
		case attribute != "":
			attributes = add(attributes, attribute, l.Value)
		case l.Name == LabelService:
		case l.Name == LabelImage:
			resource = add(resource, "container.image.name", l.Value)
		case oddDots([]byte(l.Name)), resourceCore.has([]byte(l.Name)):
			resource = add(resource, string(flatten([]byte(l.Name))), l.Value)
		default:
			resource = add(resource, l.Name, l.Value)
		}
	}
	return resource, attributes
}

// resourceOf returns the labels of a source that say what its records are from, as JSON
// members, each after a comma.
func resourceOf(labels []Label) []byte {
	n := names{core: &resourceCore}
	resource, _ := OTelLabels(labels)
	for _, l := range resource {
		n.addLabel(l.Name, l.Value)
	}
	return n.labels
}

var resourceCore = newNameSet("service.name")

// An OTelNamer names the fields of one record after the other as attributes: under their own names,
// or others where a name is taken.
type OTelNamer struct {
	batch  *Batch
	fields []Field
	names  *names
	seen   uint64
	room   []byte
}

// Start begins with record i.
func (n *OTelNamer) Start(b *Batch, i int) {
	n.batch, n.fields, n.names, n.seen = b, b.Fields(i), b.Source.namesIn(OTel), 0
}

// Name returns the name of field k as text. Call it for one field after the other; what it returns
// is valid until the next call.
func (n *OTelNamer) Name(k int) []byte {
	f := n.fields[k]
	key := n.batch.Bytes(f.Key.Span)
	bit := keyBit(key)
	clashes := n.seen&bit != 0 || !n.names.fit(f.Key.Kind, key, f.Value.Kind)
	n.seen |= bit
	if !clashes {
		return key
	}
	n.room = appendRenamed(n.room[:0], n.batch, n.fields, k, n.names)
	escaped := len(n.room)
	n.room = AppendUnescaped(n.room, n.room)
	return n.room[escaped:]
}
