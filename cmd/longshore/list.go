package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
)

func (a *app) listCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list [component]",
		Short: "List the components, or the settings of one",
		Args:  cobra.MaximumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return a.types(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: action(func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return a.listComponents()
			}
			return a.listSettings(args[0])
		}),
	}
}

// types returns the names of all components, each once.
func (a *app) types() []string {
	var names []string
	for _, spec := range a.components {
		names = append(names, spec.Type)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (a *app) listComponents() error {
	s := a.styleOf(a.stdout)
	for _, kind := range []pipeline.Kind{pipeline.KindInput, pipeline.KindParser, pipeline.KindTransform,
		pipeline.KindOutput} {
		specs := a.sorted(kind)
		if len(specs) == 0 {
			continue
		}
		printf(a.stdout, "%s\n", s.bold(string(kind)+"s"))
		table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
		for _, spec := range specs {
			printf(table, "  %s\t%s\n", spec.Type, spec.Summary)
		}
		if err := table.Flush(); err != nil {
			return fmt.Errorf("writing the list: %w", err)
		}
		printf(a.stdout, "\n")
	}
	_, err := printf(a.stdout, "%s\n", `"longshore list NAME" lists the settings of one.`)
	return err
}

func (a *app) sorted(kind pipeline.Kind) []pipeline.Spec {
	var specs []pipeline.Spec
	for _, spec := range a.components {
		if spec.Kind == kind {
			specs = append(specs, spec)
		}
	}
	slices.SortFunc(specs, func(a, b pipeline.Spec) int { return cmp.Compare(a.Type, b.Type) })
	return specs
}

// listSettings lists the settings of a component; an input and an output may have the
// same name, then of both.
func (a *app) listSettings(name string) error {
	found := false
	for _, spec := range a.components {
		if spec.Type != name {
			continue
		}
		if found {
			printf(a.stdout, "\n")
		}
		found = true
		a.printSpec(spec)
	}
	if !found {
		return &failure{exitUsage, fmt.Errorf("there is no component %q; there is %s", name,
			strings.Join(a.types(), ", "))}
	}
	return nil
}

func (a *app) printSpec(spec pipeline.Spec) {
	s := a.styleOf(a.stdout)
	printf(a.stdout, "%s (%s): %s\n", s.bold(spec.Type), spec.Kind, spec.Summary)
	for _, trait := range spec.Traits.Describe() {
		printf(a.stdout, "  %s\n", trait)
	}
	common := false
	for _, setting := range config.Describe(spec) {
		if setting.Common && !common {
			common = true
			printf(a.stdout, "\nsettings of every %s:\n", spec.Kind)
		}
		printf(a.stdout, "\n  %s  %s\n      %s\n", s.bold(setting.Path), s.dim(facts(setting)), setting.Doc)
		if setting.Example != "" {
			printf(a.stdout, "      Example: %s\n", setting.Example)
		}
	}
}

// facts returns a setting's type and limits in one line.
func facts(s config.Setting) string {
	what := []string{s.Type}
	if len(s.Enum) > 0 {
		what = []string{strings.Join(s.Enum, " | ")}
	}
	if s.Required {
		what = append(what, "required")
	}
	if s.Default != "" {
		what = append(what, "default "+s.Default)
	}
	if s.Min != "" {
		what = append(what, "at least "+s.Min)
	}
	if s.Max != "" {
		what = append(what, "at most "+s.Max)
	}
	return strings.Join(what, ", ")
}
