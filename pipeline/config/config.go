// Package config reads Longshore's YAML into the components' config structs.
// It reports all problems of a config at once, each with its position, its line
// and what to do about it, and it never shows a secret.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/secrets"
	"github.com/longshore/longshore/pipeline/tlsfiles"
)

// DefaultDataDir is the default of data_dir.
const DefaultDataDir = "/var/lib/longshore"

// DeadLetterFolder is the folder, in DataDir, that has the dead letters of each output.
const DeadLetterFolder = "dead-letters"

// A Config is a config without problems. Inputs, parsers, transforms, outputs and pipelines are in
// the order of the file; each name is there once in its kind.
type Config struct {
	File string // where it is from, for people

	DataDir         string
	HTTP            HTTP
	ShutdownTimeout pipeline.Duration // how long to go on delivering after a signal to stop
	// Recent is the size of the store of recent records; 0 where there is none.
	Recent pipeline.Size
	// Watch is what /metrics says of the host and its containers; the zero value is nothing.
	Watch Watch

	Inputs     []Input
	Parsers    []Parser
	Transforms []Transform
	Outputs    []Output
	Pipelines  []Pipeline
	Tests      []Case

	// Warnings name what works, but should be changed: settings under former names.
	Warnings Errors

	specs   []pipeline.Spec
	text    string            // see Text
	files   map[string]digest // see Files
	written []byte            // see Written
	secrets []secrets.Ref     // see Secrets
	masked  []string          // see masker
}

// Written returns the config as it was written, secrets and all.
func (cfg *Config) Written() []byte { return cfg.written }

// Secrets returns what ${vault:…} and ${aws:…} name in it.
func (cfg *Config) Secrets() []secrets.Ref { return cfg.secrets }

// Parser returns a parser that no section of the config names, of a type of its Loader's. settings
// are written as in YAML; the others have their defaults.
func (cfg *Config) Parser(typ string, settings map[string]string) (Parser, error) {
	spec, ok := specOf(cfg.specs, pipeline.KindParser, typ)
	if !ok {
		return Parser{}, fmt.Errorf("there is no parser of the type %q", typ)
	}
	n := &node{}
	for _, name := range keys(settings) {
		n.entries = append(n.entries, entry{name: name, value: scalarNode(settings[name])})
	}
	c, err := standalone(typ, spec, n, &problemList{source: newSource(typ, "")})
	if err != nil {
		return Parser{}, err
	}
	var made Config
	if err := made.add(c); err != nil {
		return Parser{}, err
	}
	return made.Parsers[0], nil
}

// Settings returns the settings of a component that stands in no config, from the YAML that would
// stand below its name, but for the type.
func Settings(spec pipeline.Spec, yaml string) (any, error) {
	r := &problemList{source: newSource(spec.Type, yaml)}
	vars := &variables{lookup: func(string) (string, bool) { return "", false }, read: readSecretFile}
	n := readTree(yaml, r, vars)
	if n == nil {
		n = &node{}
	}
	c, err := standalone(spec.Type, spec, n, r)
	if err != nil {
		return nil, err
	}
	return c.settings, nil
}

// DefaultListen is the default of http.listen. IANA has assigned the port to nobody, and no program
// that runs beside a log agent is known to use it: 8080, say, is the first choice of many.
const DefaultListen = "127.0.0.1:5664"

// HTTP is the address of /health, /ready and /metrics.
type HTTP struct {
	Listen string          `yaml:"listen" doc:"Address of /health, /ready, /metrics and the API. Where the default is taken, a free port is used, with a warning." default:"127.0.0.1:5664"`
	Token  pipeline.Secret `yaml:"token" doc:"Opens the API to other machines: sent as Authorization: Bearer TOKEN. Without one only this machine can use it, by a loopback host such as localhost."`
	URL    string          `yaml:"url" doc:"Where people reach the page; links in alerts begin so." example:"https://logs.example.com"`
	TLS    tlsfiles.Server `yaml:"tls" doc:"Certificate of the server, for https, and those of clients."`
	// ListenDefault reports that no setting says Listen.
	ListenDefault bool `yaml:"-"`
}

// Check returns what is invalid in the files.
func (h *HTTP) Check() []pipeline.Problem { return h.TLS.Check("tls") }

// At returns the URL of a path at an address of the server.
func (h *HTTP) At(address, path string) string {
	if h.TLS.On() {
		return "https://" + address + path
	}
	return "http://" + address + path
}

// Recent is the store of recent records. Where it is a single word, that switches it on or off.
type Recent struct {
	Size pipeline.Size `yaml:"size" doc:"Disk space for them, in data_dir; the oldest make room." default:"64MiB" min:"1MiB" max:"64GiB"`
}

// An Input is one input and its settings.
type Input struct {
	Name, Type string
	Traits     pipeline.Traits
	Common     pipeline.InputSettings
	Settings   pipeline.InputConfig
}

// A Parser is one parser and its settings.
type Parser struct {
	Name, Type string
	Common     pipeline.ParserSettings
	Settings   pipeline.ParserConfig
}

// A Transform is one transform and its settings.
type Transform struct {
	Name, Type string
	Traits     pipeline.Traits
	Common     pipeline.TransformSettings
	Settings   pipeline.TransformConfig
}

// An Output is one output and its settings.
type Output struct {
	Name, Type string
	Common     pipeline.OutputSettings
	Settings   pipeline.OutputConfig
}

// A Pipeline names what belongs together. Every name is that of a component of the Config. A line
// goes to the first parser that understands it, and then through all transforms.
type Pipeline struct {
	Name       string   `yaml:"-"`
	Inputs     []string `yaml:"inputs" doc:"Names of inputs." required:"true"`
	Parsers    []string `yaml:"parsers" doc:"Names of parsers, or types of parsers that need no settings. Without any, every format is detected."`
	Transforms []string `yaml:"transforms" doc:"Names of transforms, or types of transforms that need no settings, in the order they work in."`
	Outputs    []string `yaml:"outputs" doc:"Names of outputs; left out where there are none."`
}

// A Loader reads configs. Its zero value knows no components and an empty environment.
type Loader struct {
	// Components are the types there are.
	Components []pipeline.Spec
	// LookupEnv returns the value of a variable for ${VAR}, as os.LookupEnv does.
	LookupEnv func(name string) (string, bool)
	// ReadFile returns the content of a file for ${file:path}; nil reads a
	// regular file of at most 64 KiB.
	ReadFile func(path string) ([]byte, error)
	// Secret returns what ${vault:…} and ${aws:…} stand for; nil leaves those settings unset, and
	// what follows from that untold.
	Secret func(where secrets.Settings, ref secrets.Ref) (string, error)
}

// LoadFile reads a config from a file of at most 1 MiB. What is wrong in the
// config is an Errors; any other error is that the file cannot be read.
func (l Loader) LoadFile(path string) (*Config, error) {
	data, err := pipeline.ReadFile(path, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noSuchFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the config: %w", err)
	}
	return l.Load(path, data)
}

// noSuchFile returns the error of a file that is not there, with the one that was perhaps meant.
func noSuchFile(path string) error {
	dir := filepath.Dir(path)
	files, _ := os.ReadDir(dir) // one that cannot be read has no suggestions
	var names []string
	for _, f := range files {
		if ext := filepath.Ext(f.Name()); ext == ".yml" || ext == ".yaml" {
			names = append(names, f.Name())
		}
	}
	hint := "; is the path right?"
	if name := nearest(filepath.Base(path), names); name != "" {
		hint = fmt.Sprintf("; did you mean %q?", filepath.Join(dir, name))
	}
	return fmt.Errorf("reading the config: there is no file %s%s", path, hint)
}

// Load reads a config. name is the file's, for errors and to resolve
// relative paths of ${file:…}. The error is an Errors, or nil.
func (l Loader) Load(name string, data []byte) (*Config, error) {
	text := normal(data)
	r := &problemList{source: newSource(name, text)}
	cfg := l.load(name, text, r)
	if errs := r.errors(); len(errs) > 0 {
		return nil, errs
	}
	cfg.Warnings = r.warnings()
	cfg.text, cfg.written = r.shownText(), data
	return cfg, nil
}

func (l Loader) load(name, text string, r *problemList) *Config {
	if at, why := unreadable(text); why != "" {
		r.source.hideAll = true
		r.add(at, "", "%s", why)
		return nil
	}
	vars := &variables{lookup: l.LookupEnv, read: l.ReadFile, dir: filepath.Dir(name)}
	if vars.lookup == nil {
		vars.lookup = func(string) (string, bool) { return "", false }
	}
	if vars.read == nil {
		vars.read = readSecretFile
	}
	files, read := map[string]digest{}, vars.read
	vars.read = func(path string) ([]byte, error) {
		content, err := read(path)
		if abs, absErr := filepath.Abs(path); absErr == nil {
			files[abs] = digestOf(content)
		}
		return content, err
	}
	root := readTree(text, r, vars)
	if root != nil && len(vars.later) > 0 {
		l.fillSecrets(root, r, vars)
	}
	if root == nil {
		if len(r.found) == 0 {
			r.add(span{}, "", "the config is empty; it needs inputs and outputs")
		}
		return nil
	}
	r.hidden = append(r.hidden, vars.hidden...)
	d := &document{decoder: decoder{problems: r}, root: root, components: l.Components}
	by := secretNames(l.Components)
	d.hideSecrets(root, by)
	guessed := len(r.hidden) // by the names above them, such as that of an output: too much for what follows
	cfg := d.config(name)
	if cfg != nil {
		cfg.files, cfg.secrets, cfg.masked = files, vars.refs, secretForms(root,
			append(r.hidden[guessed:], vars.hidden...), by)
		cfg.noteFiles()
	}
	return cfg
}

// fillSecrets puts in what is kept elsewhere.
func (l Loader) fillSecrets(root *node, r *problemList, vars *variables) {
	where, ok := secretSettings(root.get("secrets").copy())
	switch {
	case l.Secret == nil:
	case ok:
		vars.secret = func(ref secrets.Ref) (string, error) { return l.Secret(where, ref) }
	default: // what is wrong with them is told when they are read for good
	}
	vars.fillLater(root, r)
}

// secretSettings returns the settings that say where secrets are kept, unless something is wrong
// with them.
func secretSettings(n *node) (secrets.Settings, bool) {
	var where secrets.Settings
	d := &decoder{problems: &problemList{source: newSource("", "")}}
	d.structs(n, "secrets", reflect.ValueOf(&where).Elem())
	if n.anyBroken() || len(d.problems.found) > 0 {
		return where, false
	}
	return where, len(where.Check()) == 0
}

// normal returns the text with plain line ends and without a byte-order mark.
func normal(data []byte) string {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	text := strings.ReplaceAll(string(data), "\r\n", "\n")
	return strings.ReplaceAll(text, "\r", "\n")
}

// unreadable says why a text cannot be YAML, whatever is in it.
func unreadable(text string) (span, string) {
	if len(text) > maxFile {
		return span{}, "the config is larger than 1 MiB"
	}
	line, col := 1, 1
	for i, r := range text {
		at := span{line, col, line, col + 1}
		switch {
		case r == '\n':
			line, col = line+1, 0
		case r == utf8.RuneError && !strings.HasPrefix(text[i:], "\uFFFD"):
			return at, "this is not UTF-8"
		case r < ' ' && r != '\t', r >= 0x7f && r < 0xa0, r == 0x2028, r == 0x2029, r == 0xfeff:
			return at, fmt.Sprintf("a control character (%U) is not allowed here", r)
		}
		col++
	}
	return span{}, ""
}
