package graph

import (
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/longshore/longshore/pipeline/config"
)

// Folders of the data folder, beside config.DeadLetterFolder.
const (
	spoolFolder  = "spool"
	asideFolder  = "aside"
	inputFolder  = "inputs"
	outputFolder = "outputs"
)

// warnOfLeftovers logs which records wait for outputs that are not in the config any more.
func (g *Graph) warnOfLeftovers() {
	used := map[string]bool{}
	for _, c := range g.Config.Outputs {
		used[SpoolFolder(g.Config, c)] = true
		used[c.Name] = true
	}
	spools := g.sizes(spoolFolder, ".segment", func(path string) string { return filepath.Dir(filepath.Dir(path)) })
	g.warnOfUnused(spools, "folder", func(folder string) bool { return used[folder] },
		"records wait in the spool of an output that is not in the config, and are not delivered; "+
			"put it back, with its old name and type, or remove the folder")
	isOfOutput := func(path string) bool { return used[strings.TrimSuffix(filepath.Base(path), ".jsonl")] }
	file := func(path string) string { return path }
	g.warnOfUnused(g.sizes(asideFolder, ".jsonl", file), "file", isOfOutput,
		"refused records of an output that is not in the config wait aside, and are not delivered; "+
			"put it back, with its old name and type, or remove the file")
	g.warnOfUnused(g.sizes(config.DeadLetterFolder, ".jsonl", file), "file", isOfOutput,
		"there are dead letters of an output that is not in the config; put it back to replay them, or remove the file")
}

// warnOfUnused logs a message for each path that is not used, with what it is and its size.
func (g *Graph) warnOfUnused(sizes map[string]int64, what string, used func(path string) bool, message string) {
	for _, path := range slices.Sorted(maps.Keys(sizes)) {
		if !used(path) {
			g.Log.Warn(message, what, path, "bytes", sizes[path])
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
