package graph

import (
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// Folders of the data folder.
const (
	spoolFolder      = "spool"
	deadLetterFolder = "dead-letters"
	asideFolder      = "aside"
	outputFolder     = "outputs"
)

// warnOfLeftovers logs which records wait for outputs that are not in the config any more.
func (g *Graph) warnOfLeftovers() {
	used := map[string]bool{}
	for _, c := range g.Config.Outputs {
		used[SpoolFolder(g.Config, c)] = true
		used[c.Name] = true
	}
	spools := g.sizes(spoolFolder, ".segment", func(path string) string { return filepath.Dir(filepath.Dir(path)) })
	deadLetters := g.sizes(deadLetterFolder, ".jsonl", func(path string) string { return path })
	aside := g.sizes(asideFolder, ".jsonl", func(path string) string { return path })
	for _, folder := range slices.Sorted(maps.Keys(spools)) {
		if !used[folder] {
			g.Log.Warn("records wait in the spool of an output that is not in the config, and are not delivered; "+
				"put it back, with its old name and type, or remove the folder",
				"folder", folder, "bytes", spools[folder])
		}
	}
	for _, path := range slices.Sorted(maps.Keys(aside)) {
		if !used[strings.TrimSuffix(filepath.Base(path), ".jsonl")] {
			g.Log.Warn("refused records of an output that is not in the config wait aside, and are not delivered; "+
				"put it back, with its old name and type, or remove the file", "file", path, "bytes", aside[path])
		}
	}
	for _, path := range slices.Sorted(maps.Keys(deadLetters)) {
		if !used[strings.TrimSuffix(filepath.Base(path), ".jsonl")] {
			g.Log.Warn("there are dead letters of an output that is not in the config; "+
				"put it back to replay them, or remove the file", "file", path, "bytes", deadLetters[path])
		}
	}
}

// sizes adds up the bytes of the files under a folder of the data folder whose name has an ending,
// by what of returns for each. What cannot be read is left out.
func (g *Graph) sizes(folder, ending string, of func(path string) string) map[string]int64 {
	sum := map[string]int64{}
	_ = filepath.WalkDir(filepath.Join(g.Config.DataDir, folder), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.HasSuffix(path, ending) {
			return nil
		}
		if info, err := e.Info(); err == nil && info.Size() > 0 {
			sum[of(path)] += info.Size()
		}
		return nil
	})
	return sum
}
