package auto

import (
	"testing"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

func TestGolden(t *testing.T) {
	pipetest.ParserGolden(t, "testdata/*.txt", func(*event.Source) pipeline.Parser { return New(nil) })
}
