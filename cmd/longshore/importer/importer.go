package importer

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
)

// A Tool is a program whose configs are converted.
type Tool string

// The tools, by the names that --from takes.
const (
	Promtail  Tool = "promtail"
	FluentBit Tool = "fluent-bit"
	Filebeat  Tool = "filebeat"
	Vector    Tool = "vector"
	Otelcol   Tool = "otelcol"
	Alloy     Tool = "alloy"
)

// Tools are all of them.
func Tools() []Tool { return []Tool{Promtail, FluentBit, Filebeat, Vector, Otelcol, Alloy} }

// Title returns the tool's name for people.
func (t Tool) Title() string {
	switch t {
	case Promtail:
		return "Promtail"
	case FluentBit:
		return "Fluent Bit"
	case Filebeat:
		return "Filebeat"
	case Vector:
		return "Vector"
	case Otelcol:
		return "the OpenTelemetry Collector"
	case Alloy:
		return "Grafana Alloy"
	}
	return string(t)
}

// A Source is a config to convert.
type Source struct {
	Name string // of the file, for messages
	Text []byte
	Tool Tool // "" recognises it by its content
	// Include reads a file that the config names, relative to the config's folder. It fails for
	// what is not below that folder.
	Include func(name string) ([]byte, error)
}

// A Kind says what a note is about.
type Kind string

const (
	Left     Kind = "not converted"
	Differs  Kind = "differs"
	Unneeded Kind = "not needed"
)

// A Note says what of a config was not converted, or is not quite the same, and what to do. None of
// its texts holds a value that may be a secret.
type Note struct {
	File    string
	Line    int
	Setting string
	Kind    Kind
	Message string
}

// String returns the note as one line.
func (n Note) String() string {
	setting := ""
	if n.Setting != "" {
		setting = n.Setting + ": "
	}
	return oneLine(fmt.Sprintf("%s:%d: %s: %s%s", n.File, n.Line, n.Kind, setting, n.Message))
}

// A Result is a converted config.
type Result struct {
	Tool  Tool
	Notes []Note
	// Settings there are, by what became of them.
	Converted, Unneeded, Left int
	// Variables are those of the environment that the config needs.
	Variables []string

	// Checked is the config as check has read it; see Accept.
	Checked *config.Config

	conversion *conversion
}

// Config returns the config that was made.
func (r *Result) Config() []byte { return r.conversion.out.yaml(false) }

// SetDataDir has the config name a folder for what must survive a restart.
func (r *Result) SetDataDir(dir string) {
	r.conversion.out.head.fields = append(fields{{name: "data_dir", value: r.conversion.escape(dir)}},
		r.conversion.out.head.fields...)
}

// Positions reads what the config's tool has noted of how far it has read, with what the config
// says of it.
func (r *Result) Positions(path string) (Positions, error) {
	p, err := ReadPositions(r.Tool, path)
	if err != nil || r.Tool != Filebeat {
		return p, err
	}
	head, one := r.conversion.fingerprints()
	for i := range p.Files {
		switch at := &p.Files[i].Head; {
		case at.Sum == "":
		case one:
			at.Offset, at.Size = head.Offset, head.Size
		default:
			*at = Head{}
		}
	}
	return p, nil
}

// Share returns the summary's line: how many of the settings that Longshore has a use for were
// converted.
func (r *Result) Share() string {
	percent := 100
	if total := r.Converted + r.Left; total > 0 {
		percent = 100 * r.Converted / total
	}
	return fmt.Sprintf("%d %% converted: %s of %d; %d more are not needed by Longshore",
		percent, pipeline.Count(r.Converted, "setting"), r.Converted+r.Left, r.Unneeded)
}

// Convert converts a config. The error says that it cannot be read, or that nothing in it can be
// converted.
func Convert(src Source) (*Result, error) {
	if len(src.Text) > MaxConfig {
		return nil, fmt.Errorf("%s is larger than %s; is it a config?", src.Name, pipeline.Size(MaxConfig))
	}
	text := strings.ReplaceAll(strings.TrimPrefix(string(src.Text), "\xef\xbb\xbf"), "\r\n", "\n")
	tool := cmp.Or(src.Tool, Recognise(src.Name, text))
	c := &conversion{source: src, tool: tool, wanted: map[string]bool{}}
	if err := c.convert(text); err != nil {
		return nil, err
	}
	c.finish()
	return c.result(), nil
}

func (c *conversion) convert(text string) (err error) {
	switch c.tool {
	case Promtail, Filebeat:
		c.style = refStyle{colon: true}
		c.root, err = parseYAML(c.source.Name, text)
	case Alloy:
		c.style = refStyle{none: true}
		c.root, err = parseAlloy(c.source.Name, text)
	case Otelcol:
		c.style = refStyle{env: true, doubled: true}
		c.root, err = parseYAML(c.source.Name, text)
	case Vector:
		c.style = refStyle{dash: true, bare: true, doubled: true}
		if c.root, err = parseYAML(c.source.Name, text); err != nil || c.root.kind != mapKind || IsTOML(text) {
			c.root, err = parseTOML(c.source.Name, text)
		}
	case FluentBit:
		if fluentSection.MatchString(text) {
			c.root = parseFluentBit(c.source.Name, text)
		} else {
			c.root, err = parseYAML(c.source.Name, text)
		}
	default:
		err = fmt.Errorf("%s is not recognised as a config of %s; say which with --from", c.source.Name, toolNames())
	}
	if err != nil {
		return err
	}
	c.root.setPaths("")
	switch c.tool {
	case Promtail:
		c.promtail()
	case FluentBit:
		c.fluentBit()
	case Alloy:
		c.alloy()
	case Otelcol:
		c.otelcol()
	case Vector:
		c.vector()
	case Filebeat:
		c.root.undot(0)
		c.root.setPaths("")
		c.filebeat()
	}
	return nil
}

func toolNames() string {
	var names []string
	for _, t := range Tools() {
		names = append(names, t.Title())
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}

// A conversion is one config being converted.
type conversion struct {
	source Source
	tool   Tool
	root   *node
	more   []*node // roots of included files
	style  refStyle
	out    output
	notes  []Note
	here   *section // beside what notes stand; nil for the top
	// wanted are the variables that the config needs.
	wanted map[string]bool
	names  []string // of pipelines
}

// note adds a note about a node.
func (c *conversion) note(n *node, k Kind, format string, args ...any) {
	if n == nil {
		n = &node{file: c.source.Name, line: 1}
	}
	note := Note{File: n.file, Line: n.line, Setting: n.path, Kind: k, Message: fmt.Sprintf(format, args...)}
	if slices.Contains(c.notes, note) {
		return
	}
	c.notes = append(c.notes, note)
	if k == Unneeded {
		return
	}
	beside := cmp.Or(n.near, c.here, &c.out.head)
	beside.comments = append(beside.comments, note.String())
}

// left tells that a setting and all below it was not converted, why, and what to do.
func (c *conversion) left(n *node, format string, args ...any) {
	if n != nil {
		n.remark(left)
		c.note(n, Left, format, args...)
	}
}

// skip tells that Longshore needs nothing like a setting.
func (c *conversion) skip(n *node, format string, args ...any) {
	if n.anyUntouched() {
		n.mark(unneeded)
		c.note(n, Unneeded, format, args...)
	}
}

// differs tells that a setting was converted, and what is not quite the same.
func (c *conversion) differs(n *node, format string, args ...any) {
	if n != nil {
		n.mark(converted)
		c.note(n, Differs, format, args...)
	}
}

// done marks a setting and all below it as converted.
func (c *conversion) done(n *node) { n.mark(converted) }

// text returns the text of a scalar as it stands in Longshore's config, and marks it as converted.
func (c *conversion) text(n *node) string {
	if n == nil || n.kind != scalarKind {
		return ""
	}
	if n.ref != "" {
		return c.referred(n)
	}
	n.mark(converted)
	if n.expression {
		for _, m := range wantedRef.FindAllStringSubmatch(n.text, -1) {
			c.wanted[m[1]] = true
		}
		return n.text
	}
	return c.translate(n.text)
}

var wantedRef = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

// referred returns what stands for a reference of Alloy's: that to a file is one here, too.
func (c *conversion) referred(n *node) string {
	label, isFile := strings.CutPrefix(strings.TrimSuffix(n.ref, ".content"), "local.file.")
	for _, e := range c.root.entries {
		if isFile && e.name == "local.file" && e.value.label == label {
			n.mark(converted)
			c.skip(e.value.get("is_secret"), "what is a secret is known by its setting")
			c.skip(e.value.get("poll_frequency"), "the file is read when the program starts")
			return "${file:" + c.str(e.value, "filename") + "}"
		}
	}
	c.left(n, "refers to %s, which is not evaluated; write its value, or ${VAR}", n.ref)
	return ""
}

// str is text of what is at a path.
func (c *conversion) str(n *node, path string) string { return c.text(n.at(path)) }

// texts returns the texts of a list, or of a single value.
func (c *conversion) texts(n *node) []string {
	var all []string
	for _, item := range n.list() {
		if item.kind == scalarKind {
			all = append(all, c.text(item))
		}
	}
	n.mark(converted)
	return all
}

// flag returns a boolean, or "" where it is not there or the usual.
func (c *conversion) flag(n *node, usual bool) plain {
	c.done(n)
	switch {
	case n.isTrue() && !usual:
		return "true"
	case n.isFalse() && usual:
		return "false"
	}
	return ""
}

// beside has the notes about a node and what is below it stand beside a section.
func (c *conversion) beside(n *node, s *section) {
	if n == nil {
		return
	}
	n.near = s
	for _, item := range n.items {
		c.beside(item, s)
	}
	for _, e := range n.entries {
		c.beside(e.value, s)
	}
}

// finish tells all that nobody has taken.
func (c *conversion) finish() {
	c.out.removeUnused()
	for _, root := range append([]*node{c.root}, c.more...) {
		c.untaken(root, root)
	}
}

// untaken tells the settings below n that nobody has taken, whole parts at once.
func (c *conversion) untaken(n, root *node) {
	any, all := false, true
	n.leaves(func(leaf *node) {
		any = any || leaf.fate == untouched
		all = all && leaf.fate == untouched
	})
	switch {
	case !any || n == root && len(n.entries)+len(n.items) == 0:
	case all && n != root:
		c.left(n, "import knows nothing in Longshore that it could become; if it matters, see docs/reference")
	default:
		for _, item := range n.items {
			c.untaken(item, root)
		}
		for _, e := range n.entries {
			c.untaken(e.value, root)
		}
	}
}

func (c *conversion) result() *Result {
	slices.SortStableFunc(c.notes, func(a, b Note) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	r := &Result{Tool: c.tool, conversion: c, Notes: c.notes}
	seen := map[*node]bool{}
	for _, root := range append([]*node{c.root}, c.more...) {
		if len(root.entries)+len(root.items) == 0 {
			continue
		}
		root.leaves(func(leaf *node) {
			if seen[leaf] {
				return
			}
			seen[leaf] = true
			switch leaf.fate {
			case converted:
				r.Converted++
			case unneeded:
				r.Unneeded++
			default:
				r.Left++
			}
		})
	}
	made := string(c.out.yaml(false))
	for name := range c.wanted {
		if strings.Contains(made, "${"+name+"}") {
			r.Variables = append(r.Variables, name)
		}
	}
	slices.Sort(r.Variables)
	return r
}

// maxRefused bounds how often what is refused is taken out.
const maxRefused = 200

// Accept holds the config against the components there are. What they refuse is taken out and
// noted, until the config is one that they take. Files of certificates and tokens need not be there
// on the machine where a config is converted.
func (r *Result) Accept(components []pipeline.Spec, lookup func(string) (string, bool)) error {
	c := r.conversion
	var errs config.Errors
	for range maxRefused {
		if len(c.out.inputs) > 0 && len(c.out.outputs) == 0 {
			return fmt.Errorf("none of the destinations in %s could be converted", c.source.Name)
		}
		if len(c.out.inputs) == 0 || len(c.out.pipelines) == 0 {
			return fmt.Errorf("nothing in %s says which files or containers to read, so there is nothing to convert",
				c.source.Name)
		}
		loader := config.Loader{Components: components, LookupEnv: c.placeholders(lookup),
			ReadFile: func(string) ([]byte, error) { return []byte("placeholder"), nil }}
		cfg, err := loader.Load("longshore.yml", c.out.yaml(true))
		if err == nil {
			*r = *c.result()
			r.Checked = cfg
			return nil
		}
		var ok bool
		if errs, ok = err.(config.Errors); !ok || !c.refuse(errs[0]) {
			return fmt.Errorf("the config that was made of %s is not valid, which is a bug of import: %w",
				c.source.Name, err)
		}
		c.out.removeUnused()
	}
	return fmt.Errorf("the config that was made of %s is not valid, which is a bug of import: %w", c.source.Name, errs)
}

// placeholders returns values for variables that are not set, which only say that something is
// there.
func (c *conversion) placeholders(lookup func(string) (string, bool)) func(string) (string, bool) {
	made := string(c.out.yaml(true))
	return func(name string) (string, bool) {
		if value, set := lookup(name); set && value != "" {
			return value, true
		}
		ref := "${" + name
		at := strings.Index(made, ref)
		before := strings.TrimRight(made[:max(at, 0)], ` '"[`)
		switch {
		case strings.HasSuffix(made[:max(at, 0)], "://"):
			return "localhost", true
		case strings.HasSuffix(before, "url:"), strings.HasSuffix(before, "urls:"), strings.HasSuffix(before, "proxy:"):
			return "http://localhost", true
		}
		return "1", true
	}
}

// refuse takes out what an error is about.
func (c *conversion) refuse(e config.Error) bool {
	parts := strings.SplitN(e.Path, ".", 4)
	if c.out.head.fields.has(parts[0]) {
		c.out.head.fields = slices.DeleteFunc(c.out.head.fields, func(f field) bool { return f.name == parts[0] })
		c.note(nil, Left, "Longshore does not take what a setting becomes, %s: %s", e.Path, e.Message)
		return true
	}
	if len(parts) < 2 || !slices.Contains(kinds[:4], parts[0]) {
		return false
	}
	all := *c.out.of(parts[0])
	i := slices.IndexFunc(all, func(s *section) bool { return s.name == parts[1] })
	if i < 0 {
		return false
	}
	s := all[i]
	setting := ""
	if len(parts) > 2 {
		setting, _, _ = strings.Cut(parts[2], "[")
	}
	why := fmt.Sprintf("Longshore does not take what it becomes, %s: %s", e.Path, e.Message)
	whole := setting == "" || parts[0] == "transforms" || parts[0] == "parsers" || !s.fields.has(setting) ||
		slices.Contains([]string{"paths", "url", "urls", "path"}, setting)
	from := c.origin(s)
	if strings.HasSuffix(e.Path, "_file") && s.fields.leaveUnchecked(strings.Split(e.Path, ".")[2:]) {
		c.note(from, Differs, "the file of %s cannot be read on this machine, so check has not seen it", e.Path)
		return true
	}
	if whole {
		s.comments = nil
		c.out.remove(parts[0], s.name)
		c.refused(from, why, true)
		return true
	}
	s.fields = slices.DeleteFunc(s.fields, func(f field) bool { return f.name == setting })
	c.refused(from, why, false)
	return true
}

// origin returns the node that a section was made of, or nil.
func (c *conversion) origin(s *section) *node {
	var found *node
	var walk func(n *node)
	walk = func(n *node) {
		if n == nil || found != nil {
			return
		}
		if n.near == s {
			found = n
			return
		}
		for _, item := range n.items {
			walk(item)
		}
		for _, e := range n.entries {
			walk(e.value)
		}
	}
	walk(c.root)
	for _, root := range c.more {
		walk(root)
	}
	return found
}

// refused notes what was taken out. Of a component that stays, one setting counts as not converted.
func (c *conversion) refused(from *node, why string, whole bool) {
	if from == nil {
		c.note(nil, Left, "%s", why)
		return
	}
	counted := false
	from.leaves(func(leaf *node) {
		if leaf.fate == converted && (whole || !counted) {
			leaf.fate, counted = left, true
		}
	})
	if whole {
		from.near = nil
	}
	c.note(from, Left, "%s", why)
}
