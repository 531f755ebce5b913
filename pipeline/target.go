package pipeline

import "context"

// A Targeted is an Output whose settings decide where in its destination a record
// goes: which index, which labels. After a crash, what may have been sent is looked for
// at the place that the settings of that time named, too.
type Targeted interface {
	Output
	// Place describes those settings, in few bytes and without secrets. Equal
	// settings give equal bytes. It does not change; it is empty where the
	// destination cannot be asked.
	Target() []byte
	// AtTarget gives what looks for records at another place, which another run
	// named. It is valid as long as the output is.
	AtTarget(place []byte) (PreviousTarget, error)
}

// A PreviousTarget looks for records where an earlier run put them.
type PreviousTarget interface {
	// Encoder gives an encoder for bodies that Stored takes. They are not sent.
	Encoder() Encoder
	// Stored is that of a Reconciler.
	Stored(ctx context.Context, body *Body, stored []bool) error
}
