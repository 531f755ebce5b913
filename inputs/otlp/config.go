package otlp

import (
	"fmt"

	"github.com/longshore/longshore/inputs/receive"
	"github.com/longshore/longshore/pipeline"
)

// Config is the input's settings.
type Config struct {
	Listen []string `yaml:"listen" default:"[127.0.0.1:4317, 127.0.0.1:4318]" doc:"Addresses to listen at. Each takes gRPC and HTTP." example:"[\":4317\", \":4318\"]"`
	receive.Settings
}

var (
	_ pipeline.InputConfig = (*Config)(nil)
	_ pipeline.Checker     = (*Config)(nil)
	_ pipeline.Warner      = (*Config)(nil)
)

// Spec describes the input.
func Spec() pipeline.Spec {
	return pipeline.Spec{
		Kind:    pipeline.KindInput,
		Type:    "otlp",
		Summary: "Takes records by OpenTelemetry's protocol, over gRPC and HTTP, and answers when they are stored.",
		New:     func() any { return new(Config) },
		Traits:  receive.Traits,
	}
}

// Check implements pipeline.Checker.
func (c *Config) Check() (problems []pipeline.Problem) {
	if len(c.Listen) == 0 {
		return []pipeline.Problem{{Path: "listen", Message: "is empty; name an address, such as 127.0.0.1:4317"}}
	}
	seen := map[string]bool{}
	for i, listen := range c.Listen {
		path := fmt.Sprintf("listen[%d]", i)
		for _, p := range c.Settings.Check(listen) {
			if p.Path == "listen" {
				p.Path = path
			} else if i > 0 {
				continue // said of the first
			}
			problems = append(problems, p)
		}
		if seen[listen] {
			problems = append(problems, pipeline.Problem{Path: path,
				Message: "is there twice; each address takes both protocols"})
		}
		seen[listen] = true
	}
	return problems
}

// Warnings implements pipeline.Warner.
func (c *Config) Warnings() []pipeline.Problem {
	for _, listen := range c.Listen {
		if problems := c.Settings.Warnings(listen); len(problems) > 0 {
			return problems
		}
	}
	return nil
}

// Input implements pipeline.InputConfig.
func (c *Config) Input(env pipeline.Env) (pipeline.Input, error) {
	if problems := c.Check(); len(problems) > 0 {
		return nil, fmt.Errorf("%s %s", problems[0].Path, problems[0].Message)
	}
	return &input{config: *c, env: env, hub: receive.NewHub()}, nil
}
