package ledger

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/longshore/longshore/agent/disk"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// A State is what a ledger holds of one source.
type State struct {
	ID                event.SourceID
	Input, Key        string
	Cursor            pipeline.Cursor
	TimeoutBoundaries []uint64 // beyond the cursor
	Routes            []RouteState
}

// RouteState is what a ledger holds of a source at one route.
type RouteState struct {
	Route    string
	Begun    bool      // it had records, the first of them at Origin
	Origin   uint64    // where Target begins to hold
	Target   []byte    // see pipeline.Targeted
	Done     Positions // acknowledged
	Reserved uint64    // records may have been sent up to here
}

func read(path string) ([]byte, error) {
	f, err := pipeline.OpenDataFile(path, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// Read reads the ledger in a folder as it is on disk now, sorted by input and key. It takes no lock
// and changes nothing: another process may be using it.
func Read(dir string) ([]State, error) {
	path := filepath.Join(dir, fileName)
	content, err := read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the ledger: %w", err)
	}
	l := &Ledger{sources: map[event.SourceID]*Source{}}
	if _, err := replay(content, l.apply); err != nil {
		return nil, fmt.Errorf("reading the ledger %s: %w; \"longshore run\" repairs it", path, err)
	}
	var states []State
	for _, s := range l.sources {
		states = append(states, s.state())
	}
	slices.SortFunc(states, func(a, b State) int {
		return cmp.Or(cmp.Compare(a.Input, b.Input), cmp.Compare(a.Key, b.Key), cmp.Compare(a.ID, b.ID))
	})
	return states, nil
}

func (s *Source) state() State {
	state := State{ID: s.id, Input: s.input, Key: s.key, Cursor: s.cursor(), TimeoutBoundaries: s.boundaries}
	for _, e := range s.routes {
		from, _ := s.originOf(e.route)
		done := slices.Clone(e.acked)
		done.Add(0, s.resume.Pos)
		state.Routes = append(state.Routes, RouteState{
			Route: e.route, Done: done, Reserved: e.reserved,
			Begun: from.known, Origin: from.pos, Target: from.target,
		})
	}
	return state
}

// Write creates a ledger of these states in a folder that has none.
func Write(dir string, states []State) error {
	p := []byte(header)
	for _, state := range states {
		p = appendFrame(p, &entry{kind: kindSource, id: state.ID, input: state.Input, key: state.Key})
		e := entry{kind: kindProgress, id: state.ID, resume: state.Cursor}
		for _, r := range state.Routes {
			e.tracks = append(e.tracks, trackEntry{route: r.Route, reserved: r.Reserved, acked: r.Done})
		}
		p = appendFrame(p, &e)
		if len(state.TimeoutBoundaries) > 0 {
			p = appendFrame(p, &entry{kind: kindBoundaries, id: state.ID, boundaries: state.TimeoutBoundaries})
		}
		for _, r := range state.Routes {
			if r.Begun {
				from := origin{pos: r.Origin, target: r.Target}
				p = appendFrame(p, &entry{kind: kindOrigin, id: state.ID, route: r.Route, origin: from})
			}
		}
	}
	if err := disk.WriteFile(disk.OS{}, filepath.Join(dir, fileName), p); err != nil {
		return fmt.Errorf("writing a ledger: %w", err)
	}
	return nil
}
