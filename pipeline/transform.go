package pipeline

import "github.com/longshore/longshore/pipeline/event"

// A Transform changes, drops or directs records after they are parsed. One
// instance serves all sources of a pipeline.
type Transform interface {
	// Apply works on every record of a batch, in place, but leaves alone those
	// that are Dropped or Refused. It is called concurrently for batches of
	// different sources, and in order for those of one. It drops by setting
	// event.Dropped, and directs by setting bits of NotTo. It keeps nothing of the
	// batch.
	Apply(b *event.Batch)
}
