package docker

import (
	"testing"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/pipetest"
)

func TestConformance(t *testing.T) {
	for _, tty := range []bool{false, true} {
		t.Run(map[bool]string{false: "two streams", true: "tty"}[tty], func(t *testing.T) {
			pipetest.TestInput(t, func(t *testing.T) pipetest.InputHarness {
				t.Setenv("DOCKER_HOST", "")
				e := newFakeEngine(t)
				one := e.add(&fakeContainer{ID: "a", Name: "one", State: "running", TTY: tty})
				other := e.add(&fakeContainer{ID: "b", Name: "other", State: "running", TTY: tty})
				return pipetest.InputHarness{
					New:        func(t testing.TB) pipeline.Input { return inputOf(t, e) },
					Write:      func(_ testing.TB, lines ...string) { e.print(one, lines) },
					WriteOther: func(_ testing.TB, lines ...string) { e.print(other, lines) },
					Resumes:    true,
				}
			})
		})
	}
}

func inputOf(t testing.TB, e *fakeEngine) pipeline.Input {
	made, err := (&Config{}).Input(pipeline.Env{})
	if err != nil {
		t.Fatal(err)
	}
	in := made.(*Input)
	in.dial = e.dial
	return in
}

// partSize is where the engine cuts long lines.
const partSize = 16 << 10

// print writes lines to a container's standard output, three of them in every
// instant, long ones in parts.
func (e *fakeEngine) print(c *fakeContainer, lines []string) {
	var log []message
	for i, line := range lines {
		now := at(int64(len(c.Log)+i) / 3)
		if n := len(log); n > 0 {
			now = max(now, log[n-1].ts)
		}
		for line += "\n"; len(line) > partSize; line = line[partSize:] {
			log = append(log, message{ts: now, from: stdout, text: line[:partSize]})
		}
		log = append(log, message{ts: now, from: stdout, text: line})
	}
	e.write(c, log...)
}
