package graph

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/condition"
	"github.com/longshore/longshore/pipeline/config"
)

// newTransforms makes the transforms of a pipeline. Every pipeline has its own: what a
// transform remembers of one is no matter of another.
func (g *Graph) newTransforms(p config.Pipeline) ([]pipeline.Transform, error) {
	var all []pipeline.Transform
	for _, name := range p.Transforms {
		for _, c := range g.Config.Transforms {
			if c.Name != name {
				continue
			}
			t, err := g.newTransform(p.Name, c)
			if err != nil {
				return nil, fmt.Errorf("transform %s: %w", name, err)
			}
			all = append(all, t)
		}
	}
	return all, nil
}

func (g *Graph) newTransform(pipelineName string, c config.Transform) (pipeline.Transform, error) {
	env := pipeline.TransformEnv{Env: g.env(pipeline.KindTransform, c.Name)}
	env.Log = env.Log.With("pipeline", pipelineName)
	env.Metrics = prometheus.WrapRegistererWith(prometheus.Labels{"pipeline": pipelineName}, env.Metrics)
	for _, o := range g.Config.Outputs {
		env.Outputs = append(env.Outputs, o.Name)
	}
	if c.Common.If != "" {
		when, err := condition.Compile(c.Common.If)
		if err != nil {
			return nil, fmt.Errorf("its condition: %w", err)
		}
		env.If = when.Holds
	}
	return c.Settings.Transform(env)
}
