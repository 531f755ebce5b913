package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
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
	noted, err := importer.ReadPositions(r.Tool, i.positions)
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
	taken := 0
	for _, at := range noted.Files {
		at.Path = filepath.Clean(at.Path)
		n, err := i.takeOverFile(l, r.Checked, at)
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

// takeOverFile writes one position, for every input that reads the file, and returns 1 if there is
// one. What cannot be taken over is told; the error is that it cannot be written.
func (i *importing) takeOverFile(l *ledger.Ledger, cfg *config.Config, at importer.Position) (int, error) {
	say := func(format string, args ...any) {
		printf(i.stderr, "positions: %s: %s\n", printable(at.Path), fmt.Sprintf(format, args...))
	}
	var inputs []string
	for _, in := range cfg.Inputs {
		if reader, ok := in.Settings.(pipeline.FileReader); ok && reader.Reads(at.Path) {
			inputs = append(inputs, in.Name)
		}
	}
	if len(inputs) == 0 {
		say("no input of the config reads it, so its position stays behind")
		return 0, nil
	}
	path := i.whereIs(at, say)
	if path == "" {
		return 0, nil
	}
	place, err := file.CursorAt(path, at.Offset)
	switch {
	case errors.Is(err, file.ErrBeyondEnd):
		say("was truncated, or is another file: %d bytes were read and it has %d; it is read from its beginning",
			at.Offset, place.Size)
		return 0, nil
	case err != nil:
		say("%v; it is read from where read_from says", err)
		return 0, nil
	}
	taken := 0
	place.Cursor.State = graph.BeginAt(place.Cursor.State)
	for _, name := range inputs {
		begun, err := l.Begin(name, at.Path, place.Cursor)
		if err != nil {
			return 0, fmt.Errorf("writing the position of %s: %w", at.Path, err)
		}
		if !begun {
			say("is known in data_dir already, with a position of its own, which stays")
			continue
		}
		taken = 1
	}
	if taken > 0 && place.InLine {
		say("position %d is within a line: what is before it was read already, and what follows becomes a line of "+
			"its own",
			at.Offset)
	}
	return taken, nil
}

// maxSearched bounds the names of a folder that are looked at for a renamed file.
const maxSearched = 100_000

// whereIs returns the name that the file of a position has now, or "" where it is gone.
func (i *importing) whereIs(at importer.Position, say func(string, ...any)) string {
	_, err := os.Stat(at.Path)
	if err == nil && (at.Inode == 0 || file.SameFile(at.Path, at.Inode)) {
		return at.Path
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		say("cannot be looked at: %v", err)
		return ""
	}
	if at.Inode != 0 {
		if renamed := findInode(at); renamed != "" {
			say("is %s by now, and goes on there; what has its name now is read from its beginning", printable(renamed))
			return renamed
		}
	}
	if err != nil {
		say("is gone; what it had beyond byte %d is lost, if there was more", at.Offset)
		return ""
	}
	say("is another file by now (its inode has changed), and is read from its beginning; what the earlier one had "+
		"beyond "+
		"byte %d is lost, if there was more", at.Offset)
	return ""
}

// findInode searches the folder of a position for its file, under a name that begins like its own.
func findInode(at importer.Position) string {
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
		if path := filepath.Join(folder, name); strings.HasPrefix(name, stem) && file.SameFile(path, at.Inode) {
			return path
		}
	}
	return ""
}
