package docker

import (
	"testing"

	"github.com/longshore/longshore/inputs/docker/logformat"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/pipetest"
)

func TestConformance(t *testing.T) {
	for _, c := range []struct {
		name       string
		tty, files bool
	}{{"two streams", false, false}, {"tty", true, false}, {"files", false, true}} {
		t.Run(c.name, func(t *testing.T) {
			pipetest.TestInput(t, Spec(), func(t *testing.T) pipetest.InputHarness {
				t.Setenv("DOCKER_HOST", "")
				e := newFakeEngine(t)
				one := e.add(&fakeContainer{ID: "a", Name: "one", State: "running", TTY: c.tty})
				other := e.add(&fakeContainer{ID: "b", Name: "other", State: "running", TTY: c.tty})
				if c.files {
					one.Files, other.Files = newJSONFile(t, 64<<10, 1000, false), newJSONFile(t, 0, 1, false)
				}
				return pipetest.InputHarness{
					New:        func(t testing.TB) pipeline.Input { return inputOf(t, e) },
					Write:      func(_ testing.TB, lines ...string) { e.print(one, lines) },
					WriteOther: func(_ testing.TB, lines ...string) { e.print(other, lines) },
					Resumes:    true,
					Text:       c.files,
				}
			})
		})
	}
}

func inputOf(t testing.TB, e *fakeEngine) pipeline.Input {
	made, err := pipetest.Config[*Config](t, Spec(), "").Input(pipetest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	in := made.(*Input)
	in.dial = e.dial
	return in
}

// partSize is where the engine splits long lines.
const partSize = 16 << 10

// print writes lines to a container's standard output, three at every instant, long ones in parts.
func (e *fakeEngine) print(c *fakeContainer, lines []string) {
	var log []message
	for i, line := range lines {
		now := at(int64(len(c.Log)+i) / 3)
		if n := len(log); n > 0 {
			now = max(now, log[n-1].ts)
		}
		for line += "\n"; len(line) > partSize; line = line[partSize:] {
			log = append(log, message{ts: now, from: logformat.Stdout, text: line[:partSize]})
		}
		log = append(log, message{ts: now, from: logformat.Stdout, text: line})
	}
	e.write(c, log...)
}
