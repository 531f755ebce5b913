package journald

import (
	"context"
	"errors"
	"fmt"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

var errNotFollowed = errors.New("its journal is not followed")

// CanReread implements pipeline.Rereader.
func (in *input) CanReread(event.SourceID) bool { return true }

// Reread implements pipeline.Rereader.
func (in *input) Reread(ctx context.Context, from pipeline.Known, feed pipeline.Feed) error {
	r := in.running.Load()
	id, err := idOf(from)
	if r == nil || err != nil {
		return errors.Join(errNotFollowed, err)
	}
	j, files, err := r.borrow(id)
	if err != nil {
		return err
	}
	defer r.giveBack(files)
	src, err := feed.Open(from.ID, from.Key, nil)
	if err != nil {
		return fmt.Errorf("opening the source of a journal again: %w", err)
	}
	m := &merger{in: in}
	m.follow(files)
	if _, err := m.refresh(); err != nil {
		return err
	}
	pos := max(from.Cursor.Pos, j.began)
	if oldest, ok := m.oldest(); ok && oldest > pos && from.Cursor.Pos > 0 {
		return pipeline.Gone{To: oldest}
	}
	s := &sender{feed: feed, src: src, id: id, from: from.Cursor.Pos}
	return m.pass(ctx, pos, j.sent.Load(), s, &pos)
}

// borrow opens the files of a journal for reading it again.
func (r *run) borrow(id [16]byte) (*journal, []*file, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	j := r.journals[id]
	if j == nil || j.src == nil {
		return nil, nil, errNotFollowed
	}
	var files []*file
	for _, f := range j.files {
		if err := f.use(); err == nil { // else it was deleted, and read by then
			files = append(files, f)
		}
	}
	return j, files, nil
}

func (r *run) giveBack(files []*file) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range files {
		f.users--
		if f.users == 0 && r.in.running.Load() != r {
			f.close()
		}
	}
}
