package graph

import (
	"path/filepath"

	"github.com/longshore/longshore/agent/deliver"
	"github.com/longshore/longshore/pipeline/config"
)

// Restart gives the state of a source that is to be read from its beginning once
// more: its input finds the source by it, and its pipelines know of no record.
func Restart(state []byte) []byte {
	_, cursor, ok := readState(state)
	if !ok {
		return nil
	}
	return appendState(nil, nil, cursor)
}

// SpoolFolder gives the folder that has a spool for each lane of an output.
func SpoolFolder(cfg *config.Config, c config.Output) string { return spoolOf(cfg, c) }

// DeadLetters gives the dead letters of an output.
func DeadLetters(cfg *config.Config, c config.Output) *deliver.DeadLetterFile {
	letters := deliver.NewDeadLetterFile(filepath.Join(cfg.DataDir, letterFolder), c.Name)
	letters.Max = int64(c.Common.DeadLetters)
	return letters
}
