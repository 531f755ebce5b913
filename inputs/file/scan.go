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

// firstScan finds the files that are there at the start, and those that were
// renamed while we were away, and has them read oldest first.
func (w *follower) firstScan(ctx context.Context) {
	started := len(w.feed.Known()) == 0
	w.walkAll()
	found := w.considerAll()
	if w.settings.fromEnd && started {
		w.startAtEnd()
	}
	found = append(found, w.findPasts(ctx)...)
	if w.table.len() == 0 {
		w.log.Warn("no file is there yet; waiting for one", "paths", strings.Join(w.settings.paths, ", "))
	}
	w.wakeInOrder(found)
}

// scan looks at all names.
func (w *follower) scan(ctx context.Context) {
	w.rescan.Stop()
	w.overflowed = false
	w.walkAll()
	found := w.considerAll()
	for _, f := range w.table.all() {
		if w.strayed(f) {
			w.astray(f)
		}
	}
	w.locate(w.takeMissing())
	w.wakeInOrder(append(found, w.findPasts(ctx)...))
}

// walkAll notes the paths and folders that the patterns stand for, and watches
// the folders.
func (w *follower) walkAll() {
	w.round++
	clear(w.links)
	wasIll := w.ill
	w.ill = map[string]bool{}
	w.dirs = map[string]bool{}
	walk := w.walk()
	for _, p := range w.paths.Include {
		walk.Visit(p)
	}
	w.recheck(wasIll)
}

// walk gives what notes paths and folders. A folder is watched before it is
// listed: what appears in it meanwhile is found by the one or told by the other.
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
			w.isIll(path, fmt.Errorf("listing a folder of logs: %w", err))
		},
	}
}

func (w *follower) isIll(path string, err error) {
	w.ill[path] = true
	w.troubles.set(path, err)
}

// recheck takes back what is no longer true of paths that were ill before.
func (w *follower) recheck(before map[string]bool) {
	for path := range before {
		if _, err := os.Stat(path); !w.ill[path] && (err == nil || errors.Is(err, fs.ErrNotExist)) {
			w.troubles.clear(path)
		}
	}
}

func (w *follower) watch(dir string) {
	w.unsure = w.unsure || !notify.IsLocal(dir)
	err := w.watcher.Watch(dir)
	if err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return // the next scan tries again
	}
	w.cannotWatch(dir, err)
}

// considerAll looks at the names that walkAll found and gives the files that
// have something new.
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
	sort.SliceStable(files, func(i, j int) bool { return files[i].mtime < files[j].mtime })
	w.table.mu.Unlock()
	w.wakeFound(files)
}

func (w *follower) wakeFound(files []*file) {
	for _, f := range files {
		w.schedule.wake(f)
	}
}

// consider looks at a path that the config asks for. It gives the files that
// are to be woken for it: the one that is there, and the one that was.
func (w *follower) consider(path string) []*file {
	now, err := lookAt(path)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			w.isIll(path, fmt.Errorf("looking at a log file: %w", err))
		}
		return nil
	}
	if !now.regular {
		return nil
	}
	w.table.mu.Lock()
	defer w.table.mu.Unlock()
	before := w.table.byPath[path]
	f := w.table.byID[now.id]
	fresh := f == nil
	if fresh {
		f = w.add(now.id, path, path)
	}
	f.round = w.round
	w.settleName(f, path)
	if f.target != "" {
		w.links[f.target] = f.path
	}
	var wake []*file
	if before != nil && before != f {
		w.astray(before)
		if fresh && !before.ignored {
			w.schedule.follow(f, before)
			wake = append(wake, before)
		}
	}
	if changed := f.lookLocked(now); !changed && !fresh || w.tooOld(f, now) {
		return wake
	}
	f.taken = true
	return append(wake, f)
}

// add makes a file known to the table, which is at a path and was first seen at
// another. The caller holds its mu.
func (w *follower) add(id inode, seen, path string) *file {
	f := w.settings.newFile(id, seen, path)
	w.table.addLocked(f)
	return f
}

// settleName notes that f was seen at path. A file with several names keeps
// the one it has, as long as that leads to it.
func (w *follower) settleName(f *file, path string) {
	if f.path == path && f.place == live {
		return
	}
	if f.path != "" && f.place == live && w.wanted(f.path) && leadsTo(f.path, f.id) {
		return
	}
	w.table.moveLocked(f, path, live)
	if f.target != "" {
		w.watch(filepath.Dir(f.target))
	}
	w.found(f)
}

// tooOld tells whether a file is to be left alone for its age. One that was not
// read yet counts as older only as long as it is not written to.
func (w *follower) tooOld(f *file, now sight) bool {
	if w.settings.ignoreOlder == 0 || time.Since(time.Unix(0, now.mtime)) <= w.settings.ignoreOlder {
		f.ignored = false
		return false
	}
	if f.taken || w.pasts.unread(f.id, now.size) {
		return false
	}
	f.ignored = true
	return true
}

// strayed tells whether a file is no longer where it was, and wakes it if it
// has changed there.
func (w *follower) strayed(f *file) bool {
	w.table.mu.Lock()
	defer w.table.mu.Unlock()
	switch f.place {
	case live:
		return f.round != w.round
	case unlinked:
		w.schedule.wake(f)
		return false
	}
	now, err := lookAt(f.path)
	if err != nil || now.id != f.id {
		return true
	}
	if f.lookLocked(now) {
		w.schedule.wake(f)
	}
	return false
}

// startAtEnd has what is there now passed over.
func (w *follower) startAtEnd() {
	w.table.mu.Lock()
	defer w.table.mu.Unlock()
	for _, f := range w.table.byID {
		f.startSize = f.size
	}
}

// locate looks for files that are not where they were, in the folders that they
// were seen in.
func (w *follower) locate(files []*file) {
	if len(files) == 0 {
		return
	}
	listed := folderList{}
	for _, f := range files {
		path, ok := w.search(f, listed)
		at := unlinked
		switch {
		case ok && w.wanted(path):
			at = live
		case ok:
			at = renamed
		case !w.isGone(f):
			continue // it cannot be told; the next scan looks again
		case !f.missed:
			// A file that is renamed while its folder is listed may not be in the list.
			f.missed = true
			w.astray(f)
			continue
		}
		f.missed = false
		if w.move(f, path, at) {
			w.schedule.wake(f)
			w.wakeInOrder(w.between(f, listed, false))
		}
	}
}

// move notes where a file is now, and tells whether it is still followed.
func (w *follower) move(f *file, path string, at place) bool {
	w.table.mu.Lock()
	defer w.table.mu.Unlock()
	if w.table.byID[f.id] != f {
		return false
	}
	w.table.moveLocked(f, path, at)
	if at != live && f.ignored {
		w.table.removeLocked(f)
		return false
	}
	return true
}

// search gives the path of a file, if it is in a folder that it was seen in.
func (w *follower) search(f *file, listed folderList) (string, bool) {
	w.table.mu.Lock()
	names := [...]string{f.path, f.target, f.seen}
	w.table.mu.Unlock()
	if names[0] != "" && leadsTo(names[0], f.id) {
		return names[0], true
	}
	for _, name := range names {
		if name == "" {
			continue
		}
		if path, ok := listed.in(filepath.Dir(name))[f.id]; ok {
			return path, true
		}
	}
	return "", false
}

// isGone tells whether a file that was not found is known not to be in its
// folder any more. It is not, if the folder cannot be looked at, or if another
// file system is there now.
func (w *follower) isGone(f *file) bool {
	path, _, _ := w.table.where(f)
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
			_, err = os.ReadDir(dir)
			return err == nil && (inodeOf(info).dev == f.id.dev || linkTarget(path) != "")
		}
	}
}

// leadsTo tells whether a path leads to a file.
func leadsTo(path string, id inode) bool {
	info, err := os.Stat(path)
	return err == nil && inodeOf(info) == id
}

// A folderList holds the regular files of folders, each listed once.
type folderList map[string]map[inode]string

func (l folderList) in(dir string) map[inode]string {
	if files, ok := l[dir]; ok {
		return files
	}
	files := map[inode]string{}
	entries, _ := os.ReadDir(dir) // what cannot be listed has no files for us
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		if info, err := e.Info(); err == nil {
			files[inodeOf(info)] = filepath.Join(dir, e.Name())
		}
	}
	l[dir] = files
	return files
}

// findPasts looks for the known sources that are not at any of the config's
// names: files that were renamed or compressed while we were away, and what came after
// those that are gone. It gives the files it finds.
func (w *follower) findPasts(ctx context.Context) []*file {
	pasts := w.unseenPasts()
	if len(pasts) == 0 {
		return nil
	}
	there, listed := w.whereAre(pasts), folderList{}
	var found []*file
	var gone []*past
	for _, k := range pasts {
		at, ok := there[k.at.id.ino]
		ok = ok && k.isAt(at.path)
		f := w.knownAt(k, at, ok)
		if f == nil {
			f = w.heir(ctx, k)
		}
		switch {
		case f != nil:
			found = append(found, f)
		case !ok:
			gone = append(gone, k)
		}
	}
	for _, k := range gone {
		found = append(found, w.missed(ctx, k, listed)...)
	}
	for _, f := range found {
		found = append(found, w.between(f, listed, true)...)
	}
	w.queueBehind(found)
	return found
}

// knownAt follows a known source where it was found, if it is still there.
func (w *follower) knownAt(k *past, at located, ok bool) *file {
	if !ok {
		return nil
	}
	f := w.addGeneration(at.id, k.Key, at.path)
	if f != nil {
		f.known = true
	}
	return f
}

// missed deals with a known source that is gone and has no copy, and gives its heirs.
// Where there are some, or what has its name now is not known, the ledger is to remember the
// source until the next start: they are found by it, should we end before they are known
// themselves.
func (w *follower) missed(ctx context.Context, k *past, listed folderList) []*file {
	k.sought = true
	w.pasts.drop(k)
	heirs := w.heirs(k, listed)
	now := w.table.at(k.Key)
	isNews := now != nil && !w.pasts.has(now.id, k.Key)
	switch {
	case isNews && now.id.ino == k.at.id.ino && !w.table.isOwn(now.id):
		w.pasts.reportOnce(ctx, k, "its file was truncated or replaced while longshore was not running")
		w.table.addFormer(now, k)
	case len(heirs) > 0, isNews && now.id.ino != k.at.id.ino:
		w.pasts.reportOnce(ctx, k, deletedMeanwhile)
	case w.hasInode(k.at.id.ino):
		w.pasts.lost(k, "its file was truncated or replaced while longshore was not running")
	default:
		w.pasts.lost(k, deletedMeanwhile)
	}
	return heirs
}

const deletedMeanwhile = "it was deleted while longshore was not running"

func (w *follower) hasInode(ino uint64) bool {
	return slices.ContainsFunc(w.table.all(), func(f *file) bool { return f.id.ino == ino })
}

// unseenPasts gives the known sources that are at none of the config's names and were
// not looked for yet.
func (w *follower) unseenPasts() []*past {
	at := map[uint64]string{}
	for _, f := range w.table.all() {
		at[f.id.ino], _, _ = w.table.where(f)
	}
	var unseen []*past
	for _, k := range w.pasts.all() {
		if k.sought || !w.wanted(k.Key) || !k.canTell() {
			continue
		}
		if path, ok := at[k.at.id.ino]; !(ok && k.isAt(path)) {
			unseen = append(unseen, k)
		}
	}
	return unseen
}

// canTell tells whether the folder of a source is there, on the file system that it
// was on.
func (k *past) canTell() bool {
	info, err := os.Stat(filepath.Dir(k.Key))
	return err == nil && inodeOf(info).dev == k.at.id.dev
}

// listAgain is the time between two looks at the same folders.
const listAgain = 20 * time.Millisecond

// whereAre looks for the inodes of known sources. A file that is renamed while
// its folder is listed may not be in the list, so what is not there is looked for
// twice.
func (w *follower) whereAre(pasts []*past) map[uint64]located {
	there := w.listFolders(pasts)
	if !slices.ContainsFunc(pasts, func(k *past) bool { return there[k.at.id.ino].path == "" }) {
		return there
	}
	time.Sleep(listAgain)
	again := w.listFolders(pasts)
	for ino, at := range there {
		if again[ino].path == "" {
			again[ino] = at
		}
	}
	return again
}

type located struct {
	id   inode
	path string
}

// listFolders gives the files in the folders of known sources and of the
// config's names, by the number of their inode.
func (w *follower) listFolders(pasts []*past) map[uint64]located {
	dirs := maps.Clone(w.dirs)
	for _, k := range pasts {
		dirs[filepath.Dir(k.Key)] = true
	}
	for target := range w.links {
		dirs[filepath.Dir(target)] = true
	}
	listed, there := folderList{}, map[uint64]located{}
	for dir := range dirs {
		for id, path := range listed.in(dir) {
			there[id.ino] = located{id, path}
		}
	}
	return there
}

// queueBehind has what now stands at a renamed file's old path read after it,
// and several generations one after the other.
func (w *follower) queueBehind(found []*file) {
	sort.Slice(found, func(i, j int) bool { return found[i].mtime < found[j].mtime })
	last := map[string]*file{}
	for _, f := range found {
		if before := last[f.key]; before != nil {
			w.schedule.follow(f, before)
		}
		last[f.key] = f
	}
	for key, f := range last {
		if now := w.table.at(key); now != nil && now != f {
			w.schedule.follow(now, f)
		}
	}
}
