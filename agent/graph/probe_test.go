package graph

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
)

// prober is an output whose destination repeats what it was sent.
type prober struct{ pipeline.Output }

func (prober) Location() string { return "http://there" }

func (prober) Probe(context.Context) (string, error) {
	return "", errors.New("HTTP 401: Authorization: hunter2")
}

// TestProbe: what a destination says is shown without secrets.
func TestProbe(t *testing.T) {
	g := &Graph{redact: func(text string) string { return strings.ReplaceAll(text, "hunter2", "***") }}
	g.Config = &config.Config{Outputs: []config.Output{{Name: "a", Type: "loki"}, {Name: "b", Type: "stdout"}}}
	g.outputs = []*output{{name: "a", output: prober{}}, {name: "b", output: struct{ pipeline.Output }{}}}
	got := g.Probe(t.Context())
	if len(got) != 2 || got[0].Location != "http://there" || got[0].Err == nil ||
		got[0].Err.Error() != "HTTP 401: Authorization: ***" {
		t.Errorf("the server's probe is %+v", got[0])
	}
	if got[1] != (Probe{Output: "b", Type: "stdout"}) {
		t.Errorf("that of an output without a server is %+v", got[1])
	}
}
