package deliver

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/pipeline"
)

// kept returns the records of the dead letters in a file, line by line, and "torn" for a line that
// is none.
func kept(t *testing.T, path string) []string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var records []string
	for _, line := range bytes.Split(bytes.TrimSuffix(content, []byte("\n")), []byte("\n")) {
		var l DeadLetter
		if json.Unmarshal(line, &l) != nil {
			l.Record = "torn"
		}
		records = append(records, l.Record)
	}
	return records
}

func write(t *testing.T, l *DeadLetterFile, record string) {
	t.Helper()
	if err := l.Write([]DeadLetter{{Output: "out", Record: record}}); err != nil {
		t.Fatal(err)
	}
}

func TestTornDeadLetterDoesNotSpoilTheNext(t *testing.T) {
	l := NewDeadLetterFile(t.TempDir(), "out")
	write(t, l, "a")
	content, _ := os.ReadFile(l.Path())
	if err := os.WriteFile(l.Path(), append(content, content[:len(content)/2]...), 0o640); err != nil {
		t.Fatal(err)
	}
	again := NewDeadLetterFile(filepath.Dir(l.Path()), "out")
	write(t, again, "b")
	write(t, again, "c")
	if diff := cmp.Diff([]string{"a", "torn", "b", "c"}, kept(t, l.Path())); diff != "" {
		t.Error(diff)
	}
}

func TestDeadLetterFileMayBeDeleted(t *testing.T) {
	l := NewDeadLetterFile(filepath.Join(t.TempDir(), "dead-letters"), "out")
	write(t, l, "a")
	if err := os.RemoveAll(filepath.Dir(l.Path())); err != nil {
		t.Fatal(err)
	}
	write(t, l, "b")
	if diff := cmp.Diff([]string{"b"}, kept(t, l.Path())); diff != "" {
		t.Error(diff)
	}
}

// TestFullDeadLetterFileHoldsRecords: what is rejected waits until there is room for its dead
// letter, and it is said why.
func TestFullDeadLetterFileHoldsRecords(t *testing.T) {
	file := NewDeadLetterFile(t.TempDir(), "out")
	file.Max = 1 << 10
	to := &destination{limits: pipeline.Limits{Records: 1}}
	to.answer = func(_ int, lines []string) error {
		if strings.HasPrefix(lines[0], "bad") {
			return &pipeline.SendError{Outcome: pipeline.Reject, Reason: "no"}
		}
		return nil
	}
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, to, nil)
		o := r.d.Options
		o.DeadLetters = file
		r.d = New(o)
		bad := []string{"bad " + strings.Repeat("x", 2<<10), "bad too"}
		r.run(func(ctx context.Context) {
			r.put(ctx, source(1), bad[0], bad[1], "good")
			time.Sleep(time.Hour)
			synctest.Wait()
			if diff := cmp.Diff(bad[:1], lettersIn(t, file)); diff != "" {
				t.Errorf("kept: %s", diff)
			}
			said := fmt.Sprint(r.health[len(r.health)-1])
			if !strings.Contains(said, "longshore replay") || !strings.Contains(said, file.Path()) {
				t.Errorf("it says %q", said)
			}
			if err := os.Rename(file.Path(), file.Path()+".away"); err != nil {
				t.Fatal(err)
			}
		})
		r.allDone()
		if last := r.health[len(r.health)-1]; last != nil {
			t.Errorf("it works again, but says %v", last)
		}
		if diff := cmp.Diff(bad[1:], lettersIn(t, file)); diff != "" {
			t.Errorf("kept: %s", diff)
		}
		if diff := cmp.Diff([]string{"good"}, to.stored); diff != "" {
			t.Error(diff)
		}
	})
}

func TestDeadLettersFitTheirOutputType(t *testing.T) {
	for _, test := range []struct {
		letter, output string
		want           bool
	}{{"loki", "loki", true}, {"loki", "elasticsearch", false}, {"", "loki", true}} {
		if got := (&DeadLetter{Type: test.letter}).Fits(test.output); got != test.want {
			t.Errorf("a dead letter for %q fits %q: %v", test.letter, test.output, got)
		}
	}
}

// TestDeadLettersAreInARegularFile: a named pipe would have who reads it wait for ever.
func TestDeadLettersAreInARegularFile(t *testing.T) {
	for _, name := range []string{"out.jsonl", "out.jsonl" + replaySuffix} {
		dir := t.TempDir()
		if err := syscall.Mkfifo(filepath.Join(dir, name), 0o600); err != nil {
			t.Fatal(err)
		}
		file := NewDeadLetterFile(dir, "out")
		_, err := OpenReplay(file, func(*DeadLetter) bool { return true })
		if err == nil || !strings.Contains(err.Error(), "remove it") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
