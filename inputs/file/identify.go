package file

import (
	"context"
	"time"
)

// An identifier answers which source an open file is. The reader applies what it decides; the
// identifier itself only claims the source, and notes in the table which file one is a copy of.
type identifier struct {
	table *table
	known *knownSources
}

type action uint8

const (
	leave   action = iota // for now: decide again after the decision's wait, or when woken
	dismiss               // it is not to be read
	begin                 // it is a new source
	resume                // it is a known source
)

type decision struct {
	action
	source   *knownSource // to resume
	wait     time.Duration
	replaced bool // sources are known by the file's inode, and it is none of them
}

// decide decides what an open file is. With begin and resume, no other file can be that source any
// more.
func (i *identifier) decide(ctx context.Context, f *file, size int64, head *sliceHead) (decision, error) {
	k, err := i.claim(f, size, head)
	if err != nil {
		return decision{}, err
	}
	if k == nil && f.read.mustBeKnown {
		return decision{action: dismiss}, nil
	}
	if k == nil && f.read.startSize < 0 {
		if d, err := i.judgeSuspectedCopy(ctx, f, size); d.action != begin || err != nil {
			return d, err
		}
	}
	if !i.table.markSource(f) {
		return decision{}, nil
	}
	d := decision{action: begin, source: k, replaced: i.known.markReplaced(f.id)}
	if k != nil {
		d.action = resume
	}
	return d, nil
}

// claim returns the known source that a file is, if there is one.
func (i *identifier) claim(f *file, size int64, h *sliceHead) (*knownSource, error) {
	if f.read.takenOverFrom != nil {
		return f.read.takenOverFrom, nil
	}
	head, err := h.of(f, size)
	if err != nil {
		return nil, err
	}
	return i.known.claim(f, i.table.where(f).path, head, size), nil
}

// isDeleted reports whether an open file has no name left.
func (f *file) isDeleted() bool {
	info, err := f.read.fd.Stat()
	return err == nil && isUnlinked(info)
}
