package file

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync/atomic"

	"github.com/longshore/longshore/inputs/file/glob"
	"github.com/longshore/longshore/inputs/file/notify"
	"github.com/longshore/longshore/inputs/lines"
	"github.com/longshore/longshore/pipeline"
)

// Config is the config of the file input.
type Config struct {
	Paths        []string          `yaml:"paths" doc:"Files to follow. * and ? match characters of one name, ** any folders in between." required:"true" example:"[/var/log/app/*.log]"`
	Exclude      []string          `yaml:"exclude" doc:"Files to leave out: globs of whole paths, or of names where there is no slash." example:"['*.gz', /var/log/app/debug*]"`
	ReadFrom     string            `yaml:"read_from" doc:"Where to begin with files that are there at the very first start: tail is ten lines before the end. Files that appear later are read from their beginning." default:"beginning" enum:"beginning|tail|end"`
	MaxLineSize  pipeline.Size     `yaml:"max_line_size" formerly:"max_line" doc:"Longest line. Of a longer one only this much is kept, marked as truncated." default:"1MiB" min:"16B" max:"16MiB"`
	LineTimeout  pipeline.Duration `yaml:"line_timeout" doc:"How long to wait for the end of a last line; then it is sent as it is, and what may follow is a line of its own." default:"5s" min:"100ms"`
	IgnoreOlder  pipeline.Duration `yaml:"ignore_older" doc:"Leave out files that were not written to for this long, unless they were being read before; 0 reads all." default:"0s"`
	MaxOpenFiles int               `yaml:"max_open_files" doc:"Files held open at once; with more of them, those read longest ago are closed." default:"1024" min:"16"`
	Encoding     string            `yaml:"encoding" doc:"Character encoding: auto (by byte-order mark, else UTF-8), utf-8, utf-16le, utf-16be, or a name of the WHATWG Encoding Standard such as windows-1252 or shift_jis." default:"auto"`
	PollInterval pipeline.Duration `yaml:"poll_interval" doc:"How often all files are checked, should the system fail to report a change. By default every minute; every 10s where other machines may write to the file system (NFS, FUSE); every second where the system reports no changes." min:"100ms" max:"1h"`

	tail int // see FromTail
}

// Values of Config.ReadFrom.
const (
	fromTail = "tail"
	fromEnd  = "end"
)

// defaultTail is how many lines "tail" begins before the end.
const defaultTail = 10

// FromTail has files that are there at the very first start read from a number of lines before
// their ends; all of them, if that is negative.
func (c *Config) FromTail(lines int) {
	c.ReadFrom, c.tail = fromTail, lines
	switch {
	case lines == 0:
		c.ReadFrom = fromEnd
	case lines < 0:
		c.ReadFrom = "beginning"
	}
}

// tailLines returns how many lines of a file are read that is there at the very first start; -1 for
// all.
func (c *Config) tailLines() int {
	switch c.ReadFrom {
	case fromEnd:
		return 0
	case fromTail:
		return cmp.Or(c.tail, defaultTail)
	}
	return -1
}

// Spec describes the file input.
func Spec() pipeline.Spec {
	return pipeline.Spec{
		Kind:    pipeline.KindInput,
		Type:    "file",
		Summary: "Follows log files through rotation and restarts.",
		Traits:  pipeline.Traits{Rereadable: true},
		New:     func() any { return new(Config) },
	}
}

// Check checks what tags cannot express.
func (c *Config) Check() []pipeline.Problem {
	var problems []pipeline.Problem
	for i, p := range c.Paths {
		problems = append(problems, checkGlob(fmt.Sprintf("paths[%d]", i), p)...)
	}
	for i, p := range c.Exclude {
		problems = append(problems, checkGlob(fmt.Sprintf("exclude[%d]", i), p)...)
	}
	if _, err := lines.FindEncoding(c.Encoding); err != nil {
		problems = append(problems, pipeline.Problem{Path: "encoding", Message: err.Error()})
	}
	return problems
}

// Warnings implements pipeline.Warner.
func (c *Config) Warnings() []pipeline.Problem {
	var problems []pipeline.Problem
	for setting, globs := range map[string][]string{"paths": c.Paths, "exclude": c.Exclude} {
		for i, text := range globs {
			if message := literal(text); message != "" {
				problems = append(problems, pipeline.Problem{Path: fmt.Sprintf("%s[%d]", setting, i), Message: message})
			}
		}
	}
	return problems
}

var (
	alternatives = regexp.MustCompile(`\{[^{}]*,[^{}]*\}`)
	dateParts    = regexp.MustCompile(`%[-_]?[YymdHMSjFe]`)
)

// literal says what of a glob is taken as it stands, although other programs give it a meaning.
func literal(text string) string {
	if _, err := os.Lstat(text); err == nil {
		return "" // it is its name
	}
	if part := alternatives.FindString(text); part != "" {
		return fmt.Sprintf("has %s, which is taken literally; write a path for each", part)
	}
	if part := dateParts.FindString(text); part != "" {
		return fmt.Sprintf("has %s, which is taken literally; write * for a date", part)
	}
	return ""
}

// Globs implements pipeline.FileReader.
func (c *Config) Globs() []string {
	globs := make([]string, 0, len(c.Paths))
	for _, path := range c.Paths {
		if abs, err := filepath.Abs(path); err == nil {
			globs = append(globs, abs)
		}
	}
	return globs
}

// Reads implements pipeline.FileReader.
func (c *Config) Reads(path string) bool {
	set, err := glob.NewSet(c.Paths, c.Exclude)
	return err == nil && set.Match(path)
}

func checkGlob(setting, glob string) []pipeline.Problem {
	if strings.TrimSpace(glob) == "" {
		return []pipeline.Problem{{Path: setting, Message: "is empty; write a path such as /var/log/app/*.log"}}
	}
	if _, err := filepath.Match(glob, ""); err != nil {
		message := fmt.Sprintf("%q is not a valid glob: a [ without its ], or a \\ at the end", glob)
		return []pipeline.Problem{{Path: setting, Message: message}}
	}
	return nil
}

// Input returns the input.
func (c *Config) Input(env pipeline.Env) (pipeline.Input, error) {
	return c.Guided(env, anyFile{hostName()})
}

// Guided returns the input as another stands on it, which knows what the files are.
func (c *Config) Guided(env pipeline.Env, guide Guide) (Input, error) {
	encoding, err := lines.FindEncoding(c.Encoding)
	if err != nil {
		return nil, fmt.Errorf("encoding: %w", err)
	}
	set := settings{Config: *c, guide: guide, encoding: encoding, notify: systemNotifier, openFile: openFile}
	set.compared = &atomic.Int64{}
	set.readers = max(4, runtime.GOMAXPROCS(0))
	return &input{settings: set, env: env}, nil
}

func systemNotifier() (notifier, error) { return notify.New() }

// settings are the config and what tests replace.
type settings struct {
	Config
	guide    Guide
	encoding *lines.Encoding
	readers  int
	notify   func() (notifier, error)
	openFile func(path string) (*os.File, error)
	compared *atomic.Int64 // files that were looked at because another may be a copy of them
}
