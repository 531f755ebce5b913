package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/longshore/longshore/pipeline/config"
)

func (a *app) runCommand() *cobra.Command {
	var path, dataDir string
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Ship logs until stopped",
		Long: "Ships logs as the config says, until SIGINT or SIGTERM. Without a config it takes all containers of the Docker " +
			"socket to LONGSHORE_LOKI_URL and LONGSHORE_ELASTICSEARCH_URL, or to standard output when neither is set.",
		Args: cobra.NoArgs,
		RunE: action(func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.load(path)
			if err != nil {
				return err
			}
			if dataDir != "" {
				cfg.DataDir = dataDir
			}
			return a.runPipelines(cmd.Context(), cfg)
		}),
	}
	configFlag(cmd, &path)
	cmd.Flags().StringVar(&dataDir, "data-dir", "", "folder for what must survive a restart, instead of the config's data_dir")
	_ = cmd.MarkFlagDirname("data-dir") // the flag is there
	return cmd
}

// runPipelines runs what the config says until ctx ends.
func (a *app) runPipelines(_ context.Context, _ *config.Config) error {
	return errors.New("running is not built yet")
}
