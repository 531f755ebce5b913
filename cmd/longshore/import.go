package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/longshore/longshore/cmd/longshore/importer"
	"github.com/longshore/longshore/pipeline"
)

// importing is one invocation of the command.
type importing struct {
	*app
	from      string
	to        string
	force     bool
	positions string
	dataDir   string
}

func (a *app) importCommand() *cobra.Command {
	i := importing{app: a}
	cmd := &cobra.Command{
		Use:   "import file",
		Short: "Convert a config of Promtail, Fluent Bit, Filebeat, Vector, the OpenTelemetry Collector or Alloy",
		Long: "Converts another log agent's config to one for Longshore, and prints it. What cannot be converted, " +
			"or is " +
			"not quite the same, is listed with its place and what to do, and stands as comments in the config. " +
			"The config that is printed is valid: check has been run on it. Nothing is connected to.",
		Example: "  longshore import promtail.yml > longshore.yml\n" +
			"  longshore import promtail.yml -o longshore.yml --positions positions.yaml --data-dir " +
			"/var/lib/longshore\n" +
			"  longshore import --from filebeat beats.yml -o longshore.yml",
		Args: cobra.ExactArgs(1),
		RunE: action(func(_ *cobra.Command, args []string) error { return i.run(args[0]) }),
	}
	flags := cmd.Flags()
	flags.StringVar(&i.from, "from", "", "the tool that the config is of: "+toolList()+" (default: by its content)")
	flags.StringVarP(&i.to, "output", "o", "", "file to write the config to, instead of standard output")
	flags.BoolVar(&i.force, "force", false, "overwrite the file of -o")
	flags.StringVar(&i.positions, "positions", "", "what the tool has noted of how far it has read: Promtail's or "+
		"Alloy's positions.yml, Filebeat's registry, Fluent Bit's db; Longshore goes on there")
	flags.StringVar(&i.dataDir, "data-dir", "", "with --positions: the folder for persistent data, where they are "+
		"written")
	return cmd
}

func toolList() string {
	var names []string
	for _, tool := range importer.Tools() {
		names = append(names, string(tool))
	}
	return strings.Join(names, ", ")
}

func (i *importing) run(path string) error {
	if (i.positions == "") != (i.dataDir == "") {
		return &failure{exitUsage, errors.New("--positions and --data-dir belong together: what is taken over is " +
			"written " +
			"into the folder that the agent will run with")}
	}
	src, err := i.source(path)
	if err != nil {
		return err
	}
	result, err := importer.Convert(src)
	if err != nil {
		return &failure{exitConfig, err}
	}
	notAccepted := result.Accept(i.components, i.env)
	i.tell(result)
	if notAccepted != nil {
		return &failure{exitConfig, notAccepted}
	}
	if i.positions != "" {
		if err := i.mayWrite(); err != nil {
			return err // before anything else is written
		}
		if err := i.takeOver(result); err != nil {
			return err
		}
	}
	return i.write(result)
}

// source reads the foreign config.
func (i *importing) source(path string) (importer.Source, error) {
	src := importer.Source{Name: path, Tool: importer.Tool(i.from)}
	if i.from != "" && !strings.Contains(" "+toolList()+",", " "+i.from+",") {
		return src, &failure{exitUsage, fmt.Errorf("--from %s is no tool that is known; take one of "+
			"%s", i.from, toolList())}
	}
	var err error
	if path == "-" {
		src.Name = "standard input"
		src.Text, err = io.ReadAll(io.LimitReader(i.stdin, importer.MaxConfig+1))
	} else {
		src.Text, err = pipeline.ReadFile(path, importer.MaxConfig)
		src.Include = includeBelow(filepath.Dir(path))
	}
	if err != nil {
		return src, fmt.Errorf("reading the config to convert: %w", err)
	}
	return src, nil
}

// includeBelow reads files that a config includes, if they are below its folder; symbolic links
// lead nowhere else.
func includeBelow(folder string) func(string) ([]byte, error) {
	return func(name string) ([]byte, error) {
		root, err := os.OpenRoot(folder)
		if err != nil {
			return nil, err
		}
		defer root.Close()
		if filepath.IsAbs(name) {
			if name, err = relativeTo(folder, name); err != nil {
				return nil, err
			}
		}
		info, err := root.Stat(name)
		if err != nil {
			return nil, err
		}
		if !info.Mode().IsRegular() {
			return nil, fmt.Errorf("%s is no regular file", name)
		}
		f, err := root.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		text, err := io.ReadAll(io.LimitReader(f, importer.MaxConfig+1))
		if err == nil && len(text) > importer.MaxConfig {
			err = fmt.Errorf("%s is larger than %s", name, pipeline.Size(importer.MaxConfig))
		}
		return text, err
	}
}

func relativeTo(folder, name string) (string, error) {
	absolute, err := filepath.Abs(folder)
	if err != nil {
		return "", err
	}
	return filepath.Rel(absolute, name)
}

// tell prints what was not converted, and the share of what was.
func (i *importing) tell(r *importer.Result) {
	s := i.styleOf(i.stderr)
	for _, note := range r.Notes {
		if note.Kind == importer.Left {
			printf(i.stderr, "%s\n", s.red(note.String()))
			continue
		}
		printf(i.stderr, "%s\n", note)
	}
	if len(r.Variables) > 0 {
		printf(i.stderr, "set these in the environment: %s\n", strings.Join(r.Variables, ", "))
	}
	printf(i.stderr, "%s: %s\n", r.Tool.Title(), s.bold(r.Share()))
}

// mayWrite reports that the file to write is there already.
func (i *importing) mayWrite() error {
	if _, err := os.Lstat(i.to); i.to != "" && !i.force && err == nil {
		return i.isThere()
	}
	return nil
}

func (i *importing) isThere() error {
	return fmt.Errorf("%s is there already and stays as it is; name another file, or say --force", i.to)
}

func (i *importing) write(r *importer.Result) error {
	if i.to == "" {
		_, err := i.stdout.Write(r.Config())
		return err
	}
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if i.force {
		flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	f, err := os.OpenFile(i.to, flags, 0o640)
	if errors.Is(err, fs.ErrExist) {
		return i.isThere()
	}
	if err != nil {
		return fmt.Errorf("writing the config: %w", err)
	}
	_, err = f.Write(r.Config())
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("writing the config: %w", err)
	}
	return nil
}
