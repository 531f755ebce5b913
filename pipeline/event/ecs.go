package event

import "bytes"

// ECSVersion is the version of the Elastic Common Schema that AppendECS writes:
// https://www.elastic.co/guide/en/ecs/8.11/.
const ECSVersion = "8.11.0"

// AppendECS appends record i as one JSON object in the Elastic Common Schema:
//
//	{"@timestamp","log.level","message","ecs.version","trace.id","span.id","service.name",
//	 …labels…, …the rest…}
//
// Names are dotted and flat; Elasticsearch maps them as the objects they stand for. What a record
// does not have is left out, but @timestamp, message and ecs.version are always there. A field of
// the line that cannot stand beside these, or that is text where the schema has an object (host,
// error, log), becomes labels.<name>.
func AppendECS(dst []byte, b *Batch, i int) []byte {
	r := &b.Records[i]
	dst = append(dst, `{"@timestamp":"`...)
	dst = AppendTime(dst, r.Time)
	if r.Level != NoLevel {
		dst = append(dst, `","log.level":"`...)
		dst = append(dst, r.Level.String()...)
	}
	dst = append(dst, `","message":`...)
	dst = b.AppendJSON(dst, b.MessageOf(i))
	dst = append(dst, `,"ecs.version":"`+ECSVersion+`"`...)
	if r.Flags&HasTrace != 0 {
		dst = append(dst, `,"trace.id":"`...)
		dst = AppendHex(dst, r.TraceID[:])
		dst = append(dst, '"')
	}
	if r.Flags&HasSpan != 0 {
		dst = append(dst, `,"span.id":"`...)
		dst = AppendHex(dst, r.SpanID[:])
		dst = append(dst, '"')
	}
	if r.Service.Kind != None {
		dst = append(dst, `,"service.name":`...)
		dst = b.AppendJSON(dst, r.Service)
	} else if s := b.Source.Label(LabelService); s != "" {
		dst = append(dst, `,"service.name":`...)
		dst = AppendString(dst, s)
	}
	switch r.Flags & (Truncated | OddTime) {
	case Truncated:
		dst = append(dst, `,"log.flags":["truncated"]`...)
	case OddTime:
		dst = append(dst, `,"log.flags":["time_rejected"]`...)
	case Truncated | OddTime:
		dst = append(dst, `,"log.flags":["truncated","time_rejected"]`...)
	}
	names := b.Source.namesIn(ECS)
	dst = append(dst, names.labels...)
	dst = appendFields(dst, b, i, names)
	return append(dst, '}')
}

var ecsCore = newNameSet("@timestamp", "log.level", "message", "ecs.version", "trace.id", "span.id", "service.name",
	"log.flags")

// ecsNames prepares the labels of a source for the Elastic Common Schema.
func ecsNames(labels []Label) names {
	n := names{core: &ecsCore, ecs: true}
	for _, l := range labels {
		for _, name := range ecsLabelNames(l.Name) {
			n.addLabel(name, l.Value)
		}
	}
	return n
}

// ecsLabelNames returns the names a label has in the schema; none for the
// service, which is part of the core. A user's own label keeps a name of the
// schema, such as service.environment, and is put under labels otherwise.
func ecsLabelNames(name string) []string {
	switch name {
	case LabelService:
		return nil
	case LabelHost:
		return []string{"host.name", "host.hostname"}
	case LabelFile:
		return []string{"log.file.path"}
	case LabelStream:
		return []string{"log.iostream"} // OpenTelemetry's; the schema has none
	case LabelImage:
		return []string{"container.image.name"}
	}
	key := []byte(name)
	dot := bytes.IndexByte(key, '.')
	if dot > 0 && isECSObject(key[:dot]) && fitECS(key, dot, Text) && !ecsCore.has(key) && !oddDots(key) {
		return []string{name}
	}
	return []string{string(renameECS(key))}
}

// fitECS reports whether a field's value may stand under this name: not text where the schema has
// an object, not an object where it has text, not below something that is text.
func fitECS(key []byte, dot int, value Kind) bool {
	if dot < 0 {
		if value == Object {
			return string(key) != "tags"
		}
		return !isECSObject(key)
	}
	if !isECSObject(key[:dot]) {
		return true
	}
	if value != Object && isInnerECSObject(key) {
		return false
	}
	for at := dot + 1; at < len(key); at++ {
		if key[at] == '.' && ecsCore.has(key[:at]) {
			return false
		}
	}
	return true
}

// renameECS puts a name under labels, which are flat.
func renameECS(name []byte) []byte {
	const head = "labels."
	name = append(name, head...)
	copy(name[len(head):], name)
	copy(name, head)
	flatten(name[len(head):])
	return name
}

// isECSObject reports whether the schema has an object of this name at the top.
func isECSObject(name []byte) bool {
	switch string(name) {
	case "agent", "client", "cloud", "container", "data_stream", "destination", "device", "dll", "dns", "ecs",
		"email", "entity", "error", "event", "faas", "file", "gen_ai", "group", "host", "http", "labels", "log",
		"network", "observer", "orchestrator", "organization", "package", "process", "registry", "related",
		"rule", "server", "service", "source", "span", "threat", "tls", "trace", "transaction", "url", "user",
		"user_agent", "volume", "vulnerability":
		return true
	}
	return false
}

// isInnerECSObject tells the same of a dotted name, for the objects that log lines come near.
func isInnerECSObject(name []byte) bool {
	switch string(name) {
	case "agent.build",
		"client.as", "client.geo", "client.nat", "client.user",
		"cloud.account", "cloud.instance", "cloud.machine", "cloud.project", "cloud.service",
		"container.cpu", "container.disk", "container.image", "container.image.hash", "container.labels",
		"container.memory", "container.network",
		"destination.as", "destination.geo", "destination.nat", "destination.user",
		"dns.question", "faas.trigger", "file.hash",
		"host.boot", "host.cpu", "host.disk", "host.geo", "host.network", "host.os",
		"http.request", "http.request.body", "http.response", "http.response.body",
		"log.file", "log.origin", "log.origin.file", "log.syslog", "log.syslog.facility", "log.syslog.severity",
		"network.inner", "network.vlan", "observer.geo", "observer.os",
		"orchestrator.cluster", "orchestrator.resource",
		"process.hash", "process.parent", "process.thread", "process.user",
		"server.as", "server.geo", "server.nat", "server.user",
		"service.node", "service.origin", "service.target",
		"source.as", "source.geo", "source.nat", "source.user",
		"tls.client", "tls.server",
		"user.changes", "user.effective", "user.group", "user.target",
		"user_agent.device", "user_agent.os":
		return true
	}
	return false
}
