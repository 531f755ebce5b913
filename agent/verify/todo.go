package verify

import (
	"bytes"
	"slices"

	"github.com/longshore/longshore/agent/graph"
	"github.com/longshore/longshore/agent/ledger"
	"github.com/longshore/longshore/pipeline/config"
	"github.com/longshore/longshore/pipeline/event"
)

// A todo says which positions of which sources are to be gone through, by route.
type todo map[place]*ledger.Positions

// A place is a source at one route.
type place struct {
	source event.SourceID
	route  string
}

// todo gives all that is acknowledged by routes that the config has. What stands
// before a route's origin it never sent, or elsewhere; and all is elsewhere where the
// config was changed since.
func (v *verification) todo(report *Report) todo {
	all := todo{}
	routes := v.routes()
	for _, s := range v.states {
		for _, r := range s.Routes {
			of, ours := routes[r.Route]
			if !ours || !r.Begun {
				continue
			}
			if !bytes.Equal(r.Target, v.places[of.output]) {
				report.row(&s, r.Route, of).Why["no agent has run since the config was changed: records went to another index, other labels or the like"] = 0
				continue
			}
			outside := r.Done.Complement()
			outside.Add(0, r.Origin)
			if inside := outside.Complement(); !inside.Empty() {
				all[place{s.ID, r.Route}] = &inside
			}
		}
	}
	return all
}

// routes gives the pipeline and output of each route that is to be verified.
func (v *verification) routes() map[string]route {
	all := map[string]route{}
	for _, p := range v.Config.Pipelines {
		for _, name := range p.Outputs {
			if slices.Contains(v.names, name) {
				all[p.Name+"/"+name] = route{p.Name, name}
			}
		}
	}
	return all
}

type route struct{ pipeline, output string }

// ends gives, for each source of an input, the position by which all is done.
func (t todo) ends(states []ledger.State, in config.Input) map[event.SourceID]uint64 {
	ends := map[event.SourceID]uint64{}
	for _, s := range states {
		for at, positions := range t {
			if at.source == s.ID && s.Input == in.Name {
				ends[s.ID] = max(ends[s.ID], positions.End())
			}
		}
	}
	return ends
}

// seeds gives the ledger of a run that goes through the todo alone: its sources are
// read from their beginnings, and all other positions are done. What is sent in that
// run is asked for before.
func (t todo) seeds(states []ledger.State) []ledger.State {
	var seeds []ledger.State
	for _, s := range states {
		seed := s
		seed.Cursor.Pos, seed.Cursor.State = 0, graph.Restart(s.Cursor.State)
		seed.Routes = nil
		wanted := false
		for _, r := range s.Routes {
			positions := t[place{s.ID, r.Route}]
			if positions == nil {
				positions = &ledger.Positions{}
			}
			wanted = wanted || !positions.Empty()
			seed.Routes = append(seed.Routes, ledger.RouteState{Route: r.Route, Done: positions.Complement(), Reserved: 1<<64 - 1})
		}
		if !wanted || seed.Cursor.State == nil {
			continue
		}
		if s.Cursor.Pos > 0 { // what is read ended here, be it by time
			seed.TimeoutBoundaries = slices.Insert(slices.Clone(s.TimeoutBoundaries), 0, s.Cursor.Pos)
		}
		seeds = append(seeds, seed)
	}
	return seeds
}
