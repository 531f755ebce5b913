package main

import (
	"fmt"

	"github.com/longshore/longshore/agent/admin"
	"github.com/longshore/longshore/agent/graph"
	"github.com/longshore/longshore/pipeline"
)

// An account tells what the pipelines have done. To be taken, it passes every lock behind which
// they keep that.
type account interface {
	Status() graph.Status
	Counts() graph.Counts
}

// serviceStatus says in a line how the agent does, for the service manager, and whether it is
// alive: its account can be taken, and, as at /health, nothing has failed without which it cannot
// work. A destination that is away is no reason to be restarted.
func serviceStatus(a account, health *admin.Health) (line string, alive bool) {
	sources := 0
	for _, in := range a.Status().Inputs {
		sources += in.Sources
	}
	c := a.Counts()
	line = fmt.Sprintf("%s open; %s delivered, %d pending", pipeline.Count(sources, "source"),
		pipeline.Count(int(c.Delivered), "record"), c.Pending())
	_, problems := health.Readiness()
	if len(problems) > 0 {
		line = fmt.Sprintf("degraded: %s %s: %s", problems[0].Kind, problems[0].Name, problems[0].Reason)
	}
	return line, len(health.Vitals()) == 0
}
