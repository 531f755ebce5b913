package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/longshore/longshore/agent/graph"
	"github.com/longshore/longshore/agent/ledger"
	"github.com/longshore/longshore/cmd/longshore/importer"
	"github.com/longshore/longshore/inputs/file"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
)

// takeOver writes the positions that a tool has noted into the ledger of the data folder, as those
// up to which everything is done. What cannot be taken over, or cannot be known, is told.
func (i *importing) takeOver(r *importer.Result) error {
	noted, err := r.Positions(i.positions)
	if err != nil {
		return fmt.Errorf("reading the positions: %w", err)
	}
	dir, err := filepath.Abs(i.dataDir)
	if err != nil {
		return fmt.Errorf("finding --data-dir: %w", err)
	}
	r.SetDataDir(dir)
	l, err := ledger.Open(dir, i.logger())
	if err != nil {
		return err
	}
	t := takeover{importing: i, ledger: l, config: r.Checked, known: map[[2]string]bool{}, begun: map[begunFile]bool{}}
	taken := 0
	for _, at := range inOrder(noted.Files) {
		n, err := t.file(at)
		if err != nil {
			return errors.Join(err, l.Close())
		}
		taken += n
	}
	if err := l.Close(); err != nil {
		return fmt.Errorf("writing the positions: %w", err)
	}
	i.tellOf(r, noted, taken)
	return nil
}

// inOrder returns the positions by their paths. Where a file is noted more than once, the lowest
// position comes first, and is the one that counts.
func inOrder(files []importer.Position) []importer.Position {
	for i := range files {
		files[i].Path = filepath.Clean(files[i].Path)
	}
	slices.SortStableFunc(files, func(a, b importer.Position) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), cmp.Compare(a.Offset, b.Offset))
	})
	return files
}

// A takeover writes positions into a ledger.
type takeover struct {
	*importing
	ledger *ledger.Ledger
	config *config.Config
	known  map[[2]string]bool // by input and path: whether an earlier run has the source
	begun  map[begunFile]bool // without paths
}

// tellOf sums up what was taken over, and says what no position tells.
func (i *importing) tellOf(r *importer.Result, noted importer.Positions, taken int) {
	s := i.styleOf(i.stderr)
	if noted.Others > 0 {
		printf(i.stderr, "positions: %d of a journal, a container or the like stay behind; a container's log is "+
			"read from "+
			"where read_from of its input says\n", noted.Others)
	}
	printf(i.stderr, "positions: what %s has read and not sent yet (in its memory, or lines it was joining) is "+
		"before its "+
		"positions and is not read again: stop it, and let it send all, before this\n", r.Tool.Title())
	printf(i.stderr, "positions: %s\n", s.bold(fmt.Sprintf("%d of %s go on where %s stopped", taken,
		pipeline.Count(len(noted.Files), "file"), r.Tool.Title())))
}

// file writes one position, for every input that reads the file, and returns 1 if there is one.
// What cannot be taken over is told; the error is that it cannot be written.
func (t *takeover) file(at importer.Position) (int, error) {
	say := func(format string, args ...any) {
		printf(t.stderr, "positions: %s: %s\n", printable(at.Path), fmt.Sprintf(format, args...))
	}
	key, inputs := t.readers(at)
	if len(inputs) == 0 {
		say("no input of the config reads it, so its position stays behind")
		return 0, nil
	}
	path := t.whereIs(at, say)
	if path == "" {
		return 0, nil
	}
	place, err := file.CursorAt(path, at.Offset)
	switch {
	case errors.Is(err, file.ErrBeyondEnd):
		rotated := ""
		if !at.Identified() {
			rotated = fmt.Sprintf("; if it was rotated, what the earlier one had beyond byte %d is lost", at.Offset)
		}
		say("was truncated, or is another file: %d bytes were read and it has %d; it is read from its beginning%s",
			at.Offset, place.Size, rotated)
		return 0, nil
	case err != nil:
		say("%v; it is read from where read_from says", err)
		return 0, nil
	case !at.Before.Matches(place.Before):
		say("was truncated and written anew, or is another file: before byte %d is not what was read; it is read "+
			"from its beginning", at.Offset)
		return 0, nil
	}
	place.Cursor.State = graph.BeginAt(place.Cursor.State)
	taken := 0
	for _, name := range inputs {
		begun, err := t.begin(begunFile{name, key, place.File}, at.Offset, place.Cursor, say)
		if err != nil {
			return 0, fmt.Errorf("writing the position of %s: %w", at.Path, err)
		}
		if begun {
			taken = 1
		}
	}
	if taken > 0 && place.InLine {
		say("position %d is within a line: what is before it was read already, and what follows becomes a line of "+
			"its own", at.Offset)
	}
	return taken, nil
}

// maxSuffixes is how many suffixes rotation may have given a file.
const maxSuffixes = 2

// readers returns the inputs that read the file of a position, and under which path. A tool that
// has followed a log through its rotation may have noted its new name, which no input reads:
// app.log.1.
func (t *takeover) readers(at importer.Position) (path string, inputs []string) {
	path = at.Path
	for range maxSuffixes + 1 {
		for _, in := range t.config.Inputs {
			if reader, ok := in.Settings.(pipeline.FileReader); ok && reader.Reads(path) {
				inputs = append(inputs, in.Name)
			}
		}
		suffix := filepath.Ext(path)
		if len(inputs) > 0 || suffix == "" || !at.Identified() {
			return path, inputs
		}
		path = strings.TrimSuffix(path, suffix)
	}
	return path, nil
}

// A begunFile is one that an input goes on with.
type begunFile struct {
	input, path string
	file        [2]uint64
}

// begin has an input go on with a file, unless it is known already.
func (t *takeover) begin(f begunFile, offset uint64, at pipeline.Cursor, say func(string, ...any)) (bool, error) {
	source := [2]string{f.input, f.path}
	known, seen := t.known[source]
	if !seen {
		known = t.ledger.HasKey(f.input, f.path)
		t.known[source] = known
	}
	same := begunFile{input: f.input, file: f.file}
	switch {
	case known:
		say("is known in data_dir already, with a position of its own, which stays")
		return false, nil
	case t.begun[same]:
		say("is noted more than once; it goes on at the lowest position, not at %d", offset)
		return false, nil
	}
	t.begun[same] = true
	return true, t.ledger.Begin(f.input, f.path, at)
}

// maxSearched bounds the names of a folder that are looked at for a renamed file.
const maxSearched = 100_000

// whereIs returns the name that the file of a position has now, or "" where it is gone.
func (i *importing) whereIs(at importer.Position, say func(string, ...any)) string {
	_, err := os.Stat(at.Path)
	if err == nil && isFile(at, at.Path) {
		return at.Path
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		say("cannot be looked at: %v", err)
		return ""
	}
	if renamed := findRenamed(at); renamed != "" {
		say("is %s by now, and goes on there; what has its name now is read from its beginning", printable(renamed))
		return renamed
	}
	if err != nil {
		say("is gone; what it had beyond byte %d is lost, if there was more", at.Offset)
		return ""
	}
	by := "inode"
	if at.Inode == 0 {
		by = "fingerprint"
	}
	say("is another file by now (its %s has changed), and is read from its beginning; what the earlier one had "+
		"beyond "+
		"byte %d is lost, if there was more", by, at.Offset)
	return ""
}

// isFile reports whether a path leads to the file of a position, as far as the tool has noted by
// what to know it.
func isFile(at importer.Position, path string) bool {
	switch {
	case at.Inode != 0:
		return file.SameFile(path, at.Inode)
	case at.Head.Sum != "":
		return at.Head.Matches(path)
	}
	return path == at.Path
}

// findRenamed searches the folder of a position for its file, under a name that begins like its
// own.
func findRenamed(at importer.Position) string {
	if !at.Identified() {
		return ""
	}
	folder, base := filepath.Split(at.Path)
	d, err := os.Open(folder)
	if err != nil {
		return ""
	}
	defer d.Close()
	names, err := d.Readdirnames(maxSearched)
	if err != nil {
		return ""
	}
	stem, _, _ := strings.Cut(base, ".")
	for _, name := range names {
		if path := filepath.Join(folder, name); strings.HasPrefix(name, stem) && isFile(at, path) {
			return path
		}
	}
	return ""
}
