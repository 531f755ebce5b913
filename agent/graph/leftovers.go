package graph

import (
	"io/fs"
	"log/slog"
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

// leftovers are what a data folder has of outputs that are not in a config any more.
type leftovers struct {
	cfg *config.Config
	log *slog.Logger
}

// warnOfLeftovers logs which records wait for outputs that are not in the config any more.
func warnOfLeftovers(cfg *config.Config, log *slog.Logger) {
	used := map[string]bool{}
	for _, c := range cfg.Outputs {
		used[SpoolFolder(cfg, c)] = true
		used[c.Name] = true
	}
	l := leftovers{cfg, log}
	spools := l.sizes(spoolFolder, ".segment", func(path string) string { return filepath.Dir(filepath.Dir(path)) })
	l.warnOfUnused(spools, "folder", func(folder string) bool { return used[folder] },
		"records wait in the spool of an output that is not in the config, and are not delivered; "+
			"put it back, with its old name and type, or remove the folder")
	isOfOutput := func(path string) bool { return used[strings.TrimSuffix(filepath.Base(path), ".jsonl")] }
	file := func(path string) string { return path }
	l.warnOfUnused(l.sizes(asideFolder, ".jsonl", file), "file", isOfOutput,
		"refused records of an output that is not in the config wait aside, and are not delivered; "+
			"put it back, with its old name and type, or remove the file")
	l.warnOfUnused(l.sizes(config.DeadLetterFolder, ".jsonl", file), "file", isOfOutput,
		"there are dead letters of an output that is not in the config; put it back to replay them, or remove the file")
}

// warnOfUnused logs a message for each path that is not used, with what it is and its size.
func (l leftovers) warnOfUnused(sizes map[string]int64, what string, used func(path string) bool, message string) {
	for _, path := range slices.Sorted(maps.Keys(sizes)) {
		if !used(path) {
			l.log.Warn(message, what, path, "bytes", sizes[path])
		}
	}
}

// sizes adds up the bytes of the files under a folder of the data folder whose name has an ending,
// by what of returns for each. What cannot be read is left out.
func (l leftovers) sizes(folder, ending string, of func(path string) string) map[string]int64 {
	sum := map[string]int64{}
	_ = filepath.WalkDir(filepath.Join(l.cfg.DataDir, folder), func(path string, e fs.DirEntry, err error) error {
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
