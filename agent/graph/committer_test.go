package graph

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// carrierConfig is an input that passes on the records of two sources, in turn, and that ends when
// all of them are committed.
type carrierConfig struct {
	records int
	at      pipeline.Cursor // where it adopts

	mu        sync.Mutex
	committed pipeline.Cursor
	all       chan struct{}
}

func (c *carrierConfig) Input(pipeline.Env) (pipeline.Input, error) { return c, nil }

func (c *carrierConfig) Run(ctx context.Context, feed pipeline.Feed) error {
	src, from, err := feed.Adopt(pipeline.Known{ID: 99, Key: "topic/0", Cursor: c.at}, 0, nil)
	if err != nil {
		return err
	}
	defer feed.Close(src, false)
	for at := from.Pos; at < uint64(c.records); at++ {
		env := event.Label{Name: "env", Value: fmt.Sprint(at % 2)}
		origin := feed.Describe(event.SourceID(1+at%2), "origin", []event.Label{env})
		b := feed.Batch(origin)
		b.Carrier, b.TimesUnique, b.From, b.To = src, true, at, at+1
		b.Add(at, 5, b.PutString(fmt.Sprint("warn ", at))).Flags |= event.Parsed
		b.SetPosition(1000 + at)
		b.Cursor = append(b.Cursor, byte(at))
		if feed.Send(ctx, b) != nil {
			return nil
		}
	}
	select {
	case <-c.all:
	case <-ctx.Done():
	}
	return nil
}

// Commit implements pipeline.Committer.
func (c *carrierConfig) Commit(id event.SourceID, at pipeline.Cursor) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if id != 99 || at.Pos <= c.committed.Pos {
		return
	}
	if c.committed = at; at.Pos == uint64(c.records) {
		close(c.all)
	}
}

const carried = `
shutdown_timeout: 1s
inputs: {in: {type: carrier}}
parsers: {words: {type: words}}
outputs: {x: {type: memory, spool_size: 0}, y: {type: memory, spool_size: 0}}
pipelines: {main: {inputs: [in], parsers: [words], outputs: [x, y]}}
`

func (w *world) carries(c *carrierConfig) *carrierConfig {
	c.all = make(chan struct{})
	w.more = []pipeline.Spec{{
		Kind: pipeline.KindInput, Type: "carrier", New: func() any { return c },
		Traits: pipeline.Traits{Ephemeral: true, Acknowledges: true, WholeRecords: true, ReserveAhead: 100},
	}}
	return c
}

// TestCarriedRecordsKeepWhatTheyAre has labels, times and levels be those of their origin, and ends
// only when the input has heard of all.
func TestCarriedRecordsKeepWhatTheyAre(t *testing.T) {
	w := newWorld()
	w.carries(&carrierConfig{records: 20})
	if err := w.build(t, t.TempDir(), carried).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"x", "y"} {
		got := w.stored[name]
		slices.Sort(got)
		if n := len(slices.Compact(got)); n != 20 || len(w.stored[name]) != 20 {
			t.Errorf("%s has %d records, %d different ones", name, len(w.stored[name]), n)
		}
		if want := "|5|0|warn 0"; got[0] != want {
			t.Errorf("the first is %q, want %q: parsed before, at its own time, with its origin's label", got[0], want)
		}
	}
}

// TestNothingIsCommittedBeforeEveryOutputHasIt goes on where another has come to, on another
// machine, by nothing but what was committed.
func TestNothingIsCommittedBeforeEveryOutputHasIt(t *testing.T) {
	for _, outcome := range []pipeline.Outcome{pipeline.Retry, pipeline.Hold} {
		t.Run(outcome.String(), func(t *testing.T) { nothingIsCommittedBefore(t, outcome) })
	}
}

func nothingIsCommittedBefore(t *testing.T, outcome pipeline.Outcome) {
	w := newWorld()
	var mu sync.Mutex
	asked := 0
	enough := make(chan struct{})
	w.answer = func(output string, lines []string) error {
		mu.Lock()
		defer mu.Unlock()
		if output == "x" {
			return nil
		}
		if asked++; asked == 2 {
			close(enough)
		}
		if asked > 1 {
			return &pipeline.SendError{Outcome: outcome, Reason: "away"}
		}
		return nil
	}
	first := w.carries(&carrierConfig{records: 20})
	ctx, stop := context.WithCancel(t.Context())
	go func() {
		<-enough
		stop()
	}()
	if err := w.build(t, t.TempDir(), carried).Run(ctx); err != nil {
		t.Fatal(err)
	}
	y := len(w.stored["y"])
	if int(first.committed.Pos) > y || y == 20 {
		t.Fatalf("%d are committed, and one output has %d", first.committed.Pos, y)
	}

	w.answer = nil
	done := first.committed
	w.carries(&carrierConfig{records: 20, at: done})
	if err := w.build(t, t.TempDir(), carried).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"x", "y"} {
		got := w.stored[name]
		slices.Sort(got)
		if n := len(slices.Compact(got)); n != 20 {
			t.Errorf("%s has %d of 20 records", name, n)
		}
	}
}

func TestStatesOfOthersMayBeDamaged(t *testing.T) {
	for _, state := range []string{"", "x", "\x02\xff", "\x02\x01\x04main\x09"} {
		w := newWorld()
		w.carries(&carrierConfig{records: 5, at: pipeline.Cursor{Pos: 2, State: []byte(state)}})
		if err := w.build(t, t.TempDir(), carried).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := len(w.stored["x"]); n != 3 {
			t.Errorf("state %q: %d records, want 3", state, n)
		}
	}
}

// TestTimesOfTheInputStay has the time of a line beside that of the input.
func TestTimesOfTheInputStay(t *testing.T) {
	b := &event.Batch{}
	b.Reset(event.NewSource(1, "in", "key", nil))
	b.Add(0, 5, b.PutString("a line")).Flags = event.KeepsTime
	shared := &sharedPipeline{parsing: &parsing{chains: &chains{}}}
	p := &pipelineInstance{shared: shared, parsing: shared.parsing, parsers: chain{{parser: timed{}}}}
	p.parse(b, 0, &timestamps{}, nil)
	const want = `{"timestamp":"1970-01-01T00:00:00.000000005Z","message":"a line",` +
		`"line_time":"1970-01-01T00:00:01.000Z"}`
	if got := string(event.AppendRecord(nil, b, 0, true)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// timed finds the same time in every line.
type timed struct{}

func (timed) Parse(b *event.Batch, i int) bool {
	b.Records[i].Time = 1e9
	b.Records[i].Flags |= event.Parsed | event.LineTime
	return true
}
