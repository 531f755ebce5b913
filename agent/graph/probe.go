package graph

import (
	"context"
	"sync"

	"github.com/longshore/longshore/agent/deliver"
	"github.com/longshore/longshore/pipeline"
)

// A Probe is what an output's destination says when it is asked what it is.
type Probe struct {
	Output, Type string
	Location     string // "" where the destination is no server; then it is not asked
	Server       string // see pipeline.Prober
	Err          error
}

// Probe asks the destinations of all outputs at the same time. It may be called while Run runs, and
// before.
func (g *Graph) Probe(ctx context.Context) []Probe {
	probes := make([]Probe, len(g.outputs))
	var asking sync.WaitGroup
	for i, o := range g.outputs {
		p := &probes[i]
		p.Output, p.Type = o.name, g.Config.Outputs[i].Type
		server, ok := o.output.(pipeline.Prober)
		if !ok {
			continue
		}
		p.Location = server.Location()
		asking.Go(func() {
			p.Server, p.Err = server.Probe(ctx)
			p.Err = deliver.WithoutSecrets(p.Err, g.redact)
		})
	}
	asking.Wait()
	return probes
}
