package file

import (
	"strings"
	"testing"
	"time"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/pipetest"
)

// TestConformance runs on real time with the system's notifications; the poll is an hour away.
func TestConformance(t *testing.T) {
	pipetest.TestInput(t, Spec(), func(t *testing.T) pipetest.InputHarness {
		r := newRig(t, t.TempDir())
		r.config.PollInterval = pipeline.Duration(time.Hour)
		appendTo := func(name string) func(testing.TB, ...string) {
			return func(_ testing.TB, lines ...string) { r.append(name, strings.Join(lines, "\n")+"\n") }
		}
		return pipetest.InputHarness{
			New:        r.input,
			Write:      appendTo("app.log"),
			WriteOther: appendTo("other.log"),
			Resumes:    true,
		}
	})
}

func (r *rig) input(t testing.TB) pipeline.Input {
	in, err := r.config.Input(pipetest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	return in
}
