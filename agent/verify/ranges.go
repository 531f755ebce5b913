package verify

import (
	"bytes"
	"slices"

	"github.com/longshore/longshore/agent/graph"
	"github.com/longshore/longshore/agent/ledger"
	"github.com/longshore/longshore/pipeline/config"
	"github.com/longshore/longshore/pipeline/event"
)

// ranges are the positions to verify, by source and route.
type ranges map[sourceRoute]*ledger.Positions

// A sourceRoute is a source at one route.
type sourceRoute struct {
	source event.SourceID
	route  string
}

// A route is a pipeline's output.
type route struct{ pipeline, output string }

// acknowledged returns all that is acknowledged by routes of the config. A route never sent what is
// before its origin, or sent it to another target; if the config has changed since, that holds for
// everything.
func (v *verification) acknowledged(report *Report) ranges {
	all := ranges{}
	routes := v.routes()
	for _, s := range v.states {
		for _, r := range s.Routes {
			of, ours := routes[r.Route]
			if !ours || !r.Begun {
				continue
			}
			if !bytes.Equal(r.Target, v.targets[of.output]) {
				report.row(&s, r.Route, of).Reasons["the config was changed and no agent has run since: records "+
					"went to another index, other labels or the like"] = 0
				continue
			}
			outside := r.Done.Complement()
			outside.Add(0, r.Origin)
			if inside := outside.Complement(); !inside.Empty() {
				all[sourceRoute{s.ID, r.Route}] = &inside
			}
		}
	}
	return all
}

// routes returns the routes to verify by their names in the ledger.
func (v *verification) routes() map[string]route {
	all := map[string]route{}
	for _, p := range v.Config.Pipelines {
		for _, name := range p.Outputs {
			if slices.Contains(v.outputs, name) {
				all[p.Name+"/"+name] = route{p.Name, name}
			}
		}
	}
	return all
}

// ends returns the end of the ranges of each source of an input.
func (r ranges) ends(states []ledger.State, in config.Input) map[event.SourceID]uint64 {
	ends := map[event.SourceID]uint64{}
	for _, s := range states {
		for at, positions := range r {
			if at.source == s.ID && s.Input == in.Name {
				ends[s.ID] = max(ends[s.ID], positions.End())
			}
		}
	}
	return ends
}

// seeds returns the ledger of a pass over the ranges alone: its sources are read from their
// beginnings, and all other positions are done. What is sent in that pass is looked up first.
func (r ranges) seeds(states []ledger.State) []ledger.State {
	var seeds []ledger.State
	for _, s := range states {
		seed := s
		seed.Cursor.Pos, seed.Cursor.State = 0, graph.Restart(s.Cursor.State)
		seed.Routes = nil
		wanted := false
		for _, of := range s.Routes {
			positions := r[sourceRoute{s.ID, of.Route}]
			if positions == nil {
				positions = &ledger.Positions{}
			}
			wanted = wanted || !positions.Empty()
			seed.Routes = append(seed.Routes, ledger.RouteState{Route: of.Route, Done: positions.Complement(),
				Reserved: 1<<64 - 1})
		}
		if !wanted || seed.Cursor.State == nil {
			continue
		}
		if s.Cursor.Pos > 0 { // a record ended here, perhaps by a timeout
			seed.TimeoutBoundaries = slices.Insert(slices.Clone(s.TimeoutBoundaries), 0, s.Cursor.Pos)
		}
		seeds = append(seeds, seed)
	}
	return seeds
}
