package file

import (
	"os"
	"path/filepath"
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
	for id, path := range listed.in(dir) {
		if !isRotation(filepath.Base(plainName(path)), filepath.Base(key)) ||
			w.paths.Match(path) || w.paths.Excludes(path) || w.known.hasAt(id, path) {
			continue
		}
		if was, err := os.Stat(path); err != nil || was.ModTime().Before(since) || except(path) {
			continue
		}
		if g := w.addGeneration(id, key, path); g != nil {
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

// isRotation reports whether a name is what a rotation makes of another: with a number or date
// behind it, or in front of its ending.
func isRotation(name, of string) bool {
	if rest, ok := strings.CutPrefix(name, of); ok && isNumbering(rest) {
		return true
	}
	ending := filepath.Ext(of)
	rest, front := strings.CutPrefix(name, strings.TrimSuffix(of, ending))
	rest, back := strings.CutSuffix(rest, ending)
	return front && back && isNumbering(rest)
}

// rotationGroup returns the path that a file had before any rotation: without the ending of a
// compressed one, numbers and dates.
func rotationGroup(path string) string {
	plain := plainName(path)
	dir, name := filepath.Split(plain)
	if log := unnumbered(name); log != name {
		return dir + log
	}
	return plain
}

// unnumbered removes the number or date from a name, at its end or in front of its ending.
func unnumbered(name string) string {
	ending := filepath.Ext(name)
	front := strings.TrimSuffix(name, ending)
	for i := 1; i < len(name); i++ {
		if isNumbering(name[i:]) {
			return name[:i]
		}
		if i < len(front) && isNumbering(front[i:]) {
			return front[:i] + ending
		}
	}
	return name
}

// isNumbering reports whether s is a separator and a number or date.
func isNumbering(s string) bool {
	return len(s) > 1 && strings.ContainsRune(".-_", rune(s[0])) && s[1] >= '0' && s[1] <= '9' &&
		strings.Trim(s, "0123456789.-_:T") == ""
}
