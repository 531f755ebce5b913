package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/longshore/longshore/agent/disk"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
)

func (a *app) checkCommand() *cobra.Command {
	var path string
	var fix bool
	cmd := &cobra.Command{
		Use:   "check [config]",
		Short: "Report every error in a config",
		Long: "Reads a config as run would and reports every error in it, without connecting to anything. " +
			"The exit code is 78 if there are errors.",
		Args: configArgument(&path),
		RunE: action(func(*cobra.Command, []string) error {
			if fix {
				if err := a.fix(path); err != nil {
					return err
				}
			}
			return a.check(path)
		}),
	}
	configFlag(cmd, &path)
	cmd.Flags().BoolVar(&fix, "fix", false, "first write the names that deprecated settings have now into the config; "+
		"comments and all else stay")
	return cmd
}

// openDataDir warns of a data_dir with OthersMayWrite.
const openDataDir = "every user of this machine may write to data_dir, and so make the agent lose or repeat " +
	"records; take that away: chmod o-w"

// fix writes a config with the names that its settings have now.
func (a *app) fix(path string) error {
	cfg, err := a.loadUnread(path)
	if err != nil {
		return err
	}
	if len(cfg.Warnings) == 0 {
		return nil
	}
	text, err := pipeline.ReadFile(cfg.File, maxConfig)
	if err != nil {
		return fmt.Errorf("reading the config: %w", err)
	}
	fixed, _ := config.Fix(text, cfg.Warnings) // what is left is warned of
	if bytes.Equal(fixed, text) {
		return nil
	}
	if err := replaceFile(cfg.File, fixed); err != nil {
		return fmt.Errorf("writing the config: %w", err)
	}
	_, err = printf(a.stdout, "%s is written with the present names of its settings\n", cfg.File)
	return err
}

// maxConfig bounds what is read of a config that is valid.
const maxConfig = 2 << 20

// replaceFile replaces a file's content, or leaves it as it is. Its mode stays, and its owner where
// that is permitted. What a link leads to is replaced, and not the link.
func replaceFile(path string, content []byte) error {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // it is gone once it is renamed
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		_ = f.Chown(int(stat.Uid), int(stat.Gid)) // only root may
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Chmod(info.Mode().Perm()), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

func (a *app) check(path string) error {
	cfg, err := a.loadUnread(path)
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
