package deliver

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// letter returns a dead letter of an output of the type "loki".
func letter(i int, reason string) DeadLetter {
	return DeadLetter{Time: time.Unix(int64(i), 0).UTC(), Output: "o", Type: "loki", Status: 400, Reason: reason,
		Key: "app.log", Position: uint64(i), Record: fmt.Sprint("record ", i), Encoded: []byte("x")}
}

func TestSummarize(t *testing.T) {
	f := NewDeadLetterFile(t.TempDir(), "o")
	if s, err := f.Summarize("loki"); err != nil || s.Count != 0 || s.Reasons == nil {
		t.Errorf("without dead letters: %+v, %v", s, err)
	}
	before := f.Stamp()
	var letters []DeadLetter
	for i := range 10 {
		letters = append(letters, letter(i, fmt.Sprintf("failed to parse field 'n%d' in document %d", i, 100*i)))
	}
	letters = append(letters, letter(10, "too large"))
	letters[3].Type, letters[4].Encoded = "elasticsearch", nil
	letters[9].Record = strings.Repeat("ü", 5000)
	if err := f.Write(letters); err != nil {
		t.Fatal(err)
	}
	if f.Stamp() == before {
		t.Error("the stamp does not tell that dead letters came")
	}
	damage, err := os.OpenFile(f.Path(), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(damage, "no dead letter")
	damage.Close()
	s, err := f.Summarize("loki")
	if err != nil {
		t.Fatal(err)
	}
	if s.Count != 11 || s.Damaged != 1 || s.Unsendable != 2 || s.Partial || len(s.Reasons) != 2 {
		t.Errorf("the summary is %+v", s)
	}
	r := s.Reasons[0]
	if r.Count != 10 || r.Status != 400 || r.Reason != letters[9].Reason || !r.First.Equal(letters[0].Time) ||
		!r.Last.Equal(letters[9].Time) || len(r.Samples) != 3 || r.Samples[0].Record != "record 7" {
		t.Errorf("the most frequent reason is %+v", r)
	}
	if n := len(r.Samples[2].Record); n > sampleBytes+3 {
		t.Errorf("a sample has %d bytes", n)
	}
}

// TestSummarizeIsBounded: of dead letters without end, the newest are looked at.
func TestSummarizeIsBounded(t *testing.T) {
	f := NewDeadLetterFile(t.TempDir(), "o")
	var letters []DeadLetter
	for i := range 40 {
		l := letter(i, strings.Repeat("reason ", 1)+strings.Repeat("x", i))
		l.Record = strings.Repeat("r", 512<<10)
		letters = append(letters, l)
	}
	if err := f.Write(letters); err != nil {
		t.Fatal(err)
	}
	s, err := f.Summarize("loki")
	if err != nil {
		t.Fatal(err)
	}
	if !s.Partial || s.Count < 20 || s.Count >= 40 || s.Damaged != 0 || s.Bytes < 20<<20 {
		t.Errorf("%d are counted of %d bytes, partial %t, damaged %d", s.Count, s.Bytes, s.Partial, s.Damaged)
	}
	if len(s.Reasons) != summaryReasons || s.Others != s.Count-summaryReasons {
		t.Errorf("%d reasons, and %d others of %d", len(s.Reasons), s.Others, s.Count)
	}
}

func TestRejectionsByKindOfReason(t *testing.T) {
	var r rejections
	for i := range 100 {
		r.add([]DeadLetter{letter(i, fmt.Sprintf("id '%x' at 10.0.0.%d: bad field \"f%d\"", i, i, i))})
	}
	for i := range maxReasons + 5 {
		r.add([]DeadLetter{letter(i, strings.Repeat("y", i+1))})
	}
	all := r.list()
	if len(all) != maxReasons || all[0].Count != 100 || !strings.Contains(all[0].Reason, "f99") {
		t.Errorf("%d kinds, the first %+v", len(all), all[0])
	}
}

// TestOneReplayAtATime: two would send every dead letter twice.
func TestOneReplayAtATime(t *testing.T) {
	f := NewDeadLetterFile(t.TempDir(), "o")
	if err := f.Write([]DeadLetter{letter(1, "no")}); err != nil {
		t.Fatal(err)
	}
	all := func(*DeadLetter) bool { return true }
	first, err := OpenReplay(f, all)
	if err != nil {
		t.Fatal(err)
	}
	other := NewDeadLetterFile(strings.TrimSuffix(f.Path(), "/o.jsonl"), "o")
	if _, err := OpenReplay(other, all); !errors.Is(err, ErrReplaying) {
		t.Errorf("the second replay begins with %v", err)
	}
	if s, err := f.Summarize("loki"); err != nil || s.Count != 1 {
		t.Errorf("while it is sent, %d are there (%v)", s.Count, err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := OpenReplay(f, all)
	if err != nil || again.DeadLetters() != 1 {
		t.Fatalf("the next replay begins with %v", err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}
