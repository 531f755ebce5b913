package stdin

import (
	"io"
	"os"
	"testing"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/pipetest"
)

func TestConformance(t *testing.T) {
	pipetest.TestInput(t, Spec(), func(t *testing.T) pipetest.InputHarness {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { r.Close(); w.Close() })
		return pipetest.InputHarness{
			New:   func(t testing.TB) pipeline.Input { return newInput(t, "", r) },
			Write: func(t testing.TB, lines ...string) { write(t, w, lines) },
			End:   func(testing.TB) { w.Close() },
		}
	})
}

func write(t testing.TB, w io.Writer, lines []string) {
	t.Helper()
	for _, line := range lines {
		if _, err := io.WriteString(w, line+"\n"); err != nil {
			t.Fatal(err)
		}
	}
}
