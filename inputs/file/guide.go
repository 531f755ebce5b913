package file

import (
	"time"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// A Guide knows what the files are that an input follows: the file input's own takes all that its
// globs match; another input may say more of them. It is called by several goroutines at a time,
// and does not block.
type Guide interface {
	// Choose says what to do with a file that was first seen at a path. It is asked before anything
	// of the file is read, and again for one that was left out.
	Choose(path string) Choice
	// Labels returns the labels of the file that was first seen at a path.
	Labels(path string) []event.Label
}

// A Choice is what a Guide says of a file.
type Choice uint8

const (
	Take  Choice = iota
	Leave        // it out
	Wait         // hold it open and ask again: it is not known yet what it is
)

// askAgain is the time between two questions to a guide about a file that waits.
const askAgain = 50 * time.Millisecond

// An Input is a file input, with all that it can do beside following files.
type Input interface {
	pipeline.Input
	pipeline.Rereader
	pipeline.Lookout
	pipeline.Gauge
	pipeline.Examiner
	pipeline.Explainer
}

// anyFile is the guide of the file input itself.
type anyFile struct{ host string }

func (anyFile) Choose(string) Choice               { return Take }
func (a anyFile) Labels(path string) []event.Label { return labelsOf(a.host, path) }
