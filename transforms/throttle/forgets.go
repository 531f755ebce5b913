package throttle

import "github.com/longshore/longshore/pipeline"

var _ pipeline.Forgetful = (*Config)(nil)

// Forgets implements pipeline.Forgetful.
func (c *Config) Forgets() {}
