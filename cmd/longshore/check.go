package main

import "github.com/spf13/cobra"

func (a *app) checkCommand() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Report every error in a config",
		Long: "Reads a config as run would and reports every error in it, without connecting to anything. " +
			"The exit code is 78 if there are errors.",
		Args: cobra.NoArgs,
		RunE: action(func(*cobra.Command, []string) error {
			return a.check(path)
		}),
	}
	configFlag(cmd, &path)
	return cmd
}

func (a *app) check(path string) error {
	cfg, err := a.load(path)
	if err != nil {
		return err
	}
	a.printProblems(cfg.Warnings, "warning: ")
	transforms := ""
	if n := len(cfg.Transforms); n > 0 {
		transforms = count(n, "transform") + ", "
	}
	printf(a.stdout, "%s is %s: %s, %s, %s%s, %s\n", cfg.File, a.styleOf(a.stdout).green("valid"),
		count(len(cfg.Inputs), "input"), count(len(cfg.Parsers), "parser"), transforms,
		count(len(cfg.Outputs), "output"), count(len(cfg.Pipelines), "pipeline"))
	return nil
}
