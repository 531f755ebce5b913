package journald

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/longshore/longshore/pipeline"
)

// Spec describes the input.
func Spec() pipeline.Spec {
	return pipeline.Spec{
		Kind:    pipeline.KindInput,
		Type:    "journald",
		Summary: "Reads systemd's journal from its files, each entry once.",
		Traits:  pipeline.Traits{ReserveAhead: 10_000, Rereadable: true},
		New:     func() any { return new(Config) },
	}
}

// Config is the input's config.
type Config struct {
	Paths          []string          `yaml:"paths" doc:"Folders with journals: their files and those in folders directly below." default:"[/var/log/journal, /run/log/journal]"`
	ReadFrom       string            `yaml:"read_from" doc:"Where to begin at the very first start." enum:"beginning|end" default:"beginning"`
	Since          pipeline.Duration `yaml:"since" doc:"Of a journal that is new to the agent, older entries are left out; 0s for none." default:"7d"`
	Units          []string          `yaml:"units" doc:"Only entries of these units; * stands for anything. By default those of all. What systemd says of a unit counts as the unit's." example:"[nginx.service, \"app-*\"]"`
	ExcludeUnits   []string          `yaml:"exclude_units" doc:"No entries of these units." example:"[longshore.service]"`
	Identifiers    []string          `yaml:"identifiers" doc:"Only entries with these syslog identifiers; * stands for anything." example:"[kernel, sshd]"`
	Priority       string            `yaml:"priority" doc:"Only entries of this priority and more severe ones." enum:"emerg|alert|crit|err|warning|notice|info|debug" default:"debug"`
	Fields         []string          `yaml:"fields" doc:"More of the fields that journald itself adds to entries, whose names begin with an underscore. Those of programs are all there." example:"[_EXE, _CMDLINE]"`
	MaxMessageSize pipeline.Size     `yaml:"max_message_size" doc:"Longest value of a field. Of a longer one only this much is kept; a message is marked as truncated." default:"1MiB" min:"1KiB" max:"16MiB"`
}

// priorities are the names of syslog's severities, from 0 on.
var priorities = []string{"emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"}

// Check implements pipeline.Checker.
func (c *Config) Check() []pipeline.Problem {
	var problems []pipeline.Problem
	for i, path := range c.Paths {
		if !filepath.IsAbs(path) {
			problems = append(problems, pipeline.Problem{Path: fmt.Sprintf("paths[%d]", i),
				Message: "must be an absolute path"})
		}
	}
	if len(c.Paths) == 0 {
		problems = append(problems, pipeline.Problem{Path: "paths",
			Message: "is empty; leave it out for the usual ones"})
	}
	return problems
}

// Input implements pipeline.InputConfig.
func (c *Config) Input(env pipeline.Env) (pipeline.Input, error) {
	return &input{
		config: *c, env: env, metrics: newMetrics(env.Metrics),
		lowest: slices.Index(priorities, c.Priority), poll: pollInterval,
	}, nil
}
