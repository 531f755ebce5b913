package graph

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// fragile is words, but panics at "boom", and at any line behind "spoil" until it is made anew.
type fragileConfig struct{}

func (*fragileConfig) Parser() (pipeline.NewParser, error) {
	return func(*event.Source) pipeline.Parser { return &fragile{} }, nil
}

type fragile struct{ spoiled bool }

func (f *fragile) Parse(b *event.Batch, i int) bool {
	line := string(b.Line(i))
	b.Records[i].Level = event.Error // half done
	if f.spoiled || strings.Contains(line, "boom") {
		panic("out of order")
	}
	f.spoiled = strings.Contains(line, "spoil")
	b.Records[i].Level = event.NoLevel
	return (&wordsConfig{}).Parse(b, i)
}

// TestAParserThatPanics: the line is parsed again, by a new parser, and goes on as plain text where
// that panics too. All others are what they would be.
func TestAParserThatPanics(t *testing.T) {
	w := newWorld()
	w.more = []pipeline.Spec{{
		Kind: pipeline.KindParser, Type: "fragile", New: func() any { return &fragileConfig{} },
	}}
	w.sources["a"] = []string{
		"info t=1", "warn boom", "info t=3", "warn spoil", "info t=5", "boom", "boom", "error t=8",
	}
	g := w.build(t, t.TempDir(), strings.Replace(oneOutput, "type: words", "type: fragile", 1))
	var log bytes.Buffer
	g.pipelines[0].panics.Log = slog.New(slog.NewTextHandler(&log, nil))
	if err := g.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, line := range w.stored["out"] {
		fields := strings.Split(line, "|")
		got = append(got, fields[0]+"|"+fields[3])
	}
	want := []string{
		"info|info t=1", "|warn boom", "info|info t=3", "warn|warn spoil", "info|info t=5", "|boom", "|boom",
		"error|error t=8",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	n := strings.Count(log.String(), "a parser has panicked twice")
	if n != 1 || !strings.Contains(log.String(), "fragile") {
		t.Errorf("told %d times: %s", n, log.String())
	}
	if c := g.Counts(); c.Read != 8 || c.Delivered != 8 {
		t.Errorf("counts: %+v", c)
	}
}
