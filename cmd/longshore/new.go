package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
)

func (a *app) newCommand() *cobra.Command {
	n := newConfig{app: a, machine: thisMachine(a.env)}
	cmd := &cobra.Command{
		Use:   "new [type…]",
		Short: "Write a config for what is found on this machine",
		Long: "Prints a short config with comments: the containers of the Docker socket, the logs in /var/log, and " +
			"the Loki, Elasticsearch or VictoriaLogs that the environment names or that answers on this machine. " +
			"What it looked at is said on standard error. With types, these components are in it, and nothing is " +
			"looked for in their place.",
		Example: "  longshore new -o longshore.yml\n  longshore new docker loki\n  longshore new file output.file",
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return a.types(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: action(func(cmd *cobra.Command, args []string) error {
			return n.run(cmd.Context(), args)
		}),
	}
	cmd.Flags().StringVarP(&n.to, "output", "o", "", "write to this file, which must not be there yet")
	return cmd
}

// A newConfig is one invocation of the command.
type newConfig struct {
	*app
	machine machine
	to      string

	sections map[pipeline.Kind]string // what stands below inputs, parsers and so on
}

func (n *newConfig) run(ctx context.Context, types []string) error {
	n.sections = map[pipeline.Kind]string{}
	for _, name := range types {
		if err := n.add(name); err != nil {
			return &failure{exitUsage, err}
		}
	}
	n.machine.saw = func(format string, args ...any) { printf(n.stderr, format+"\n", args...) }
	if n.sections[pipeline.KindInput] == "" {
		n.sections[pipeline.KindInput] = n.machine.inputs(ctx)
	}
	if n.sections[pipeline.KindOutput] == "" {
		n.sections[pipeline.KindOutput] = n.machine.outputs(ctx)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return n.write(n.text())
}

// named returns the component of a name: a type, or its kind and type. Of a type that is both an
// input's and an output's it is the output: for inputs there is what was found.
func (n *newConfig) named(name string) (found pipeline.Spec, ok bool) {
	for _, spec := range n.components {
		if string(spec.Kind)+"."+spec.Type == name {
			return spec, true
		}
		if spec.Type == name && (!ok || spec.Kind == pipeline.KindOutput) {
			found, ok = spec, true
		}
	}
	return found, ok
}

// add adds a component with its required settings.
func (n *newConfig) add(name string) error {
	if spec, ok := n.named(name); ok {
		if spec.Traits.Observes {
			return fmt.Errorf("%s are no component to begin with, but a section of their own; see docs/alerts.md", name)
		}
		named := cmp.Or(shortNames[spec.Type], spec.Type)
		text := fmt.Sprintf("  # %s\n  %s:\n    type: %s\n", firstSentence(spec.Summary), named, spec.Type)
		if strings.Contains(n.sections[spec.Kind], "\n  "+named+":\n") {
			return fmt.Errorf("%s is named twice", name)
		}
		text += neededSettings(spec)
		if spec.Traits.NeedsCondition {
			text += "    if: level == \"debug\"\n"
		}
		text += "    # All settings: longshore list " + spec.Type + "\n"
		n.sections[spec.Kind] += text
		return nil
	}
	return fmt.Errorf("there is no component %q; there is %s", name, strings.Join(n.types(), ", "))
}

// shortNames are names of components that are not called as their type is: the examples of settings
// that name outputs do so.
var shortNames = map[string]string{"elasticsearch": "elastic"}

func firstSentence(doc string) string {
	first, _, _ := strings.Cut(doc, ". ")
	return strings.TrimSuffix(first, ".")
}

// neededSettings writes the settings without which a component makes no sense: those required, and
// where it wants one of several, the first of them that will do.
func neededSettings(spec pipeline.Spec) string {
	settings := config.Describe(spec)
	required := requiredSettings(settings, "", "    ")
	if _, err := config.Settings(spec, required); err == nil {
		return required
	}
	for _, s := range settings {
		if s.Example == "" || s.Required || s.Common || strings.ContainsAny(s.Path, ".[") {
			continue
		}
		more := required + fmt.Sprintf("    %s: %s # %s\n", s.Path, s.Example, firstSentence(s.Doc))
		if _, err := config.Settings(spec, more); err == nil {
			return more
		}
	}
	return required
}

// requiredSettings writes the settings under a path that must be set, with their examples.
func requiredSettings(settings []config.Setting, under, indent string) string {
	var b strings.Builder
	for _, s := range settings {
		name, within := strings.CutPrefix(s.Path, under)
		if !within || !s.Required || strings.ContainsAny(name, ".[") {
			continue
		}
		switch {
		case s.Example != "":
			b.WriteString(indent + name + ": " + s.Example + " # " + firstSentence(s.Doc) + "\n")
		case s.Type == "list of section":
			inner := requiredSettings(settings, s.Path+"[].", indent+"    ")
			b.WriteString(indent + name + ": # " + firstSentence(s.Doc) + "\n")
			b.WriteString(indent + "  - " + strings.TrimLeft(inner, " "))
		}
	}
	return b.String()
}

// text returns the config.
func (n *newConfig) text() string {
	var b strings.Builder
	b.WriteString("# yaml-language-server: $schema=./longshore.schema.json\n" +
		"# With that line an editor completes and explains settings, once the file is there:\n" +
		"#   longshore schema > longshore.schema.json\n" +
		"# Try it:  longshore check longshore.yml, and then longshore run longshore.yml\n" +
		"version: 1\n\n" +
		"# Positions, and what waits for a destination that is away. It must survive a restart.\n")
	b.WriteString("data_dir: " + yamlText(n.machine.dataDir()) + "\n")
	b.WriteString("\n# Health, metrics, the API and the page. Only this machine reaches the default address.\n" +
		"# http:\n#   listen: " + config.DefaultListen + "\n")
	for _, kind := range []pipeline.Kind{pipeline.KindInput, pipeline.KindParser, pipeline.KindTransform} {
		if n.sections[kind] != "" {
			b.WriteString("\n" + string(kind) + "s:\n" + n.sections[kind])
		}
	}
	if n.sections[pipeline.KindParser] == "" {
		b.WriteString("\n# Without parsers every format is detected. Secrets are taken out of all lines.\n")
	}
	if n.sections[pipeline.KindOutput] != "" {
		b.WriteString("\noutputs:\n" + n.sections[pipeline.KindOutput])
		return b.String()
	}
	b.WriteString("\n# Without outputs the newest records are kept in data_dir, to be looked at.\n" +
		"recent: on\n\n" +
		"# outputs:\n#   loki:\n#     type: loki\n#     url: http://localhost:3100\n" +
		"#   elasticsearch:\n#     type: elasticsearch\n#     urls: [http://localhost:9200]\n")
	return b.String()
}

// yamlText quotes a text that is anything but a plain path.
func yamlText(s string) string {
	if plainPath.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}

func (n *newConfig) write(text string) error {
	if n.to == "" {
		if _, err := printf(n.stdout, "%s", styled(printableLines(text))); err != nil {
			return fmt.Errorf("writing the config: %w", err)
		}
		return nil
	}
	f, err := os.OpenFile(n.to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already and stays as it is; name another file", n.to)
	}
	if err != nil {
		return fmt.Errorf("writing the config: %w", err)
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("writing the config: %w", err)
	}
	printf(n.stderr, "written to %s; next: longshore check %s\n", n.to, filepath.Clean(n.to))
	return nil
}
