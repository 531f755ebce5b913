package alerts

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// A Rehearsal is an input that counts past logs, and says when alerts would have rung. It is the
// config of itself.
type Rehearsal struct {
	engine *engine
}

var (
	_ pipeline.Observer    = (*Rehearsal)(nil)
	_ pipeline.InputConfig = (*Rehearsal)(nil)
)

// NewRehearsal returns one of the alerts of a config.
func NewRehearsal(c *Config) (*Rehearsal, error) {
	rules, err := newRules(c.Rules)
	if err != nil {
		return nil, err
	}
	for _, r := range rules {
		r.keeps = math.MaxInt
	}
	e := newEngine(rules, "", c.Page)
	e.live = false
	return &Rehearsal{engine: e}, nil
}

// Input implements pipeline.InputConfig.
func (r *Rehearsal) Input(pipeline.Env) (pipeline.Input, error) { return r, nil }

// Run implements pipeline.Input.
func (r *Rehearsal) Run(context.Context, pipeline.Feed) error { return nil }

// Begin implements pipeline.Observer.
func (r *Rehearsal) Begin([]byte, pipeline.Overview) error { return nil }

// Observe implements pipeline.Observer.
func (r *Rehearsal) Observe(b *event.Batch) { r.engine.observe(b, math.MaxInt64) }

// State implements pipeline.Observer.
func (r *Rehearsal) State() []byte { return nil }

// A Ring is what an alert would have said.
type Ring struct {
	Time    time.Time
	Alert   string
	Status  string // firing or resolved
	Message string
	JSON    []byte // all of it
}

// Conclude calls visit with what would have rung, by time, once all logs were observed. It returns
// the time of the first and the last record that counts; they are zero where there is none.
func (r *Rehearsal) Conclude(visit func(Ring) error) (first, last time.Time, err error) {
	e := r.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.oldest == math.MaxInt64 {
		return first, last, nil
	}
	for _, rule := range e.rules {
		e.clock = e.oldest
		e.start(rule)
	}
	step := int64(time.Second)
	for e.clock = e.oldest; e.clock <= e.newest+step; e.clock += step {
		for _, rule := range e.rules {
			left := math.MaxInt
			e.look(rule, time.Unix(0, e.clock), &left)
		}
		for _, c := range e.outbox {
			line, err := c.line()
			if err == nil {
				err = visit(Ring{c.Time, c.Alert, c.Status, c.Message, line})
			}
			if err != nil {
				return first, last, fmt.Errorf("saying what would have rung: %w", err)
			}
		}
		e.outbox = e.outbox[:0]
	}
	return time.Unix(0, e.oldest).UTC(), time.Unix(0, e.newest).UTC(), nil
}
