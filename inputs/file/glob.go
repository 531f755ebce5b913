package file

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// A glob is a pattern for paths. Each part between slashes is matched by
// filepath.Match, but for ** which stands for any number of folders.
type glob struct {
	text  string
	parts []string
}

func newGlob(text string) glob {
	text = filepath.Clean(text)
	return glob{text, strings.Split(strings.TrimPrefix(text, "/"), "/")}
}

// absGlobs makes patterns absolute, so that a path is the same whatever the
// working directory of the next run is.
func absGlobs(texts []string) ([]glob, error) {
	var globs []glob
	for _, text := range texts {
		abs, err := filepath.Abs(text)
		if err != nil {
			return nil, err
		}
		globs = append(globs, newGlob(abs))
	}
	return globs, nil
}

// excludeGlobs are as absGlobs, but a pattern without a slash is for names in
// any folder.
func excludeGlobs(texts []string) ([]glob, error) {
	full := make([]string, len(texts))
	for i, text := range texts {
		full[i] = text
		if !strings.Contains(text, "/") {
			full[i] = "/**/" + text
		}
	}
	return absGlobs(full)
}

// match tells whether an absolute, clean path fits the pattern.
func (g glob) match(path string) bool {
	return matchParts(g.parts, strings.TrimPrefix(path, "/"))
}

func matchParts(parts []string, path string) bool {
	if len(parts) == 0 {
		return path == ""
	}
	if parts[0] == "**" {
		return matchDeep(parts, path)
	}
	if path == "" {
		return false
	}
	name, rest, _ := strings.Cut(path, "/")
	if ok, _ := filepath.Match(parts[0], name); !ok {
		return false
	}
	return matchParts(parts[1:], rest)
}

// matchDeep lets ** stand for no folder, one, two and so on. A ** at the end
// stands for every file below.
func matchDeep(parts []string, path string) bool {
	if len(parts) == 1 {
		return path != ""
	}
	for {
		if matchParts(parts[1:], path) {
			return true
		}
		_, rest, more := strings.Cut(path, "/")
		if !more {
			return false
		}
		path = rest
	}
}

// anyMatch tells whether a path fits one of the patterns.
func anyMatch(globs []glob, path string) bool {
	for _, g := range globs {
		if g.match(path) {
			return true
		}
	}
	return false
}

// A walk visits what patterns stand for.
type walk struct {
	// file is told of every path that fits and may be a file.
	file func(path string)
	// dir is told of every folder in which a fitting file, or a folder on the way
	// to one, may appear later, before the folder is looked at.
	dir func(path string)
	// failed is told of folders that cannot be listed. That one is not there
	// is no failure.
	failed func(path string, err error)
}

func (w *walk) glob(g glob) { w.below("/", g.parts) }

func (w *walk) below(dir string, parts []string) {
	part, last := parts[0], len(parts) == 1
	switch {
	case part == "**":
		w.deep(dir, parts)
	case hasMeta(part):
		w.names(dir, parts)
	case last:
		w.dir(dir)
		w.file(filepath.Join(dir, part))
	case w.isDir(filepath.Join(dir, part)), w.appears(dir, part):
		w.below(filepath.Join(dir, part), parts[1:])
	}
}

// appears tells of the folder in which one is missing, and looks again: what
// was made before that was heard would be told of by nobody.
func (w *walk) appears(dir, name string) bool {
	w.dir(dir)
	return w.isDir(filepath.Join(dir, name))
}

// deep goes through all folders below dir. It does not follow links to
// folders, which may lead in circles.
func (w *walk) deep(dir string, parts []string) {
	w.dir(dir)
	if len(parts) > 1 {
		w.below(dir, parts[1:])
	}
	for _, e := range w.list(dir) {
		path := filepath.Join(dir, e.Name())
		if e.IsDir() {
			w.deep(path, parts)
		} else if len(parts) == 1 {
			w.file(path)
		}
	}
}

func (w *walk) names(dir string, parts []string) {
	w.dir(dir)
	for _, e := range w.list(dir) {
		if ok, _ := filepath.Match(parts[0], e.Name()); !ok {
			continue
		}
		path := filepath.Join(dir, e.Name())
		if len(parts) > 1 {
			if w.isDir(path) {
				w.below(path, parts[1:])
			}
		} else if !e.IsDir() {
			w.file(path)
		}
	}
}

func (w *walk) list(dir string) []os.DirEntry {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.failed(dir, err)
	}
	return entries
}

func hasMeta(part string) bool { return strings.ContainsAny(part, `*?[\`) }

func (w *walk) isDir(path string) bool {
	info, err := os.Stat(path)
	if isHidden(err) {
		w.failed(path, err)
	}
	return err == nil && info.IsDir()
}
