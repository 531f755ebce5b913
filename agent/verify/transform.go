package verify

import (
	"slices"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
	"github.com/longshore/longshore/pipeline/event"
)

// nothing is a transform, and its config, in the place of one that would not
// decide as it did.
type nothing struct{}

// Transform implements pipeline.TransformConfig.
func (nothing) Transform(pipeline.TransformEnv) (pipeline.Transform, error) { return nothing{}, nil }

// Apply implements pipeline.Transform.
func (nothing) Apply(*event.Batch) {}

// dropper gives the name of a transform of a pipeline by which a record may
// have been dropped though it would not be now; "" if there is none.
func dropper(cfg *config.Config, pipelineName string) string {
	for _, p := range cfg.Pipelines {
		for _, c := range cfg.Transforms {
			if c.Traits.Stateful && p.Name == pipelineName && slices.Contains(p.Transforms, c.Name) {
				return c.Name
			}
		}
	}
	return ""
}
