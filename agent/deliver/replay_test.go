package deliver

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/pipeline"
)

// keptLetters returns a file of dead letters whose records are the words of a text, with
// alternating reasons.
func keptLetters(t *testing.T, words string) *DeadLetterFile {
	t.Helper()
	file := NewDeadLetterFile(t.TempDir(), "out")
	for i, word := range strings.Fields(words) {
		reason := []string{"too old", "bad mapping"}[i%2]
		l := DeadLetter{Output: "out", Reason: reason, Source: "00000000000000ff", Position: uint64(i), Group: "g",
			Record: word, Encoded: []byte(word)}
		if err := file.Write([]DeadLetter{l}); err != nil {
			t.Fatal(err)
		}
	}
	return file
}

func lettersIn(t *testing.T, file *DeadLetterFile) []string {
	t.Helper()
	var records []string
	if err := file.Each(func(l *DeadLetter) error { records = append(records, l.Record); return nil }); err != nil {
		t.Fatal(err)
	}
	return records
}

// replayTo sends the dead letters with a reason to a destination.
func replayTo(t *testing.T, ctx context.Context, to pipeline.Output, file *DeadLetterFile, reason string) (left int) {
	t.Helper()
	r, err := OpenReplay(file, func(l *DeadLetter) bool { return strings.Contains(l.Reason, reason) })
	if err != nil {
		t.Fatal(err)
	}
	d := New(Options{
		Name: "out", Output: to, Settings: pipeline.OutputSettings{Lanes: 1,
			Queue: 1 << 20}, Log: slog.New(slog.DiscardHandler),
		Health: func(error) {}, DeadLetters: file, Spool: func(int) Spool { return r },
	})
	d.Finish()
	d.Run(ctx)
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	return int(r.pending.Load())
}

func TestReplay(t *testing.T) {
	tests := []struct {
		name, reason string
		rejects      string
		stored, kept []string
	}{
		{"all", "", "", []string{"a", "b", "c", "d"}, nil},
		{"by reason", "old", "", []string{"a", "c"}, []string{"b", "d"}},
		{"rejected again", "", "c", []string{"a", "b", "d"}, []string{"c"}},
		{"none", "no such reason", "", nil, []string{"a", "b", "c", "d"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			file := keptLetters(t, "a b c d")
			to := &destination{answer: func(_ int, lines []string) error {
				if i := slices.Index(lines, test.rejects); i >= 0 {
					return &pipeline.SendError{Items: []pipeline.ItemError{{Index: i, Outcome: pipeline.Reject,
						Reason: "no"}}}
				}
				return nil
			}}
			synctest.Test(t, func(t *testing.T) { replayTo(t, t.Context(), to, file, test.reason) })
			if diff := cmp.Diff(test.stored, to.stored); diff != "" {
				t.Errorf("stored: %s", diff)
			}
			if diff := cmp.Diff(test.kept, lettersIn(t, file)); diff != "" {
				t.Errorf("kept: %s", diff)
			}
			if _, err := os.Stat(file.path + ".replay"); err == nil {
				t.Error("the replay has left its file behind")
			}
		})
	}
}

// TestInterruptedReplayIsResumed loses an acknowledgement, stops, and begins again, with a further
// dead letter.
func TestInterruptedReplayIsResumed(t *testing.T) {
	var words []string
	for i := range 2000 {
		words = append(words, fmt.Sprint("letter-", i))
	}
	file := keptLetters(t, strings.Join(words, " "))
	to := &library{destination: &destination{}}
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		to.loses = func(try int) bool {
			if try == 2 {
				stop()
			}
			return try == 2
		}
		if left := replayTo(t, ctx, to, file, ""); left == 0 {
			t.Error("nothing is left of a replay that was cut off")
		}
	})
	if err := file.Write([]DeadLetter{{Record: "late", Encoded: []byte("late")}}); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		if left := replayTo(t, t.Context(), to, file, ""); left > 0 {
			t.Errorf("%d dead letters are left", left)
		}
	})
	if diff := cmp.Diff(append(words, "late"), to.stored); diff != "" {
		t.Errorf("stored: %.500s", diff)
	}
}

// TestDamagedDeadLettersStay: a replay leaves what is no dead letter any more.
func TestDamagedDeadLettersStay(t *testing.T) {
	l := NewDeadLetterFile(t.TempDir(), "out")
	if err := l.Write([]DeadLetter{{Record: "a", Encoded: []byte("a")},
		{Record: "b", Encoded: []byte("b")}}); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(l.Path())
	if err == nil {
		content[0] = '!'
		err = os.WriteFile(l.Path(), content, 0o640)
	}
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		r, err := OpenReplay(l, func(*DeadLetter) bool { return true })
		if err != nil {
			t.Fatal(err)
		}
		b := NewBody()
		if _, ok, err := r.Next(b); ok {
			b.finish()
		} else if err != nil {
			t.Error(err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if n, err := l.Damaged(); n != 1 || err != nil {
			t.Errorf("%d damaged lines: %v", n, err)
		}
		if diff := cmp.Diff([]string{"torn"}, kept(t, l.Path())); diff != "" {
			t.Error(diff)
		}
	}
}
