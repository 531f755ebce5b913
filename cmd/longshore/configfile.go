package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/longshore/longshore/pipeline/config"
)

// usualFiles are where a config is looked for when none is named.
var usualFiles = [...]string{"longshore.yml", "/etc/longshore/longshore.yml"}

// configFlag adds the flag that names the config.
func configFlag(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVarP(path, "config", "c", "",
		"config file (default: $LONGSHORE_CONFIG, ./longshore.yml, /etc/longshore/longshore.yml, or a built-in one)")
	_ = cmd.MarkFlagFilename("config", "yml", "yaml") // the flag is there
}

// load reads the config at path, or the usual one if path is empty.
func (a *app) load(path string) (*config.Config, error) {
	loader := config.Loader{Components: a.components, LookupEnv: a.env}
	if path == "" {
		path, _ = a.env("LONGSHORE_CONFIG")
	}
	if path != "" {
		return loader.LoadFile(path)
	}
	for _, usual := range usualFiles {
		if _, err := os.Stat(usual); !errors.Is(err, fs.ErrNotExist) {
			return loader.LoadFile(usual)
		}
	}
	return loader.Default()
}

// loadFor is load, with another data folder than the config's if one is named.
func (a *app) loadFor(path, dataDir string) (*config.Config, error) {
	cfg, err := a.load(path)
	if err != nil {
		return nil, err
	}
	cfg.DataDir = cmp.Or(dataDir, cfg.DataDir)
	return cfg, nil
}

// printMistakes prints all mistakes of a config.
func (a *app) printMistakes(wrong config.Errors) {
	a.printProblems(wrong, "")
	if len(wrong) > 0 {
		fmt.Fprintf(a.stderr, "%s\n", a.styleOf(a.stderr).red(count(len(wrong), "mistake")+" in "+wrong[0].File))
	}
}

// printProblems prints problems of a config with their lines, and what each is.
func (a *app) printProblems(problems config.Errors, what string) {
	s := a.styleOf(a.stderr)
	for _, e := range problems {
		fmt.Fprintf(a.stderr, "%s: %s%s\n", s.bold(e.Position()), what, e.What())
		if line, caret := e.Source(); line != "" {
			fmt.Fprintf(a.stderr, "%s\n%s\n", s.dim(line), s.green(caret))
		}
	}
}

// count gives a number and what is counted.
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
