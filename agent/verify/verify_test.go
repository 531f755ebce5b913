package verify

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/agent/deliver"
	"github.com/longshore/longshore/agent/disk"
	"github.com/longshore/longshore/agent/graph"
	"github.com/longshore/longshore/agent/ledger"
	"github.com/longshore/longshore/agent/spool"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// in runs a test in a bubble, where pauses take no time.
func in(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newWorld(t)) })
}

// wants holds a report's totals against what they should be.
func wants(t *testing.T, want Counts) func(*Report, error) *Report {
	t.Helper()
	return func(r *Report, err error) *Report {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, r.Totals); diff != "" {
			t.Error(diff)
		}
		return r
	}
}

func ends(with ...string) func(string) bool {
	return func(line string) bool {
		for _, end := range with {
			if strings.HasSuffix(line, " "+end) {
				return true
			}
		}
		return false
	}
}

func TestNothingYet(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		r := wants(t, Counts{})(w.verify(usualConfig))
		if !r.Clean() || r.Blind() || !strings.HasPrefix(r.Verdict(), "There is nothing to check") {
			t.Error(r.Verdict())
		}
	})
}

// TestGapsAndRepeats: what is missing is found, shown, sent, and then there.
func TestGapsAndRepeats(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		w.write("a", 0, 20)
		w.write("b", 0, 10)
		w.run(usualConfig)
		w.write("a", 20, 40)
		w.run(usualConfig)
		wants(t, Counts{Checked: 50, Held: 50})(w.verify(usualConfig))

		w.lose("out", ends("7", "8", "33"))
		w.stored["out"] = append(w.stored["out"], "a 9", "a 9", "b 2")
		r := wants(t, Counts{Checked: 50, Held: 45, Missing: 5, Repeated: 3})(w.verify(usualConfig, dryRun))
		a := r.Rows[0]
		if a.Source != "a" || a.Output != "out" || a.Pipeline != "main" || a.Missing != 3 || a.Repeated != 2 || a.FirstMissing != "a 7" {
			t.Errorf("%+v", a)
		}
		if r.Clean() || !strings.Contains(r.Verdict(), "5 are missing, and 3 are there once too often") {
			t.Error(r.Verdict())
		}
		r = wants(t, Counts{Checked: 50, Held: 50, Resent: 5, Repeated: 3})(w.verify(usualConfig))
		if r.Clean() || r.Rows[0].FirstMissing != "" {
			t.Errorf("%+v", r.Rows[0])
		}
		w.lose("out", ends("9", "2"))
		wants(t, Counts{Checked: 50, Held: 50, Resent: 4})(w.verify(usualConfig))
		wants(t, Counts{Checked: 50, Held: 50})(w.verify(usualConfig))
		if n := len(w.stored["out"]); n != 50 {
			t.Errorf("%d lines are stored", n)
		}
	})
}

// TestBesideAnAgent: while an agent has the data folder, and more is written.
func TestBesideAnAgent(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		w.write("a", 0, 20)
		w.run(usualConfig)
		l, err := ledger.Open(w.dir, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		w.write("a", 20, 30)
		w.write("new", 0, 10)
		w.lose("out", ends("3"))
		wants(t, Counts{Checked: 20, Held: 20, Resent: 1})(w.verify(usualConfig))
		if n := len(w.stored["out"]); n != 20 {
			t.Errorf("%d lines are stored: what is not acknowledged is the agent's to send", n)
		}
	})
}

// TestSince leaves out what is older, but not lines without a time.
func TestSince(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		w.write("a", 0, 20)
		w.write("bare", 0, 5)
		w.run(usualConfig)
		since := func(o *Options) { o.Since = time.Unix(1_000_015, 0) }
		w.lose("out", ends("2", "19"))
		wants(t, Counts{Checked: 10, Held: 10, Resent: 2})(w.verify(usualConfig, since))
	})
}

// TestReadingBeganLater: what was there before the first sight was never sent.
func TestReadingBeganLater(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		w.from = 12
		w.write("a", 0, 20)
		w.run(usualConfig)
		wants(t, Counts{Checked: 8, Held: 8})(w.verify(usualConfig))
	})
}

const twoOutputs = `
inputs: {in: {type: script}}
parsers: {clock: {type: clock}}
outputs: {out: {type: memory}, other: {type: memory}}
`

// TestAnotherPlace: what went elsewhere before the config was changed is not asked for.
func TestAnotherPlace(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		w.place = "before"
		w.write("a", 0, 9)
		w.run(usualConfig)
		w.place = "after"
		w.write("a", 9, 15)
		w.run(usualConfig)
		w.lose("out", ends("1", "10"))
		wants(t, Counts{Checked: 6, Held: 6, Resent: 1})(w.verify(usualConfig))
	})
}

// TestALaterOutput: a route that came later has its part, and no more.
func TestALaterOutput(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		w.write("a", 0, 10)
		w.run(usualConfig)
		w.write("a", 10, 16)
		w.run(twoOutputs)
		w.lose("other", ends("11"))
		w.lose("out", ends("1"))
		wants(t, Counts{Checked: 22, Held: 20, Missing: 2})(w.verify(twoOutputs, dryRun))
		only := func(o *Options) { o.Output = "other" }
		wants(t, Counts{Checked: 6, Held: 6, Resent: 1})(w.verify(twoOutputs, only))
		wants(t, Counts{Checked: 22, Held: 21, Missing: 1})(w.verify(twoOutputs, dryRun))
		if _, err := w.verify(twoOutputs, func(o *Options) { o.Output = "none" }); err == nil {
			t.Error("an output that is not there was verified")
		}
	})
}

// TestRefusedAndWaiting: dead letters are no gaps, and neither is what waits in the
// spool; what is refused when it is sent again becomes a dead letter.
func TestRefusedAndWaiting(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		w.answer = func(line string) error {
			if strings.HasSuffix(line, " 5") {
				return errRefused
			}
			return nil
		}
		w.write("a", 0, 20)
		w.run(usualConfig)
		w.lose("out", ends("8", "9", "15"))
		spoolLines(t, w, 8, 10)
		wants(t, Counts{Checked: 20, Held: 16, Refused: 1, Waiting: 2, Missing: 1})(w.verify(usualConfig, dryRun))
		w.answer = func(string) error { return errRefused }
		r := wants(t, Counts{Checked: 20, Held: 16, Refused: 2, Waiting: 2})(w.verify(usualConfig))
		if !r.Clean() {
			t.Error(r.Verdict())
		}
		letters := 0
		cfg := w.config(usualConfig)
		err := graph.DeadLetters(cfg, cfg.Outputs[0]).Each(func(l *deliver.DeadLetter) error {
			letters++
			return nil
		})
		if err != nil || letters != 2 {
			t.Errorf("%d dead letters, %v", letters, err)
		}
	})
}

// spoolLines puts lines of the source a into the output's spool.
func spoolLines(t *testing.T, w *world, from, to uint64) {
	t.Helper()
	states, err := ledger.Read(w.dir)
	if err != nil {
		t.Fatal(err)
	}
	body := deliver.Body{Runs: deliver.Runs{{Source: event.NewSource(states[0].ID, "in", "a", nil), From: from, To: to}}}
	for pos := from; pos < to; pos++ {
		body.Bytes = append(body.Bytes, "x"...)
		body.Items = append(body.Items, pipeline.Item{Pos: pos, End: uint32(len(body.Bytes))})
	}
	cfg := w.config(usualConfig)
	s, err := spool.Open(disk.OS{}, graph.SpoolFolder(cfg, cfg.Outputs[0])+"/0", spool.Options{MaxSize: spool.MinSize, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Append(spool.AppendBody(nil, &body)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestWhatCannotBeTold is said, with why, and nothing is sent for it.
func TestWhatCannotBeTold(t *testing.T) {
	const mute = "inputs: {in: {type: script}}\nparsers: {clock: {type: clock}}\noutputs: {out: {type: mute}}\n"
	const hasty = usualConfig + "transforms: {quick: {type: hasty}}\n"
	tests := map[string]struct {
		config string
		change func(w *world)
		want   Counts
		why    map[string]int
	}{
		"a source that is gone": {usualConfig, func(w *world) {
			delete(w.sources, "a")
			w.deleted = []string{"a"}
		}, Counts{}, map[string]int{"it is not there any more": 0}},
		"a source that is not found": {usualConfig, func(w *world) { delete(w.sources, "a") },
			Counts{}, map[string]int{"it is not there any more": 0}},
		"a source that ends earlier": {usualConfig, func(w *world) { w.sources["a"] = w.sources["a"][:6] },
			Counts{Checked: 6, Held: 6}, map[string]int{"it could be read up to position 6 of 10 only": 0}},
		"an input that reads nothing twice": {usualConfig, func(w *world) { w.forgets = true },
			Counts{}, map[string]int{"this kind of input cannot be read twice": 0}},
		"an output that cannot be asked": {mute, func(*world) {},
			Counts{Checked: 10, Unknown: 10}, map[string]int{errCannotAsk.Error(): 10}},
		"a destination that will not be asked": {usualConfig, func(w *world) { w.away = pipeline.ErrUnknowable },
			Counts{Checked: 10, Unknown: 10}, map[string]int{pipeline.ErrUnknowable.Error(): 10}},
		"a destination that doubts": {usualConfig, func(w *world) {
			w.lose("out", ends("4", "5"))
			w.doubt = func(line string) string { return map[string]string{"a 4": "so old"}[line] }
		}, Counts{Checked: 10, Held: 9, Resent: 1, Unknown: 1}, map[string]int{"so old": 1}},
		"a config that was changed since": {usualConfig, func(w *world) { w.place = "elsewhere" },
			Counts{}, map[string]int{"no agent has run since the config was changed: records went to another index, other labels or the like": 0}},
		"a transform that drops by more than the record": {hasty, func(w *world) { w.lose("out", ends("4")) },
			Counts{Checked: 10, Held: 8, Unknown: 2}, map[string]int{"quick may have dropped it: what it drops depends on what came before": 2}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T, w *world) {
				w.write("a", 0, 10)
				w.run(test.config)
				test.change(w)
				r := wants(t, test.want)(w.verify(test.config))
				if diff := cmp.Diff(test.why, r.Rows[0].Why); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

// TestUnreachable: a destination without an answer is given up, before and after.
func TestUnreachable(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		w.write("a", 0, 10)
		w.run(usualConfig)
		w.lose("out", ends("4"))
		w.away = errors.New("connection refused")
		began := time.Now()
		_, err := w.verify(usualConfig)
		if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "output out") || !strings.Contains(err.Error(), "connection refused") {
			t.Error(err)
		}
		if took := time.Since(began); took < 10*time.Second || took > time.Minute {
			t.Errorf("it was given up after %s", took)
		}
		w.away = nil
		w.answer = func(string) error {
			w.away = errors.New("gone in between")
			return nil
		}
		if _, err := w.verify(usualConfig); !errors.Is(err, ErrUnreachable) {
			t.Error(err)
		}
		w.away, w.answer = nil, nil
		wants(t, Counts{Checked: 10, Held: 10})(w.verify(usualConfig))
	})
}
