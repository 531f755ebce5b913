package docker

import (
	"fmt"
	"strings"
	"testing"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/pipetest"
)

func examineInput(t *testing.T, e *fakeEngine, config Config) string {
	t.Helper()
	made, err := config.Input(pipetest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	in := made.(*Input)
	if e != nil {
		in.dial = e.dial
	}
	var told strings.Builder
	in.Examine(t.Context(), func(f pipeline.Finding) {
		fmt.Fprintf(&told, "%s %s: %s -> %s\n", f.What, f.State, f.Says, f.Advice)
	})
	return told.String()
}

func TestExamine(t *testing.T) {
	t.Setenv("DOCKER_HOST", "")
	e := newFakeEngine(t)
	e.add(&fakeContainer{ID: "a", Name: "web", State: "running"})
	e.add(&fakeContainer{ID: "b", Name: "loki", Image: "grafana/loki:3", State: "running"})
	e.add(&fakeContainer{ID: "c", Name: "old", State: "exited"})
	if told := examineInput(t, e, Config{}); !strings.Contains(told, "engine ok: ") ||
		!strings.Contains(told, "containers ok: 2 containers running, 1 of them followed -> \n") {
		t.Errorf("told:\n%s", told)
	}
	told := examineInput(t, e, Config{Include: Match{Names: []string{"nobody"}}})
	if !strings.Contains(told, "containers warning: 2 containers running, 0 of them followed -> longshore explain") {
		t.Errorf("told:\n%s", told)
	}
	told = examineInput(t, nil, Config{Host: "unix:///nowhere/docker.sock"})
	if !strings.Contains(told, "engine failed: there is no Docker socket at /nowhere/docker.sock: start Docker") {
		t.Errorf("told:\n%s", told)
	}
}
