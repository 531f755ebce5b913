// Package glob matches paths against patterns and walks the file system for what they match.
package glob

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// A Pattern matches paths. Each part between slashes is matched by filepath.Match, but for **,
// which matches any number of folders.
type Pattern []string

// New returns the pattern of an absolute path.
func New(text string) Pattern {
	return strings.Split(strings.TrimPrefix(filepath.Clean(text), "/"), "/")
}

// A Set holds what a config includes and excludes.
type Set struct{ Include, Exclude []Pattern }

// NewSet makes patterns absolute, so that a path is the same in whatever folder the next run is
// started. A pattern without a slash excludes names in any folder.
func NewSet(include, exclude []string) (s Set, err error) {
	for _, text := range include {
		if s.Include, err = appendAbs(s.Include, text); err != nil {
			return s, err
		}
	}
	for _, text := range exclude {
		if !strings.Contains(text, "/") {
			text = "/**/" + text
		}
		if s.Exclude, err = appendAbs(s.Exclude, text); err != nil {
			return s, err
		}
	}
	return s, nil
}

func appendAbs(patterns []Pattern, text string) ([]Pattern, error) {
	abs, err := filepath.Abs(text)
	return append(patterns, New(abs)), err
}

// Match reports whether a path is included and not excluded.
func (s Set) Match(path string) bool { return matchAny(s.Include, path) && !s.Excludes(path) }

// Excludes reports whether a path is excluded.
func (s Set) Excludes(path string) bool { return matchAny(s.Exclude, path) }

func matchAny(patterns []Pattern, path string) bool {
	for _, p := range patterns {
		if p.Match(path) {
			return true
		}
	}
	return false
}

// Match reports whether an absolute, clean path matches.
func (p Pattern) Match(path string) bool { return match(p, strings.TrimPrefix(path, "/")) }

func match(parts []string, path string) bool {
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
	return match(parts[1:], rest)
}

// matchDeep tries ** as no folder, one, two and so on. A ** at the end matches every file below.
func matchDeep(parts []string, path string) bool {
	if len(parts) == 1 {
		return path != ""
	}
	for {
		if match(parts[1:], path) {
			return true
		}
		_, rest, more := strings.Cut(path, "/")
		if !more {
			return false
		}
		path = rest
	}
}

// A Walk visits what patterns match.
type Walk struct {
	// File is called with every path that matches and may be a file.
	File func(path string)
	// Dir is called with every folder in which a matching file, or a folder on the way to one,
	// may appear later, before the folder is read.
	Dir func(path string)
	// Failed is called with folders that cannot be listed, though they exist.
	Failed func(path string, err error)
}

// Visit visits what one pattern matches.
func (w *Walk) Visit(p Pattern) { w.below("/", p) }

func (w *Walk) below(dir string, parts []string) {
	part, last := parts[0], len(parts) == 1
	switch {
	case part == "**":
		w.deep(dir, parts)
	case strings.ContainsAny(part, `*?[\`):
		w.names(dir, parts)
	case last:
		w.Dir(dir)
		w.File(filepath.Join(dir, part))
	case w.isDir(filepath.Join(dir, part)), w.appears(dir, part):
		w.links(filepath.Join(dir, part))
		w.below(filepath.Join(dir, part), parts[1:])
	}
}

// links visits the folders in which a folder's links may be made anew.
func (w *Walk) links(path string) {
	for _, dir := range LinkFolders(path) {
		w.Dir(dir)
	}
}

// maxLinks is how many links are followed one after the other.
const maxLinks = 40

// LinkFolders returns the folders of the symbolic links that an absolute path leads through, also
// those that a link itself leads through. There are none if it does not go through links.
func LinkFolders(path string) (dirs []string) {
	for range maxLinks {
		dir, next, ok := followLink(path)
		if !ok {
			break
		}
		dirs, path = append(dirs, dir), next
	}
	return dirs
}

// followLink returns the path with its first link replaced, and the folder of that.
func followLink(path string) (dir, next string, ok bool) {
	for at := 1; at <= len(path); at++ {
		if at < len(path) && path[at] != filepath.Separator {
			continue
		}
		to, err := os.Readlink(path[:at])
		if err != nil {
			continue
		}
		dir = filepath.Dir(path[:at])
		if !filepath.IsAbs(to) {
			to = filepath.Join(dir, to)
		}
		return dir, filepath.Join(to, path[at:]), true
	}
	return "", "", false
}

// appears reports the folder in which one is missing, and looks again: one that was made before
// the folder was watched would never be reported.
func (w *Walk) appears(dir, name string) bool {
	w.Dir(dir)
	return w.isDir(filepath.Join(dir, name))
}

// deep visits all folders below dir. It does not follow links to folders, which may form a cycle.
func (w *Walk) deep(dir string, parts []string) {
	w.Dir(dir)
	if len(parts) > 1 {
		w.below(dir, parts[1:])
	}
	for _, e := range w.list(dir) {
		path := filepath.Join(dir, e.Name())
		if e.IsDir() {
			w.deep(path, parts)
		} else if len(parts) == 1 {
			w.File(path)
		}
	}
}

func (w *Walk) names(dir string, parts []string) {
	w.Dir(dir)
	for _, e := range w.list(dir) {
		if ok, _ := filepath.Match(parts[0], e.Name()); !ok {
			continue
		}
		path := filepath.Join(dir, e.Name())
		if len(parts) > 1 {
			if w.isDir(path) {
				if e.Type()&fs.ModeSymlink != 0 {
					w.links(path)
				}
				w.below(path, parts[1:])
			}
		} else if !e.IsDir() {
			w.File(path)
		}
	}
}

func (w *Walk) list(dir string) []os.DirEntry {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.Failed(dir, err)
	}
	return entries
}

func (w *Walk) isDir(path string) bool {
	info, err := os.Stat(path)
	if Inconclusive(err) {
		w.Failed(path, err)
	}
	return err == nil && info.IsDir()
}

// Inconclusive reports whether an error leaves open whether a path exists.
func Inconclusive(err error) bool {
	return err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR)
}
