package alerts

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/longshore/longshore/pipeline/event"
)

// A state is what is remembered with the progress of the sources.
type state struct {
	Version int                  `json:"version"`
	Clock   int64                `json:"clock"`
	Sources [][2]uint64          `json:"sources"` // id, counted
	Rules   map[string]ruleState `json:"rules"`
	Outbox  []conclusion         `json:"outbox,omitempty"` // not in the journal yet
}

type ruleState struct {
	Print  string                `json:"print"`
	Done   int64                 `json:"done"`
	Groups map[string]groupState `json:"groups"`
}

type groupState struct {
	Buckets []bucket `json:"b,omitempty"`
	Since   int64    `json:"since"`
	Last    int64    `json:"last"`
	Decided int64    `json:"decided"`
	Firing  bool     `json:"firing,omitempty"`
	From    int64    `json:"from"`
	Held    int64    `json:"held,omitempty"`
	Fired   int64    `json:"fired,omitempty"`
	Rung    int64    `json:"rung"`
	Sample  string   `json:"sample,omitempty"`
}

const stateVersion = 1

// state returns all that is to be remembered.
func (e *engine) state() []byte {
	text, err := json.Marshal(e.copyState())
	if err != nil {
		panic(fmt.Sprintf("BUG: what alerts count cannot be written: %v", err)) // numbers and texts
	}
	return text
}

func (e *engine) copyState() state {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := state{Version: stateVersion, Clock: e.clock, Rules: map[string]ruleState{}}
	s.Sources = make([][2]uint64, 0, len(e.sources))
	for id, src := range e.sources {
		s.Sources = append(s.Sources, [2]uint64{uint64(id), src.counted})
	}
	for _, r := range e.rules {
		groups := make(map[string]groupState, len(r.groups))
		for key, g := range r.groups {
			groups[key] = groupState{
				slices.Clone(g.buckets), g.since, g.last, g.decided, g.firing, g.from, g.held, g.fired, g.rung,
				g.sample,
			}
		}
		s.Rules[r.name] = ruleState{r.print, r.done, groups}
	}
	s.Outbox = append(s.Outbox, e.outbox...)
	return s
}

// restore takes over what was remembered. What it is of an alert that counts otherwise now is left
// out, and so are sources that are not known any more.
func (e *engine) restore(text []byte, known func(event.SourceID) bool) error {
	if len(text) == 0 {
		return nil
	}
	var s state
	if err := json.Unmarshal(text, &s); err != nil {
		return fmt.Errorf("reading what alerts have counted: %w", err)
	}
	if s.Version != stateVersion {
		return fmt.Errorf("reading what alerts have counted: it is of version %d, of a newer longshore", s.Version)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.clock = s.Clock
	for _, pair := range s.Sources {
		if id := event.SourceID(pair[0]); known(id) {
			e.sources[id] = &source{counted: pair[1], behind: true}
		}
	}
	for _, r := range e.rules {
		if of, ok := s.Rules[r.name]; ok && of.Print == r.print {
			r.restore(of)
		}
	}
	e.outbox = s.Outbox
	return nil
}

func (r *rule) restore(s ruleState) {
	r.done = s.Done
	for key, of := range s.Groups {
		if len(r.groups) >= r.alert.MaxGroups {
			return
		}
		g := newGroup(of.Since)
		g.buckets, g.last, g.decided, g.sample = of.Buckets, of.Last, of.Decided, of.Sample
		g.phase = phase{of.Firing, of.From, of.Held, of.Fired, of.Rung}
		if r.learns() {
			g.base = newBaseline(of.Since * r.step)
		}
		r.groups[key] = g
	}
}

// forgetSources forgets those that are not known any more.
func (e *engine) forgetSources(known func(event.SourceID) bool) {
	e.mu.Lock()
	ids := make([]event.SourceID, 0, len(e.sources))
	for id := range e.sources {
		ids = append(ids, id)
	}
	e.mu.Unlock()
	for _, id := range ids {
		if known(id) {
			continue
		}
		e.mu.Lock()
		if src := e.sources[id]; !src.active {
			delete(e.sources, id)
		}
		e.mu.Unlock()
	}
}

// recall takes over a line of the journal: what was concluded is not concluded again.
func (e *engine) recall(line []byte) {
	var c conclusion
	if json.Unmarshal(line, &c) != nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if delete(e.ringing, c.Key); c.Status == firing {
		e.ringing[c.Key] = c
	}
	e.outbox = deleteConclusion(e.outbox, &c)
	for _, r := range e.rules {
		if r.name != c.Alert {
			continue
		}
		k := r.bucket(c.Bucket.UnixNano() - 1)
		g := r.groups[r.keyOf(c.Group)]
		if g == nil && c.Status == firing {
			g = r.group(r.keyOf(c.Group), k)
		}
		if g == nil || g.decided >= k || c.Key != fixedKey(e.host, r.name, r.keyOf(c.Group)) {
			return
		}
		g.decided = k
		if c.Status == resolved {
			g.firing, g.from, g.rung = false, never, never
			return
		}
		fired := r.bucket(c.Since.UnixNano() - 1)
		g.phase = phase{firing: true, from: fired, held: max(g.held, k), fired: fired, rung: k}
	}
}

// resolveRemoved resolves what rings by the journal, and is of no alert any more: it was removed
// from the config, or groups otherwise now.
func (e *engine) resolveRemoved(now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range e.rules {
		for key, g := range r.groups {
			if g.firing {
				delete(e.ringing, fixedKey(e.host, r.name, key))
			}
		}
	}
	for _, c := range e.ringing {
		c.Status, c.Time, c.Bucket, c.Until = resolved, now.UTC(), now.UTC(), nil
		c.Message = c.Alert + ": resolved, as the config does not have it so any more"
		e.outbox = append(e.outbox, c)
	}
	clear(e.ringing)
}

// deleteConclusion takes one that is in the journal out of those that are not.
func deleteConclusion(from []conclusion, c *conclusion) (rest []conclusion) {
	for _, one := range from {
		if one.Key != c.Key || one.Status != c.Status || !one.Bucket.Equal(c.Bucket) {
			rest = append(rest, one)
		}
	}
	return rest
}
