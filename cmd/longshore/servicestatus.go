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

// serviceStatus says in a line how the agent does, for the service manager. It returns only if the
// account can be taken. Neither a destination that is away nor a disk that is full is a reason to
// be restarted, which helps against neither, and takes what waits in memory.
func serviceStatus(a account, health *admin.Health) (line string) {
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
	return line
}
