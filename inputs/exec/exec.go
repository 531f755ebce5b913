// Package exec runs a command and reads the lines that it writes. They cannot be read again, so
// every run of the agent begins new sources, and what was not delivered when it is killed is lost.
//
// # Decisions
//
//   - The command is a list of arguments, and no shell sees it. It gets few variables of the
//     agent's environment, as that may have secrets.
//   - The command has a process group of its own, which is told to end with the agent, and then
//     killed: a pipeline's other parts do not outlive it. On Linux it is told also when the agent
//     is killed.
//   - What a process that has left the group holds open is not waited for.
package exec

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/longshore/longshore/pipeline"
)

// Config is the input's config.
type Config struct {
	Command     []string                   `yaml:"command" required:"true" doc:"The program and its arguments. No shell sees them; name one where you need it: [sh, -c, \"…\"]." example:"[dmesg, --follow]"`
	Interval    pipeline.Duration          `yaml:"interval" doc:"Run it so often, from start to start. By default it is to run all the time, and is started again when it ends, after a pause that grows up to a minute." example:"1m"`
	Timeout     pipeline.Duration          `yaml:"timeout" doc:"With interval: how long it may run before it is told to end. By default as long as it takes; the next run waits."`
	Stderr      string                     `yaml:"stderr" doc:"What becomes of its standard error: records, with the label stream, or nothing." enum:"records|discard" default:"records"`
	Environment map[string]pipeline.Secret `yaml:"environment" doc:"Variables of its environment." example:"{TZ: UTC}"`
	Inherit     []string                   `yaml:"inherit_environment" doc:"Variables that it gets from the agent's environment." default:"[PATH, HOME, USER, LANG, TZ]"`
	Folder      string                     `yaml:"working_directory" doc:"Folder that it is started in; by default the agent's." example:"/srv/app"`
	StopTimeout pipeline.Duration          `yaml:"stop_timeout" doc:"How long it may take to end after SIGTERM before it is killed." default:"5s" min:"0s" max:"1m"`
	MaxLineSize pipeline.Size              `yaml:"max_line_size" doc:"Longest line. Of a longer one only this much is kept, marked as truncated." default:"1MiB" min:"16B" max:"16MiB"`
}

// Spec describes the input.
func Spec() pipeline.Spec {
	return pipeline.Spec{
		Kind:    pipeline.KindInput,
		Type:    "exec",
		Summary: "Runs a command, all the time or at intervals, and reads the lines that it writes.",
		Traits:  pipeline.Traits{Ephemeral: true}, // what it wrote cannot be read again
		New:     func() any { return new(Config) },
	}
}

const discarded = "discard"

// Check implements pipeline.Checker.
func (c *Config) Check() []pipeline.Problem {
	var problems []pipeline.Problem
	if len(c.Command) > 0 && c.Command[0] == "" {
		problems = append(problems, pipeline.Problem{Path: "command[0]", Message: "is empty; it must name a program"})
	}
	if len(c.Command) == 1 && strings.Contains(c.Command[0], " ") {
		problems = append(problems, pipeline.Problem{Path: "command[0]",
			Message: fmt.Sprintf("has blanks: arguments are items of their own, as in [%s]",
				strings.Join(strings.Fields(c.Command[0]), ", "))})
	}
	if c.Timeout > 0 && c.Interval == 0 {
		problems = append(problems, pipeline.Problem{Path: "timeout", Message: "needs interval"})
	}
	for name := range c.Environment {
		if name == "" || strings.ContainsAny(name, "=\x00") {
			problems = append(problems, pipeline.Problem{Path: "environment",
				Message: fmt.Sprintf("%q is no name of a variable", name)})
		}
	}
	if c.Folder != "" && !filepath.IsAbs(c.Folder) {
		problems = append(problems, pipeline.Problem{Path: "working_directory", Message: "must be an absolute path"})
	}
	return problems
}

// Input implements pipeline.InputConfig.
func (c *Config) Input(env pipeline.Env) (pipeline.Input, error) {
	return &input{config: *c, env: env, metrics: newMetrics(env.Metrics)}, nil
}

// environment returns the command's variables.
func (c *Config) environment() []string {
	env := []string{} // not nil, which would be the agent's own
	for _, name := range c.Inherit {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	for name, value := range c.Environment {
		env = append(env, name+"="+value.Reveal())
	}
	slices.Sort(env)
	return env
}

// name is the command's, for people and labels.
func (c *Config) name() string { return filepath.Base(c.Command[0]) }
