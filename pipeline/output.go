package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/longshore/longshore/pipeline/event"
)

// An Output turns records into the bytes of its destination, and sends them. It
// neither sleeps nor retries nor starts goroutines that outlive a call:
// package deliver batches, retries, splits and counts.
type Output interface {
	// Encoder returns an encoder for the use of one goroutine.
	Encoder() Encoder

	// Send makes one attempt to deliver a body. nil means the destination has stored every record
	// of it; a *SendError says what became of which record; any other error is taken as a passing
	// one after which it is not known what was stored. Send is called concurrently, with different
	// bodies. It does not change the body, nor keep it.
	Send(ctx context.Context, body *Body) error

	// Limits are the destination's own bounds on one body. They do not change.
	Limits() Limits

	// Original returns the record that item i of the body carries, as text (the
	// line or the document), for a dead letter. It may share the body's memory.
	Original(body *Body, i int) []byte

	// Close frees connections. It is called once, after the last Send returned.
	Close() error
}

// A Reconciler is an Output whose destination can be asked what it holds, so
// that what is uncertain need not be sent blindly again.
type Reconciler interface {
	// Stored sets stored[i] for every item i of the body that the destination holds. It is called
	// before a body is sent again of which some may have been stored, concurrently with Send and
	// itself for other bodies. An item that it does not set is sent. ErrUnknowable (possibly
	// wrapped, with why) says that the destination cannot tell: the body is sent again as it is.
	// Any other error is taken as one of Send's.
	Stored(ctx context.Context, body *Body, stored []bool) error
}

// An Idempotent is a Reconciler whose destination may take no record twice, whoever sends it.
type Idempotent interface {
	// RepeatsAreHarmless reports whether the destination itself refuses what it holds of a body, as
	// far as is known without a request. Such a body is sent again without a question.
	RepeatsAreHarmless(body *Body) bool
}

// ErrUnknowable is the answer of a destination that cannot say what it holds.
var ErrUnknowable = errors.New("the destination cannot say what it has stored")

// A Prober is an Output that has a server as its destination.
type Prober interface {
	Output
	// Probe asks the server for its name and version, such as "Loki 3.7.8", and changes nothing
	// there. An empty one means that it answers and does not say. The error is why it does not
	// answer, or not to us, with its URL. It is called concurrently with Send.
	Probe(ctx context.Context) (server string, err error)
	// Location returns the server's URL without secrets.
	Location() string
}

// An Encoder appends records to bodies.
type Encoder interface {
	// Encode appends the bytes of record i to dst.Bytes and, for outputs whose
	// items belong to groups, returns the group (see Body.Group). It copies what
	// it needs of the batch. An error rejects the record for good, with the
	// error as its reason, and what was appended is taken back.
	Encode(dst *Body, b *event.Batch, i int) (group uint32, err error)
}

// Limits bound a body. Zero fields mean no bound of the destination's own.
type Limits struct {
	Bytes   int // of Body.Bytes; one larger record still goes, alone
	Records int
	// InOrder asks that the records of one source be sent one body after the other, oldest first.
	// Without it, records that are refused for now go with a later body, and hold up nothing.
	InOrder bool
	// Age is how long a body that is not full grows, from its first record on; 0 is for the pause
	// between requests that the settings say. A body with records that cannot be read again, as
	// their source is gone, grows for UnsafeAge at most.
	Age, UnsafeAge time.Duration
}

// An Outcome is what a destination's answer means for a record.
type Outcome uint8

const (
	// Retry: send again, after a pause. The destination is busy, away or degraded.
	Retry Outcome = iota
	// Hold: send again, after longer, and alarm: the destination rejects us
	// (401, 403, 404), and only its operator or the user can mend that.
	Hold
	// Split: send again in halves. A single record that is too large is rejected.
	Split
	// Bisect: some record in it is bad and the answer does not say which; send
	// again in halves until the bad ones stand alone. Those are rejected.
	Bisect
	// Reject: never send again. It becomes a dead letter.
	Reject
)

// String names the outcome in a metric or log.
func (o Outcome) String() string {
	return [...]string{"retry", "hold", "split", "bisect", "reject"}[o]
}

// A SendError says what became of a body that was not stored whole.
type SendError struct {
	// Outcome is that of every record in the body, if Items is nil.
	Outcome Outcome
	// Items, if not nil, names the records that were not stored, ascending by
	// index. All others are delivered.
	Items []ItemError
	// Uncertain says that the destination may have stored (some of) what is to
	// be sent again: a timeout, a reset, a 5xx.
	Uncertain bool
	// RetryAfter is what the destination asked for; 0 if it did not.
	RetryAfter time.Duration
	// Status is the HTTP status, or 0.
	Status int
	// Reason is the destination's own words, or what went wrong on the way to
	// it, with the URL, without secrets.
	Reason string
	// Err is the cause, if there is one.
	Err error
}

// Error returns the reason.
func (e *SendError) Error() string {
	if e.Status != 0 {
		return fmt.Sprintf("%s (HTTP %d, %s)", e.Reason, e.Status, e.Outcome)
	}
	return e.Reason
}

// Unwrap returns the cause.
func (e *SendError) Unwrap() error { return e.Err }

// An ItemError is what became of one record of a body. Its Outcome is Retry, Hold or Reject.
type ItemError struct {
	Index   int
	Outcome Outcome
	Status  int
	Reason  string
}
