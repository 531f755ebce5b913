package pipeline

import "github.com/longshore/longshore/pipeline/event"

// A Transform changes, drops or directs records after they are parsed. One
// instance serves all sources of a pipeline.
type Transform interface {
	// Apply works on every record of a batch, in place, but leaves alone those that are Dropped,
	// and, unless it takes secrets out, those that are Rejected. It is called concurrently for
	// batches of different sources, and in order for those of one. It drops by setting
	// event.Dropped, and routes by setting bits of ExcludedOutputs. It keeps nothing of the batch.
	Apply(b *event.Batch)
}

// TransformSettings are common to all transforms, beside their own.
type TransformSettings struct {
	If string `yaml:"if" doc:"Only records for which this holds; all others pass as they are. Names are message, level, service, trace_id, span_id, timestamp, labels[\"…\"] and those of the record's fields; the language is that of expr-lang.org." example:"level >= \"warn\" and status in [502, 503]"`
}
