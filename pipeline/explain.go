package pipeline

import (
	"context"

	"github.com/longshore/longshore/pipeline/event"
)

// An Explainer is an Input that can say what it does with a container or a file, before it runs or
// beside a run. It only reads, and ends with ctx.
type Explainer interface {
	// Explain looks for what a name or an absolute path stands for. The error is that it cannot be
	// looked for.
	Explain(ctx context.Context, name string) (Explanation, error)
}

// Bounds of the last lines of a source that an Explainer reads.
const (
	TailBytes = 64 << 10
	TailLines = 5
)

// An Explanation is what an input does with something.
type Explanation struct {
	Found bool   // the input knows something of that name
	Is    string // what it is: container web-1, image nginx
	Taken bool
	Why   string // it is taken, or not; or was not found
	// ReadFrom says where from, and how.
	ReadFrom string
	Sources  []ExplainedSource
}

// An ExplainedSource is one source of what is explained: a file, or a stream of a container.
type ExplainedSource struct {
	Key    string // the ledger's
	Name   string // for people: stdout
	Labels []event.Label
	// Position describes a position of the ledger: how far that is.
	Position func(pos uint64) string
	Lines    []string // the last few
	NoLines  string   // why there are none
}
