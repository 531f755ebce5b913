package pipeline

import "context"

// A Targeted is an Output whose settings decide where in its destination a record
// goes: which index, which labels. After a crash, what may have been sent is looked for
// where the settings of that time named, too.
type Targeted interface {
	Output
	// Target describes those settings, in few bytes and without secrets. Equal settings give equal
	// bytes. It does not change; it is empty where the destination cannot be asked.
	Target() []byte
	// AtTarget returns what looks for records at another target, which another run
	// named. It is valid as long as the output is.
	AtTarget(target []byte) (PreviousTarget, error)
}

// A PreviousTarget looks for records where an earlier run put them.
type PreviousTarget interface {
	// Encoder returns an encoder for bodies that Stored takes. They are not sent.
	Encoder() Encoder
	// Stored is that of a Reconciler.
	Stored(ctx context.Context, body *Body, stored []bool) error
}
