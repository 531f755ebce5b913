package pipetest

import (
	"slices"
	"testing"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// TestJoiner checks a joiner against the contract of pipeline.Joiner with some lines of
// a source: from wherever a record begins, by itself or since the one before was said to
// have ended, a new joiner says the same as the one that has had all lines before.
func TestJoiner(t testing.TB, newJoiner pipeline.NewJoiner, lines ...string) {
	t.Helper()
	src := event.NewSource(1, "test", "test", nil)
	whole := joints(newJoiner(src), lines)
	for first := range lines {
		ended := newJoiner(src)
		joints(ended, lines[:first])
		ended.End()
		fresh := joints(newJoiner(src), lines[first:])
		if got := joints(ended, lines[first:]); !slices.Equal(got, fresh) {
			t.Errorf("from line %d on, %q, a new joiner says %03b, and one that was told that the record before "+
				"has ended %03b", first, lines[first], fresh, got)
		}
		if whole[first]&pipeline.Continues == 0 && !slices.Equal(fresh[1:], whole[first+1:]) {
			t.Errorf("behind line %d, %q, a new joiner says %03b, and one that has had all lines before %03b", first,
				lines[first], fresh[1:], whole[first+1:])
		}
	}
}

// joints returns what a joiner says of lines of which the first begins a record.
func joints(joiner pipeline.Joiner, lines []string) []pipeline.JoinDecision {
	var all []pipeline.JoinDecision
	for i, line := range lines {
		decision := joiner.Line([]byte(line))
		if i == 0 {
			decision &^= pipeline.Continues
		}
		all = append(all, decision)
	}
	return all
}
