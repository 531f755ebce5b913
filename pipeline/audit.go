package pipeline

import (
	"context"
	"time"
)

// An Auditor is an Output whose destination can be asked, long after, how it
// holds what was sent to it.
type Auditor interface {
	// Audit begins an audit of records that are not older than since.
	Audit(since time.Time) Audit
}

// An Audit asks one destination. It may remember what it was told.
type Audit interface {
	// Presence sets held[i] for every item i of a body. The bodies of one source come
	// one after the other, oldest first; those of several, concurrently. The errors are
	// those of Reconciler.Stored; after one, the body is asked for again or not at all.
	Presence(ctx context.Context, body *Body, held []Presence) error
}

// Presence is how a destination holds a record.
type Presence struct {
	// Copies is how often; each one beyond the first is a duplicate.
	Copies int
	// Uncertain, if not empty, is why a record that was not found need not be missing.
	Uncertain string
}

// UntimedUntil is the end of the times that an audit gives to lines which have none of
// their own: from the Unix epoch on, each a nanosecond after the one before. When
// such a line first got its time, nobody remembers.
const UntimedUntil = int64(24 * time.Hour)
