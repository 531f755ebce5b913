package verify

import (
	"errors"
	"fmt"
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
	"github.com/longshore/longshore/transforms/redact"
)

// in runs a test in a bubble, where pauses take no time.
func in(t *testing.T, test func(t *testing.T, w *fixture)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newFixture(t)) })
}

// wants compares a report's totals with what they should be.
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
	in(t, func(t *testing.T, w *fixture) {
		r := wants(t, Counts{})(w.verify(usualConfig))
		if !r.Clean() || r.Inconclusive() || !strings.HasPrefix(r.Summary(), "Nothing to check") {
			t.Error(r.Summary())
		}
	})
}

// TestMissingAndDuplicates: what is missing is found, shown, sent, and then there.
func TestMissingAndDuplicates(t *testing.T) {
	in(t, func(t *testing.T, w *fixture) {
		w.write("a", 0, 20)
		w.write("b", 0, 10)
		w.run(usualConfig)
		w.write("a", 20, 40)
		w.run(usualConfig)
		wants(t, Counts{Checked: 50, Found: 50})(w.verify(usualConfig))

		w.lose("out", ends("7", "8", "33"))
		w.stored["out"] = append(w.stored["out"], "a 9", "a 9", "b 2")
		r := wants(t, Counts{Checked: 50, Found: 45, Missing: 5, Duplicates: 3})(w.verify(usualConfig, dryRun))
		a := r.Rows[0]
		if a.Source != "a" || a.Output != "out" || a.Pipeline != "main" || a.Missing != 3 || a.Duplicates != 2 ||
			a.FirstMissing != "a 7" {
			t.Errorf("%+v", a)
		}
		if r.Clean() || !strings.Contains(r.Summary(), "5 are missing, and there are 3 duplicates") {
			t.Error(r.Summary())
		}
		r = wants(t, Counts{Checked: 50, Found: 50, Resent: 5, Duplicates: 3})(w.verify(usualConfig))
		if r.Clean() || r.Rows[0].FirstMissing != "" {
			t.Errorf("%+v", r.Rows[0])
		}
		w.lose("out", ends("9", "2"))
		wants(t, Counts{Checked: 50, Found: 50, Resent: 4})(w.verify(usualConfig))
		wants(t, Counts{Checked: 50, Found: 50})(w.verify(usualConfig))
		if n := len(w.stored["out"]); n != 50 {
			t.Errorf("%d lines are stored", n)
		}
	})
}

// TestWhileAnAgentRuns: while an agent has the data folder, and more is written.
func TestWhileAnAgentRuns(t *testing.T) {
	in(t, func(t *testing.T, w *fixture) {
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
		wants(t, Counts{Checked: 20, Found: 20, Resent: 1})(w.verify(usualConfig))
		if n := len(w.stored["out"]); n != 20 {
			t.Errorf("%d lines are stored: what is not acknowledged is the agent's to send", n)
		}
	})
}

// TestSince leaves out what is older, but not lines without a time.
func TestSince(t *testing.T) {
	in(t, func(t *testing.T, w *fixture) {
		w.write("a", 0, 20)
		w.write("bare", 0, 5)
		w.run(usualConfig)
		since := func(o *Options) { o.Since = time.Unix(1_000_015, 0) }
		w.lose("out", ends("2", "19"))
		wants(t, Counts{Checked: 10, Found: 10, Resent: 2})(w.verify(usualConfig, since))
	})
}

// TestReadingBeganLater: what was there before the first sight was never sent.
func TestReadingBeganLater(t *testing.T) {
	in(t, func(t *testing.T, w *fixture) {
		w.from = 12
		w.write("a", 0, 20)
		w.run(usualConfig)
		wants(t, Counts{Checked: 8, Found: 8})(w.verify(usualConfig))
	})
}

const twoOutputs = `
inputs: {in: {type: script}}
parsers: {clock: {type: clock}}
outputs: {out: {type: memory}, other: {type: memory}}
`

// TestOtherTarget: what had another target before the config was changed is not looked up.
func TestOtherTarget(t *testing.T) {
	in(t, func(t *testing.T, w *fixture) {
		w.target = "before"
		w.write("a", 0, 9)
		w.run(usualConfig)
		w.target = "after"
		w.write("a", 9, 15)
		w.run(usualConfig)
		w.lose("out", ends("1", "10"))
		wants(t, Counts{Checked: 6, Found: 6, Resent: 1})(w.verify(usualConfig))
	})
}

// TestAddedOutput: an output that was added later has its part, and no more.
func TestAddedOutput(t *testing.T) {
	in(t, func(t *testing.T, w *fixture) {
		w.write("a", 0, 10)
		w.run(usualConfig)
		w.write("a", 10, 16)
		w.run(twoOutputs)
		w.lose("other", ends("11"))
		w.lose("out", ends("1"))
		wants(t, Counts{Checked: 22, Found: 20, Missing: 2})(w.verify(twoOutputs, dryRun))
		only := func(o *Options) { o.Output = "other" }
		wants(t, Counts{Checked: 6, Found: 6, Resent: 1})(w.verify(twoOutputs, only))
		wants(t, Counts{Checked: 22, Found: 21, Missing: 1})(w.verify(twoOutputs, dryRun))
		if _, err := w.verify(twoOutputs, func(o *Options) { o.Output = "none" }); err == nil {
			t.Error("an output that is not there was verified")
		}
	})
}

// TestRejectedAndSpooled: dead letters are not missing, and neither is what is in the
// spool; what is rejected when it is sent again becomes a dead letter.
func TestRejectedAndSpooled(t *testing.T) {
	in(t, func(t *testing.T, w *fixture) {
		w.answer = func(line string) error {
			if strings.HasSuffix(line, " 5") {
				return errRejected
			}
			return nil
		}
		w.write("a", 0, 20)
		w.run(usualConfig)
		w.lose("out", ends("8", "9", "15"))
		spoolLines(t, w, 8, 10)
		wants(t, Counts{Checked: 20, Found: 16, Rejected: 1, Spooled: 2, Missing: 1})(w.verify(usualConfig, dryRun))
		w.answer = func(string) error { return errRejected }
		r := wants(t, Counts{Checked: 20, Found: 16, Rejected: 2, Spooled: 2})(w.verify(usualConfig))
		if !r.Clean() {
			t.Error(r.Summary())
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
func spoolLines(t *testing.T, w *fixture, from, to uint64) {
	t.Helper()
	states, err := ledger.Read(w.dir)
	if err != nil {
		t.Fatal(err)
	}
	body := deliver.Body{Runs: deliver.Runs{{Source: event.NewSource(states[0].ID, "in", "a", nil), From: from,
		To: to}}}
	for pos := from; pos < to; pos++ {
		body.Bytes = append(body.Bytes, "x"...)
		body.Items = append(body.Items, pipeline.Item{Pos: pos, End: uint32(len(body.Bytes))})
	}
	cfg := w.config(usualConfig)
	s, err := spool.Open(disk.OS{}, graph.SpoolFolder(cfg, cfg.Outputs[0])+"/0",
		spool.Options{MaxSize: spool.MinSize, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Append(new(spool.BodyCoder).Append(nil, &body)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestUnknown: the reason is reported, and nothing is sent.
func TestUnknown(t *testing.T) {
	const stateful = usualConfig + "transforms: {quick: {type: stateful}}\n"
	tests := map[string]struct {
		config string
		change func(w *fixture)
		want   Counts
		why    map[string]int
	}{
		"a source that is gone": {usualConfig, func(w *fixture) {
			delete(w.sources, "a")
			w.deleted = []string{"a"}
		}, Counts{}, map[string]int{"it no longer exists": 0}},
		"a source that is not found": {usualConfig, func(w *fixture) { delete(w.sources, "a") },
			Counts{}, map[string]int{"it no longer exists": 0}},
		"a source that ends earlier": {usualConfig, func(w *fixture) { w.sources["a"] = w.sources["a"][:6] },
			Counts{Checked: 6, Found: 6}, map[string]int{"it could only be read up to position 6 of 10": 0}},
		"an input that reads nothing twice": {usualConfig, func(w *fixture) { w.ephemeral = true },
			Counts{}, map[string]int{"this kind of input cannot be read twice": 0}},
		"a destination that will not be asked": {usualConfig, func(w *fixture) { w.away = pipeline.ErrUnknowable },
			Counts{Checked: 10, Unknown: 10}, map[string]int{pipeline.ErrUnknowable.Error(): 10}},
		"a destination that doubts": {usualConfig, func(w *fixture) {
			w.lose("out", ends("4", "5"))
			w.doubt = func(line string) string { return map[string]string{"a 4": "so old"}[line] }
		}, Counts{Checked: 10, Found: 9, Resent: 1, Unknown: 1}, map[string]int{"so old": 1}},
		"a config that was changed since": {usualConfig, func(w *fixture) { w.target = "elsewhere" },
			Counts{}, map[string]int{"the config was changed and no agent has run since: records went to " +
				"another index, other labels or the like": 0}},
		"a transform that drops by more than the record": {stateful, func(w *fixture) { w.lose("out", ends("4")) },
			Counts{Checked: 10, Found: 8, Unknown: 2}, map[string]int{"quick may have dropped it: what it drops " +
				"depends on what came before": 2}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T, w *fixture) {
				w.write("a", 0, 10)
				w.run(test.config)
				test.change(w)
				r := wants(t, test.want)(w.verify(test.config))
				if diff := cmp.Diff(test.why, r.Rows[0].Reasons); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

// TestLeftOut: an output that cannot be asked is left out, once, and is no failure.
func TestLeftOut(t *testing.T) {
	config := strings.Replace(usualConfig, "{out: {type: memory}}", "{out: {type: memory}, mute: {type: mute}}", 1)
	in(t, func(t *testing.T, w *fixture) {
		w.write("a", 0, 10)
		w.run(config)
		r := wants(t, Counts{Checked: 10, Found: 10})(w.verify(config))
		if diff := cmp.Diff([]string{"mute"}, r.LeftOut); diff != "" || !r.Clean() || r.Inconclusive() {
			t.Errorf("clean: %v, inconclusive: %v\n%s", r.Clean(), r.Inconclusive(), diff)
		}
		if _, err := w.verify(config, func(o *Options) { o.Output = "mute" }); !errors.Is(err, errCannotAsk) {
			t.Errorf("asked for it alone, the error is %v", err)
		}
	})
}

// TestUnreachable: a destination without an answer is given up, before and after.
func TestUnreachable(t *testing.T) {
	in(t, func(t *testing.T, w *fixture) {
		w.write("a", 0, 10)
		w.run(usualConfig)
		w.lose("out", ends("4"))
		w.away = errors.New("connection rejected")
		began := time.Now()
		_, err := w.verify(usualConfig)
		if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "output out") ||
			!strings.Contains(err.Error(), "connection rejected") {
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
		wants(t, Counts{Checked: 10, Found: 10})(w.verify(usualConfig))
	})
}

// TestDestinationsWordsAreRedacted: no way in which verify shows a destination's words shows a
// secret in them.
func TestDestinationsWordsAreRedacted(t *testing.T) {
	const secret = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
	said := errors.New("bad header Authorization: Bearer " + secret)
	unreachable := func(w *fixture) string {
		_, err := w.verify(usualConfig)
		if !errors.Is(err, ErrUnreachable) {
			w.t.Error(err)
		}
		return err.Error()
	}
	for name, show := range map[string]func(w *fixture) string{
		"no answer": func(w *fixture) string {
			w.away = said
			return unreachable(w)
		},
		"no answer to what is sent again": func(w *fixture) string {
			w.lose("out", ends("4"))
			w.answer = func(string) error {
				w.away = &pipeline.SendError{Outcome: pipeline.Hold, Status: 401, Reason: said.Error()}
				return nil
			}
			return unreachable(w)
		},
		"it will not be asked": func(w *fixture) string {
			w.away = fmt.Errorf("%w: %w", pipeline.ErrUnknowable, said)
			r, err := w.verify(usualConfig)
			if err != nil {
				w.t.Fatal(err)
			}
			return fmt.Sprint(r.Rows[0].Reasons)
		},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T, w *fixture) {
				w.more = []pipeline.Spec{redact.Spec()}
				w.write("a", 0, 10)
				w.run(usualConfig)
				if text := show(w); !strings.Contains(text, "bad header") || strings.Contains(text, secret) {
					t.Error(text)
				}
			})
		})
	}
}
