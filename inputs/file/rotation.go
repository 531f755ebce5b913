package file

import (
	"os"
	"path/filepath"
	"strings"
	"time"
)

// between finds the generations that came after a file and were renamed in their
// turn before anyone saw them under a name of the config's: f is app.log.2 now,
// and app.log.1, as young as f or younger, was never heard of. With packed, they may
// be compressed.
func (w *follower) between(f *file, listed folderList, packed bool) []*file {
	path, at, _ := w.table.where(f)
	info, err := os.Stat(path)
	if at != renamed || err != nil {
		return nil
	}
	return w.generations(w.table.seenAt(f), filepath.Dir(path), info.ModTime(), listed, func(path string) bool {
		return !packed && isCompressed(path)
	})
}

// heirs finds the generations that came after a file that is gone, and that
// nobody saw: it was app.log when it was last looked at, and app.log.1 is younger
// than that. A copy of it is none of them.
func (w *follower) heirs(k *past, listed folderList) []*file {
	if k.at.modified == 0 {
		return nil
	}
	return w.generations(k.Key, filepath.Dir(k.Key), time.UnixMilli(int64(k.at.modified)), listed, k.isCopied)
}

// generations follows what is in a folder under names that rotations of a file
// have, was not written to before some time, and was never heard of.
func (w *follower) generations(key, dir string, since time.Time, listed folderList, except func(path string) bool) []*file {
	var found []*file
	for id, other := range listed.in(dir) {
		if !isRotation(filepath.Base(plainName(other)), filepath.Base(key)) || w.wanted(other) || w.paths.Excludes(other) ||
			w.pasts.has(id, other) {
			continue
		}
		if was, err := os.Stat(other); err != nil || was.ModTime().Before(since) || except(other) {
			continue
		}
		if g := w.addGeneration(id, key, other); g != nil {
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
	f.lookLocked(sightOf(info))
	w.table.moveLocked(f, path, renamed)
	return f
}

// isRotation tells whether a name is what a rotation makes of another: with a
// number or date behind it, or in front of its ending.
func isRotation(name, of string) bool {
	if rest, ok := strings.CutPrefix(name, of); ok && isNumbering(rest) {
		return true
	}
	end := filepath.Ext(of)
	rest, front := strings.CutPrefix(name, strings.TrimSuffix(of, end))
	rest, back := strings.CutSuffix(rest, end)
	return front && back && isNumbering(rest)
}

// isNumbering tells whether s is a separator and a number or date.
func isNumbering(s string) bool {
	return len(s) > 1 && strings.ContainsRune(".-_", rune(s[0])) && s[1] >= '0' && s[1] <= '9' &&
		strings.Trim(s, "0123456789.-_:T") == ""
}
