package pipeline

import (
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/pipeline/event"
)

// A Spec describes one type of component. Its config struct, with its tags, is
// the only source of what can be set: decoding, checking, defaults, the JSON
// schema, `longshore list` and the reference pages all read it.
//
// Fields of a config struct carry these tags:
//
//	yaml:"name"          the setting's name
//	formerly:"name"      a name it had before, which is still read, with a warning
//	doc:"…"              one short sentence for people
//	default:"…"          as it would stand in YAML; absent means the zero value
//	required:"true"      must be set, and not empty
//	enum:"a|b|c"         the values allowed
//	min:"…" max:"…"      for numbers, durations and sizes, both inclusive
//	example:"…"          a value to show
//	secret:"true"        never shown; a Secret is so by itself
//	reads:"file"         the path of a file that is read when the component is made, and only
//	                     then: a reload makes the component anew when the file has changed
//
// They may be bool, int, float64, string, Secret, Duration, Size, slices of and
// string-keyed maps of these, structs and slices of structs.
type Spec struct {
	Kind    Kind
	Type    string // as in YAML's "type:"
	Summary string // one sentence
	Traits  Traits
	// New returns a pointer to a new config struct. It implements InputConfig,
	// ParserConfig, TransformConfig or OutputConfig, as Kind says, and Checker if it
	// has more to check than tags can say.
	New func() any
	// Defaults are those of settings common to the kind that are other ones for this type, by their
	// names: "concurrency": "1".
	Defaults map[string]string
}

// Kind is what a component is.
type Kind string

const (
	KindInput     Kind = "input"
	KindParser    Kind = "parser"
	KindTransform Kind = "transform"
	KindOutput    Kind = "output"
)

// An InputConfig is the config of an input, and makes it. It must not touch the
// outside (open, connect, read): Run does.
type InputConfig interface {
	Input(env Env) (Input, error)
}

// A ParserConfig is the config of a parser, and makes it.
type ParserConfig interface {
	Parser() (NewParser, error)
}

// A JoinerConfig is a ParserConfig whose parser also joins lines. NewJoiner is
// nil where its settings say that lines stay as they are.
type JoinerConfig interface {
	Joiner() (NewJoiner, JoinLimits, error)
}

// A TransformConfig is the config of a transform, and makes it.
type TransformConfig interface {
	Transform(env TransformEnv) (Transform, error)
}

// An OutputChooser is a TransformConfig that names outputs.
type OutputChooser interface {
	// CheckOutputs is Check for what can be said only when it is known which outputs there are.
	CheckOutputs(outputs []string) []Problem
}

// An OutputConfig is the config of an output, and makes it. It must not touch
// the outside, but for reading the files that its settings name (CA, keys).
type OutputConfig interface {
	Output(env Env) (Output, error)
}

// A FileReader is the config of an input that reads files by their paths.
type FileReader interface {
	// Globs are the absolute globs of what it reads.
	Globs() []string
	// Reads reports whether it reads a file at an absolute path.
	Reads(path string) bool
}

// A FileWriter is the config of an output that writes a file.
type FileWriter interface {
	// Writes is the path of the file.
	Writes() string
}

// A Checker finds what is wrong in a config beyond what its tags say.
type Checker interface {
	Check() []Problem
}

// A Warner finds in a config what works, but is likely not to be meant.
type Warner interface {
	Warnings() []Problem
}

// A Problem is one problem in a config.
type Problem struct {
	// Path is the setting, from the component down: "tls.ca_file", "urls[1]".
	Path string
	// Message says what is wrong and what to do, without naming the path.
	Message string
	// Column is where in the setting's text the problem is, in characters from 1
	// on; 0 is all of it.
	Column int
}

// Env is what a component gets from its surroundings. None of its fields is nil.
type Env struct {
	Name string // the component's name in the config
	Log  *slog.Logger
	// Metrics takes the component's own metrics, already labelled with its kind and name.
	Metrics prometheus.Registerer
	// Health notes why the component is degraded, or that it works again (nil). It shows in /ready.
	// Call it as often as you like.
	Health func(error)
	// Found notes what an input found when it first looked around, such as "12 containers". Call it
	// as often as you like: the first time counts.
	Found func(what string)
	// Folder is where an input or output may keep what it must know after a restart; it may not be
	// there yet. "" is for none.
	Folder string
	// Panicked keeps the panics of the component's goroutines from the rest of the program: all
	// that is connected with it is started anew, from what is on disk. Each goroutine that an input
	// or output starts defers its Contain.
	Panicked Panicked
}

// NewEnv returns an Env whose metrics and reports nobody looks at.
func NewEnv(name string, log *slog.Logger) Env {
	return Env{
		Name: name, Log: log, Metrics: prometheus.NewRegistry(), Health: func(error) {}, Found: func(string) {},
	}
}

// TransformEnv is what a transform gets from its surroundings.
type TransformEnv struct {
	Env
	// Outputs are the names of all outputs, in the order of the config: bit k of
	// event.Record.ExcludedOutputs is that of Outputs[k].
	Outputs []string
	// If is the transform's condition: it is for those records for which this holds, for all where
	// it is nil. It may be called concurrently, for different batches.
	If func(b *event.Batch, i int) bool
}
