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

// undelivered is what an output has acknowledged without delivering it: records in its spool or
// aside, and dead letters.
type undelivered struct {
	spooled, rejected positionsBySource
	bodies            spool.BodyCoder
}

type positionsBySource map[event.SourceID]*ledger.Positions

func (p positionsBySource) add(id event.SourceID, from, to uint64) {
	if p[id] == nil {
		p[id] = &ledger.Positions{}
	}
	p[id].Add(from, to)
}

func (p positionsBySource) has(id event.SourceID, pos uint64) bool {
	return p[id] != nil && p[id].Has(pos)
}

func readUndelivered(cfg *config.Config, c config.Output) (*undelivered, error) {
	u := &undelivered{spooled: positionsBySource{}, rejected: positionsBySource{}}
	return u, errors.Join(u.readSpools(graph.SpoolFolder(cfg, c)), u.rejected.addLetters(graph.DeadLetters(cfg, c)),
		u.spooled.addLetters(graph.Aside(cfg, c)))
}

func (u *undelivered) readSpools(dir string) error {
	lanes, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading the spool: %w", err)
	}
	for _, lane := range lanes {
		if err := spool.Look(disk.OS{}, filepath.Join(dir, lane.Name()), u.addSpooled); err != nil {
			return err
		}
	}
	return nil
}

func (u *undelivered) addSpooled(record []byte) {
	var b deliver.Body
	if err := u.bodies.Read(record, &b, nil); err != nil {
		return // it will not be delivered either
	}
	for i := range b.Runs {
		u.spooled.add(b.Runs[i].Source.ID, b.Runs[i].From, b.Runs[i].To)
	}
}

func (p positionsBySource) addLetters(file *deliver.DeadLetterFile) error {
	return file.EachPending(func(l *deliver.DeadLetter) error {
		if id, err := strconv.ParseUint(l.Source, 16, 64); err == nil {
			p.add(event.SourceID(id), l.Position, l.Position+1)
		}
		return nil
	})
}
