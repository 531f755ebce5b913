package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/spf13/cobra"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
)

// Files of data_dir that have the config in force, or that was so last, and the one before it. They
// are the agent's alone, as a config may have secrets.
const (
	goodConfig   = "config-good.yml"
	beforeConfig = "config-before.yml"
)

func (a *app) rollbackCommand() *cobra.Command {
	var path, dataDir string
	cmd := &cobra.Command{
		Use:   "rollback [config]",
		Short: "Write the last good config back",
		Long: "Writes the config that was last in force back into its file, as data_dir keeps it; where the file is " +
			"still that one, the one that was in force before. What the file had is kept beside it. A running " +
			"agent is told nothing: reload it.",
		Args: configArgument(&path),
		RunE: action(func(*cobra.Command, []string) error { return a.rollback(path, dataDir, time.Now()) }),
	}
	configFlag(cmd, &path)
	cmd.Flags().StringVar(&dataDir, "data-dir", "", "folder for persistent data, instead of the config's data_dir")
	_ = cmd.MarkFlagDirname("data-dir") // the flag is there
	return cmd
}

func (a *app) rollback(path, dataDir string, now time.Time) error {
	if path = a.configPath(path); path == "" {
		return errors.New("there is no config file; name the one to write")
	}
	text, err := pipeline.ReadFile(path, maxConfig)
	if err != nil {
		return fmt.Errorf("reading the config: %w", err)
	}
	if dataDir, err = a.dataDirOf(path, dataDir, text); err != nil {
		return err
	}
	good, err := otherGood(dataDir, text)
	if err != nil {
		return err
	}
	kept, err := keepBeside(path, text, now)
	if err != nil {
		return fmt.Errorf("keeping the present config: %w", err)
	}
	if err := replaceFile(path, good); err != nil {
		return fmt.Errorf("writing the config: %w", err)
	}
	_, err = printf(a.stdout, "%s is a config again that was in force; what it had is in %s\n"+
		"A running longshore takes it on SIGHUP, by POST /api/v1/reload, or by itself with --watch.\n", path, kept)
	return err
}

// dataDirLine is where a config says its data_dir, even one that is not valid.
var dataDirLine = regexp.MustCompile(`(?m)^data_dir:[ \t]*["']?([^\s"'#]+)`)

// dataDirOf returns the data folder of a config that may not be valid.
func (a *app) dataDirOf(path, dataDir string, text []byte) (string, error) {
	if dataDir != "" {
		return dataDir, nil
	}
	if cfg, err := a.loadUnread(path); err == nil {
		return cfg.DataDir, nil
	}
	m := dataDirLine.FindSubmatch(text)
	switch {
	case m == nil:
		return config.DefaultDataDir, nil
	case bytes.Contains(m[1], []byte("${")):
		return "", errors.New("what data_dir stands for cannot be told, as the config is not valid; " +
			"name it with --data-dir")
	}
	return string(m[1]), nil
}

// otherGood returns the last good config that is not this one.
func otherGood(dataDir string, text []byte) ([]byte, error) {
	for _, name := range []string{goodConfig, beforeConfig} {
		good, err := pipeline.ReadFile(filepath.Join(dataDir, name), maxConfig)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, fmt.Errorf("reading a config that was good: %w", err)
		case !bytes.Equal(good, text):
			return good, nil
		}
	}
	return nil, fmt.Errorf("%s has no config that was in force and is another one; it is kept there by longshore run",
		dataDir)
}

// keepBeside keeps a file's content under another name, which is new.
func keepBeside(path string, text []byte, now time.Time) (kept string, err error) {
	base := path + ".replaced-" + now.UTC().Format("20060102-150405")
	for i := 1; ; i++ {
		kept = base
		if i > 1 {
			kept = fmt.Sprint(base, "-", i)
		}
		f, err := os.OpenFile(kept, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		_, err = f.Write(text)
		return kept, errors.Join(err, f.Sync(), f.Close())
	}
}

// keepGood keeps a config that is in force in data_dir, and the one before it.
func keepGood(cfg *config.Config) error {
	if cfg.File == config.BuiltinName {
		return nil
	}
	path, before := filepath.Join(cfg.DataDir, goodConfig), filepath.Join(cfg.DataDir, beforeConfig)
	was, err := pipeline.ReadFile(path, maxConfig)
	if err == nil && bytes.Equal(was, cfg.Written()) {
		return nil
	}
	next, err := os.CreateTemp(cfg.DataDir, goodConfig+".*") // which is 0600
	if err != nil {
		return err
	}
	defer os.Remove(next.Name()) // it is gone once it is renamed
	_, err = next.Write(cfg.Written())
	if err = errors.Join(err, next.Sync(), next.Close()); err != nil {
		return err
	}
	if err := os.Rename(path, before); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return cmp.Or(os.Rename(next.Name(), path), pipeline.SyncFolder(cfg.DataDir))
}
