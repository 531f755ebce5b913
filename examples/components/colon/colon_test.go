package colon

import (
	"testing"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/pipetest"
)

func newParser(t testing.TB) pipeline.NewParser {
	t.Helper()
	parser, err := pipetest.Config[*Config](t, Spec(), "").Parser()
	if err != nil {
		t.Fatal(err)
	}
	return parser
}

func TestConformance(t *testing.T) { pipetest.TestParser(t, newParser(t), "WARN: disk is full") }

func TestGolden(t *testing.T) { pipetest.ParserGolden(t, "testdata/*.txt", newParser(t)) }
