package deliver

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/longshore/longshore/pipeline"
)

func TestBacklog(t *testing.T) {
	start := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	at := func(seconds float64) time.Time { return start.Add(time.Duration(seconds * float64(time.Second))) }
	var b backlog
	if age := b.age(at(0), 0); age != 0 {
		t.Errorf("before anything was taken the oldest has waited for %s", age)
	}
	// Ten records a second, from 0 s to 600 s: more than there are marks.
	for tenth := range 6000 {
		b.note(at(float64(tenth)/10), uint64(tenth))
	}
	for _, step := range []struct {
		ended     uint64
		least, at time.Duration // at most that old, but for what was thinned out
	}{
		{0, 600 * time.Second, 0},
		{1000, 500 * time.Second, 100 * time.Second},
		{5000, 100 * time.Second, 500 * time.Second},
		{5995, 0, 599 * time.Second},
	} {
		age := b.age(at(600), step.ended)
		if age < step.least || age > step.least+8*markEvery {
			t.Errorf("with %d ended the oldest has waited for %s, want %s", step.ended, age, step.least)
		}
	}
	// All have ended, and later comes one more.
	b.note(at(4000), 6000)
	if age := b.age(at(4002), 6000); age != 2*time.Second {
		t.Errorf("the only record has waited for %s, want 2s", age)
	}
}

func TestBacklogTakesNoTimeTwiceASecond(t *testing.T) {
	var b backlog
	now := time.Now()
	for i := range 1000 {
		b.note(now.Add(time.Duration(i)*time.Microsecond), uint64(i))
	}
	if len(b.marks) != 1 {
		t.Errorf("%d marks within a millisecond, want 1", len(b.marks))
	}
}

func TestCodes(t *testing.T) {
	for _, test := range []struct {
		err  error
		want string
	}{
		{nil, "ok"},
		{&pipeline.SendError{Status: 503}, "503"},
		{fmt.Errorf("wrapped: %w", &pipeline.SendError{Status: 429}), "429"},
		{&pipeline.SendError{Items: []pipeline.ItemError{{Index: 1}}}, "200"},
		{&pipeline.SendError{Status: 999}, "other"},
		{&pipeline.SendError{}, "none"},
		{errors.New("broken off"), "none"},
	} {
		if got := codeOf(test.err); got != test.want {
			t.Errorf("%v is counted as %q, want %q", test.err, got, test.want)
		}
	}
}

func TestSizeOfDeadLetters(t *testing.T) {
	file := NewDeadLetterFile(t.TempDir(), "loki")
	if size, since, err := file.Size(); size != 0 || !since.IsZero() || err != nil {
		t.Errorf("without a file: %d bytes since %s (%v)", size, since, err)
	}
	first := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	letter := DeadLetter{Time: first, Record: strings.Repeat("x", 2*maxFirst)}
	if err := file.Write([]DeadLetter{letter, {Time: first.Add(time.Hour)}}); err != nil {
		t.Fatal(err)
	}
	if size, since, err := file.Size(); size < 2*maxFirst || !since.Equal(first) || err != nil {
		t.Errorf("with two: %d bytes since %s (%v)", size, since, err)
	}
	for _, content := range []string{"", "{", `{"time":`, `{"time":7}`, "\x00\x00", `{"output":"a"}`} {
		if err := os.WriteFile(file.Path(), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if size, since, err := file.Size(); size != int64(len(content)) || !since.IsZero() || err != nil {
			t.Errorf("with %q: %d bytes since %s (%v)", content, size, since, err)
		}
	}
}
