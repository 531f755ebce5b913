package config

import (
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/longshore/longshore/pipeline"
)

// Bounds on what is compared, in configs that nobody wrote by hand.
const (
	maxComparedInputs = 64
	maxComparedGlobs  = 64
)

// checkPaths finds what inputs read that outputs write, or that another input reads.
func (d *document) checkPaths() {
	if len(d.problems.found) > 0 {
		return
	}
	for _, out := range d.cfg.Outputs {
		d.checkLoop(out)
		d.checkDeadLetters(out)
	}
	for i, in := range d.cfg.Inputs[:min(len(d.cfg.Inputs), maxComparedInputs)] {
		for _, other := range d.cfg.Inputs[:i] {
			d.checkReadTwice(in, other)
		}
	}
}

// checkLoop reports an output whose file is read into itself: each record would be written again
// and again.
func (d *document) checkLoop(out Output) {
	path := writes(out)
	if path == "" {
		return
	}
	if in := d.readsBack(path, out.Name, map[string]bool{}); in != "" {
		d.report(d.declared[pipeline.KindOutput][out.Name].get("path"), child("outputs", out.Name)+".path",
			"is a file that the input %q reads, and so every record would come back without end; "+
				"write it elsewhere, or exclude it from the input", in)
	}
}

// readsBack returns the input that reads a file and feeds an output, through other files if need
// be.
func (d *document) readsBack(path, output string, seen map[string]bool) string {
	seen[path] = true
	for _, in := range d.cfg.Inputs {
		if !reads(in, path) {
			continue
		}
		for _, next := range d.fedBy(in.Name) {
			if next == output {
				return in.Name
			}
			file := d.fileOf(next)
			if file != "" && !seen[file] && d.readsBack(file, output, seen) != "" {
				return in.Name
			}
		}
	}
	return ""
}

// fedBy returns the outputs of an input's pipelines.
func (d *document) fedBy(input string) (outputs []string) {
	for _, p := range d.cfg.Pipelines {
		if slices.Contains(p.Inputs, input) {
			outputs = append(outputs, p.Outputs...)
		}
	}
	return outputs
}

// fileOf returns the file of an output, or "".
func (d *document) fileOf(output string) string {
	for _, o := range d.cfg.Outputs {
		if o.Name == output {
			return writes(o)
		}
	}
	return ""
}

func writes(out Output) string {
	if w, ok := out.Settings.(pipeline.FileWriter); ok {
		return absolute(w.Writes())
	}
	return ""
}

func reads(in Input, path string) bool {
	r, ok := in.Settings.(pipeline.FileReader)
	return ok && readsFile(r, path)
}

// readsFile reports whether an input reads a file, by any of the names that links give it.
func readsFile(r pipeline.FileReader, path string) bool {
	return slices.ContainsFunc(namesOf(path, r.Globs()), r.Reads)
}

// namesOf returns a path as it is, without links, and through the links that globs lead through.
func namesOf(path string, globs []string) []string {
	real := resolved(path)
	all := []string{path, real}
	for _, glob := range globs[:min(len(globs), maxComparedGlobs)] {
		folder := absolute(fixedFolder(glob))
		below, err := filepath.Rel(resolved(folder), real)
		if err == nil && filepath.IsLocal(below) {
			all = append(all, filepath.Join(folder, below))
		}
	}
	return all
}

// fixedFolder returns the folder that all matches of a glob are in.
func fixedFolder(glob string) string {
	if i := strings.IndexAny(glob, `*?[\`); i >= 0 {
		glob = glob[:i+1]
	}
	return filepath.Dir(glob)
}

func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// resolved returns a path without symbolic links, as far as it is there.
func resolved(path string) string {
	rest := ""
	for folder := path; ; folder = filepath.Dir(folder) {
		if real, err := filepath.EvalSymlinks(folder); err == nil {
			return filepath.Join(real, rest)
		}
		if folder == filepath.Dir(folder) {
			return path
		}
		rest = filepath.Join(filepath.Base(folder), rest)
	}
}

// checkDeadLetters warns of an input that reads the dead letters of an output that it feeds.
func (d *document) checkDeadLetters(out Output) {
	path := filepath.Join(absolute(d.cfg.DataDir), DeadLetterFolder, out.Name+".jsonl")
	for _, in := range d.cfg.Inputs {
		if reads(in, path) && slices.Contains(d.fedBy(in.Name), out.Name) {
			d.warnInput(in.Name, "reads the dead letters of the output %q (%s) too, and sends them there again; "+
				"exclude the data_dir", out.Name, path)
		}
	}
}

func (d *document) warnInput(name, format string, args ...any) {
	n := d.declared[pipeline.KindInput][name]
	at := n.at
	if n.name.line > 0 {
		at = n.name
	}
	d.problems.warn(at, child("inputs", name), format, args...)
}

// checkReadTwice warns of two inputs that read the same for one output.
func (d *document) checkReadTwice(in, other Input) {
	common := ""
	for _, output := range d.fedBy(in.Name) {
		if slices.Contains(d.fedBy(other.Name), output) {
			common = output
			break
		}
	}
	if common == "" {
		return
	}
	a, isReader := in.Settings.(pipeline.FileReader)
	b, otherIs := other.Settings.(pipeline.FileReader)
	same := in.Type == other.Type && in.Traits.Rereadable && reflect.DeepEqual(in.Settings, other.Settings)
	switch {
	case same && (!isReader || in.Traits.Ephemeral): // not what files it reads is what counts
		d.warnInput(in.Name, "reads what the input %q reads, and the output %q gets it twice; remove one, or have "+
			"each include something else", other.Name, common)
	case isReader && otherIs:
		if path := readByBoth(a, b); path != "" {
			d.warnInput(in.Name, "reads files that the input %q reads too, such as %s, and the output %q gets their "+
				"lines twice; exclude them from one", other.Name, path, common)
		}
	}
}

// readByBoth returns a path that two inputs read, if it finds one: it tries what their globs may
// match, with the parts of the other's names.
func readByBoth(a, b pipeline.FileReader) string {
	globs, others := a.Globs(), b.Globs()
	globs, others = globs[:min(len(globs), maxComparedGlobs)], others[:min(len(others), maxComparedGlobs)]
	for _, pair := range [][2][]string{{globs, others}, {others, globs}} {
		for _, glob := range pair[0] {
			for _, path := range examples(glob, pair[1]) {
				if readsFile(a, path) && readsFile(b, path) {
					return path
				}
			}
		}
	}
	return ""
}

// maxExamples bounds the examples of one glob.
const maxExamples = 64

// examples returns paths that a glob matches.
func examples(glob string, others []string) []string {
	fills := []string{"x", ""}
	isSign := func(r rune) bool { return strings.ContainsRune("/*?[]", r) }
	for _, other := range others {
		fills = append(fills, strings.FieldsFunc(other, isSign)...)
	}
	slices.Sort(fills)
	var paths []string
	for _, fill := range slices.Compact(fills) {
		if len(paths) >= maxExamples {
			break
		}
		paths = append(paths, example(glob, fill))
	}
	return paths
}

// example returns a path that a glob matches, with a text for each *.
func example(glob, fill string) string {
	var b strings.Builder
	for i := 0; i < len(glob); i++ {
		switch c := glob[i]; {
		case strings.HasPrefix(glob[i:], "**/"):
			i += 2
		case c == '*':
			b.WriteString(fill)
		case c == '?':
			b.WriteByte('x')
		case c == '[' && i+1 < len(glob):
			b.WriteByte(glob[i+1])
			if end := strings.IndexByte(glob[i:], ']'); end > 0 {
				i += end
			}
		case c == '\\' && i+1 < len(glob):
			i++
			b.WriteByte(glob[i])
		default:
			b.WriteByte(c)
		}
	}
	return filepath.Clean(b.String())
}
