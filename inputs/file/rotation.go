package file

import (
	"iter"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// skippedGenerations follows the generations that came after a file and were renamed too
// before anyone saw them under a name of the config's: f is app.log.2 now, and app.log.1, as young
// as f or younger, was never seen.
func (w *follower) skippedGenerations(f *file, listed folderList, compressed bool) []*file {
	at := w.table.where(f)
	info, err := os.Stat(at.path)
	if at.state != renamed || err != nil {
		return nil
	}
	return w.followGenerations(at.firstPath, filepath.Dir(at.path), info.ModTime(), listed, func(path string) bool {
		return !compressed && isCompressed(path)
	})
}

// laterGenerations follows the generations that came after a file that is gone, and that nobody
// saw: it was app.log when it was last looked at, and app.log.1 is younger than that, and no copy
// of it.
func (w *follower) laterGenerations(k *knownSource, listed folderList) []*file {
	if k.at.modified == 0 {
		return nil
	}
	modified := time.UnixMilli(int64(k.at.modified))
	return w.followGenerations(k.Key, filepath.Dir(k.Key), modified, listed, k.isCopiedAt)
}

// followGenerations follows what is in a folder under names that rotations of a file have, was not
// written to before some time, and was never seen.
func (w *follower) followGenerations(
	key, dir string, since time.Time, listed folderList, except func(path string) bool,
) []*file {
	var found []*file
	for _, at := range listed.in(dir).rotationsOf(filepath.Base(key)) {
		w.table.compared.Add(1)
		if w.paths.Match(at.path) || w.paths.Excludes(at.path) || w.known.hasAt(at.id, at.path) {
			continue
		}
		if was, err := os.Stat(at.path); err != nil || was.ModTime().Before(since) || except(at.path) {
			continue
		}
		if g := w.addGeneration(at.id, key, at.path); g != nil {
			found = append(found, g)
		}
	}
	return found
}

// addGeneration follows a file that is not followed yet.
func (w *follower) addGeneration(id inode, key, path string) *file {
	info, err := os.Stat(path)
	if err != nil {
		return nil
	}
	w.table.mu.Lock()
	defer w.table.mu.Unlock()
	if w.table.byID[id] != nil {
		return nil
	}
	f := w.add(id, key, path)
	f.updateStatLocked(statOf(info))
	w.table.moveLocked(f, path, renamed)
	return f
}

// isRotation reports whether a name is what a rotation makes of another.
func isRotation(name, of string) bool {
	for log := range numberedNames(name) {
		if log == of {
			return true
		}
	}
	return false
}

// numberedNames returns the names of which a rotation makes this one: with a number or date behind
// it, or in front of its ending.
func numberedNames(name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range name {
			if strings.IndexByte(".-_", name[i]) < 0 {
				continue
			}
			if isNumbering(name[i:]) && !yield(name[:i]) {
				return
			}
			for end := len(name) - 1; end > i; end-- {
				if name[end] == '.' && isNumbering(name[i:end]) && !yield(name[:i]+name[end:]) {
					return
				}
			}
		}
	}
}

// nameSeparators stand between a log's name and what a rotation or a copy puts behind it.
const nameSeparators = ".-_~ ("

// family returns the path up to the first separator in the name: all that rotations and copies make
// of one log is in one family, and perhaps more.
func family(path string) string {
	start := strings.LastIndexByte(path, filepath.Separator) + 1
	if start+1 >= len(path) {
		return path
	}
	if i := strings.IndexAny(path[start+1:], nameSeparators); i >= 0 {
		return path[:start+1+i]
	}
	return path
}

// mayBeCopyOf reports whether a path is one that a rotation or a copy of another path has, or of
// the log that the other is a rotation of: with anything behind the name, with numbers, dates and
// the words of copies in front of its ending, or with such a word instead of it.
func mayBeCopyOf(path, of string) bool {
	if family(path) != family(of) {
		return false
	}
	group, log := rotationGroup(path), rotationGroup(of)
	return group == log || isSuffixed(path, of) || isSuffixed(path, log) ||
		group != plainName(path) && group == strings.TrimSuffix(log, filepath.Ext(log))
}

func isSuffixed(path, of string) bool {
	return len(path) > len(of) && path[:len(of)] == of && strings.IndexByte(nameSeparators, path[len(of)]) >= 0
}

// namesBefore returns the paths that the log may have, or may have had, that a file at a path is a
// copy of: see mayBeCopyOf.
func namesBefore(path string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := len(family(path)); i < len(path); i++ {
			if strings.IndexByte(nameSeparators, path[i]) >= 0 && !yield(path[:i]) {
				return
			}
		}
		plain, group := plainName(path), rotationGroup(path)
		if group == plain || isSuffixed(path, group) && filepath.Ext(group) != "" {
			return
		}
		if !isSuffixed(path, group) && !yield(group) || filepath.Ext(group) != "" {
			return
		}
		for _, ending := range logEndings {
			if !yield(group + ending) {
				return
			}
		}
	}
}

// logEndings are those that a copy may have lost to its own: app.bak of app.log.
var logEndings = [...]string{".log", ".txt", ".out", ".err", ".json"}

// rotationGroup returns the path that a file had before any rotation or copy: without the ending
// of a compressed one, numbers, dates and the words of copies.
func rotationGroup(path string) string {
	plain := plainName(path)
	dir, name := filepath.Split(plain)
	if log := unnumbered(name); log != name {
		return dir + log
	}
	return plain
}

// unnumbered removes what a rotation or a copy has put behind a name, or in front of its ending.
func unnumbered(name string) string {
	ending := filepath.Ext(name)
	front := strings.TrimSuffix(name, ending)
	for i := 1; i < len(name); i++ {
		if strings.IndexByte(nameSeparators, name[i]) < 0 {
			continue
		}
		if isCopySuffix(name[i:]) {
			return name[:i]
		}
		if i < len(front) && isCopySuffix(front[i:]) {
			return front[:i] + ending
		}
	}
	return name
}

// maxGeneration is the highest number that counts as one and not as a date.
const maxGeneration = 9999

// generationOf returns how often a file was rotated by what its name says: the number, 1 where that
// is a date, 0 where there is none.
func generationOf(name string) int {
	log := unnumbered(name)
	if log == name {
		return 0
	}
	i := 0
	for i < len(log) && log[i] == name[i] {
		i++
	}
	numbering := name[i : i+len(name)-len(log)]
	if n, err := strconv.Atoi(strings.Trim(numbering, ".-_")); err == nil && n <= maxGeneration {
		return max(n, 1)
	}
	return 1
}

// isNumbering reports whether s is a separator and a number or date.
func isNumbering(s string) bool {
	return len(s) > 1 && strings.ContainsRune(".-_", rune(s[0])) && s[1] >= '0' && s[1] <= '9' &&
		strings.Trim(s, "0123456789.-_:T") == ""
}

// isCopySuffix reports whether s, which begins with a separator, has nothing but numbers, dates and
// words that say of a file that it is a copy.
func isCopySuffix(s string) bool {
	words := 0
	separates := func(r rune) bool { return strings.ContainsRune(nameSeparators+")", r) }
	for word := range strings.FieldsFuncSeq(s, separates) {
		if !isCopyWord(word) && (word[0] < '0' || word[0] > '9' || strings.Trim(word, "0123456789:T") != "") {
			return false
		}
		words++
	}
	return words > 0 || strings.Trim(s, "~") == ""
}

func isCopyWord(word string) bool {
	switch strings.ToLower(word) {
	case "bak", "backup", "bkp", "copy", "old", "orig", "original", "prev", "previous", "save", "saved",
		"archive", "archived", "rotated", "last":
		return true
	}
	return false
}
