// Package pipeline holds the contracts between the parts of Longshore: what an input, a parser and
// an output are, and what each may expect of the other side. Nothing in it runs.
package pipeline

import (
	"context"
	"fmt"
	"time"

	"github.com/longshore/longshore/pipeline/event"
)

// An Input follows its sources and feeds their records to the pipelines.
type Input interface {
	// Run follows the input's sources until ctx ends or all of them have ended for good (standard
	// input at its end); it then returns nil. It is called once. It returns only after every
	// goroutine it started has ended. Trouble that may pass (a socket that is away, a file that
	// cannot be read) is retried inside and shown by Env.Health; an error is returned only for what
	// cannot get better without a change by the user.
	Run(ctx context.Context, feed Feed) error
}

// A Rereader is an Input that can read again what it has sent. Outputs that lag are then no burden
// to the others: what they have not taken they read for themselves, later.
type Rereader interface {
	// Reread sends feed the records of a source from a cursor on, as they were sent before: with
	// the same positions and times, the same state at the ends of batches, and ended at the
	// timeout boundaries. It ends with the last whole record, or with the error of feed.Send. The
	// cursor is of a batch of this run or one that Known had. It is called by any goroutine while
	// Run runs, for several sources at a time and while the source goes on; feed is the caller's
	// own, of which Open returns the source and Close does nothing.
	//
	// A Gone error says that records after the cursor can never be read again.
	Reread(ctx context.Context, from Known, feed Feed) error

	// CanReread reports whether a source can be read again by now. An output is let go only then.
	CanReread(id event.SourceID) bool
}

// Gone is the error of a Rereader that can read no more of a source before a position.
type Gone struct{ To uint64 }

// Error implements error.
func (g Gone) Error() string { return fmt.Sprintf("what is before %d cannot be read any more", g.To) }

// A Committer is an Input whose sources keep what they have sent until it is acknowledged: a group
// of a message broker, or a client that waits for the answer to its request. Its spec has the trait
// Acknowledges.
type Committer interface {
	// Commit notes that all of an open source below a cursor is done at every output it goes to:
	// stored there, kept as a dead letter, dropped by a rule, or in a spool on disk. It is called
	// where the cursor moves, for one batch or for several at once, and for none that was not sent
	// whole. Calls come from any goroutine, also several for one source at a time and out of order:
	// the highest position counts. Commit does not block, and calls nothing of the Feed. None comes
	// after a batch of a run before. at.State is all that is needed to go on from there elsewhere
	// (see Feed.Adopt); it is not to be changed.
	Commit(id event.SourceID, at Cursor)
}

// A Lookout is an Input whose lines may wait in it while what it has read before is held up: those
// of a source that it cannot look at, as its readers wait for a destination. A record does not end
// by time as long as lines of it may wait so.
type Lookout interface {
	// HeldUpUntil returns until when lines of an open source may have waited in the input: now, if
	// they may still, and the zero time if the input has always looked at the source in time. Any
	// goroutine may call it while Run runs; it does not block.
	HeldUpUntil(src *event.Source) time.Time
}

// A Gauge is an Input that knows how much of its sources it has yet to read.
type Gauge interface {
	// Unread returns about how many bytes of an open source are not read yet; ok is false where
	// that is not known. Any goroutine may call it while Run runs; it does not block.
	Unread(id event.SourceID) (bytes int64, ok bool)
}

// A Feed is how an input reaches the pipelines. Its methods may be called from
// several goroutines, but one source belongs to one goroutine at a time.
type Feed interface {
	// Known lists the sources of this input that the ledger remembers, with
	// the position from which each is to be read on: all before it is done.
	Known() []Known

	// Open starts a source, or goes on with a known one, whose ID is given. A
	// zero id mints a new one, and it is stored before Open returns. key is the
	// input's own name for the source; it is kept with a new source, and it
	// need not be unique. Labels are those of now: they may change between runs.
	Open(id event.SourceID, key string, labels []event.Label) (*event.Source, error)

	// Adopt is Open for a source whose progress is kept elsewhere, by those who have read it
	// before, and whose ID follows from what it is. at is as Committer.Commit had it; its State may
	// be nil, or from someone not to be trusted. The ledger may know the source, and then it goes
	// on at the higher position. What is below uncertainTo, and not known to be done, may have been
	// sent.
	Adopt(at Known, uncertainTo uint64, labels []event.Label) (*event.Source, Cursor, error)

	// Describe returns a source that nothing is read from: it has the labels and the identity of
	// records that another source carries (see event.Batch.Carrier). It may be kept and used for
	// as long as the run, by any goroutine. There may be very many: keep those that are in use.
	Describe(id event.SourceID, key string, labels []event.Label) *event.Source

	// Batch returns an empty batch for the source, from a pool. Take one only when there is
	// something to put into it: batches are the memory of the whole program.
	Batch(src *event.Source) *event.Batch

	// Send hands a batch over; it belongs to the pipeline from then on, whatever Send returns. It
	// blocks while the pipeline is full: that is the backpressure, and nothing is ever dropped for
	// it. The error is ctx's, and then the batch was not taken and its records are not done: they
	// are read again from the cursor next time.
	//
	// The input sets From (the To of the source's batch before), To, Cursor and the records with
	// Pos, Line, Flags&Truncated and the Time that the source knows, or 0. A batch may have no
	// records: it moves the cursor over what needs no sending.
	Send(ctx context.Context, b *event.Batch) error

	// Close ends a source: no more is sent of it unless it is opened again. With
	// gone, it is for good (the file is deleted and read to its end, the
	// container removed), and the ledger forgets it once all is acknowledged.
	Close(src *event.Source, gone bool)

	// Hurry says whether there are lines to be read that are about to be gone: those of a file that
	// was deleted or renamed. While there are, what is sent waits no longer for a destination than
	// that of a source which cannot wait (Traits.Ephemeral). It does not block.
	Hurry(on bool)

	// Behind reports whether an output that lags is still to read again what was sent of a source
	// (see Rereader), or may have to, so that it should stay readable. leavingTo, unless it is 0,
	// says that what is below that position cannot be for long: then it comes before others, and
	// what the outputs have of it is on disk when the program ends. from is the lowest position
	// from which the source may yet be read again, be it that an output is let go only later. Any
	// goroutine may call it, as long as the source is open.
	Behind(src *event.Source, leavingTo uint64) (from uint64, behind bool)

	// SpoolRoom returns how many bytes the spools of the input's outputs have room for. An input
	// that holds deleted files open, and so keeps them on disk, takes as much at most for what is
	// unread of them. It does not block.
	SpoolRoom() int64
}

// Known is a source the ledger remembers.
type Known struct {
	ID     event.SourceID
	Key    string
	Cursor Cursor
	// TimeoutBoundaries are the positions beyond the cursor, ascending, at which time has ended
	// a record (see event.Batch.EndedByTimeout): a record that begins before one ends there.
	// The slice is the caller's to keep.
	TimeoutBoundaries []uint64
}

// A Cursor is how far a source is done: every record at a position below Pos
// has been delivered, rejected or dropped by rule, at every output it goes to.
// State is what the input wrote into Batch.Cursor for that point; it is nil for a
// source of which nothing was ever done. The slice is the caller's to keep.
type Cursor struct {
	Pos   uint64
	State []byte
}
