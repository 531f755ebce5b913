package event

// A Schema is the shape and the names of a record as JSON.
type Schema uint8

const (
	// DefaultSchema is Longshore's own: see AppendRecord.
	DefaultSchema Schema = iota
	// ECS is the Elastic Common Schema: see AppendECS.
	ECS
	// OTel has the names of OpenTelemetry: see AppendOTel.
	OTel

	schemas
)

// SchemaNamed returns the schema that a config calls default, ecs or otel.
func SchemaNamed(name string) Schema {
	switch name {
	case "ecs":
		return ECS
	case "otel":
		return OTel
	}
	return DefaultSchema
}

// Append appends record i as one JSON object. Without labels, those of its source
// are left out where the schema can do without.
func (s Schema) Append(dst []byte, b *Batch, i int, labels bool) []byte {
	switch s {
	case ECS:
		return AppendECS(dst, b, i)
	case OTel:
		return AppendOTel(dst, b, i)
	}
	return AppendRecord(dst, b, i, labels)
}

// names prepares the labels of a source.
func (s Schema) names(labels []Label) names {
	switch s {
	case ECS:
		return ecsNames(labels)
	case OTel:
		return otelNames(labels)
	}
	return defaultNames(labels)
}
