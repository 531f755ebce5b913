package pipeline

import "github.com/longshore/longshore/pipeline/event"

// A Joiner tells which lines of a source are one record: a stack trace and the line before it.
// Every source of every pipeline that joins has its own; it is called from one goroutine at a time,
// with every line of the source in order. What it says of a line depends on nothing but that line
// and those of the open record, so that the same lines are joined in the same way when they are
// read again, from whichever record on. See pipetest.TestJoiner.
type Joiner interface {
	// Line takes the next line, without its line end, and tells how it stands to
	// the record that is open. It keeps nothing of line. Hostile lines cost
	// bounded time: a small constant times their length.
	Line(line []byte) JoinDecision

	// End says that the open record has ended for another reason: a limit, time,
	// the end of the source. The next line begins a record, whatever it is; it may be
	// the one that Line was called with last, and that was to continue the record.
	End()
}

// A NewJoiner makes the joiner of one source.
type NewJoiner func(src *event.Source) Joiner

// A JoinDecision is how a line stands to the open record.
type JoinDecision uint8

const (
	// Continues: the line belongs to the open record. Without it the line begins the next one.
	Continues JoinDecision = 1 << iota
	// Complete: nothing that follows can belong to the record of this line, so
	// that it need not wait for the next line.
	Complete
)

// JoinLimits bound a joined record. What reaches one of them ends there.
type JoinLimits struct {
	Lines int
	Bytes int      // of all lines together
	Wait  Duration // for the next line
}
