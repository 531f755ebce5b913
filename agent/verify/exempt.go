package verify

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/longshore/longshore/agent/deliver"
	"github.com/longshore/longshore/agent/disk"
	"github.com/longshore/longshore/agent/graph"
	"github.com/longshore/longshore/agent/ledger"
	"github.com/longshore/longshore/agent/spool"
	"github.com/longshore/longshore/pipeline/config"
	"github.com/longshore/longshore/pipeline/event"
)

// An exemption is what an output has acknowledged and not delivered: records that
// wait in its spool, and dead letters.
type exemption struct {
	waiting, refused map[event.SourceID]*ledger.Positions
}

func newExemption(cfg *config.Config, c config.Output) (*exemption, error) {
	e := &exemption{waiting: map[event.SourceID]*ledger.Positions{}, refused: map[event.SourceID]*ledger.Positions{}}
	return e, errors.Join(e.readSpools(graph.SpoolFolder(cfg, c)), e.readLetters(graph.DeadLetters(cfg, c)))
}

func (e *exemption) readSpools(dir string) error {
	lanes, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("looking into the spool: %w", err)
	}
	for _, lane := range lanes {
		if err := spool.Look(disk.OS{}, filepath.Join(dir, lane.Name()), e.wait); err != nil {
			return err
		}
	}
	return nil
}

// wait takes note of a body that waits.
func (e *exemption) wait(record []byte) {
	var b deliver.Body
	if err := spool.ReadBody(record, &b, nil); err != nil {
		return // it will not be delivered either
	}
	for i := range b.Runs {
		add(e.waiting, b.Runs[i].Source.ID, b.Runs[i].From, b.Runs[i].To)
	}
}

func (e *exemption) readLetters(file *deliver.DeadLetterFile) error {
	return file.EachPending(func(l *deliver.DeadLetter) error {
		if id, err := strconv.ParseUint(l.Source, 16, 64); err == nil {
			add(e.refused, event.SourceID(id), l.Position, l.Position+1)
		}
		return nil
	})
}

func add(to map[event.SourceID]*ledger.Positions, id event.SourceID, from, end uint64) {
	if to[id] == nil {
		to[id] = &ledger.Positions{}
	}
	to[id].Add(from, end)
}

func has(in map[event.SourceID]*ledger.Positions, id event.SourceID, pos uint64) bool {
	p := in[id]
	return p != nil && p.Has(pos)
}
