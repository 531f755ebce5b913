package colon

import (
	"testing"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

func TestConformance(t *testing.T) { pipetest.TestParser(t, newParser(t), "WARN: disk is full") }

func TestGolden(t *testing.T) { pipetest.ParserGolden(t, "testdata/*.txt", newParser(t)) }

func FuzzParse(f *testing.F) {
	f.Add([]byte("WARN: disk is full"))
	src := event.NewSource(1, "test", "fuzz", nil)
	p := newParser(f)(src)
	f.Fuzz(func(t *testing.T, line []byte) {
		pipetest.ParseChecked(t, p, pipetest.ParserBatch(src, 0, line), 1)
	})
}

func TestAllocs(t *testing.T) {
	src := event.NewSource(1, "test", "allocs", nil)
	p, b := newParser(t)(src), &event.Batch{}
	n := testing.AllocsPerRun(100, func() {
		b.Reset(src)
		b.Add(0, 0, b.PutString("WARN: disk is full"))
		p.Parse(b, 0)
	})
	if n != 0 {
		t.Errorf("%v allocations per line, want none", n)
	}
}

func newParser(t testing.TB) pipeline.NewParser {
	t.Helper()
	parser, err := pipetest.Config[*Config](t, Spec(), "").Parser()
	if err != nil {
		t.Fatal(err)
	}
	return parser
}
