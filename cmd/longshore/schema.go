package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/longshore/longshore/pipeline/config"
)

func (a *app) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of configs, for editors",
		Long: "Prints a JSON Schema of this version's configs. An editor that knows it completes settings, shows " +
			"what they mean and marks mistakes. check finds more: names that are nobody's, conditions, addresses.",
		Example: "  longshore schema > longshore.schema.json\n\n" +
			"and, as the first line of longshore.yml:\n\n" +
			"  # yaml-language-server: $schema=./longshore.schema.json",
		Args: cobra.NoArgs,
		RunE: action(func(*cobra.Command, []string) error {
			text, err := config.Schema(a.components)
			if err != nil {
				return err
			}
			if _, err := a.stdout.Write(text); err != nil {
				return fmt.Errorf("writing the schema: %w", err)
			}
			return nil
		}),
	}
}
