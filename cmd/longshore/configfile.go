package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/longshore/longshore/cmd/longshore/importer"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
	"github.com/longshore/longshore/pipeline/secrets"
)

// defaultFiles are where a config is looked for when none is named.
var defaultFiles = [...]string{"longshore.yml", "/etc/longshore/longshore.yml"}

// configFlag adds the flag that names the config.
func configFlag(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVarP(path, "config", "c", "",
		"config file (default: $LONGSHORE_CONFIG, ./longshore.yml, /etc/longshore/longshore.yml, or a built-in one)")
	_ = cmd.MarkFlagFilename("config", "yml", "yaml") // the flag is there
}

// configArgument takes the config that is named without a flag, as in "check longshore.yml".
func configArgument(path *string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) == 0:
			return nil
		case len(args) > 1:
			return fmt.Errorf("one config at a time, not %d: %s", len(args), strings.Join(args, ", "))
		case *path != "":
			return fmt.Errorf("two configs are named, %s and %s; give one", *path, args[0])
		}
		*path = args[0]
		return nil
	}
}

// load reads the config at path, or the default one if path is empty.
func (a *app) load(path string) (*config.Config, error) {
	return a.loadBy(a.loader(), path)
}

// loadUnread is load for what needs no secret: those that are kept elsewhere are not read, and
// nothing is connected to.
func (a *app) loadUnread(path string) (*config.Config, error) {
	loader := a.loader()
	loader.Secret = nil
	return a.loadBy(loader, path)
}

func (a *app) loadBy(loader config.Loader, path string) (*config.Config, error) {
	a.secretsAway = false
	if path = a.configPath(path); path != "" {
		return loadFile(loader, path)
	}
	return loader.Default()
}

// loader reads configs and the secrets that they name.
func (a *app) loader() config.Loader {
	return config.Loader{Components: a.components, LookupEnv: a.env,
		Secret: func(where secrets.Settings, ref secrets.Ref) (string, error) {
			text, err := a.store().Get(a.context(), where, ref)
			var away *secrets.Unavailable
			a.secretsAway = a.secretsAway || errors.As(err, &away)
			return text, err
		}}
}

// store has the secrets that are kept elsewhere.
func (a *app) store() *secrets.Store {
	if a.secrets == nil {
		a.secrets = secrets.New(secrets.Options{LookupEnv: a.env, Now: time.Now, Log: a.logger()})
	}
	return a.secrets
}

// context ends with the command.
func (a *app) context() context.Context {
	if a.ctx == nil {
		return context.Background()
	}
	return a.ctx
}

// loadAgain returns a config that is read again as it was written, with the secrets as they are
// now.
func (a *app) loadAgain(was *config.Config) (*config.Config, error) {
	cfg, err := a.loader().Load(was.File, was.Written())
	if err != nil {
		return nil, err
	}
	cfg.DataDir = was.DataDir
	return cfg, nil
}

// configPath returns the path, or that of the config that is used where it is empty; "" if there is
// none.
func (a *app) configPath(path string) string {
	if path == "" {
		path, _ = a.env("LONGSHORE_CONFIG")
	}
	if path != "" {
		return path
	}
	for _, file := range defaultFiles {
		if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
			return file
		}
	}
	return ""
}

// loadFile reads a config. One of another tool has a single error, which says how to convert it.
func loadFile(loader config.Loader, path string) (*config.Config, error) {
	cfg, err := loader.LoadFile(path)
	var problems config.Errors
	if !errors.As(err, &problems) {
		return cfg, err
	}
	if why := foreign(path); why != "" {
		return nil, config.Errors{{File: path, Message: why}}
	}
	return nil, err
}

// foreign says what a config that cannot be read is, if it is another tool's, and what to do.
func foreign(path string) string {
	data, err := pipeline.ReadFile(path, importer.MaxConfig)
	if err != nil {
		return ""
	}
	if tool := importer.Recognise(path, string(data)); tool != "" {
		return fmt.Sprintf("this is a config of %s; convert it with: longshore import %s -o longshore.yml",
			tool.Title(), path)
	}
	if importer.IsTOML(string(data)) {
		return "this is TOML, and Longshore's configs are YAML (name: value, nested by indentation); see " +
			"docs/reference/config.md"
	}
	return ""
}

// loadFor is load, with dataDir, unless it is empty, instead of the config's.
func (a *app) loadFor(path, dataDir string) (*config.Config, error) {
	cfg, err := a.load(path)
	if err != nil {
		return nil, err
	}
	cfg.DataDir = cmp.Or(dataDir, cfg.DataDir)
	return cfg, nil
}

// printConfigErrors prints all errors of a config.
func (a *app) printConfigErrors(problems config.Errors) {
	a.printProblems(problems, "")
	if len(problems) > 0 {
		sum := pipeline.Count(len(problems), "error") + " in " + problems[0].File
		printf(a.stderr, "%s\n", a.styleOf(a.stderr).red(sum))
	}
}

// printProblems prints problems of a config, each after a prefix, with their lines.
func (a *app) printProblems(problems config.Errors, what string) {
	s := a.styleOf(a.stderr)
	for _, e := range problems {
		printf(a.stderr, "%s: %s%s\n", s.bold(e.Position()), what, e.What())
		if line, caret := e.Source(); line != "" {
			printf(a.stderr, "%s\n%s\n", s.dim(line), s.green(caret))
		}
	}
}
