package main

import (
	"github.com/spf13/cobra"

	"github.com/longshore/longshore/agent/disk"
	"github.com/longshore/longshore/pipeline"
)

func (a *app) checkCommand() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "check [config]",
		Short: "Report every error in a config",
		Long: "Reads a config as run would and reports every error in it, without connecting to anything. " +
			"The exit code is 78 if there are errors.",
		Args: configArgument(&path),
		RunE: action(func(*cobra.Command, []string) error {
			return a.check(path)
		}),
	}
	configFlag(cmd, &path)
	return cmd
}

// openDataDir warns of a data_dir with OthersMayWrite.
const openDataDir = "every user of this machine may write to data_dir, and so make the agent lose or repeat " +
	"records; take that away: chmod o-w"

func (a *app) check(path string) error {
	cfg, err := a.load(path)
	if err != nil {
		return err
	}
	a.printProblems(cfg.Warnings, "warning: ")
	if disk.OthersMayWrite(cfg.DataDir) {
		printf(a.stderr, "%s: warning: %s: %s\n", a.styleOf(a.stderr).bold(cfg.File), cfg.DataDir, openDataDir)
	}
	transforms := ""
	if n := len(cfg.Transforms); n > 0 {
		transforms = pipeline.Count(n, "transform") + ", "
	}
	printf(a.stdout, "%s is %s: %s, %s, %s%s, %s\n", cfg.File, a.styleOf(a.stdout).green("valid"),
		pipeline.Count(len(cfg.Inputs), "input"), pipeline.Count(len(cfg.Parsers), "parser"), transforms,
		pipeline.Count(len(cfg.Outputs), "output"), pipeline.Count(len(cfg.Pipelines), "pipeline"))
	return nil
}
