package ledger

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/longshore/longshore/agent/disk"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// A State is what a ledger says of one source.
type State struct {
	ID         event.SourceID
	Input, Key string
	Cursor     pipeline.Cursor
	// TimeoutBoundaries are those beyond the cursor: see pipeline.Known.
	TimeoutBoundaries []uint64
	Routes            []RouteState
}

// RouteState is what a ledger says of a source at one route.
type RouteState struct {
	Route string
	// Begun says that something was handed to the route, the first of it at Origin.
	Begun  bool
	Origin uint64
	// Target is where records go from the origin on, as the output has described it.
	Target []byte
	// Done is what is acknowledged.
	Done Positions
	// Reserved is up to where something may have been sent.
	Reserved uint64
}

// Positions is a set of positions of one source.
type Positions struct{ ranges }

// Add puts [from, to) into the set.
func (p *Positions) Add(from, to uint64) { p.add(from, to) }

// Has says whether a position is in the set.
func (p *Positions) Has(pos uint64) bool { return p.has(pos) }

// Empty says whether there is no position in the set.
func (p *Positions) Empty() bool { return len(p.ranges) == 0 }

// End gives the position after the last one; 0 where there is none.
func (p *Positions) End() uint64 {
	if p.Empty() {
		return 0
	}
	return p.ranges[len(p.ranges)-1].to
}

// Complement returns all positions that are not in the set.
func (p *Positions) Complement() Positions {
	var others Positions
	from := uint64(0)
	for _, s := range p.ranges {
		others.add(from, s.from)
		from = s.to
	}
	others.add(from, 1<<64-1)
	return others
}

// Read reads the ledger in a folder as it is on disk now, sorted by input and
// key. It takes no lock and changes nothing: another process may go on with it.
func Read(dir string) ([]State, error) {
	path := filepath.Join(dir, fileName)
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the ledger: %w", err)
	}
	l := &Ledger{sources: map[event.SourceID]*Source{}}
	if _, err := replay(content, l.apply); err != nil {
		return nil, fmt.Errorf("reading the ledger %s: %w; a run of longshore sets it right", path, err)
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
	state := State{ID: s.id, Input: s.input, Key: s.key, Cursor: s.resumeCopy(), TimeoutBoundaries: s.cuts}
	for _, route := range slices.Sorted(maps.Keys(s.routes)) {
		e := s.routes[route]
		done := Positions{slices.Clone(e.acked)}
		done.add(0, s.resume.Pos)
		r := RouteState{Route: route, Done: done, Reserved: e.reserved}
		from := s.origins[route]
		r.Begun, r.Origin, r.Target = from.known, from.pos, from.place
		state.Routes = append(state.Routes, r)
	}
	return state
}

// Write makes a ledger that says this, in a folder that has none.
func Write(dir string, states []State) error {
	p := []byte(header)
	for _, state := range states {
		p = appendFrame(p, &entry{kind: kindSource, id: state.ID, input: state.Input, key: state.Key})
		e := entry{kind: kindProgress, id: state.ID, resume: state.Cursor}
		for _, r := range state.Routes {
			e.tracks = append(e.tracks, trackEntry{route: r.Route, reserved: r.Reserved, acked: r.Done.ranges})
		}
		p = appendFrame(p, &e)
		if len(state.TimeoutBoundaries) > 0 {
			p = appendFrame(p, &entry{kind: kindCuts, id: state.ID, cuts: state.TimeoutBoundaries})
		}
		for _, r := range state.Routes {
			if r.Begun {
				p = appendFrame(p, &entry{kind: kindOrigin, id: state.ID, route: r.Route, origin: origin{pos: r.Origin, place: r.Target}})
			}
		}
	}
	if err := disk.WriteFile(disk.OS{}, filepath.Join(dir, fileName), p); err != nil {
		return fmt.Errorf("writing a ledger: %w", err)
	}
	return nil
}
