package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/longshore/longshore/inputs/file/glob"
	"github.com/longshore/longshore/inputs/file/notify"
)

// firstScan finds the files that exist at the start, and those that were renamed while Longshore
// was stopped, and has them read oldest first.
func (w *follower) firstScan(ctx context.Context) {
	w.stopwatch.begin(w.firstFolder())
	started := len(w.feed.Known()) == 0
	w.walkAll()
	found := w.considerAll()
	if w.settings.tailLines() >= 0 && started {
		w.startAtEnd()
	}
	found = append(found, w.findKnown(ctx)...)
	if w.table.len() == 0 {
		w.log.Warn("no file is there yet; waiting for one", "paths", strings.Join(w.settings.Paths, ", "))
	}
	w.found(w.table.found())
	w.wakeInOrder(found)
}

// scan looks at all names.
func (w *follower) scan(ctx context.Context) {
	w.stopwatch.begin(w.firstFolder())
	w.rescan.Stop()
	w.overflowed = false
	w.copies.folders.clear()
	w.walkAll()
	found := w.considerAll()
	for _, f := range w.table.all() {
		missing, changed := w.look(f)
		if missing {
			w.missing.add(f)
		}
		if changed {
			w.wake(f)
		}
	}
	w.relocate(w.missing.take())
	w.wakeInOrder(append(found, w.findKnown(ctx)...))
}

// walkAll notes the paths and folders that the patterns match, and watches the folders.
func (w *follower) walkAll() {
	w.round++
	clear(w.links)
	before := w.unreadable
	w.unreadable = map[string]bool{}
	w.dirs = map[string]bool{}
	walk := w.walk()
	for _, p := range w.paths.Include {
		walk.Visit(p)
	}
	w.recheck(before)
}

// firstFolder returns what is named where a folder does not answer, as it is not known which.
func (w *follower) firstFolder() string { return "a folder of " + strings.Join(w.settings.Paths, ", ") }

// walk returns a walk that notes paths and folders. A folder is watched before it is listed, so
// that what appears in it meanwhile is listed or reported.
func (w *follower) walk() glob.Walk {
	return glob.Walk{
		File: func(path string) { w.names = append(w.names, path) },
		Dir: func(path string) {
			if !w.dirs[path] {
				w.dirs[path] = true
				w.watch(path)
			}
		},
		Failed: func(path string, err error) {
			w.markUnreadable(path, fmt.Errorf("listing a folder of logs: %w", err))
		},
	}
}

func (w *follower) markUnreadable(path string, err error) {
	w.unreadable[path] = true
	w.health.set(path, err)
}

// recheck clears the errors of paths that were unreadable before and are no longer.
func (w *follower) recheck(before map[string]bool) {
	for path := range before {
		if _, err := os.Stat(path); !w.unreadable[path] && (err == nil || errors.Is(err, fs.ErrNotExist)) {
			w.health.clear(path)
		}
	}
}

func (w *follower) watch(dir string) {
	w.maybeShared = w.maybeShared || !notify.IsLocal(dir)
	err := w.watcher.Watch(dir)
	if err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return // the next scan tries again
	}
	w.fallBackToPolling(dir, err)
}

// considerAll looks at the names that walkAll found and returns the files to be woken.
func (w *follower) considerAll() []*file {
	var found []*file
	for _, path := range w.names {
		if !w.paths.Excludes(path) {
			found = append(found, w.consider(path)...)
		}
	}
	w.names = nil
	return found
}

// wakeInOrder wakes files, the oldest first.
func (w *follower) wakeInOrder(files []*file) {
	w.table.mu.Lock()
	sort.SliceStable(files, func(i, j int) bool { return files[i].at.mtime < files[j].at.mtime })
	w.table.mu.Unlock()
	w.wakeAll(files)
}

func (w *follower) wakeAll(files []*file) {
	for _, f := range files {
		w.wake(f)
	}
}

// consider looks at a path that the config asks for. It returns the files to be woken for it: the
// one that is there, and the one that was.
func (w *follower) consider(path string) []*file {
	now, err := statFile(path)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			w.markUnreadable(path, fmt.Errorf("looking at a log file: %w", err))
		}
		return nil
	}
	if !now.regular || w.leavesOut(now.id, path) {
		return nil
	}
	w.table.mu.Lock()
	defer w.table.mu.Unlock()
	wake := w.dropOtherKindLocked(now.id, path)
	before := w.table.byPath[path]
	f := w.table.byID[now.id]
	fresh := f == nil
	if fresh {
		f = w.add(now.id, path, path)
	}
	f.scan.round = w.round
	w.updateNameLocked(f, path)
	if f.at.target != "" {
		w.links[f.at.target] = f.at.path
	}
	if before != nil && before != f {
		w.missing.add(before)
		if fresh && !before.scan.ignored {
			w.schedule.follow(f, before)
			wake = append(wake, before)
		}
	}
	truncated := now.size < f.at.size && w.table.noteSizeLocked(f, path)
	if truncated {
		w.schedule.expedite(f)
	}
	if changed := f.updateStatLocked(now) || truncated; !changed && !fresh || w.isTooOld(f, now) {
		return wake
	}
	f.scan.handedOut = true
	if fresh && w.round > 1 {
		wake = append(wake, w.expediteOriginalsLocked(path)...)
	}
	return append(wake, f)
}

// dropOtherKindLocked stops following what has an inode, if that was compressed and the file at a
// path is not, or the reverse: it is another file. It returns what is to be woken for being closed.
func (w *follower) dropOtherKindLocked(id inode, path string) (wake []*file) {
	f := w.table.byID[id]
	if f == nil || f.compressed == isCompressed(path) || w.keepsName(f, path) {
		return nil
	}
	w.table.removeLocked(f)
	return []*file{f}
}

// leavesOut reports whether a file that is not followed is not to be.
func (w *follower) leavesOut(id inode, path string) bool {
	return !w.table.hasInode(id) && w.settings.guide.Choose(path) == Leave
}

// expediteOriginalsLocked has the logs read to their end at once that a new file may be the copy
// of: they are truncated next, or what was in them is in the copy now, of which there are not many.
// It returns the files to be woken.
func (w *follower) expediteOriginalsLocked(path string) (wake []*file) {
	for name := range namesBefore(path) {
		if f := w.table.byPath[name]; f != nil && f.at.path == name {
			w.schedule.expedite(f)
			wake = append(wake, f)
		}
	}
	return wake
}

// add adds a file to the table that is at a path and was first seen at another. The caller holds
// the table's mu.
func (w *follower) add(id inode, firstPath, path string) *file {
	f := w.settings.newFile(id, firstPath, path)
	w.table.addLocked(f)
	return f
}

// keepsName reports whether f, which was seen at path, keeps the name it has: it may have several,
// and keeps one as long as that leads to it. The caller holds the table's mu.
func (w *follower) keepsName(f *file, path string) bool {
	return f.at.state == named && (f.at.path == path ||
		f.at.path != "" && w.paths.Match(f.at.path) && leadsTo(f.at.path, f.id))
}

// updateNameLocked notes that f was seen at path.
func (w *follower) updateNameLocked(f *file, path string) {
	if w.keepsName(f, path) {
		return
	}
	w.table.moveLocked(f, path, named)
	if f.at.target != "" {
		w.watch(filepath.Dir(f.at.target))
		for _, dir := range glob.LinkFolders(path) {
			w.watch(dir)
		}
	}
	w.missing.remove(f)
}

// isTooOld reports whether a file is to be left alone for its age. One that was never read counts
// as too old only until it is written to.
func (w *follower) isTooOld(f *file, now fileStat) bool {
	limit := time.Duration(w.settings.IgnoreOlder)
	if limit == 0 || time.Since(time.Unix(0, now.mtime)) <= limit {
		f.scan.ignored = false
		return false
	}
	if f.scan.handedOut || w.known.hasUnread(f.id, now.size) {
		return false
	}
	f.scan.ignored = true
	return true
}

// look reports whether a file is no longer where it was, or may have changed there.
func (w *follower) look(f *file) (missing, changed bool) {
	w.table.mu.Lock()
	defer w.table.mu.Unlock()
	switch f.at.state {
	case named:
		return f.scan.round != w.round, false
	case unlinked:
		return false, true
	}
	now, err := statFile(f.at.path)
	if err != nil || now.id != f.id {
		return true, false
	}
	return false, f.updateStatLocked(now)
}

// startAtEnd has what the files have now skipped.
func (w *follower) startAtEnd() {
	w.table.mu.Lock()
	defer w.table.mu.Unlock()
	for _, f := range w.table.byID {
		f.read.startSize = f.at.size
	}
}

// relocate searches for files that are missing, in the folders that they were seen in.
func (w *follower) relocate(files []*file) {
	if len(files) == 0 {
		return
	}
	listed := folderList{}
	for _, f := range files {
		path, ok := w.search(f, listed)
		state := unlinked
		switch {
		case ok && w.paths.Match(path):
			state = named
		case ok:
			state = renamed
		case !w.isGone(f, listed):
			continue // it cannot be told; the next scan looks again
		case !f.scan.searched:
			// A file that is renamed while its folder is listed may not be in the list.
			f.scan.searched = true
			w.missing.add(f)
			continue
		}
		f.scan.searched = false
		if w.move(f, path, state) {
			w.open.rerank(f)
			if state == unlinked {
				w.noteDeleted(f)
			}
			w.wake(f)
			w.wakeInOrder(w.skippedGenerations(f, listed, false))
		}
	}
}

// move notes where a file is now, and reports whether it is still followed.
func (w *follower) move(f *file, path string, state nameState) bool {
	w.table.mu.Lock()
	defer w.table.mu.Unlock()
	if w.table.byID[f.id] != f {
		return false
	}
	w.table.moveLocked(f, path, state)
	if state != named && f.scan.ignored {
		w.table.removeLocked(f)
		return false
	}
	return true
}

// search returns the path of a file, if it is in a folder that it was seen in.
func (w *follower) search(f *file, listed folderList) (string, bool) {
	at := w.table.where(f)
	if at.path != "" && leadsTo(at.path, f.id) {
		return at.path, true
	}
	for _, name := range at.paths() {
		if path, ok := listed.in(filepath.Dir(name)).byID[f.id]; ok {
			return path, true
		}
	}
	return "", false
}

// isGone reports whether a file that was not found is certain not to be in its folder any more. It
// is not, if the folder cannot be looked at, or if another file system is there now.
func (w *follower) isGone(f *file, listed folderList) bool {
	path := w.table.where(f).path
	if path == "" {
		return true
	}
	if _, err := os.Lstat(path); glob.Inconclusive(err) {
		return false
	}
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if glob.Inconclusive(err) {
			return false
		}
		if err == nil {
			return listed.in(dir).err == nil && (inodeOf(info).dev == f.id.dev || linkTarget(path) != "")
		}
	}
}

// leadsTo reports whether a path leads to a file.
func leadsTo(path string, id inode) bool {
	info, err := os.Stat(path)
	return err == nil && inodeOf(info) == id
}

// findKnown looks for the known sources that are at none of the config's names: files that were
// renamed or compressed while Longshore was stopped, and what came after those that are gone. It
// returns the files to be woken.
func (w *follower) findKnown(ctx context.Context) []*file {
	sources := w.unlocatedSources()
	if len(sources) == 0 {
		return nil
	}
	there, listed := w.locateInodes(sources), folderList{}
	var found []*file
	var missing []*knownSource
	for _, k := range sources {
		at, ok := there[k.at.id.ino]
		var f *file
		if ok && k.isAt(at.path) {
			f = w.addGeneration(at.id, k.Key, at.path)
		}
		if f == nil {
			missing = append(missing, k)
			continue
		}
		f.read.mustBeKnown = true
		found = append(found, f)
	}
	found = append(found, w.findCopies(ctx, missing, there, listed)...)
	for _, f := range found {
		found = append(found, w.skippedGenerations(f, listed, true)...)
	}
	w.orderGenerations(found)
	return found
}

// findCopies looks for the copies of known sources whose files are gone, and follows what came
// after those that have none.
func (w *follower) findCopies(
	ctx context.Context, missing []*knownSource, there map[uint64]locatedFile, listed folderList,
) (found []*file) {
	copies := w.copies.candidatesOf(missing, listed)
	var gone []*knownSource
	for _, k := range missing {
		f := w.takeOverKnown(ctx, k, copies[k])
		if f != nil {
			found = append(found, f)
			continue
		}
		if at, ok := there[k.at.id.ino]; !ok || !k.isAt(at.path) {
			gone = append(gone, k)
		}
	}
	if ctx.Err() != nil {
		return found // the copies may not have been looked at
	}
	inodes := w.inodes()
	for _, k := range gone {
		found = append(found, w.sourceGone(k, inodes, listed)...)
	}
	return found
}

const (
	deletedMeanwhile  = "it was deleted while longshore was not running"
	replacedMeanwhile = "its file was truncated or replaced while longshore was not running"
)

// sourceGone handles a known source that is gone and has no copy, and returns the generations that
// came after it. Where there are some, or what has its name now is not known, the ledger remembers
// the source until the next start: they are found by it, should Longshore stop before they are
// known.
func (w *follower) sourceGone(k *knownSource, inodes map[uint64]bool, listed folderList) []*file {
	k.searched = true
	w.known.remove(k)
	later := w.laterGenerations(k, listed)
	now := w.table.at(k.Key)
	isNew := now != nil && !w.known.hasAt(now.id, k.Key)
	switch {
	case isNew && now.id.ino == k.at.id.ino && !w.table.where(now).isSource:
		w.known.reportOnce(k, replacedMeanwhile)
		w.table.addPredecessor(now, k)
	case len(later) > 0, isNew && now.id.ino != k.at.id.ino:
		w.known.reportOnce(k, deletedMeanwhile)
	case inodes[k.at.id.ino]:
		w.known.lose(k, replacedMeanwhile)
	default:
		w.known.lose(k, deletedMeanwhile)
	}
	return later
}

// inodes returns the numbers of all files that are followed.
func (w *follower) inodes() map[uint64]bool {
	numbers := map[uint64]bool{}
	for _, f := range w.table.all() {
		numbers[f.id.ino] = true
	}
	return numbers
}

// unlocatedSources returns the known sources that are at none of the config's names and were not
// searched for yet.
func (w *follower) unlocatedSources() []*knownSource {
	at := map[uint64]string{}
	for _, f := range w.table.all() {
		at[f.id.ino] = w.table.where(f).path
	}
	var sources []*knownSource
	for _, k := range w.known.all() {
		if k.searched || !w.paths.Match(k.Key) || !k.folderExists() {
			continue
		}
		if path, ok := at[k.at.id.ino]; !(ok && k.isAt(path)) {
			sources = append(sources, k)
		}
	}
	return sources
}

// folderExists reports whether the folder of a source exists, on the file system that it was on.
func (k *knownSource) folderExists() bool {
	info, err := os.Stat(filepath.Dir(k.Key))
	return err == nil && inodeOf(info).dev == k.at.id.dev
}

// listAgain is the time between listing the same folders twice.
const listAgain = 20 * time.Millisecond

// locateInodes searches for the inodes of known sources. A file that is renamed while its folder is
// listed may not be in the list, so missing ones are searched for twice.
func (w *follower) locateInodes(sources []*knownSource) map[uint64]locatedFile {
	there := w.listFolders(sources)
	if !slices.ContainsFunc(sources, func(k *knownSource) bool { return there[k.at.id.ino].path == "" }) {
		return there
	}
	time.Sleep(listAgain)
	again := w.listFolders(sources)
	for ino, at := range there {
		if again[ino].path == "" {
			again[ino] = at
		}
	}
	return again
}

type locatedFile struct {
	id   inode
	path string
}

// listFolders returns the files in the folders of known sources and of the config's names, by the
// number of their inode.
func (w *follower) listFolders(sources []*knownSource) map[uint64]locatedFile {
	dirs := maps.Clone(w.dirs)
	for _, k := range sources {
		dirs[filepath.Dir(k.Key)] = true
	}
	for target := range w.links {
		dirs[filepath.Dir(target)] = true
	}
	listed, there := folderList{}, map[uint64]locatedFile{}
	for dir := range dirs {
		for id, path := range listed.in(dir).byID {
			there[id.ino] = locatedFile{id, path}
		}
	}
	return there
}

// orderGenerations has what is now at a renamed file's old path read after it, and several
// generations one after the other.
func (w *follower) orderGenerations(found []*file) {
	sort.Slice(found, func(i, j int) bool { return found[i].at.mtime < found[j].at.mtime })
	last := map[string]*file{}
	for _, f := range found {
		if before := last[f.read.key]; before != nil {
			w.schedule.follow(f, before)
		}
		last[f.read.key] = f
	}
	for key, f := range last {
		if now := w.table.at(key); now != nil && now != f {
			w.schedule.follow(now, f)
		}
	}
}
