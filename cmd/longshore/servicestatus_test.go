package main

import (
	"errors"
	"testing"

	"github.com/longshore/longshore/agent/admin"
	"github.com/longshore/longshore/agent/graph"
	"github.com/longshore/longshore/pipeline"
)

// fixedAccount is an account of two inputs.
type fixedAccount struct{}

func (fixedAccount) Status() graph.Status {
	return graph.Status{Inputs: []graph.InputStatus{{Sources: 2}, {Sources: 3}}}
}

func (fixedAccount) Counts() graph.Counts {
	var c graph.Counts
	c.Read, c.Due, c.Delivered = 8, 8, 7
	return c
}

func TestServiceStatus(t *testing.T) {
	var health admin.Health
	check := func(want string) {
		t.Helper()
		if line := serviceStatus(fixedAccount{}, &health); line != want {
			t.Errorf("%q, want %q", line, want)
		}
	}
	check("5 sources open; 7 records delivered, 1 pending")
	loki := health.Component(pipeline.KindOutput, "loki")
	loki(errors.New("connection refused"))
	check("degraded: output loki: connection refused")
	loki(nil)
	health.Vital("ledger")(errors.New("no space left on device"))
	check("degraded: agent ledger: no space left on device")
}
